// Package clustertest boots a cluster of this tree's images and charts for tests.
package clustertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"kubefips.internal/tests/internal/image"
	"kubefips.internal/tools/kubefips/artifacts"
	"kubefips.internal/tools/kubefips/cluster"
)

// dirEnv tells the tests in the rack where the cluster's files go.
const dirEnv = "KUBEFIPS_TEST_DIR"

// Main is the body of TestMain: the tests run within the rack, and this process outlives them and removes what they leave.
func Main(m *testing.M) {
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

// Cluster is a cluster, and how its tests talk to it.
type Cluster struct {
	*cluster.Cluster
	dir string
}

// Boot starts a cluster that has images beside its own, with options set, and waits until it is ready. When the test fails, it logs what
// the cluster says of itself.
func Boot(t *testing.T, images map[string]v1.Image, options ...func(*cluster.Cluster)) *Cluster {
	t.Helper()
	dir := os.Getenv(dirEnv)
	found, err := artifacts.Find()
	if err != nil {
		t.Fatal(err)
	}
	for name, made := range images {
		found.Images[name] = filepath.Join(t.TempDir(), name)
		image.WriteLayout(t, found.Images[name], made)
	}
	start := time.Now()
	c := &Cluster{dir: dir, Cluster: cluster.New(dir, found, func(step string) { t.Logf("%5.1f s  %s", time.Since(start).Seconds(), step) })}
	for _, set := range options {
		set(c.Cluster)
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), 5*time.Minute, errors.New("not ready within 5 minutes"))
	defer cancel()
	t.Cleanup(func() {
		if t.Failed() {
			c.logState(t)
		}
	})
	if err := c.Up(ctx); err != nil {
		t.Fatal(err)
	}
	if err := c.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	t.Logf("%5.1f s  ready: all nodes and the cluster's DNS", time.Since(start).Seconds())
	return c
}

func (c *Cluster) logState(t *testing.T) {
	for _, arguments := range [][]string{{"get", "nodes,pods", "--all-namespaces", "--output=wide"}, {"get", "events", "--all-namespaces"}} {
		out, err := c.Try(arguments...)
		t.Log(out, err)
	}
	for _, node := range c.Nodes() {
		for _, file := range []string{filepath.Join(c.dir, node+".log"), c.Dir(node, "var/log/kubelet.log"), c.Dir(node, "var/log/containerd.log")} {
			content, err := os.ReadFile(file)
			t.Logf("%s: %v\n%s", file, err, content[max(0, len(content)-5_000):])
		}
	}
}

// Try runs kubectl as an administrator, at most for two minutes.
func (c *Cluster) Try(arguments ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	out, err := c.Kubectl(ctx, arguments...)
	return strings.TrimSpace(out), err
}
