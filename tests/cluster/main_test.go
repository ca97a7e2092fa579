// Package cluster_test boots a cluster of this tree's images and charts, and uses it as operators and users do.
package cluster_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"kubefips.internal/tests/internal/clustertest"
	"kubefips.internal/tests/internal/image"
	"kubefips.internal/tests/internal/proc"
	"kubefips.internal/tools/kubefips/cluster"
)

func TestMain(m *testing.M) { clustertest.Main(m) }

// suite is a cluster, and how its tests talk to it.
type suite struct{ *clustertest.Cluster }

// boot starts a cluster that has the tests' image, with options set, and waits until it is ready.
func boot(t *testing.T, options ...func(*cluster.Cluster)) *suite {
	t.Helper()
	workload := image.OfProgram(t, proc.Runfile(t, os.Getenv("WORKLOAD")), "workload", "serve")
	return &suite{clustertest.Boot(t, map[string]v1.Image{"workload": workload}, options...)}
}

func (s *suite) kubectl(arguments ...string) (string, error) { return s.Try(arguments...) }

// must is kubectl, whose failure ends the test.
func (s *suite) must(t *testing.T, arguments ...string) string {
	t.Helper()
	out, err := s.kubectl(arguments...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// apply applies objects, given as YAML in which %s is the image of the tests.
func (s *suite) apply(t *testing.T, objects string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "objects.yaml")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(objects, "%s", s.Reference("workload"))), 0o600); err != nil {
		t.Fatal(err)
	}
	s.must(t, "apply", "--filename="+file)
}

// etcdctl runs etcdctl in etcd's pod.
func (s *suite) etcdctl(arguments ...string) (string, error) {
	const certificates = "/etc/kubernetes/pki/etcd/"
	return s.kubectl(append([]string{"--namespace=kube-system", "exec", "etcd-" + cluster.ControlPlane, "--", "etcdctl",
		"--cacert=" + certificates + "ca.crt", "--cert=" + certificates + "client.crt", "--key=" + certificates + "client.key"}, arguments...)...)
}

// Where a cluster cannot run its tests fail, and say what is missing.
func testLacking(t *testing.T) {
	cmd := exec.Command("/proc/self/exe", "-test.run=^$")
	cmd.Env = []string{"PATH=", "TEST_TMPDIR=" + t.TempDir()}
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "the program mount") {
		t.Errorf("without the program mount the tests end by %v, want them to fail for it: %s", err, out)
	}
}
