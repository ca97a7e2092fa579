// Package repo_contents_test fetches one module in two clones that share what third_party/bazel/patches/0006 keeps.
package repo_contents_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kubefips.internal/tests/internal/clone"
)

func TestMain(m *testing.M) { clone.Main(m) }

// source is a file of a module, in its repository.
const source = "cmd/crane/main.go"

func TestRepositoriesAreMadeOnce(t *testing.T) {
	kept := filepath.Join(t.TempDir(), "kept")
	first := fetch(t, "first", kept)
	entry := file(t, filepath.Join(kept, "*", "tree", source))
	if !same(t, first, entry) {
		t.Errorf("%s is not kept by a link, as %s", first, entry)
	}
	if info, err := os.Stat(entry); err != nil || info.Mode()&0o222 != 0 {
		t.Errorf("what is shared can be written to: %v, %v", info.Mode(), err)
	}

	t.Run("and taken", func(t *testing.T) {
		if second := fetch(t, "second", kept); !same(t, second, entry) {
			t.Errorf("%s is not the same file as %s", second, entry)
		}
	})
	t.Run("unless they were changed by hand", func(t *testing.T) {
		original, err := os.ReadFile(entry)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(entry, []byte("package broken\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		third := fetch(t, "third", kept)
		if got, err := os.ReadFile(third); err != nil || !bytes.Equal(got, original) {
			t.Errorf("%s has %q, %v", third, got, err)
		}
		if again := file(t, filepath.Join(kept, "*", "tree", source)); !same(t, third, again) {
			t.Errorf("the repository is not kept again: %s", again)
		}
	})
}

// fetch returns the file in a new clone's repository.
func fetch(t *testing.T, name, kept string) string {
	t.Helper()
	c := clone.New(t, name)
	if err := c.Fetch("@crane", "--repo_env=REPO_CONTENTS_CACHE="+kept); err != nil {
		t.Fatal(err)
	}
	base, _, err := c.Bazel("info", "output_base")
	if err != nil {
		t.Fatal(err)
	}
	return file(t, filepath.Join(strings.TrimSpace(base), "external", "*crane_deps*", source))
}

// file is the one that a pattern matches.
func file(t *testing.T, pattern string) string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) != 1 {
		t.Fatalf("%s matches %q, %v; want one file", pattern, files, err)
	}
	return files[0]
}

func same(t *testing.T, a, b string) bool {
	t.Helper()
	one, err := os.Stat(a)
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.Stat(b)
	if err != nil {
		t.Fatal(err)
	}
	return os.SameFile(one, other)
}
