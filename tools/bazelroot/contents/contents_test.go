package contents_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
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

// kept makes a repository with files and a link, and keeps it.
func kept(t *testing.T, root string) (entryOf, dir string) {
	t.Helper()
	dir = repository(t, "key", map[string]string{"a/file": "data", "last": "data"})
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
	changed := filepath.Join(kept, "tree", "last")
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

// inNamespace is set in the environment of a test that runs in a mount namespace of its own.
const inNamespace = "KUBEFIPS_TEST_NAMESPACE"

func TestAnotherFileSystem(t *testing.T) {
	if os.Getenv(inNamespace) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), inNamespace+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
			UidMappings: []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}},
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	memory := t.TempDir()
	if err := syscall.Mount("tmpfs", memory, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Unmount(memory, 0) })
	kept, _ := kept(t, filepath.Join(memory, "root"))
	taken := repository(t, "key", nil)
	if !take(t, entry(t, filepath.Dir(kept), taken), taken) {
		t.Fatal("what was kept is not taken")
	}
	if got, err := os.ReadFile(filepath.Join(taken, "a/link")); err != nil || string(got) != "data" {
		t.Errorf("got %q, %v", got, err)
	}
	if info, err := os.Stat(filepath.Join(taken, "a/file")); err != nil || info.Mode() != 0o444 {
		t.Errorf("got %v, %v; nobody is to write to it", info.Mode(), err)
	}
	changed := filepath.Join(kept, "tree", "last")
	if err := os.Chtimes(changed, time.Time{}, time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	again := repository(t, "key", nil)
	if take(t, entry(t, filepath.Dir(kept), again), again) {
		t.Error("what was changed by hand was taken")
	}
}
