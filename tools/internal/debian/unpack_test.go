package debian_test

import (
	"archive/tar"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kubefips.internal/tools/internal/debian"
	"kubefips.internal/tools/internal/debian/debiantest"
)

func unpack(t *testing.T, deb []byte) (string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "x.deb")
	if err := os.WriteFile(file, deb, 0o644); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	return dir, debian.Unpack(file, root)
}

func TestUnpack(t *testing.T) {
	for _, compression := range []string{"", "gz", "xz", "zst"} {
		t.Run("data.tar."+compression, func(t *testing.T) {
			dir, err := unpack(t, debiantest.Deb(t, compression,
				debiantest.Entry{Name: "./"},
				debiantest.Entry{Name: "./usr/", Mode: 0o555},
				debiantest.Entry{Name: "./usr/bin/", Mode: 0o755},
				debiantest.Entry{Name: "./usr/bin/su", Mode: 0o4755, Content: "program"},
				debiantest.Entry{Name: "./usr/bin/again", Type: tar.TypeLink, Link: "./usr/bin/su"},
				debiantest.Entry{Name: "./bin", Type: tar.TypeSymlink, Link: "usr/bin"},
				debiantest.Entry{Name: "./bin/"},
			))
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"usr/bin/su", "usr/bin/again", "bin/su"} {
				if data, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(data) != "program" {
					t.Errorf("%s: got %q, %v", name, data, err)
				}
			}
			info, err := os.Stat(filepath.Join(dir, "usr/bin/su"))
			if err != nil || info.Mode() != 0o755 {
				t.Errorf("mode %v, %v; want 0755 without set-id bits", info.Mode(), err)
			}
			info, err = os.Stat(filepath.Join(dir, "usr"))
			if err != nil || info.Mode().Perm() != 0o755 {
				t.Errorf("folder's mode %v, %v; want one that the owner can remove", info.Mode(), err)
			}
		})
	}
}

func TestUnpackStaysInsideTheRoot(t *testing.T) {
	outside := t.TempDir()
	for name, entries := range map[string][]debiantest.Entry{
		"through an absolute link": {
			{Name: "out", Type: tar.TypeSymlink, Link: outside},
			{Name: "out/file", Content: "x"},
		},
		"through a relative link": {
			{Name: "out", Type: tar.TypeSymlink, Link: "../../../../../../../../../.." + outside},
			{Name: "out/file", Content: "x"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := unpack(t, debiantest.Deb(t, "", entries...)); err == nil {
				t.Error("was unpacked")
			}
			if left, _ := os.ReadDir(outside); len(left) > 0 {
				t.Errorf("wrote outside: %v", left)
			}
		})
	}
	dir, err := unpack(t, debiantest.Deb(t, "", debiantest.Entry{Name: "../../file", Content: "x"}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "file")); err != nil {
		t.Errorf("a name with dots is not taken from the root: %v", err)
	}
}

func TestUnpackRefuses(t *testing.T) {
	whole := debiantest.Deb(t, "xz", debiantest.Entry{Name: "file", Content: strings.Repeat("x", 1<<16)})
	for name, c := range map[string]struct {
		deb  []byte
		want string
	}{
		"no archive":    {[]byte("<html>not found</html>"), "x.deb"},
		"truncated":     {whole[:len(whole)-40], "data.tar.xz"},
		"device":        {debiantest.Deb(t, "", debiantest.Entry{Name: "null", Type: tar.TypeChar}), "unsupported file type"},
		"written twice": {debiantest.Deb(t, "", debiantest.Entry{Name: "a", Content: "1"}, debiantest.Entry{Name: "a", Content: "2"}), "file exists"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := unpack(t, c.deb); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
