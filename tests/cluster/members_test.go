package cluster_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kubefips.internal/tests/internal/proc"
	"kubefips.internal/tools/kubefips/cluster"
)

// With a member of etcd on each of three nodes the apiserver goes on without one of them, whichever leads, and whatever happens nothing that
// it acknowledged is lost.
func TestMembers(t *testing.T) {
	s := boot(t, func(c *cluster.Cluster) { c.EtcdMembers = 3 })
	s.requireMembers(t)
	w := s.write(t)
	w.requireProgress(t)
	t.Run("lose the node of the leader", func(t *testing.T) { s.testLeaderLost(t, w) })
	t.Run("lose a member with its data", func(t *testing.T) { s.testMemberLost(t, w) })
	t.Run("cut two of three off", func(t *testing.T) { s.testQuorumLost(t, w) })
	w.requireAll(t)
	s.requireSame(t)
}

func (s *suite) testLeaderLost(t *testing.T, w *writer) {
	status, err := s.status()
	if err != nil {
		t.Fatal(err)
	}
	if status[cluster.ControlPlane].leads() { // without that node there is no apiserver
		if _, err := s.etcdctl("move-leader", fmt.Sprintf("%x", status[cluster.Worker].Header.MemberID)); err != nil {
			t.Fatal(err)
		}
		if status, err = s.status(); err != nil {
			t.Fatal(err)
		}
	}
	for node, member := range status {
		if !member.leads() {
			continue
		}
		s.killNode(t, node)
		w.requireProgress(t)
		s.startNode(t, node)
	}
	s.requireMembers(t)
}

func (s *suite) testMemberLost(t *testing.T, w *writer) {
	const lost = cluster.Worker2
	status, err := s.status()
	if err != nil {
		t.Fatal(err)
	}
	s.killNode(t, lost)
	if err := os.RemoveAll(s.Dir(lost, "var/lib/etcd")); err != nil {
		t.Fatal(err)
	}
	w.requireProgress(t)
	proc.Eventually(t, patience, func() error { // refused for a moment, lest the members that are left lose their quorum
		_, err := s.etcdctl("member", "remove", fmt.Sprintf("%x", status[lost].Header.MemberID))
		return err
	})
	proc.Eventually(t, patience, func() error {
		_, err := s.etcdctl("member", "add", lost, "--peer-urls=https://"+cluster.Address(lost)+":2380")
		return err
	})
	manifest := s.Dir(lost, "etc/kubernetes/manifests/etcd.json")
	content, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	joins := strings.Replace(string(content), "--initial-cluster-state=new", "--initial-cluster-state=existing", 1)
	if err := os.WriteFile(manifest, []byte(joins), 0o600); err != nil {
		t.Fatal(err)
	}
	s.startNode(t, lost)
	s.requireMembers(t)
	w.requireProgress(t)
}

// One member alone acknowledges nothing, and has all that was acknowledged when another is back.
func (s *suite) testQuorumLost(t *testing.T, w *writer) {
	for _, node := range []string{cluster.Worker, cluster.Worker2} {
		s.cut(t, node, true)
	}
	time.Sleep(patienceOfWriter) // for what was under way
	before := w.acknowledged()
	time.Sleep(patienceOfWriter)
	if after := w.acknowledged(); after != before {
		t.Errorf("one member of three acknowledged %d writes", after-before)
	}
	if out, err := s.kubectl("get", "--raw", "/readyz", "--request-timeout=30s"); err == nil {
		t.Errorf("the apiserver says that it is ready: %s", out)
	}
	s.cut(t, cluster.Worker, false)
	w.requireProgress(t)
	s.cut(t, cluster.Worker2, false)
	s.requireMembers(t)
}

func (s *suite) cut(t *testing.T, node string, cut bool) {
	t.Helper()
	if err := s.Cut(node, cut); err != nil {
		t.Fatal(err)
	}
}

func (s *suite) killNode(t *testing.T, node string) {
	t.Helper()
	t.Logf("killing node %s", node)
	if err := s.KillNode(node); err != nil {
		t.Fatal(err)
	}
}

func (s *suite) startNode(t *testing.T, node string) {
	t.Helper()
	t.Logf("starting node %s", node)
	if err := s.StartNode(node); err != nil {
		t.Fatal(err)
	}
}

// A memberStatus is what a member says of itself, as etcdctl prints it.
type memberStatus struct {
	Header struct {
		MemberID uint64 `json:"member_id"`
	}
	Leader uint64
}

