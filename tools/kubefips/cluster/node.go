package cluster

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// services are what an init system runs on a node, in the order of their first start.
var services = [][]string{
	{"containerd", "--config=/etc/containerd/config.toml"},
	{"kubelet", "--config=/etc/kubernetes/kubelet.json", "--kubeconfig=/etc/kubernetes/kubelet.kubeconfig"},
}

// restartAfter is how long a service that ended stays down.
const restartAfter = time.Second

// runNode is process 1 of a node.
func runNode() error {
	n, err := readNode()
	if err != nil {
		return err
	}
	if err := n.mount(); err != nil {
		return fmt.Errorf("node %s: %w", n.Name, err)
	}
	if err := unix.Sethostname([]byte(n.Name)); err != nil {
		return fmt.Errorf("node %s: naming it: %w", n.Name, err)
	}
	if err := n.setUpUplink(); err != nil {
		return fmt.Errorf("node %s: %w", n.Name, err)
	}
	for _, dir := range []string{"/var/log", "/var/lib", "/var/tmp", "/opt/cni/bin"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("node %s: %w", n.Name, err)
		}
	}
	return fmt.Errorf("node %s: %w", n.Name, n.supervise())
}

// supervise starts the services, again whenever one ends, and reaps what others leave behind.
func (n node) supervise() error {
	running := map[int]int{}                // process -> index in services
	due := make([]time.Time, len(services)) // of those that do not run
	for {
		for i, service := range services {
			if due[i].After(time.Now()) || slices.Contains(slices.Collect(maps.Values(running)), i) {
				continue
			}
			pid, err := n.start(service)
			if err != nil {
				return err
			}
			running[pid] = i
		}
		pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		if err != nil && err != unix.EINTR && err != unix.ECHILD {
			return fmt.Errorf("waiting for services: %w", err)
		}
		if pid <= 0 {
			time.Sleep(50 * time.Millisecond)
			continue
		}
		if i, ok := running[pid]; ok {
			delete(running, pid)
			due[i] = time.Now().Add(restartAfter)
		}
	}
}

// start starts a service with the arguments that all nodes share and, for the kubelet, those of this one.
func (n node) start(service []string) (int, error) {
	name := service[0]
	log, err := os.OpenFile("/var/log/"+name+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return 0, err
	}
	defer log.Close()
	if name == "kubelet" {
		service = append(service[:len(service):len(service)], "--hostname-override="+n.Name, "--node-ip="+n.Address)
	}
	pid, err := syscall.ForkExec(programs+"/bin/"+name, service, &syscall.ProcAttr{
		Env:   []string{"PATH=" + programs + "/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/"},
		Files: []uintptr{0, log.Fd(), log.Fd()},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return 0, fmt.Errorf("starting %s: %w", name, err)
	}
	return pid, nil
}
