package cluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// check says everything that this machine lacks.
func check() error {
	_, mount := exec.LookPath("mount")
	return machine{user: os.Geteuid(), groups: hierarchies(), mount: mount, namespaces: isolate()}.lacks()
}

// A machine is what check found.
type machine struct {
	user       int
	groups     []hierarchy
	mount      error // of looking for the program
	namespaces error // of making them
}

func (m machine) lacks() error {
	var missing []error
	if m.user != 0 {
		missing = append(missing, errors.New("root: pods run as many users, which a user namespace does not have; start it as root"))
	}
	if len(m.groups) == 0 {
		missing = append(missing, errors.New("control groups of version 1 below "+cgroupRoot+"; mount them, or boot with systemd.unified_cgroup_hierarchy=0"))
	}
	if m.mount != nil {
		missing = append(missing, fmt.Errorf("the program mount, which the kubelet calls; install it, or add its folder to PATH: %w", m.mount))
	}
	if m.namespaces != nil {
		missing = append(missing, fmt.Errorf("namespaces (mount, network, PID, IPC, UTS); give it CAP_SYS_ADMIN, as a privileged container has: %w", m.namespaces))
	}
	if len(missing) > 0 {
		return fmt.Errorf("a cluster cannot run here; it needs\n%w", errors.Join(missing...))
	}
	return nil
}

// isolate starts a process in namespaces of its own, which ends at once.
func isolate() error {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{role + "=none"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: isolated}
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return nil // it ran
	}
	return err
}