func (m memberStatus) leads() bool { return m.Header.MemberID == m.Leader }

// status returns what the members say, by their nodes. One that does not answer is an error.
func (s *suite) status() (map[string]memberStatus, error) {
	var answers []struct {
		Endpoint string
		Status   memberStatus
	}
	if err := s.ask(&answers, "status"); err != nil {
		return nil, err
	}
	status := map[string]memberStatus{}
	for _, node := range s.Nodes() {
		for _, answer := range answers {
			if answer.Endpoint == "https://"+cluster.Address(node)+":2379" {
				status[node] = answer.Status
			}
		}
	}
	if len(status) != len(s.Nodes()) {
		return nil, fmt.Errorf("members on %v answer, want one on each node", slices.Collect(maps.Keys(status)))
	}
	return status, nil
}

// ask asks all members by a command of `etcdctl endpoint`.
func (s *suite) ask(answers any, command string) error {
	out, err := s.etcdctl("endpoint", command, "--cluster", "--write-out=json")
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(out), answers); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// requireMembers waits until each node has a member, and all have the same leader.
func (s *suite) requireMembers(t *testing.T) {
	t.Helper()
	start := time.Now()
	proc.Eventually(t, patience, func() error {
		status, err := s.status()
		if err != nil {
			return err
		}
		leader := status[cluster.ControlPlane].Leader
		for node, member := range status {
			if member.Leader != leader || leader == 0 {
				return fmt.Errorf("the member on %s follows %x, that on %s %x", node, member.Leader, cluster.ControlPlane, leader)
			}
		}
		return nil
	})
	t.Logf("three members after %.1f s", time.Since(start).Seconds())
}

// requireSame shows that the members hold the same, by their hashes at one revision.
func (s *suite) requireSame(t *testing.T) {
	t.Helper()
	proc.Eventually(t, patience, func() error { // a write between two answers is another revision
		var answers []struct {
			HashKV struct {
				Hash         uint64
				HashRevision int64 `json:"hash_revision"`
			}
		}
		if err := s.ask(&answers, "hashkv"); err != nil {
			return err
		}
		for _, answer := range answers {
			if answer != answers[0] || answer.HashKV.Hash == 0 || len(answers) != len(s.Nodes()) {
				return fmt.Errorf("the members differ: %+v", answers)
			}
		}
		return nil
	})
}

// A writer makes one ConfigMap after the other through the apiserver, and remembers which were acknowledged.
type writer struct {
	s    *suite
	stop func()

	mu      sync.Mutex
	names   []string
	failure error // of the last write
}

const patienceOfWriter = 10 * time.Second // for one write

// write starts a writer, which ends with the test.
func (s *suite) write(t *testing.T) *writer {
	done, ended := make(chan struct{}), make(chan struct{})
	w := &writer{s: s}
	w.stop = sync.OnceFunc(func() { close(done); <-ended })
	t.Cleanup(w.stop)
	go func() {
		defer close(ended)
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			name := fmt.Sprintf("write-%d", i)
			_, err := s.kubectl("create", "configmap", name, fmt.Sprintf("--request-timeout=%v", patienceOfWriter))
			w.mu.Lock()
			if w.failure = err; err == nil {
				w.names = append(w.names, name)
			}
			w.mu.Unlock()
		}
	}()
	return w
}

func (w *writer) acknowledged() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.names)
}

// requireProgress waits until ten more writes are acknowledged.
func (w *writer) requireProgress(t *testing.T) {
	t.Helper()
	start, before := time.Now(), w.acknowledged()
	proc.Eventually(t, patience, func() error {
		if now := w.acknowledged(); now < before+10 {
			w.mu.Lock()
			defer w.mu.Unlock()
			return fmt.Errorf("%d writes were acknowledged, want ten; the last ended by %v", now-before, w.failure)
		}
		return nil
	})
	t.Logf("ten writes after %.1f s", time.Since(start).Seconds())
}

// requireAll ends the writer, and shows that all that was acknowledged is there.
func (w *writer) requireAll(t *testing.T) {
	t.Helper()
	w.stop()
	there := map[string]bool{}
	for line := range strings.Lines(w.s.must(t, "get", "configmaps", "--output=name")) {
		there[filepath.Base(strings.TrimSpace(line))] = true
	}
	for _, name := range w.names {
		if !there[name] {
			t.Errorf("the apiserver acknowledged configmap %s, which is gone", name)
		}
	}
	t.Logf("%d writes were acknowledged", len(w.names))
}
