package contents_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kubefips.internal/tools/bazelroot/contents"
)

// repository is a folder with a key and what its rule makes.
func repository(t *testing.T, key string, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, contents.KeyFile), key)
	for name, data := range files {
		write(t, filepath.Join(dir, name), data)
	}
	return dir
}

func write(t *testing.T, name, data string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
}

// entry returns the entry of a repository, whose key is gone then.
func entry(t *testing.T, root, dir string) string {
	t.Helper()
	e, err := contents.Entry(root, dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, contents.KeyFile)); err == nil {
		t.Fatalf("%s has a key still", dir)
	}
	return e
}

func take(t *testing.T, entry, dir string) bool {
	t.Helper()
	taken, err := contents.Take(entry, dir)
	if err != nil {
		t.Fatal(err)
	}
	return taken
}

// kept makes a repository with a file and a link, and keeps it.
func kept(t *testing.T, root string) (entryOf, dir string) {
	t.Helper()
	dir = repository(t, "key", map[string]string{"a/file": "data"})
	if err := os.Symlink("file", filepath.Join(dir, "a", "link")); err != nil {
		t.Fatal(err)
	}
	entryOf = entry(t, root, dir)
	if take(t, entryOf, dir) {
		t.Fatal("what nobody kept was taken")
	}
	if err := contents.Keep(entryOf, dir); err != nil {
		t.Fatal(err)
	}
	return entryOf, dir
}

func TestTheSameKeyIsTheSameRepository(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	kept, first := kept(t, root)
	second := repository(t, "key", nil)
	if !take(t, entry(t, root, second), second) {
		t.Fatal("what was kept is not taken")
	}
	one, err := os.Stat(filepath.Join(first, "a/file"))
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.Stat(filepath.Join(second, "a/file"))
	if err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(one, other) || one.Mode()&0o222 != 0 {
		t.Errorf("%v and %v are not one file that nobody writes to", one.Mode(), other.Mode())
	}
	if target, err := os.Readlink(filepath.Join(second, "a/link")); err != nil || target != "file" {
		t.Errorf("the link is %q, %v", target, err)
	}
	if err := contents.Keep(kept, second); err != nil {
		t.Errorf("kept by two: %v", err)
	}
	left, err := os.ReadDir(root)
	if err != nil || len(left) != 1 {
		t.Errorf("%v, %v are left", left, err)
	}
	third := repository(t, "another key", nil)
	if take(t, entry(t, root, third), third) {
		t.Error("another key's repository was taken")
	}
}

func TestWhatWasChangedByHandIsNotTaken(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	kept, _ := kept(t, root)
	changed := filepath.Join(kept, "tree", "a", "file")
	if err := os.Chtimes(changed, time.Time{}, time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	dir := repository(t, "key", nil)
	if take(t, entry(t, root, dir), dir) {
		t.Error("it was taken")
	}
	for _, gone := range []string{kept, filepath.Join(dir, "a")} {
		if _, err := os.Lstat(gone); !os.IsNotExist(err) {
			t.Errorf("%s is there: %v", gone, err)
		}
	}
}

func TestARepositoryWithoutAKey(t *testing.T) {
	if _, err := contents.Entry(t.TempDir(), t.TempDir()); err == nil || !strings.Contains(err.Error(), "no key") {
		t.Errorf("got %v", err)
	}
}

func TestAnotherFileSystem(t *testing.T) {
	memory, err := os.MkdirTemp("/dev/shm", "contents-")
	if err != nil {
		t.Skip("no second file system: ", err)
	}
	t.Cleanup(func() { os.RemoveAll(memory) })
	kept, _ := kept(t, filepath.Join(memory, "root"))
	dir := repository(t, "key", nil)
	os.Remove(filepath.Join(dir, contents.KeyFile))
	if !take(t, kept, dir) {
		t.Fatal("what was kept is not taken")
	}
	if got, err := os.ReadFile(filepath.Join(dir, "a/link")); err != nil || string(got) != "data" {
		t.Errorf("got %q, %v", got, err)
	}
}
