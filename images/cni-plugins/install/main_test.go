package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestInstallReplacesPluginsAndLeavesOthersAlone(t *testing.T) {
	source, target := t.TempDir(), t.TempDir()
	write(t, source, "bridge", "new")
	write(t, source, "portmap", "new")
	write(t, target, "bridge", "old and longer")
	write(t, target, "other", "stays")
	if n, err := install(source, target); n != 2 || err != nil {
		t.Fatalf("installed %d: %v", n, err)
	}
	for name, want := range map[string]string{"bridge": "new", "portmap": "new", "other": "stays"} {
		if got, err := os.ReadFile(filepath.Join(target, name)); err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	if info, err := os.Stat(filepath.Join(target, "bridge")); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("bridge: %v, %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(target, ".*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestInstallRefuses(t *testing.T) {
	source, target := t.TempDir(), t.TempDir()
	write(t, source, "bridge", "new")
	blocked := t.TempDir()
	if err := os.MkdirAll(filepath.Join(blocked, "bridge", "in the way"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ source, target, want string }{
		"no target":           {source, filepath.Join(target, "none"), "mount the node's CNI folder"},
		"no source":           {filepath.Join(source, "none"), target, "no such file"},
		"no plugin":           {target, target, "no plugin"},
		"a folder in the way": {source, blocked, "installing bridge"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := install(test.source, test.target); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one with %q", err, test.want)
			}
		})
	}
	if left, _ := filepath.Glob(filepath.Join(blocked, ".*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}
