// Package kubefips_test runs a cluster by the command, as a person does.
package kubefips_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kubefips.internal/tests/internal/proc"
)

// upWithin is longer than `up` itself waits.
const upWithin = 6 * time.Minute

// A command is kubefips with a folder for the cluster.
type command struct{ program, dir string }

func (c command) run(arguments ...string) (string, error) {
	return proc.Output(c.program, append([]string{"--dir=" + c.dir}, arguments...)...)
}

// up starts a cluster and returns what it printed for the shell. The cluster ends with the test, however the test ends: the shell
// that is started here waits for this process's end.
func (c command) up(t *testing.T) string {
	t.Helper()
	down := exec.Command("/bin/sh", "-c", `read -r _; exec "$@"`, "sh", c.program, "--dir="+c.dir, "down")
	down.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	var said bytes.Buffer
	down.Stdout, down.Stderr = &said, &said
	ends, err := down.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := down.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ends.Close()
		if err := down.Wait(); err != nil {
			t.Errorf("down at the end of the test: %v\n%s", err, &said)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), upWithin)
	defer cancel()
	up := exec.CommandContext(ctx, c.program, "--dir="+c.dir, "up")
	var progress bytes.Buffer
	up.Stderr = &progress
	out, err := up.Output()
	t.Logf("up:\n%s%s", &progress, out)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// refuses runs a command that has to fail and to say why.
func (c command) refuses(t *testing.T, why string, arguments ...string) {
	t.Helper()
	if out, err := c.run(arguments...); err == nil || !strings.Contains(out, why) {
		t.Errorf("%s: %v, want an error that says %q:\n%s", arguments, err, why, out)
	}
}

func (c command) must(t *testing.T, arguments ...string) string {
	t.Helper()
	out, err := c.run(arguments...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// ready returns an error unless both nodes are ready, by the table of kubectl get nodes.
func ready(t *testing.T, table string) {
	t.Helper()
	for _, node := range []string{"control-plane", "worker"} {
		if !regexp.MustCompile(`(?m)^` + node + `\s+Ready\s`).MatchString(table) {
			t.Errorf("node %s is not ready:\n%s", node, table)
		}
	}
}

func TestUpStatusKubeconfigCrashDown(t *testing.T) {
	dir, err := os.MkdirTemp(os.Getenv("TEST_TMPDIR"), "kubefips")
	if err != nil {
		t.Fatal(err)
	}
	c := command{proc.Runfile(t, os.Getenv("KUBEFIPS")), dir}
	cache, temporary := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", temporary)
	t.Setenv("HOME", temporary)
	c.refuses(t, "no cluster runs in "+c.dir, "status")
	c.refuses(t, "start a cluster by `kubefips up`", "kubeconfig")

	before := machine(t)
	exported := c.up(t)
	c.refuses(t, "runs in "+c.dir+" already; end it by `kubefips down`", "up")
	kubeconfig := strings.TrimSpace(c.must(t, "kubeconfig"))
	if want := "export KUBECONFIG=" + kubeconfig + "\n"; exported != want {
		t.Errorf("up printed %q, want %q", exported, want)
	}
	status := c.must(t, "status")
	ready(t, status)
	ready(t, proc.Run(t, proc.Runfile(t, os.Getenv("KUBECTL")), "--kubeconfig="+kubeconfig, "--cache-dir="+cache, "get", "nodes"))

	found := regexp.MustCompile(`runs as process (\d+)\.`).FindStringSubmatch(status)
	if found == nil {
		t.Fatalf("status names no process:\n%s", status)
	}
	rack, err := strconv.Atoi(found[1])
	if err != nil {
		t.Fatal(err)
	}
	cluster := tracesOf(t, rack)
	if err := unix.Kill(rack, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	proc.Eventually(t, time.Minute, func() error {
		if p, ok := processes(t)[rack]; ok {
			return errors.New("after kill -9 it is there: " + p.name)
		}
		return nil
	})
	c.refuses(t, "no cluster runs in "+c.dir, "status")
	if len(cluster.groups()) == 0 {
		t.Error("the crash left no control groups, which down would have to remove")
	}

	c.must(t, "down")
	for _, trace := range append(cluster.left(t), machine(t).since(before)...) {
		t.Errorf("down left %s", trace)
	}
	if _, err := os.Lstat(c.dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("down left %s: %v", c.dir, err)
	}
	if files, err := os.ReadDir(temporary); err != nil || len(files) > 0 {
		t.Errorf("files are left in $HOME or $TMPDIR: %v, %v", files, err)
	}
	if out := c.must(t, "down"); out != "" {
		t.Errorf("down of nothing said %q", out)
	}
}
