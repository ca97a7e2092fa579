package cluster_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"kubefips.internal/tests/internal/proc"
	"kubefips.internal/tools/kubefips/cluster"
)

// requireReady waits until the node's condition Ready is status.
func (s *suite) requireReady(t *testing.T, node, status string) {
	t.Helper()
	start := time.Now()
	proc.Eventually(t, patience, func() error {
		_, err := s.kubectl("wait", "--for=condition=Ready="+status, "--timeout=30s", "node/"+node)
		return err
	})
	t.Logf("node %s was Ready=%s after %.1f s", node, status, time.Since(start).Seconds())
}

// The worker's pods go on while it is cut off, and answer again after.
func (s *suite) testCut(t *testing.T) {
	before := s.processes(t, cluster.Worker, "containerd-shim-runc-v2")
	if err := s.Cut(cluster.Worker, true); err != nil {
		t.Fatal(err)
	}
	s.requireReady(t, cluster.Worker, "Unknown")
	if err := s.Cut(cluster.Worker, false); err != nil {
		t.Fatal(err)
	}
	s.requireReady(t, cluster.Worker, "True")
	after := s.processes(t, cluster.Worker, "containerd-shim-runc-v2")
	for _, pid := range before {
		if !slices.Contains(after, pid) {
			t.Errorf("pod of process %d is gone", pid)
		}
	}
	s.requireAnswers(t)
}

// A node that loses its power comes back with its pods and all that was stored; those of the other node go on meanwhile.
func (s *suite) testReboot(t *testing.T, node string) {
	names, _ := s.echoPods(t)
	delete(names, node)
	s.must(t, "create", "configmap", "before-reboot-of-"+node, "--from-literal=key=kept")
	for other, name := range names { // a node that was not ready a moment ago learns again what is behind the service
		s.requireNodePort(t, other, name)
	}
	if err := s.KillNode(node); err != nil {
		t.Fatal(err)
	}
	left := s.processes(t, "", "workload")
	if len(left) != len(names) {
		t.Errorf("echo runs as processes %v, want those of the other nodes alone", left)
	}
	for other, name := range names {
		s.requireNodePort(t, other, name)
	}
	start := time.Now()
	if err := s.StartNode(node); err != nil {
		t.Fatal(err)
	}
	proc.Eventually(t, patience, func() error {
		if now := s.processes(t, "", "workload"); len(now) != len(s.Nodes()) {
			return fmt.Errorf("echo runs as processes %v, want one on each node", now)
		}
		return nil
	})
	t.Logf("the pods of %s came back after %.1f s", node, time.Since(start).Seconds())
	s.requireReady(t, node, "True")
	s.requireAnswers(t)
	now := s.processes(t, "", "workload")
	for _, pid := range left {
		if !slices.Contains(now, pid) {
			t.Errorf("echo ran as process %d of another node, which is gone", pid)
		}
	}
	if out := s.must(t, "get", "configmap", "before-reboot-of-"+node, "--output=jsonpath={.data.key}"); out != "kept" {
		t.Errorf("the configmap says %q, want kept", out)
	}
	s.requireWorking(t, "after-reboot-of-"+node)
}

// requireAnswers asks each of the echo pods, from the other node's too.
func (s *suite) requireAnswers(t *testing.T) {
	t.Helper()
	proc.Eventually(t, patience, func() error {
		names, addresses, err := s.findPods("echo")
		if err != nil {
			return err
		}
		for node, address := range addresses {
			for _, pod := range names {
				out, err := s.kubectl("exec", pod, "--", "/workload", "get", "http://"+address+":8080")
				if err == nil && out != names[node] {
					err = errors.New("answered " + out)
				}
				if err != nil {
					return fmt.Errorf("from %s to the pod on %s: %w", pod, node, err)
				}
			}
		}
		return nil
	})
}
