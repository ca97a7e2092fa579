// Package cluster_test boots a cluster of this tree's images and charts, and uses it as operators and users do.
package cluster_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"golang.org/x/sys/unix"

	"kubefips.internal/tests/internal/proc"
	"kubefips.internal/tools/kubefips/artifacts"
	"kubefips.internal/tools/kubefips/cluster"
)

// dirEnv tells the tests in the rack where the cluster's files go.
const dirEnv = "KUBEFIPS_TEST_DIR"

// The tests run within the rack; this process outlives them and removes what they leave.
func TestMain(m *testing.M) {
	cluster.Dispatch(m.Run)
	code, err := runInRack()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func runInRack() (code int, err error) {
	dir, err := os.MkdirTemp(os.Getenv("TEST_TMPDIR"), "cluster")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, cluster.Remove(dir)) }()
	rack, err := cluster.Rack(os.Args[1:]...)
	if err != nil {
		return 0, err
	}
	rack.Env = append(rack.Env, dirEnv+"="+dir)
	rack.Stdout, rack.Stderr = os.Stdout, os.Stderr
	rack.SysProcAttr.Pdeathsig = unix.SIGKILL
	runtime.LockOSThread() // Pdeathsig is for the end of the thread that started the process
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	if err := rack.Start(); err != nil {
		return 0, fmt.Errorf("starting the tests in new namespaces: %w", err)
	}
	defer context.AfterFunc(ctx, func() { rack.Process.Kill() })()
	err = rack.Wait()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.Exited() {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// suite is a cluster, and how its tests talk to it.
type suite struct {
	*cluster.Cluster
	dir string
}

// boot starts a cluster, with options set, and waits until it is ready. When the test fails, it logs what the cluster says of itself.
func boot(t *testing.T, options ...func(*cluster.Cluster)) *suite {
	t.Helper()
	dir := os.Getenv(dirEnv)
	found, err := artifacts.Find()
	if err != nil {
		t.Fatal(err)
	}
	found.Images["workload"] = filepath.Join(t.TempDir(), "workload")
	if err := writeImage(proc.Runfile(t, os.Getenv("WORKLOAD")), found.Images["workload"]); err != nil {
		t.Fatalf("making the image of the tests: %v", err)
	}
	start := time.Now()
	s := &suite{dir: dir, Cluster: cluster.New(dir, found, func(step string) { t.Logf("%5.1f s  %s", time.Since(start).Seconds(), step) })}
	for _, set := range options {
		set(s.Cluster)
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), 5*time.Minute, errors.New("not ready within 5 minutes"))
	defer cancel()
	t.Cleanup(func() {
		if t.Failed() {
			s.logState(t)
		}
	})
	if err := s.Up(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	t.Logf("%5.1f s  ready: all nodes and the cluster's DNS", time.Since(start).Seconds())
	return s
}

func (s *suite) logState(t *testing.T) {
	for _, arguments := range [][]string{{"get", "nodes,pods", "--all-namespaces", "--output=wide"}, {"get", "events", "--all-namespaces"}} {
		out, err := s.kubectl(arguments...)
		t.Log(out, err)
	}
	for _, node := range s.Nodes() {
		for _, file := range []string{filepath.Join(s.dir, node+".log"), s.Dir(node, "var/log/kubelet.log"), s.Dir(node, "var/log/containerd.log")} {
			content, err := os.ReadFile(file)
			t.Logf("%s: %v\n%s", file, err, content[max(0, len(content)-5_000):])
		}
	}
}

func (s *suite) kubectl(arguments ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	out, err := s.Kubectl(ctx, arguments...)
	return strings.TrimSpace(out), err
}

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

// writeImage writes an OCI layout of an image with nothing but the program, which is its entry point.
func writeImage(program, dir string) error {
	content, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	var files bytes.Buffer
	w := tar.NewWriter(&files)
	if err := w.WriteHeader(&tar.Header{Name: "workload", Mode: 0o755, Size: int64(len(content))}); err != nil {
		return err
	}
	if _, err := w.Write(content); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(files.Bytes())), nil })
	if err != nil {
		return err
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return err
	}
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config = v1.Config{Entrypoint: []string{"/workload"}, Cmd: []string{"serve"}}
	if image, err = mutate.ConfigFile(image, config); err != nil {
		return err
	}
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	return path.AppendImage(image)
}
