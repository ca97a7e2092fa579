package cluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// Where a worker's runner finds things in its root.
const (
	rootBuild    = "/worker/build"
	rootRun      = "/worker/run"
	rootRunner   = "/worker/bb_runner"
	runnerSocket = "runner.sock"
	runnerConfig = "runner.json"
)

// asRunner, in the environment, makes this program enter a worker's root and become its runner.
const asRunner = "KUBEFIPS_CLUSTER_BUILD_RUNNER"

// A worker has a folder below Config.Dir.
type worker struct{ dir, name string }

func (w worker) path(name string) string { return filepath.Join(w.dir, w.name, name) }
func (w worker) build() string           { return w.path("build") }
func (w worker) cache() string           { return w.path("cache") }

// runnerCommand starts a runner in namespaces of its own: no network, no process and no file but those of its root.
func runnerCommand(self string, w worker, p Programs) *exec.Cmd {
	cmd := exec.Command(self, w.path("."), p.Runner, p.Bash, p.Busybox)
	cmd.Env = []string{asRunner + "=1"}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
	}
	return cmd
}

// BecomeRunner returns at once, except in a process that runnerCommand has started.
func BecomeRunner() {
	if os.Getenv(asRunner) == "" {
		return
	}
	if len(os.Args) != 5 {
		fmt.Fprintf(os.Stderr, "%s is set, which is for cluster-build itself\n", asRunner)
		os.Exit(1)
	}
	err := enterRoot(os.Args[1], os.Args[2], os.Args[3], os.Args[4])
	if err == nil {
		// What actions see of the environment comes with them.
		err = syscall.Exec(rootRunner, []string{rootRunner, rootRun + "/" + runnerConfig}, nil)
		err = fmt.Errorf("starting %s: %w", os.Args[2], err)
	}
	fmt.Fprintf(os.Stderr, "entering the root of a worker in %s: %v\n", os.Args[1], err)
	os.Exit(1)
}

// enterRoot makes the root of the worker in dir, and enters it: two static shells, the devices that are safe, its build
// folder, and nothing else.
func enterRoot(dir, runner, bash, busybox string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keeping mounts to ourselves: %w", err)
	}
	root := filepath.Join(dir, "root")
	if err := unix.Mount("root", root, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
		return fmt.Errorf("mounting %s: %w", root, err)
	}
	for _, folder := range []string{"bin", "dev", "old", "proc", "tmp", "usr", rootBuild, rootRun} {
		if err := os.MkdirAll(filepath.Join(root, folder), 0o755); err != nil {
			return err
		}
	}
	binds := [][2]string{
		{bash, "/bin/bash"},
		{busybox, "/bin/busybox"},
		{runner, rootRunner},
		{filepath.Join(dir, "build"), rootBuild},
		{filepath.Join(dir, "run"), rootRun},
	}
	for _, device := range []string{"full", "null", "random", "urandom", "zero"} {
		binds = append(binds, [2]string{"/dev/" + device, "/dev/" + device})
	}
	for _, b := range binds {
		if err := bind(b[0], filepath.Join(root, b[1])); err != nil {
			return err
		}
	}
	if err := unix.Mount("proc", filepath.Join(root, "proc"), "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mounting proc: %w", err)
	}
	if err := unix.Mount("tmp", filepath.Join(root, "tmp"), "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777"); err != nil {
		return fmt.Errorf("mounting tmp: %w", err)
	}
	if err := os.Symlink("../bin", filepath.Join(root, "usr", "bin")); err != nil {
		return err
	}
	if err := unix.PivotRoot(root, filepath.Join(root, "old")); err != nil {
		return fmt.Errorf("changing the root: %w", err)
	}
	if err := errors.Join(os.Chdir("/"), unix.Unmount("/old", unix.MNT_DETACH), os.Remove("/old")); err != nil {
		return fmt.Errorf("leaving the machine's root: %w", err)
	}
	if out, err := exec.Command("/bin/busybox", "--install", "-s", "/bin").CombinedOutput(); err != nil {
		return fmt.Errorf("naming the programs of busybox: %w: %s", err, out)
	}
	if err := unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV, ""); err != nil {
		return fmt.Errorf("making the root read-only: %w", err)
	}
	return nil
}

// bind makes a file or folder appear at another place.
func bind(from, to string) error {
	from, err := filepath.EvalSymlinks(from)
	if err != nil {
		return err
	}
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		if err := os.WriteFile(to, nil, 0o755); err != nil {
			return err
		}
	}
	if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("binding %s to %s: %w", from, to, err)
	}
	return nil
}
