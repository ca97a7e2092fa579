package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A cluster is a tree of namespaces: the rack, which has the bridge, the registry and nothing else of its own, and in it one
// set of namespaces for each node. Process 1 of the rack is a program that called Rack; process 1 of a node is the same
// program, in Dispatch. When the former ends, however it ends, the kernel ends every process of every node, and their
// mounts, links and addresses with them; files and control groups are left, for Remove.

// role is set in the environment of the processes that this package starts.
const role = "KUBEFIPS_ROLE"

const (
	roleRack = "rack"
	roleJoin = "node-join" // a node before it has its own view of control groups
	roleNode = "node"
)

const isolated = unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS

const cgroupRoot = "/sys/fs/cgroup"

// Dispatch runs what this process was started for: a node, or rack within a new rack, and ends the process. In a process that
// was started by anybody else it returns. It has to come first in main, or in TestMain.
func Dispatch(rack func() int) {
	var err error
	switch os.Getenv(role) {
	case "":
		return
	case roleRack:
		if err = setUpRack(); err == nil {
			os.Exit(rack())
		}
	case roleJoin:
		err = joinNode()
	case roleNode:
		err = runNode()
	default:
		err = fmt.Errorf("%s=%s is no role", role, os.Getenv(role))
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// Rack returns the command that runs this program once more, in a rack, where Dispatch calls its function.
func Rack(args ...string) (*exec.Cmd, error) {
	if err := check(); err != nil {
		return nil, err
	}
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), role+"="+roleRack)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: isolated}
	return cmd, nil
}

func setUpRack() error {
	if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making the mounts of the rack private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	os.Unsetenv(role)
	return setUpBridge()
}

// A hierarchy is a mount of control groups.
type hierarchy struct{ path, kind, options string }

// hierarchies returns the machine's.
func hierarchies() []hierarchy {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	return parseHierarchies(string(mounts))
}

// parseHierarchies returns none unless there are some of version 1.
func parseHierarchies(mounts string) []hierarchy {
	var all []hierarchy
	v1 := false
	for line := range strings.Lines(mounts) {
		before, after, _ := strings.Cut(line, " - ")
		path, super := strings.Fields(before)[4], strings.Fields(after)
		if !strings.HasPrefix(super[0], "cgroup") || !strings.HasPrefix(path, cgroupRoot+"/") {
			continue
		}
		v1 = v1 || super[0] == "cgroup"
		options := strings.TrimPrefix(strings.TrimPrefix(super[2], "rw"), ",")
		all = append(all, hierarchy{path: path, kind: super[0], options: options})
	}
	if !v1 {
		return nil
	}
	return all
}

// joinCgroup moves this process into its own control group of every hierarchy.
func joinCgroup(name string) error {
	for _, h := range hierarchies() {
		group := filepath.Join(h.path, name)
		for dir := range parents(h.path, name) {
			if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
				return fmt.Errorf("making a control group: %w", err)
			}
			// A new group of cpuset takes no process before it has these.
			for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
				value, err := os.ReadFile(filepath.Join(filepath.Dir(dir), file))
				if err != nil || h.kind != "cgroup" {
					continue
				}
				if err := os.WriteFile(filepath.Join(dir, file), value, 0); err != nil {
					return fmt.Errorf("setting up a control group: %w", err)
				}
			}
		}
		if err := os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte("0"), 0); err != nil {
			return fmt.Errorf("joining a control group: %w", err)
		}
	}
	return nil
}

// parents yields root/a and root/a/b for a/b.
func parents(root, name string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		dir := root
		for part := range strings.SplitSeq(name, "/") {
			if dir = filepath.Join(dir, part); !yield(dir) {
				return
			}
		}
	}
}

