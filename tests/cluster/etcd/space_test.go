package etcd_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kubefips.internal/tests/internal/proc"
)

// fill writes values until a write is refused; it returns why, and all that was acknowledged.
func (c *cluster) fill(m *member, key func(n int) string) (acked map[string]string, refusal error) {
	c.t.Helper()
	acked = map[string]string{}
	for n := range 5_000 {
		value := fmt.Sprintf("%06d", n) + strings.Repeat("x", 100_000)
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		err := c.put(ctx, m, key(n), value)
		cancel()
		if err != nil {
			// It may be there all the same: etcd stores the write that crosses the quota, and says that there is no space.
			delete(acked, key(n))
			return acked, err
		}
		acked[key(n)] = value
	}
	c.t.Fatal("no write was refused")
	return nil, nil
}

// At its quota etcd raises an alarm and refuses writes, and reads go on; what takes the space is history here, as it is in
// most clusters where this happens.
func TestQuota(t *testing.T) {
	c := newCluster(t, 1)
	m := c.members[0]
	m.flags = []string{"--quota-backend-bytes=33554432"}
	c.start(m, "new", m)
	c.requireHealthy(m)
	c.must(c.members, "put", "load/kept", "kept")

	acked, refusal := c.fill(m, func(n int) string { return fmt.Sprintf("load/%d", n%10) })
	acked["load/kept"] = "kept"
	if !strings.Contains(refusal.Error(), "database space exceeded") {
		t.Fatalf("etcd refused with %v", refusal)
	}
	if alarms := c.must(c.members, "alarm", "list"); !strings.Contains(alarms, "alarm:NOSPACE") {
		t.Errorf("alarms = %q, want NOSPACE", alarms)
	}
	if _, err := c.etcdctl(c.members, "put", "load/refused", "refused"); err == nil || !strings.Contains(err.Error(), "etcdserver: mvcc: database space exceeded") {
		t.Errorf("put = %v, want it refused for space", err)
	}
	c.requireAll(m, acked) // reads go on

	var status struct {
		Header struct {
			Revision string
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.call(ctx, m, "maintenance/status", struct{}{}, &status); err != nil {
		t.Fatal(err)
	}
	c.must(c.members, "compact", "--physical", status.Header.Revision)
	c.must(c.members, "defrag")
	c.must(c.members, "alarm", "disarm")
	c.must(c.members, "put", "load/after", "after")
	acked["load/after"] = "after"
	c.requireAll(m, acked)
	if alarms := c.must(c.members, "alarm", "list"); strings.TrimSpace(alarms) != "" {
		t.Errorf("alarms = %q after recovery, want none", alarms)
	}
}

// On a full disk etcd ends rather than acknowledge what it cannot keep; with space it starts again, and has all that it has
// acknowledged.
func TestFullDisk(t *testing.T) {
	c := newCluster(t, 1)
	m := c.members[0]
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=192m"); err != nil { // two files of the log have 64 MB each
		t.Fatalf("mounting a small disk: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(disk, unix.MNT_DETACH) })
	m.data = filepath.Join(disk, "data")
	filler := filepath.Join(disk, "filler")
	if err := os.WriteFile(filler, make([]byte, 32<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	c.start(m, "new", m)
	c.requireHealthy(m)

	acked, refusal := c.fill(m, func(n int) string { return fmt.Sprintf("load/%d", n) })
	t.Logf("%d writes were acknowledged, then: %v", len(acked), refusal)
	select {
	case <-m.ended:
	case <-time.After(patience):
		t.Fatal("etcd goes on with a full disk")
	}
	if log, err := os.ReadFile(m.log.Name()); err != nil || !strings.Contains(string(log), "no space left on device") {
		t.Errorf("etcd ended and did not say that there is no space (%v)", err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	c.start(m, "existing", m)
	c.requireHealthy(m)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	proc.Eventually(t, patience, func() error { return c.put(ctx, m, "load/after", "after") })
	acked["load/after"] = "after"
	c.requireAll(m, acked)
}
