package cluster_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kubefips.internal/tests/internal/proc"
	"kubefips.internal/tools/kubefips/cluster"
)

// Whatever is lost comes back by itself, and with it all that was stored.
func TestFaults(t *testing.T) {
	s := boot(t)
	s.apply(t, echo)
	s.must(t, "rollout", "status", "daemonset/echo", "--timeout=90s")
	for _, program := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"} {
		t.Run("kill "+program, func(t *testing.T) { s.testKillControlPlane(t, program) })
	}
	for _, program := range []string{"containerd", "kubelet"} {
		t.Run("kill "+program, func(t *testing.T) { s.testKillService(t, program) })
	}
	t.Run("restore etcd", s.testRestore)
	t.Run("cut the worker off", s.testCut)
	for _, node := range s.Nodes() {
		t.Run("reboot the "+node, func(t *testing.T) { s.testReboot(t, node) })
	}
}

// processes returns what runs a program of an image or of a node, by its PID, on the node or on all with "".
func (s *suite) processes(t *testing.T, node, program string) []int {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		t.Fatal(err)
	}
	namespace := func(pid int) string {
		target, _ := os.Readlink(fmt.Sprintf("/proc/%d/ns/uts", pid))
		return target
	}
	var found []int
	for _, path := range paths {
		target, err := os.Readlink(path)
		if err != nil || filepath.Base(target) != program {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			t.Fatal(err)
		}
		// Pods with the host's network and services share the node's name.
		if node == "" || namespace(pid) == namespace(s.Pid(node)) {
			found = append(found, pid)
		}
	}
	return found
}

// kill ends a program by SIGKILL and waits until another process runs it.
func (s *suite) kill(t *testing.T, node, program string) {
	t.Helper()
	old := s.processes(t, node, program)
	if len(old) != 1 {
		t.Fatalf("%s runs as processes %v of %s, want one", program, old, node)
	}
	if err := unix.Kill(old[0], unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	proc.Eventually(t, patience, func() error {
		if now := s.processes(t, node, program); len(now) != 1 || now[0] == old[0] {
			return fmt.Errorf("%s runs as processes %v, want one other than %v", program, now, old)
		}
		return nil
	})
	t.Logf("%s came back after %.1f s", program, time.Since(start).Seconds())
}

// requireWorking shows that what was stored is there, and that all parts of the control plane do their work: a Deployment of
// this name needs all of them, and the kubelets.
func (s *suite) requireWorking(t *testing.T, name string) {
	t.Helper()
	proc.Eventually(t, patience, func() error {
		if _, err := s.kubectl("get", "--raw", "/readyz"); err != nil {
			return err
		}
		_, err := s.kubectl("create", "deployment", name, "--replicas=2", "--image="+s.Reference("workload"))
		if err != nil && strings.Contains(err.Error(), "AlreadyExists") {
			return nil // the answer of an earlier try was lost
		}
		return err
	})
	proc.Eventually(t, patience, func() error {
		_, err := s.kubectl("rollout", "status", "deployment/"+name, "--timeout=60s")
		return err
	})
	s.must(t, "delete", "deployment", name, "--cascade=foreground", "--timeout=90s")
}

func (s *suite) testKillControlPlane(t *testing.T, program string) {
	s.must(t, "create", "configmap", "before-"+program, "--from-literal=key="+program)
	s.kill(t, cluster.ControlPlane, program)
	s.requireWorking(t, "after-"+program)
	if out := s.must(t, "get", "configmap", "before-"+program, "--output=jsonpath={.data.key}"); out != program {
		t.Errorf("the configmap says %q, want %q", out, program)
	}
}

// Pods outlive the programs that started them.
func (s *suite) testKillService(t *testing.T, program string) {
	before := s.processes(t, "", "workload")
	if len(before) != len(s.Nodes()) {
		t.Fatalf("echo runs as processes %v, want one on each node", before)
	}
	names, _ := s.echoPods(t)
	for _, node := range s.Nodes() {
		s.kill(t, node, program)
		s.requireNodePort(t, node, slices.Collect(maps.Values(names))...)
	}
	s.requireWorking(t, "after-"+program)
	if after := s.processes(t, "", "workload"); !slices.Equal(before, after) {
		t.Errorf("echo runs as processes %v, before %s was killed as %v", after, program, before)
	}
	if after, _ := s.echoPods(t); !maps.Equal(names, after) {
		t.Errorf("the pods are %v, before %s was killed %v", after, program, names)
	}
}

// A snapshot brings back what was deleted after it.
func (s *suite) testRestore(t *testing.T) {
	s.must(t, "create", "configmap", "kept", "--from-literal=key=kept")
	if _, err := s.etcdctl("snapshot", "save", "/var/lib/etcd/snapshot.db"); err != nil {
		t.Fatal(err)
	}
	s.must(t, "delete", "configmap", "kept")
	// Without their manifests the kubelet ends the pods.
	manifests := s.Dir(cluster.ControlPlane, "etc/kubernetes/manifests")
	move := func(from, to string) {
		t.Helper()
		for _, name := range []string{"etcd", "kube-apiserver"} {
			if err := os.Rename(filepath.Join(from, name+".json"), filepath.Join(to, name+".json")); err != nil {
				t.Fatal(err)
			}
		}
	}
	aside := s.Dir(cluster.ControlPlane, "etc/kubernetes")
	move(manifests, aside)
	proc.Eventually(t, patience, func() error {
		if left := append(s.processes(t, cluster.ControlPlane, "etcd"), s.processes(t, cluster.ControlPlane, "kube-apiserver")...); len(left) > 0 {
			return fmt.Errorf("processes %v are still there", left)
		}
		return nil
	})
	data := s.Dir(cluster.ControlPlane, "var/lib/etcd")
	peer := "https://" + cluster.Address(cluster.ControlPlane) + ":2380"
	proc.Run(t, proc.Runfile(t, os.Getenv("ETCDUTL")), "snapshot", "restore", filepath.Join(data, "snapshot.db"), "--data-dir="+data+"/restored",
		"--name="+cluster.ControlPlane, "--initial-cluster="+cluster.ControlPlane+"="+peer, "--initial-advertise-peer-urls="+peer,
		"--bump-revision=1000000", "--mark-compacted") // so that no watcher believes it has seen what comes
	if err := os.RemoveAll(filepath.Join(data, "member")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(data, "restored/member"), filepath.Join(data, "member")); err != nil {
		t.Fatal(err)
	}
	move(aside, manifests)
	proc.Eventually(t, patience, func() error {
		out, err := s.kubectl("get", "configmap", "kept", "--output=jsonpath={.data.key}")
		if err == nil && out != "kept" {
			err = fmt.Errorf("the configmap says %q, want kept", out)
		}
		return err
	})
	s.requireWorking(t, "after-restore")
}
