package cache_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kubefips.internal/tools/bazelroot/cache"
)

// fill is a build that writes one file.
func fill(_ context.Context, dir string) error {
	return os.WriteFile(filepath.Join(dir, "file"), []byte("content"), 0o644)
}

func never(context.Context, string) error { return errors.New("built again") }

func content(t *testing.T, dir string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "file"))
	if err != nil {
		t.Error(err)
	}
	return string(data)
}

func TestDirectoryIsMadeOnce(t *testing.T) {
	c := &cache.Cache{Dir: filepath.Join(t.TempDir(), "new")}
	dir, err := c.Ensure(t.Context(), "kind-1", fill)
	if err != nil {
		t.Fatal(err)
	}
	again, err := c.Ensure(t.Context(), "kind-1", never)
	if err != nil || again != dir || content(t, dir) != "content" {
		t.Errorf("got %s, %v; want %s", again, err, dir)
	}
}

func TestTwoCallsAtOnceMakeOneDirectory(t *testing.T) {
	dir := t.TempDir()
	var builds, waited atomic.Int32
	started, release := make(chan struct{}), make(chan struct{})
	build := func(ctx context.Context, dir string) error {
		builds.Add(1)
		close(started)
		<-release
		return fill(ctx, dir)
	}
	call := func(build func(context.Context, string) error) {
		// A cache of its own for each call, as two processes have.
		c := &cache.Cache{Dir: dir, Waiting: func() { waited.Add(1); close(release) }}
		got, err := c.Ensure(t.Context(), "kind-1", build)
		if err != nil {
			t.Error(err)
		} else if content(t, got) != "content" {
			t.Error("directory is not whole")
		}
	}
	var calls sync.WaitGroup
	calls.Go(func() { call(build) })
	<-started
	calls.Go(func() { call(never) })
	calls.Wait()
	if builds.Load() != 1 || waited.Load() != 1 {
		t.Errorf("%d builds, %d waited; want one of each", builds.Load(), waited.Load())
	}
}

func TestWaitingEndsWithTheCall(t *testing.T) {
	c := &cache.Cache{Dir: t.TempDir()}
	_, err := c.Ensure(t.Context(), "kind-1", func(context.Context, string) error {
		ctx, cancel := context.WithCancel(t.Context())
		other := &cache.Cache{Dir: c.Dir, Waiting: cancel}
		if _, err := other.Ensure(ctx, "kind-1", never); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want canceled", err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestFailedBuildLeavesNothing(t *testing.T) {
	c := &cache.Cache{Dir: t.TempDir()}
	failure := errors.New("no network")
	_, err := c.Ensure(t.Context(), "kind-1", func(ctx context.Context, dir string) error {
		return errors.Join(fill(ctx, dir), failure)
	})
	if !errors.Is(err, failure) {
		t.Errorf("got %v, want %v", err, failure)
	}
	if entries, _ := os.ReadDir(c.Dir); len(entries) != 1 || entries[0].Name() != "lock" {
		t.Errorf("left %v, want the lock only", entries)
	}
	if _, err := c.Ensure(t.Context(), "kind-1", fill); err != nil {
		t.Errorf("does not recover: %v", err)
	}
}

// TestHalfWrittenCacheIsMadeAgain has what a killed process, a full disk or a
// careless hand may leave.
func TestHalfWrittenCacheIsMadeAgain(t *testing.T) {
	for name, left := range map[string][]string{
		"killed while building":   {"kind-1.partial/half"},
		"marker is missing":       {"kind-1/half"},
		"another kind was killed": {"other-1.partial/half"},
	} {
		t.Run(name, func(t *testing.T) {
			c := &cache.Cache{Dir: t.TempDir()}
			for _, f := range left {
				f = filepath.Join(c.Dir, f)
				if err := os.MkdirAll(filepath.Dir(f), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(f, nil, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			dir, err := c.Ensure(t.Context(), "kind-1", fill)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, d := range []string{c.Dir, dir} {
				entries, err := os.ReadDir(d)
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range entries {
					got = append(got, e.Name())
				}
			}
			if want := []string{"kind-1", "lock", ".complete", "file"}; !slices.Equal(got, want) {
				t.Errorf("cache has %q, want %q", got, want)
			}
		})
	}
}

func TestUnusedDirectoryIsRemovedInTheEnd(t *testing.T) {
	c := &cache.Cache{Dir: t.TempDir()}
	for _, name := range []string{"kind-old", "kind-used", "other-old"} {
		dir, err := c.Ensure(t.Context(), name, fill)
		if err != nil {
			t.Fatal(err)
		}
		past := time.Now().Add(-31 * 24 * time.Hour)
		if err := os.Chtimes(filepath.Join(dir, ".complete"), past, past); err != nil {
			t.Fatal(err)
		}
	}
	c.Lookup("kind-used")
	if _, err := c.Ensure(t.Context(), "kind-new", fill); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"kind-old": false, "kind-used": true, "other-old": true, "kind-new": true} {
		if _, got := c.Lookup(name); got != want {
			t.Errorf("%s: there = %t, want %t", name, got, want)
		}
	}
}

func TestPruneRemovesWhatIsUnused(t *testing.T) {
	c := &cache.Cache{Dir: t.TempDir()}
	if err := c.Prune("kept"); err != nil {
		t.Errorf("no directory yet: %v", err)
	}
	dir := filepath.Join(c.Dir, "kept")
	long := time.Now().Add(-31 * 24 * time.Hour)
	entry := func(name string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	age := func(path string) {
		t.Helper()
		if err := os.Chtimes(path, long, long); err != nil {
			t.Fatal(err)
		}
	}
	there := func(path string) bool {
		_, err := os.Stat(path)
		return err == nil
	}
	prune := func() {
		t.Helper()
		if err := c.Prune("kept"); err != nil {
			t.Fatal(err)
		}
	}

	used, unused := entry("used"), entry("unused")
	age(unused)
	prune()
	if !there(used) || there(unused) {
		t.Errorf("used: %t, unused: %t", there(used), there(unused))
	}
	age(used)
	prune()
	if !there(used) {
		t.Error("it looked again on the same day")
	}
	age(filepath.Join(dir, ".looked"))
	prune()
	if there(used) {
		t.Error("it did not look on another day")
	}
}
