package etcd_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"kubefips.internal/tests/internal/proc"
	"kubefips.internal/tests/internal/tlsprobe"
)

// Three members, under writes all the time: whatever happens to one of them, the others go on, and nothing acknowledged is lost.
func TestMembers(t *testing.T) {
	c := newCluster(t, 3)
	for _, m := range c.members {
		c.start(m, "new", c.members...)
	}
	c.requireHealthy(c.members...)
	t.Run("peers refuse what is not approved", func(t *testing.T) {
		for _, offer := range tlsprobe.Offers(false) {
			accepted, err := tlsprobe.Probe(c.members[0].address+":2380", c.members[0].address, offer)
			if err != nil {
				t.Error(err)
			} else if accepted != offer.Approved {
				t.Errorf("%s: accepted = %t, want %t", offer.Name, accepted, offer.Approved)
			}
		}
	})
	l := c.write(slices.Clone(c.members))
	l.requireProgress()

	step := func(what string) {
		t.Helper()
		t.Log("--- " + what)
	}
	step("kill -9 of the leader")
	leader := c.leader()
	c.stop(leader)
	l.requireProgress()
	c.start(leader, "existing", c.members...)
	c.requireHealthy(c.members...)

	step("the leader is cut off, and back")
	leader = c.leader()
	link, err := netlink.LinkByName(leader.name)
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetDown(link); err != nil {
		t.Fatal(err)
	}
	l.requireProgress()
	if err := netlink.LinkSetUp(link); err != nil {
		t.Fatal(err)
	}
	c.requireHealthy(c.members...)

	step("a member and its data are lost; another takes its place")
	lost := c.members[1]
	c.stop(lost)
	if err := os.RemoveAll(lost.data); err != nil {
		t.Fatal(err)
	}
	l.requireProgress()
	others := slices.DeleteFunc(slices.Clone(c.members), func(m *member) bool { return m == lost })
	c.must(others, "member", "remove", c.id(others, lost.name))
	// The new member has another name and address.
	added := c.addHost()
	proc.Eventually(t, patience, func() error { // refused for a moment, lest the cluster lose its quorum
		_, err := c.etcdctl(others, "member", "add", added.name, "--peer-urls=https://"+added.address+":2380")
		if err != nil && strings.Contains(err.Error(), "Peer URLs already exists") {
			return nil
		}
		return err
	})
	now := append(slices.Clone(others), added)
	c.start(added, "existing", now...)
	c.requireHealthy(now...)
	l.ask(now)
	l.requireProgress()

	step("the new one counts: kill -9 of another")
	c.stop(others[0])
	l.requireProgress()
	c.start(others[0], "existing", now...)
	c.requireHealthy(now...)

	step("kill -9 of all, as a loss of power")
	for _, m := range now {
		m.cmd.Process.Kill()
	}
	for _, m := range now {
		c.stop(m)
	}
	for _, m := range now {
		c.start(m, "existing", now...)
	}
	c.requireHealthy(now...)
	l.requireProgress()

	acked := l.stop()
	for _, m := range now {
		c.requireAll(m, acked)
	}
	c.requireSame(now)
}

// id returns the ID of a member as etcdctl writes it.
func (c *cluster) id(asked []*member, name string) string {
	c.t.Helper()
	var list struct {
		Members []struct {
			ID   uint64
			Name string
		}
	}
	out := c.must(asked, "member", "list", "--write-out=json")
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		c.t.Fatalf("%v: %s", err, out)
	}
	for _, m := range list.Members {
		if m.Name == name {
			return fmt.Sprintf("%x", m.ID)
		}
	}
	c.t.Fatalf("no member %s: %s", name, out)
	return ""
}

// requireSame shows that the members hold the same, by their hashes at one revision.
func (c *cluster) requireSame(members []*member) {
	c.t.Helper()
	proc.Eventually(c.t, 30*time.Second, func() error {
		var hashes []struct {
			HashKV struct {
				Hash         uint64
				HashRevision int64 `json:"hash_revision"`
			}
		}
		out := c.must(members, "endpoint", "hashkv", "--write-out=json")
		if err := json.Unmarshal([]byte(out), &hashes); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		for _, h := range hashes {
			if h != hashes[0] || h.HashKV.Hash == 0 || len(hashes) != len(members) {
				return fmt.Errorf("the members differ: %s", out)
			}
		}
		return nil
	})
}
