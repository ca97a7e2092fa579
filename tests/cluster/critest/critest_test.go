// Package critest_test runs critest, which is the conformance suite of the CRI, against containerd and runc.
package critest_test

import (
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"kubefips.internal/tests/internal/ginkgo"
	"kubefips.internal/tests/internal/image"
	"kubefips.internal/tests/internal/namespaces"
	"kubefips.internal/tests/internal/proc"
	"kubefips.internal/tools/pki"
)

func TestMain(m *testing.M) { namespaces.MainAsRoot(m) }

const socket = "unix:///run/containerd/containerd.sock"

// A machine without CAP_SYS_RESOURCE may not lower OOM scores.
const config = `version = 4
root = "/run/test/root"
state = "/run/containerd"

[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = "` + sandboxImage + `"

[plugins.'io.containerd.cri.v1.images'.registry]
config_path = "/run/test/certs.d"

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
		"ipam": {"type": "host-local", "dataDir": "/run/test/ipam", "ranges": [[{"subnet": "10.92.0.0/16"}]]}
	}]
}`

// Every test of critest passes, or is listed with the reason why it is left out.
func TestCritest(t *testing.T) {
	start(t)
	var names, skip []string
	for _, s := range run(t, "--ginkgo.dry-run") {
		names = append(names, s.Name())
	}
	leftOut := ginkgo.LeftOut(t, proc.Runfile(t, os.Getenv("LEFT_OUT")), names)
	for name := range leftOut {
		skip = append(skip, regexp.QuoteMeta(name)+"$")
	}
	ginkgo.Judge(t, "critest", names, run(t, "--ginkgo.skip="+strings.Join(skip, "|")), leftOut)
}

// run runs critest, whose failures are in the report.
func run(t *testing.T, args ...string) []ginkgo.Spec {
	t.Helper()
	report := filepath.Join(t.TempDir(), "report.json")
	ctx, cancel := context.WithTimeout(context.Background(), 12*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, proc.Runfile(t, os.Getenv("CRITEST")), append([]string{"--runtime-endpoint=" + socket, "--image-endpoint=" + socket,
		"--ginkgo.seed=1", "--ginkgo.no-color", "--ginkgo.json-report=" + report}, args...)...)
	cmd.Dir = t.TempDir()
	output, err := cmd.CombinedOutput()
	specs, readErr := ginkgo.Read(report)
	if readErr != nil {
		t.Fatalf("critest left no report: %v, %v\n%s", err, readErr, output[max(0, len(output)-20_000):])
	}
	return specs
}

// start starts containerd, with a registry that has the images of the tests.
func start(t *testing.T) {
	t.Helper()
	ca, err := pki.NewCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	registry := image.Serve(t, ca, listener, images(t))
	// Copies: a container in a user namespace of its own starts them as another user, who needs not be allowed to where they are.
	const programs = "/run/test/bin"
	if err := os.MkdirAll(programs, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, runfile := range map[string]string{"containerd": os.Getenv("CONTAINERD"), "containerd-shim-runc-v2": os.Getenv("SHIM"), "runc": os.Getenv("RUNC")} {
		if err := os.WriteFile(filepath.Join(programs, name), image.Read(t, proc.Runfile(t, runfile)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", programs+":"+os.Getenv("PATH")) // where containerd looks for shims, and they for runc
	files := map[string]string{
		"config.toml":                 fmt.Sprintf(config, filepath.Dir(proc.Runfile(t, os.Getenv("BRIDGE")))),
		"net.d/pods.conflist":         network,
		"certs.d/_default/hosts.toml": fmt.Sprintf("[host.%q]\ncapabilities = [\"pull\", \"resolve\"]\nca = %q\n", registry, ca.CertFile),
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		file := filepath.Join("/run/test", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(files[name]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	proc.Start(t, filepath.Join(programs, "containerd"), "--config=/run/test/config.toml")
	proc.Eventually(t, time.Minute, func() error {
		_, err := proc.Output(proc.Runfile(t, os.Getenv("CTR")), "version")
		return err
	})
}
