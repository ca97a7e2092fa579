package kubernetes_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"kubefips.internal/tests/internal/proc"
)

// What this program is in the pod, beside the test: process 1 until it becomes pause, or a child that ends with its standard input.
const (
	roleEnv   = "KUBEFIPS_TEST_ROLE"
	roleInit  = "init"
	roleChild = "child"
)

func TestMain(m *testing.M) {
	var err error
	switch os.Getenv(roleEnv) {
	case "":
		os.Exit(m.Run())
	case roleInit:
		err = becomePause(os.Args[1])
	case roleChild:
		_, err = io.Copy(io.Discard, os.Stdin)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// becomePause starts a child, which pause inherits as process 1 inherits every orphan.
func becomePause(pause string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	child := exec.Command(self)
	child.Env = append(os.Environ(), roleEnv+"="+roleChild)
	child.Stdin = os.Stdin
	if err := child.Start(); err != nil {
		return fmt.Errorf("starting the child: %w", err)
	}
	return fmt.Errorf("executing %s: %w", pause, syscall.Exec(pause, []string{"pause"}, nil))
}

// pod is a PID namespace whose process 1 is pause, with one child.
type pod struct {
	cmd      *exec.Cmd
	child    string // process ID as the test sees it
	endChild func() error
	stderr   *bytes.Buffer
}

func startPod(t *testing.T) pod {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := pod{cmd: exec.Command(self, proc.Runfile(t, os.Getenv("PAUSE"))), stderr: &bytes.Buffer{}}
	p.cmd.Env = append(os.Environ(), roleEnv+"="+roleInit)
	p.cmd.Stderr = p.stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWPID,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}},
	}
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.endChild = stdin.Close
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("starting process 1 of a new PID namespace: %v\nThis test needs a kernel that lets its user make namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone).", err)
	}
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		p.cmd.Wait()
	})
	proc.Eventually(t, 30*time.Second, func() error {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
		if err != nil {
			return err
		}
		// Process 1 does not get a signal that it does not catch. SIGCHLD is the last that pause sets up.
		caught := regexp.MustCompile(`\nSigCgt:\t(.+)\n`).FindSubmatch(status)
		mask, err := strconv.ParseUint(string(caught[1]), 16, 64)
		if err != nil {
			return err
		}
		children := childrenOf(t, p.cmd.Process.Pid)
		if !strings.HasPrefix(string(status), "Name:\tpause\n") || mask&(1<<(syscall.SIGCHLD-1)) == 0 || len(children) != 1 {
			return fmt.Errorf("process 1 has the children %v, want one, and this status:\n%s", children, status)
		}
		p.child = children[0]
		return nil
	})
	return p
}

// childrenOf returns the IDs of a process's children, zombies too.
func childrenOf(t *testing.T, parent int) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/status")
	if err != nil {
		t.Fatal(err)
	}
	var children []string
	for _, file := range files {
		status, err := os.ReadFile(file) // not there any more: not a child any more
		if err == nil && strings.Contains(string(status), fmt.Sprintf("\nPPid:\t%d\n", parent)) {
			children = append(children, filepath.Base(filepath.Dir(file)))
		}
	}
	return children
}

func TestPauseReapsZombies(t *testing.T) {
	p := startPod(t)
	if err := p.endChild(); err != nil {
		t.Fatal(err)
	}
	proc.Eventually(t, 30*time.Second, func() error {
		if slices.Contains(childrenOf(t, p.cmd.Process.Pid), p.child) {
			return errors.New("the child that has ended is still there")
		}
		return nil
	})
	if err := p.cmd.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("pause ended with its child: %v", err)
	}
}

func TestPauseEndsWhenTold(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			p := startPod(t)
			if err := p.cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			if err := p.cmd.Wait(); err != nil || !strings.Contains(p.stderr.String(), "Shutting down, got signal") {
				t.Errorf("pause ended with %v and said %q, want success and the signal", err, p.stderr)
			}
		})
	}
}

// The version is that of upstream's Makefile, and upstream's release.
func TestPausePrintedVersion(t *testing.T) {
	makefile, err := os.ReadFile(proc.Runfile(t, os.Getenv("PAUSE_MAKEFILE")))
	if err != nil {
		t.Fatal(err)
	}
	tag := regexp.MustCompile(`(?m)^TAG \?= (.+)$`).FindSubmatch(makefile)
	if tag == nil {
		t.Fatalf("%s has no line TAG ?=", os.Getenv("PAUSE_MAKEFILE"))
	}
	want := fmt.Sprintf("pause.c v%s-%s\n", tag[1], os.Getenv("UPSTREAM_VERSION"))
	if got := proc.Run(t, proc.Runfile(t, os.Getenv("PAUSE")), "-v"); got != want {
		t.Errorf("pause -v = %q, want %q", got, want)
	}
}
