// Package critest_test runs critest, which is the conformance suite of the CRI, against containerd and runc.
package critest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

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

// leftOut is an entry of left_out.yaml.
type leftOut struct {
	Pattern, Reason string
}

// spec is a test in critest's report.
type spec struct {
	ContainerHierarchyTexts []string
	LeafNodeType            string
	LeafNodeText            string
	State                   string
	RunTime                 time.Duration
	Failure                 struct{ Message string }
}

func (s spec) name() string {
	return strings.ReplaceAll(strings.Join(append(s.ContainerHierarchyTexts, s.LeafNodeText), " "), "[k8s.io] ", "")
}

// Every test of critest passes, or is listed with the reason why it is left out.
func TestCritest(t *testing.T) {
	var out []leftOut
	decoder := yaml.NewDecoder(strings.NewReader(string(read(t, proc.Runfile(t, os.Getenv("LEFT_OUT"))))))
	decoder.KnownFields(true)
	if err := decoder.Decode(&out); err != nil {
		t.Fatal(err)
	}
	start(t)

	all := run(t, "--ginkgo.dry-run")
	var skip []string
	reasons := map[string]string{} // test -> why it is left out
	for _, o := range out {
		pattern, err := regexp.Compile(o.Pattern)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, s := range all {
			if pattern.MatchString(s.name()) {
				reasons[s.name()], found = o.Reason, true
				skip = append(skip, regexp.QuoteMeta(s.LeafNodeText)+"$")
			}
		}
		if !found || o.Reason == "" {
			t.Errorf("left_out.yaml: %q matches no test, or has no reason", o.Pattern)
		}
	}
	passed := 0
	for _, s := range run(t, "--ginkgo.skip="+strings.Join(skip, "|")) {
		switch reason, listed := reasons[s.name()]; {
		case s.State == "passed" && !listed:
			passed++
			t.Logf("passed   %5.1f s  %s", s.RunTime.Seconds(), s.name())
		case s.State == "skipped" && listed:
			t.Logf("left out           %s: %s", s.name(), reason)
		case s.State == "skipped":
			t.Errorf("skipped            %s: %s; left_out.yaml has to say why", s.name(), s.Failure.Message)
		default:
			t.Errorf("%-8s %5.1f s  %s: %s", s.State, s.RunTime.Seconds(), s.name(), s.Failure.Message)
		}
	}
	t.Logf("critest: %d tests, %d passed, %d left out", len(all), passed, len(reasons))
	if passed == 0 {
		t.Error("no test has passed")
	}
}

// run runs critest, whose failures are in the report.
func run(t *testing.T, args ...string) []spec {
	t.Helper()
	report := filepath.Join(t.TempDir(), "report.json")
	ctx, cancel := context.WithTimeout(context.Background(), 12*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, proc.Runfile(t, os.Getenv("CRITEST")), append([]string{"--runtime-endpoint=" + socket, "--image-endpoint=" + socket,
		"--ginkgo.seed=1", "--ginkgo.no-color", "--ginkgo.json-report=" + report}, args...)...)
	cmd.Dir = t.TempDir()
	output, err := cmd.CombinedOutput()
	content, readErr := os.ReadFile(report)
	var suites []struct{ SpecReports []spec }
	if readErr == nil {
		readErr = json.Unmarshal(content, &suites)
	}
	if readErr != nil || len(suites) != 1 {
		t.Fatalf("critest left no report: %v, %v\n%s", err, readErr, output[max(0, len(output)-20_000):])
	}
	specs := slices.DeleteFunc(suites[0].SpecReports, func(s spec) bool { return s.LeafNodeType != "It" && s.State == "passed" })
	slices.SortFunc(specs, func(a, b spec) int { return strings.Compare(a.name(), b.name()) })
	return specs
}

// start starts containerd, with a registry that has the images of the tests.
func start(t *testing.T) {
	t.Helper()
	ca, err := pki.NewCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	registry := serveImages(t, ca)
	// Copies: a container in a user namespace of its own starts them as another user, who needs not be allowed to where they are.
	const programs = "/run/test/bin"
	if err := os.MkdirAll(programs, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, runfile := range map[string]string{"containerd": os.Getenv("CONTAINERD"), "containerd-shim-runc-v2": os.Getenv("SHIM"), "runc": os.Getenv("RUNC")} {
		if err := os.WriteFile(filepath.Join(programs, name), read(t, proc.Runfile(t, runfile)), 0o755); err != nil {
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
