// Package enter runs a program in another file system tree that still has the
// machine's own files where they were: all but the operating system's.
package enter

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Private is where the new root has what was made for this call.
const Private = "/.kubefips"

// HostEtc is where the new root has the machine's /etc.
const HostEtc = Private + "/etc"

// childArg marks the process that is in the new user namespace.
const childArg = "--in-namespace"

// Spec says what to run where.
type Spec struct {
	// Root is a directory with the tree; it is not written to.
	Root string
	// MountPoint is an empty directory to build the new root at.
	MountPoint string
	// Files are made for this call below Private, by name.
	Files map[string][]byte
	// Dirs must be visible at their own path, wherever they are.
	Dirs []string
	// Check is run first, in a directory other than /. When it fails, so does
	// the call, with the reason in its output.
	Check []string
	// Path, Args, Env and Dir are the program's.
	Path string
	Args []string
	Env  []string
	Dir  string
}

// Run runs the program and does not return when it could be started in place
// of this process; otherwise it returns the exit code.
func Run(s *Spec) (int, error) {
	runtime.LockOSThread() // namespaces belong to a thread
	err := unix.Unshare(unix.CLONE_NEWNS)
	if err == nil {
		return 0, s.exec()
	}
	if !errors.Is(err, unix.EPERM) {
		return 0, &NamespaceError{fmt.Errorf("unshare: %w", err)}
	}
	return s.runInUserNamespace()
}

// Child does its part when this process is the one in the user namespace. The
// program calls it before anything else.
func Child() error {
	if len(os.Args) != 2 || os.Args[1] != childArg {
		return nil
	}
	runtime.LockOSThread()
	var s Spec
	if err := json.NewDecoder(os.NewFile(3, "spec")).Decode(&s); err != nil {
		return fmt.Errorf("reading the call's description: %w", err)
	}
	// The files that are open for the program are 0, 1 and 2.
	unix.CloseOnExec(3)
	return s.exec()
}

// runInUserNamespace starts this program again as an owner of its own mounts:
// one thread cannot leave its process's user namespace.
func (s *Spec) runInUserNamespace() (int, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	spec, w, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	cmd := exec.Command(self, childArg)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{spec}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNS,
		// Everyone stays who they are.
		UidMappings: []syscall.SysProcIDMap{{ContainerID: os.Getuid(), HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: os.Getgid(), HostID: os.Getgid(), Size: 1}},
		AmbientCaps: []uintptr{unix.CAP_SYS_ADMIN},
		Pdeathsig:   syscall.SIGTERM,
	}
	// The terminal sends its signals to the child as well; the others are passed on.
	signal.Ignore(syscall.SIGINT, syscall.SIGQUIT)
	passed := make(chan os.Signal, 8)
	signal.Notify(passed, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2)
	if err := cmd.Start(); err != nil {
		return 0, &NamespaceError{err}
	}
	spec.Close()
	go func() {
		for sig := range passed {
			_ = cmd.Process.Signal(sig) // it may have ended meanwhile
		}
	}()
	// If the child ends early, its exit code says more than this failure.
	encodeErr := json.NewEncoder(w).Encode(s)
	w.Close()
	err = cmd.Wait()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			return 128 + int(ws.Signal()), nil
		}
		return exit.ExitCode(), nil
	case err != nil:
		return 0, err
	}
	return 0, encodeErr
}

// exec makes the new root and becomes the program.
func (s *Spec) exec() error {
	if err := s.pivot(); errors.Is(err, unix.EROFS) {
		return err // a directory that cannot be shown
	} else if err != nil {
		return &NamespaceError{err}
	}
	if err := os.Chdir(s.Dir); err != nil {
		return err
	}
	// What allowed the mounts is not the program's business.
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("dropping capabilities: %w", err)
	}
	if err := s.check(); err != nil {
		return err
	}
	if err := syscall.Exec(s.Path, s.Args, s.Env); err != nil {
		return fmt.Errorf("starting %s: %w", s.Path, err)
	}
	return nil
}

func (s *Spec) check() error {
	if len(s.Check) == 0 {
		return nil
	}
	cmd := exec.Command(s.Check[0], s.Check[1:]...)
	cmd.Env, cmd.Dir = s.Env, s.MountPoint
	if out, err := cmd.CombinedOutput(); err != nil {
		return &NamespaceError{fmt.Errorf("%s: %w\n%s", strings.Join(s.Check, " "), err, out)}
	}
	return nil
}

// systemDirs are the machine's top-level directories that the new root has
// itself, or gets in another way. Everything else stays visible.
var systemDirs = []string{Private[1:], "bin", "boot", "etc", "lib", "lib32", "lib64", "libx32", "lost+found", "proc", "sbin", "usr", "var"}

