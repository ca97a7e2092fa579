// Package reproducibility_test builds the tree a second time, elsewhere and from nothing, and compares.
package reproducibility_test

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/bazelbuild/rules_go/go/runfiles"
)

// The second build differs in folder, depth of folder, output base, time zone, locale, user name, umask and number of
// jobs, and has no disk cache.
func TestSecondBuildElsewhereIsIdentical(t *testing.T) {
	workspace := sourceTree(t)
	scratch := scratchDir(t)
	clone := filepath.Join(scratch, "another", "folder", "deeper")
	if err := copyTree(workspace, clone); err != nil {
		t.Fatal(err)
	}
	defer syscall.Umask(syscall.Umask(0o077))
	bazel := func(args ...string) *exec.Cmd {
		cmd := exec.Command(filepath.Join(clone, "tools", "bazel"), append([]string{"--output_user_root=" + filepath.Join(scratch, "out")}, args...)...)
		cmd.Dir = clone
		cmd.Env = append(os.Environ(), "TZ=Pacific/Auckland", "LANG=tr_TR.UTF-8", "LC_ALL=tr_TR.UTF-8", "USER=somebody")
		return cmd
	}
	t.Cleanup(func() { bazel("shutdown").Run() })

	targets := strings.Fields(os.Getenv("TARGETS"))
	build := bazel(append([]string{"build", "--disk_cache=", "--jobs=3", "--noshow_progress", "--"}, targets...)...)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building again in %s: %v\n%s", clone, err, out)
	}
	for _, file := range strings.Fields(os.Getenv("FILES")) {
		first, err := runfiles.Rlocation(file)
		if err != nil {
			t.Fatal(err)
		}
		second := filepath.Join(clone, "bazel-bin", strings.TrimPrefix(file, "_main/"))
		if err := compare(first, second); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// sourceTree is where the runfile of MODULE.bazel points to.
func sourceTree(t *testing.T) string {
	t.Helper()
	link, err := runfiles.Rlocation("_main/MODULE.bazel")
	if err != nil {
		t.Fatal(err)
	}
	file, err := filepath.EvalSymlinks(link)
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Dir(file)
}

// scratchDir returns a directory under /tmp that goes when the test ends; Bazel leaves read-only folders behind.
func scratchDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "reproducibility-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				os.Chmod(path, 0o700)
			}
			return nil
		})
		os.RemoveAll(dir)
	})
	return dir
}

// copyTree copies the files of a source tree, without git's and Bazel's own.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir() && d.Name() == ".git":
			return fs.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		case !d.Type().IsRegular(): // bazel-bin and its like
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), data, info.Mode().Perm())
	})
}

// compare returns an error that names what differs between two builds of a file or folder.
func compare(first, second string) error {
	info, err := os.Stat(first)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return compareDirs(first, second)
	}
	a, err := os.ReadFile(first)
	if err != nil {
		return err
	}
	b, err := os.ReadFile(second)
	if err != nil {
		return err
	}
	if bytes.Equal(a, b) {
		return nil
	}
	return fmt.Errorf("sha256 %x and %x: %s", sha256.Sum256(a), sha256.Sum256(b), difference(a, b))
}

func compareDirs(first, second string) error {
	return filepath.WalkDir(first, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(first, path)
		if err != nil {
			return err
		}
		if err := compare(path, filepath.Join(second, rel)); err != nil {
			return fmt.Errorf("%s: %w", rel, err)
		}
		return nil
	})
}

// difference names the ELF sections that differ, or the first byte that does.
func difference(a, b []byte) string {
	ea, errA := elf.NewFile(bytes.NewReader(a))
	eb, errB := elf.NewFile(bytes.NewReader(b))
	if errA == nil && errB == nil {
		var sections []string
		for _, s := range ea.Sections {
			other := eb.Section(s.Name)
			if other == nil {
				sections = append(sections, s.Name+" (missing)")
				continue
			}
			x, errX := s.Data()
			y, errY := other.Data()
			if errX == nil && errY == nil && !bytes.Equal(x, y) {
				sections = append(sections, s.Name)
			}
		}
		return "ELF sections that differ: " + strings.Join(sections, " ")
	}
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("first difference at byte %d", i)
		}
	}
	return fmt.Sprintf("sizes are %d and %d", len(a), len(b))
}

func TestCompareNamesTheSection(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	a, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	file, err := elf.NewFile(bytes.NewReader(a))
	if err != nil {
		t.Fatal(err)
	}
	b := bytes.Clone(a)
	b[file.Section(".rodata").Offset+100] ^= 1
	if got, want := difference(a, b), "ELF sections that differ: .rodata"; got != want {
		t.Errorf("difference = %q, want %q", got, want)
	}
}
