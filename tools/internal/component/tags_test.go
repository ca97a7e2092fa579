package component_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kubefips.internal/tools/internal/component"
)

func TestCheckTags(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "runc")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	segment := `runc_deps.gazelle_default_attributes(directives = ["gazelle:proto disable_global", "gazelle:build_tags seccomp,selinux"])`
	if err := os.WriteFile(filepath.Join(dir, "runc.MODULE.bazel"), []byte(segment), 0o644); err != nil {
		t.Fatal(err)
	}
	readme := "# runc\n\n| Build tags | `seccomp` with `apparmor` and `selinux`; `no_btrfs` |\n"
	if err := os.WriteFile(filepath.Join(dir, "README.md"), []byte(readme), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := component.CheckTags(dir, []string{"selinux", "seccomp", "no_btrfs"}); err != nil {
		t.Error(err)
	}
	err := component.CheckTags(dir, []string{"apparmor", "seccomp"})
	if err == nil || !strings.Contains(err.Error(), `"gazelle:build_tags apparmor,seccomp,selinux"`) {
		t.Errorf("a tag that gazelle does not know gave %v", err)
	}
	err = component.CheckTags(dir, []string{"no_zfs", "seccomp"})
	if err == nil || !strings.Contains(err.Error(), "README.md") || !strings.Contains(err.Error(), "does not name `no_zfs`") {
		t.Errorf("a tag that the README does not name gave %v", err)
	}
	if err := component.CheckTags(t.TempDir(), nil); !os.IsNotExist(err) {
		t.Errorf("no README gave %v", err)
	}
}
