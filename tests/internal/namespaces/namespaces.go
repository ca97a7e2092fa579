// Package namespaces lets a test mount file systems, wire networks and start containers without touching the machine.
package namespaces

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// inside is set in the environment of the process that runs in the new namespaces.
const inside = "KUBEFIPS_TEST_NAMESPACES"

const flags = unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWPID | unix.CLONE_NEWIPC |
	unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP

// Main is the body of TestMain: it runs the tests of m as root and process 1 of new mount, network, PID, IPC, UTS and
// cgroup namespaces, with /proc and control groups of their own, an empty /run and /var/lib and a loopback link that is up, in a user namespace whose root
// is the user who runs the test.
//
// All of it ends with the process, and nothing of it reaches the machine. When the machine does not allow it, the test
// fails and says what it needs.
func Main(m *testing.M) {
	run(m, &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | flags,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}},
	})
}

// MainAsRoot is Main without the user namespace, for tests whose containers run as many users. Only root can run them, and not
// in Bazel's sandbox, which has one user.
func MainAsRoot(m *testing.M) {
	if os.Geteuid() != 0 {
		fail(errors.New("this test has to run as root: its containers run as many users"))
	}
	run(m, &syscall.SysProcAttr{Cloneflags: flags})
}

func run(m *testing.M, attributes *syscall.SysProcAttr) {
	if os.Getenv(inside) != "" {
		if err := setUp(); err != nil {
			fail(err)
		}
		os.Exit(m.Run())
	}
	self, err := os.Executable()
	if err != nil {
		fail(err)
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = attributes
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	runtime.LockOSThread() // Pdeathsig is for the end of the thread that started the process
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.Exited() {
		os.Exit(exit.ExitCode())
	}
	if err != nil {
		fail(fmt.Errorf("starting the test in new namespaces: %w", err))
	}
	os.Exit(0)
}

func fail(err error) {
	fmt.Fprintf(os.Stderr, "%v\nThis test needs a kernel that lets its user make namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone).\n", err)
	os.Exit(1)
}

func setUp() error {
	for _, mount := range []struct {
		source, target, kind string
		flags                uintptr
	}{
		{"none", "/", "", unix.MS_REC | unix.MS_PRIVATE},
		{"proc", "/proc", "proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC},
		{"tmpfs", "/run", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV},
		{"tmpfs", "/var", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV},
	} {
		if err := unix.Mount(mount.source, mount.target, mount.kind, mount.flags, ""); err != nil {
			return fmt.Errorf("mounting %s on %s: %w", mount.source, mount.target, err)
		}
	}
	if err := os.Mkdir("/var/lib", 0o755); err != nil {
		return err
	}
	if err := mountCgroups(); err != nil {
		return err
	}
	return linkUp("lo")
}

// mountCgroups mounts the control groups of the machine's hierarchies anew, as this cgroup namespace sees them. In Bazel's
// sandbox a new /sys covers the machine's, while the table of mounts still has them.
func mountCgroups() error {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	const root = "/sys/fs/cgroup"
	if err := unix.Mount("tmpfs", root, "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("mounting tmpfs on %s: %w", root, err)
	}
	for line := range strings.Lines(string(mounts)) {
		path := strings.Fields(line)[4]
		_, super, _ := strings.Cut(line, " - ")
		kind, options := strings.Fields(super)[0], strings.TrimPrefix(strings.Fields(super)[2], "rw")
		if !strings.HasPrefix(kind, "cgroup") || !strings.HasPrefix(path, root) {
			continue
		}
		if err := os.MkdirAll(path, 0o755); err != nil {
			return err
		}
		if err := unix.Mount("cgroup", path, kind, unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, strings.TrimPrefix(options, ",")); err != nil {
			return fmt.Errorf("mounting %s on %s: %w", kind, path, err)
		}
	}
	return nil
}

func linkUp(name string) error {
	link, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkSetUp(link)
	}
	if err != nil {
		return fmt.Errorf("setting link %s up: %w", name, err)
	}
	return nil
}

// A Network is a network namespace that lasts as long as its test.
type Network struct {
	Path string // of the namespace's file, as CNI_NETNS takes it

	calls chan func()
}

// NewNetwork makes a network namespace with nothing in it but a loopback link that is down.
func NewNetwork(t testing.TB) *Network {
	t.Helper()
	n := &Network{calls: make(chan func())}
	made := make(chan error)
	go func() {
		runtime.LockOSThread()
		home, err := os.Open("/proc/thread-self/ns/net")
		if err == nil {
			defer home.Close()
			err = unix.Unshare(unix.CLONE_NEWNET)
		}
		n.Path = fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid())
		made <- err
		for call := range n.calls {
			call()
		}
		// The thread must not end: programs that it has started, for this test or an outer one, would be killed (Pdeathsig).
		if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil {
			panic(fmt.Sprintf("leaving a network namespace: %v", err))
		}
		runtime.UnlockOSThread()
	}()
	if err := <-made; err != nil {
		t.Fatalf("making a network namespace: %v", err)
	}
	t.Cleanup(func() { close(n.calls) })
	return n
}

// Do calls f in the namespace. Goroutines that f starts are not in it.
func (n *Network) Do(f func() error) error {
	done := make(chan error)
	n.calls <- func() { done <- f() }
	return <-done
}
