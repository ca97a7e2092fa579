package containerd_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kubefips.internal/tests/internal/container"
	"kubefips.internal/tests/internal/container/guest"
	"kubefips.internal/tests/internal/namespaces"
	"kubefips.internal/tests/internal/proc"
)

func TestMain(m *testing.M) { namespaces.Main(m) }

const socket = "unix:///run/containerd/containerd.sock"

// A user namespace needs OOM scores that are not below the parent's.
const config = `version = 4
root = "/run/test/root"
state = "/run/containerd"

[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = "` + container.Reference + `"

[plugins.'io.containerd.cri.v1.runtime']
disable_apparmor = true
restrict_oom_score_adj = true

[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = [%q]
conf_dir = "/run/test/net.d"
`

const network = `{
	"cniVersion": "1.0.0",
	"name": "pods",
	"plugins": [{
		"type": "bridge",
		"bridge": "cni0",
		"isGateway": true,
		"ipam": {"type": "host-local", "dataDir": "/run/test/ipam", "ranges": [[{"subnet": "10.88.0.0/24"}]]}
	}]
}`

const pod = `{
	"metadata": {"name": "pod", "namespace": "default", "uid": "1"},
	"hostname": "pod",
	"log_directory": "/run/test/logs"
}`

// The guest waits unless it is told to report; profile_type 0 is the runtime's default seccomp profile.
const containerOfPod = `{
	"metadata": {"name": %q},
	"image": {"image": "` + container.Reference + `"},
	"args": [%[1]q],
	"log_path": "%[1]s.log",
	"linux": {"security_context": {"seccomp": {"profile_type": 0}}}
}`

// start starts containerd with all that its clients refer to.
func start(t *testing.T) {
	t.Helper()
	for file, content := range map[string]string{
		"net.d/pods.conflist": network,
		"pod.json":            pod,
		"wait.json":           fmt.Sprintf(containerOfPod, "wait"),
		"report.json":         fmt.Sprintf(containerOfPod, "report"),
	} {
		write(t, filepath.Join("/run/test", file), content)
	}
	container.StartContainerd(t, fmt.Sprintf(config, filepath.Dir(proc.Runfile(t, os.Getenv("BRIDGE")))), map[string]string{
		"containerd-shim-runc-v2": os.Getenv("SHIM"),
	})
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func crictl(t *testing.T, args ...string) string {
	t.Helper()
	args = append([]string{"--runtime-endpoint=" + socket, "--image-endpoint=" + socket}, args...)
	return strings.TrimSpace(proc.Run(t, proc.Runfile(t, os.Getenv("CRICTL")), args...))
}

func TestRunsContainers(t *testing.T) {
	start(t)
	t.Run("ctr", testCtr)
	t.Run("crictl", testCrictl)
	t.Run("critest", testCritest)
}

// The image's file system, a shim and runc, by containerd's own client.
func testCtr(t *testing.T) {
	r := guest.Parse(t, container.Ctr(t, "run", "--rm", "--hostname=by-ctr", "--seccomp", container.Reference, "c1", container.Guest, "report"))
	if r.PID != 1 || r.Hostname != "by-ctr" {
		t.Errorf("the process is %d on %q, want 1 on by-ctr", r.PID, r.Hostname)
	}
	if !r.SeccompFilter {
		t.Error("the default seccomp profile is not on")
	}
}

// What the kubelet does, by hand: a sandbox with a network, containers in it, exec, logs, and the end.
func testCrictl(t *testing.T) {
	if images := crictl(t, "images"); !strings.Contains(images, strings.TrimSuffix(container.Reference, ":latest")) {
		t.Errorf("images = %s, want %s among them", images, container.Reference)
	}
	sandbox := crictl(t, "runp", "/run/test/pod.json")

	waiting := crictl(t, "create", sandbox, "/run/test/wait.json", "/run/test/pod.json")
	crictl(t, "start", waiting)
	r := guest.Parse(t, crictl(t, "exec", "--sync", waiting, container.Guest, "report"))
	if r.Hostname != "pod" || !slices.Contains(r.Addresses, "10.88.0.2/24") {
		t.Errorf("the container is on %q with addresses %v, want pod with 10.88.0.2/24", r.Hostname, r.Addresses)
	}
	if !r.SeccompFilter {
		t.Error("the default seccomp profile is not on")
	}

	reporting := crictl(t, "create", sandbox, "/run/test/report.json", "/run/test/pod.json")
	crictl(t, "start", reporting)
	proc.Eventually(t, 30*time.Second, func() error {
		if state := crictl(t, "inspect", "--output=go-template", "--template={{.status.state}}", reporting); state != "CONTAINER_EXITED" {
			return fmt.Errorf("the container is %s, want CONTAINER_EXITED", state)
		}
		return nil
	})
	if r := guest.Parse(t, crictl(t, "logs", reporting)); r.Hostname != "pod" {
		t.Errorf("the logged process ran on %q, want pod", r.Hostname)
	}

	crictl(t, "stop", waiting)
	crictl(t, "rmp", "--force", sandbox)
	if left := crictl(t, "ps", "--all", "--quiet") + crictl(t, "pods", "--quiet"); left != "" {
		t.Errorf("after rmp there is still %s", left)
	}
}

// critest is the conformance suite of the CRI. Most of it needs images of a registry; this part does not.
func testCritest(t *testing.T) {
	out := proc.Run(t, proc.Runfile(t, os.Getenv("CRITEST")), "-runtime-endpoint="+socket, "-image-endpoint="+socket,
		"-ginkgo.focus=runtime should return (version info|runtime conditions)")
	if !strings.Contains(out, "2 Passed") || !strings.Contains(out, "0 Failed") {
		t.Errorf("critest printed\n%s", out)
	}
}

func TestPrintedVersion(t *testing.T) {
	version, revision := os.Getenv("UPSTREAM_VERSION"), os.Getenv("UPSTREAM_REVISION")
	for _, program := range []struct{ env, flag, want string }{
		{"CONTAINERD", "--version", "containerd github.com/containerd/containerd/v2 " + version + " " + revision},
		{"CTR", "--version", "ctr github.com/containerd/containerd/v2 " + version},
		{"SHIM", "-v", "Version:  " + version + "\n  Revision: " + revision + "\n  Go version: go" + os.Getenv("UPSTREAM_GO")},
	} {
		if out := proc.Run(t, proc.Runfile(t, os.Getenv(program.env)), program.flag); !strings.Contains(out, program.want) {
			t.Errorf("%s %s printed %q, want %q", program.env, program.flag, out, program.want)
		}
	}
}