// removeCgroup removes a control group of every hierarchy and all below it. The last processes in them may be about to end.
func removeCgroup(name string) error {
	var failed []error
	end := time.Now().Add(10 * time.Second)
	for _, h := range hierarchies() {
		var dirs []string
		filepath.WalkDir(filepath.Join(h.path, name), func(path string, entry os.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
		for i := range dirs {
			err := unix.Rmdir(dirs[len(dirs)-1-i])
			for ; err == unix.EBUSY && time.Now().Before(end); err = unix.Rmdir(dirs[len(dirs)-1-i]) {
				time.Sleep(20 * time.Millisecond)
			}
			if err != nil {
				failed = append(failed, fmt.Errorf("removing %s: %w", dirs[len(dirs)-1-i], err))
			}
		}
	}
	return errors.Join(failed...)
}

// joinNode goes on as the node, with control groups whose root is the node's.
func joinNode() error {
	n, err := readNode()
	if err != nil {
		return err
	}
	if err := joinCgroup(n.Cgroup); err != nil {
		return err
	}
	runtime.LockOSThread() // the namespace is the thread's, which exec makes the process's
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("making a namespace of control groups: %w", err)
	}
	os.Setenv(role, roleNode)
	return fmt.Errorf("starting node %s: %w", n.Name, syscall.Exec("/proc/self/exe", os.Args, os.Environ()))
}

// A node is what process 1 of a node has to know.
type node struct {
	Name    string
	Address string
	Dir     string // its files: etc, lib, opt, sysctl, var
	Usr     string // /usr/local of the runtime image
	Cgroup  string
}

// programs is where a node has /usr/local of the runtime image: not every machine has that folder.
const programs = "/opt/kubefips"

const nodeEnv = "KUBEFIPS_NODE"

func readNode() (n node, err error) {
	if err := json.Unmarshal([]byte(os.Getenv(nodeEnv)), &n); err != nil {
		return n, fmt.Errorf("%s=%q: %w", nodeEnv, os.Getenv(nodeEnv), err)
	}
	return n, nil
}

// mount gives the node a view of the machine in which nothing but its own files can be changed.
func (n node) mount() error {
	groups := hierarchies() // before /sys covers them
	type mount struct {
		source, target, kind string
		flags                uintptr
		options              string
	}
	const safe = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	mounts := []mount{
		{"none", "/", "", unix.MS_REC | unix.MS_PRIVATE, ""},
		{"proc", "/proc", "proc", safe, ""},
		{"sysfs", "/sys", "sysfs", safe, ""},
		{"tmpfs", cgroupRoot, "tmpfs", safe, "mode=755"},
	}
	for _, h := range groups {
		mounts = append(mounts, mount{"cgroup", h.path, h.kind, safe, h.options})
	}
	mounts = append(mounts, mount{"tmpfs", "/run", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=755"})
	// The kubelet sets these of the whole machine, unless they are so.
	for file, value := range map[string]string{
		"vm/overcommit_memory":      "1",
		"vm/panic_on_oom":           "0",
		"kernel/panic":              "10",
		"kernel/panic_on_oops":      "1",
		"kernel/keys/root_maxkeys":  "1000000",
		"kernel/keys/root_maxbytes": "25000000",
	} {
		source := filepath.Join(n.Dir, "sysctl", filepath.Base(file))
		if err := write(source, value+"\n"); err != nil {
			return err
		}
		mounts = append(mounts, mount{source, "/proc/sys/" + file, "", unix.MS_BIND, ""})
	}
	for _, dir := range []string{"etc", programs, "var"} {
		if err := os.MkdirAll(filepath.Join(n.Dir, dir), 0o755); err != nil {
			return err
		}
	}
	// Calico's pods look there for modules of the kernel; the root that tools/bazel makes has no such folder.
	if _, err := os.Stat("/lib/modules"); errors.Is(err, fs.ErrNotExist) {
		lib := filepath.Join(n.Dir, "lib")
		if err := os.MkdirAll(filepath.Join(lib, "modules"), 0o755); err != nil {
			return err
		}
		mounts = append(mounts, mount{"overlay", "/lib", "overlay", unix.MS_RDONLY, "lowerdir=" + lib + ":/lib"})
	}
	mounts = append(mounts,
		mount{filepath.Join(n.Dir, "etc"), "/etc", "", unix.MS_BIND, ""},
		mount{filepath.Join(n.Dir, "opt"), "/opt", "", unix.MS_BIND, ""},
		mount{n.Usr, programs, "", unix.MS_BIND, ""},
		mount{filepath.Join(n.Dir, "var"), "/var", "", unix.MS_BIND, ""}, // last: n.Dir may be below
		mount{"none", "/", "", unix.MS_REC | unix.MS_SHARED, ""})         // pods may ask for mounts that propagate
	for _, m := range mounts {
		if m.kind == "cgroup" || m.kind == "cgroup2" {
			if err := os.MkdirAll(m.target, 0o755); err != nil {
				return err
			}
		}
		if err := unix.Mount(m.source, m.target, m.kind, m.flags, m.options); err != nil {
			return fmt.Errorf("mounting %s on %s: %w", m.source, m.target, err)
		}
	}
	return nil
}

func write(file, content string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(content), 0o600)
}