// pivot builds the new root in memory, of the tree, the machine's other
// directories and this call's files, and moves into it.
func (s *Spec) pivot() error {
	steps := []struct {
		what string
		do   func() error
	}{
		// What is mounted on the machine later shall appear, but nothing of ours there.
		{"separating mounts", func() error { return unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, "") }},
		{"mounting the new root", func() error {
			return unix.Mount("kubefips", s.MountPoint, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755,size=64m")
		}},
		// Else it would be part of what is bound into it.
		{"hiding the new root", func() error { return unix.Mount("", s.MountPoint, "", unix.MS_UNBINDABLE, "") }},
		{"adding the tree", s.addTree},
		{"adding the machine's directories", s.addMachine},
		{"adding /proc", s.addProc},
		{"adding files", s.addFiles},
		{"protecting the new root", func() error {
			return unix.Mount("", s.MountPoint, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV, "")
		}},
		{"moving into the new root", func() error {
			if err := os.Chdir(s.MountPoint); err != nil {
				return err
			}
			// Both at one place: the old root ends up over the new one, and is taken off.
			if err := unix.PivotRoot(".", "."); err != nil {
				return fmt.Errorf("pivot_root: %w", err)
			}
			return unix.Unmount(".", unix.MNT_DETACH)
		}},
		{"showing the new root", func() error { return unix.Mount("", "/", "", unix.MS_PRIVATE, "") }},
	}
	for _, step := range steps {
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}
	return nil
}

// addTree shows the tree's directories, read-only, and repeats its links.
func (s *Spec) addTree() error {
	entries, err := os.ReadDir(s.Root)
	if err != nil {
		return err
	}
	for _, e := range entries {
		from, to := filepath.Join(s.Root, e.Name()), filepath.Join(s.MountPoint, e.Name())
		switch {
		case e.Type()&os.ModeSymlink != 0:
			target, err := os.Readlink(from)
			if err != nil {
				return err
			}
			if err := os.Symlink(target, to); err != nil {
				return err
			}
		case e.Name() == "usr" || e.Name() == "etc":
			if err := bind(from, to); err != nil {
				return err
			}
			if err := protect(to); err != nil {
				return err
			}
		case e.IsDir():
			if err := os.MkdirAll(to, 0o755); err != nil {
				return err
			}
		}
	}
	return nil
}

// addMachine shows the machine's directories at their own paths.
func (s *Spec) addMachine() error {
	entries, err := os.ReadDir("/")
	if err != nil {
		return err
	}
	dirs := []string{"/var/tmp"}
	for _, e := range entries {
		if !slices.Contains(systemDirs, e.Name()) {
			dirs = append(dirs, "/"+e.Name())
		}
	}
	for _, dir := range dirs {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			continue // a file, or a link to nowhere
		}
		if err := bind(dir, s.MountPoint+dir); err != nil {
			return err
		}
	}
	for _, dir := range s.Dirs {
		if _, err := os.Stat(s.MountPoint + dir); err == nil {
			continue // below one of the above
		}
		if err := bind(dir, s.MountPoint+dir); err != nil {
			return fmt.Errorf("%w; move it out of the operating system's directories", err)
		}
	}
	etc := "/etc"
	if _, err := os.Stat(HostEtc); err == nil {
		etc = HostEtc // in a root within a root: its /etc leads here
	}
	return bind(etc, s.MountPoint+HostEtc)
}

// addProc mounts a fresh /proc if allowed: a container's own may be partly
// covered, and then no sandbox can mount one. Otherwise the machine's is shown.
func (s *Spec) addProc() error {
	proc := filepath.Join(s.MountPoint, "proc")
	if err := os.MkdirAll(proc, 0o755); err != nil {
		return err
	}
	if unix.Mount("proc", proc, "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "") == nil {
		return nil
	}
	return bind("/proc", proc)
}

func (s *Spec) addFiles() error {
	for name, data := range s.Files {
		if err := os.WriteFile(s.MountPoint+Private+"/"+name, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// bind shows a directory, with everything mounted below it, at another path.
func bind(from, to string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(from, to, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("binding %s: %w", from, err)
	}
	return nil
}

// protect makes a bind mount read-only. The flags that it already has cannot
// be dropped in a user namespace, so they are repeated.
func protect(dir string) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return err
	}
	flags := uintptr(fs.Flags) & (unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_NOATIME | unix.MS_NODIRATIME)
	if fs.Flags&unix.ST_RELATIME != 0 {
		flags |= unix.MS_RELATIME
	}
	return unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|flags, "")
}

// NamespaceError says that the kernel or a container does not allow what the
// private root, or Bazel's sandbox in it, needs.
type NamespaceError struct{ Err error }

func (e *NamespaceError) Unwrap() error { return e.Err }

func (e *NamespaceError) Error() string {
	return fmt.Sprintf(`this machine does not allow the namespaces that Bazel's sandbox needs: %v
One of these helps:
  - in a container: start it with --privileged, or allow unshare, mount and pivot_root
  - as an ordinary user, allow user namespaces: whichever of these exists,
      sysctl -w kernel.unprivileged_userns_clone=1
      sysctl -w kernel.apparmor_restrict_unprivileged_userns=0
      sysctl -w user.max_user_namespaces=10000
  - set BAZEL_REAL to a Bazel of the version in .bazelversion`, e.Err)
}
