package main

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"kubefips.internal/tools/internal/debian"
	"kubefips.internal/tools/internal/debian/archive"
)

// dir is where the sets and their locks are, in a checkout and in a test's run files.
const dir = "../../toolchains/debian"

func TestEveryCommittedLockIsOfItsSet(t *testing.T) {
	sets, err := archive.ReadSets(filepath.Join(dir, "sets.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"+debian.LockSuffix))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if _, ok := sets[strings.TrimSuffix(filepath.Base(f), debian.LockSuffix)]; !ok {
			t.Errorf("%s: sets.yaml has no such set; remove the file", f)
		}
	}
	for name, def := range sets {
		file := filepath.Join(dir, name+debian.LockSuffix)
		lock, err := debian.ReadLock(file)
		if err != nil {
			t.Error(err)
			continue
		}
		def.Why = "" // is not in the lock
		if !reflect.DeepEqual(lock.Set, def) {
			t.Errorf("%s is of another definition than set %s of sets.yaml; run `bazel run //tools/update -- debian %s`", file, name, name)
		}
		data, err := lock.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if committed, err := os.ReadFile(file); err != nil || string(committed) != string(data) {
			t.Errorf("%s was edited by hand (%v)", file, err)
		}
		if len(lock.Releases) != len(def.Suites) {
			t.Errorf("%s: %d verified releases for %d suites", file, len(lock.Releases), len(def.Suites))
		}
		checkPackages(t, file, lock)
	}
}

// checkPackages compares what is locked with what is asked for.
func checkPackages(t *testing.T, file string, l *debian.Lock) {
	t.Helper()
	for _, arch := range l.Set.Architectures {
		locked := map[string]bool{}
		for _, p := range l.Packages {
			if p.Architecture == arch || p.Architecture == "all" {
				locked[p.Name] = true
			}
		}
		for _, n := range l.Set.Packages {
			if !locked[n] {
				t.Errorf("%s: %s is not locked for %s", file, n, arch)
			}
			delete(locked, n)
		}
		for n := range locked {
			if !l.Set.Closure || slices.Contains(l.Set.Exclude, n) {
				t.Errorf("%s: nobody asked for %s", file, n)
			}
		}
	}
	if len(l.Sources) != len(l.Set.Sources) {
		t.Errorf("%s: %d sources, want %d", file, len(l.Sources), len(l.Set.Sources))
	}
}

func TestUnknownSetIsNamedWithThoseThatExist(t *testing.T) {
	err := lockDebian(debianCommand(), &archive.Reader{}, dir, []string{"nosuch"})
	if err == nil || !strings.Contains(err.Error(), `"nosuch"`) || !strings.Contains(err.Error(), "bazel_root, ") {
		t.Errorf("got %v", err)
	}
}

func TestFileIsWrittenOnlyWhenItChanges(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lock")
	for _, c := range []struct{ data, says string }{{"1", "wrote"}, {"1", "up to date"}, {"2", "wrote"}} {
		var out strings.Builder
		if err := writeIfChanged(&out, file, []byte(c.data)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != c.data || !strings.Contains(out.String(), c.says) {
			t.Errorf("%s: file has %q, %v; said %q, want %q", c.data, got, err, out.String(), c.says)
		}
	}
}
