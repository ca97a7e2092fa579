package modules_test

import (
	"archive/zip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/dirhash"

	"kubefips.internal/tools/bazelroot/modules"
)

// pinned are the Go modules, with the files of each.
var pinned = map[string]map[string]string{
	"github.com/bazelbuild/rules_go@v0.65.0":           {"go.mod": "module x", "tools/run.sh": "#!/bin/sh", "patched.bzl": "theirs\n"},
	"github.com/bazelbuild/bazel-gazelle@v0.54.0":      {"internal/go_repository_tools_srcs.bzl": "stale", "patched.bzl": "theirs\n"},
	"github.com/bazel-contrib/bazel-gazelle/v2@v2.0.0": {"walk/walk.go": "package walk"},
}

// What gazelle and rules_go are changed by.
const (
	gazellePatch = "patches/0001-gazelle-change.patch"
	rulesGoPatch = "patches/0002-rules_go-change.patch"
	filePatch    = "patches/0003-gazelle-file.patch"
)

// patchOf changes the first line of a file.
func patchOf(file, old, new string) string {
	return fmt.Sprintf("why\n\ndiff --git a/%[1]s b/%[1]s\n--- a/%[1]s\n+++ b/%[1]s\n@@ -1 +1 @@\n-%[2]s\n+%[3]s\n", file, old, new)
}

// fake is a folder with go.mod and go.sum, and a go command that answers for
// the modules in it.
func fake(t *testing.T) (*modules.Modules, string) {
	t.Helper()
	dir := t.TempDir()
	var sums, answers strings.Builder
	for mod, files := range pinned {
		path, version, _ := strings.Cut(mod, "@")
		file := filepath.Join(dir, strings.ReplaceAll(mod, "/", "_")+".zip")
		writeZip(t, file, mod, files)
		sum, err := dirhash.HashZip(file, dirhash.Hash1)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&sums, "%s %s %s\n%s %s/go.mod h1:unused\n", path, version, sum, path, version)
		answer, err := json.Marshal(map[string]string{"Path": path, "Version": version, "Zip": file})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&answers, "%s\n", answer)
	}
	write(t, filepath.Join(dir, "answers"), answers.String(), 0o644)
	write(t, filepath.Join(dir, "go.sum"), sums.String(), 0o644)
	write(t, filepath.Join(dir, "go.mod"), "module x", 0o644)
	if err := os.Mkdir(filepath.Join(dir, "patches"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, patch := range []string{gazellePatch, rulesGoPatch} {
		write(t, filepath.Join(dir, patch), patchOf("patched.bzl", "theirs", "ours"), 0o644)
	}
	write(t, filepath.Join(dir, filePatch), "diff --git a/new.bzl b/new.bzl\nnew file mode 100644\n--- /dev/null\n+++ b/new.bzl\n@@ -0,0 +1,1 @@\n+ours\n", 0o644)
	write(t, filepath.Join(dir, "go"), `#!/bin/sh
case $1 in
mod) while read -r line; do echo "$line"; done <"${0%/*}/answers" ;;
run) echo "run in $PWD" >"$4/$6" ;;
esac
`, 0o755)
	return &modules.Modules{Dir: dir, Go: filepath.Join(dir, "go")}, dir
}

func write(t *testing.T, name, data string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(name, []byte(data), mode); err != nil {
		t.Fatal(err)
	}
}

func writeZip(t *testing.T, name, prefix string, files map[string]string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := zip.NewWriter(f)
	for name, data := range files {
		e, err := w.Create(prefix + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Write([]byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestBuild(t *testing.T) {
	m, _ := fake(t)
	dir := t.TempDir()
	if err := m.Build(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	overrides := modules.Overrides(dir)
	for name, want := range map[string]string{
		overrides["rules_go"] + "/tools/run.sh":                         "#!/bin/sh",
		overrides["rules_go"] + "/patched.bzl":                          "ours\n",
		overrides["gazelle"] + "/v2/walk/walk.go":                       "package walk",
		overrides["gazelle"] + "/patched.bzl":                           "ours\n",
		overrides["gazelle"] + "/new.bzl":                               "ours\n",
		overrides["gazelle"] + "/internal/go_repository_tools_srcs.bzl": "run in " + overrides["gazelle"] + "\n",
	} {
		if got, err := os.ReadFile(name); err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v; want %q", name, got, err, want)
		}
	}
	info, err := os.Stat(overrides["rules_go"] + "/tools/run.sh")
	if err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("script has mode %v, %v; want one that can be run", info.Mode(), err)
	}
}

func TestBuildRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(t *testing.T, dir string)
		want   string
	}{
		"content that is not go.sum's": {func(t *testing.T, dir string) {
			writeZip(t, filepath.Join(dir, "github.com_bazelbuild_rules_go@v0.65.0.zip"), "github.com/bazelbuild/rules_go@v0.65.0",
				map[string]string{"evil.bzl": ""})
		}, "go.sum says"},
		"module that is not in go.sum": {func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "go.sum"), "", 0o644)
		}, "go mod tidy"},
		"module that is not required": {func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "answers"), "", 0o644)
		}, "does not require github.com/bazelbuild/rules_go"},
		"module that the proxy does not have": {func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "answers"), `{"Path": "a", "Version": "v1", "Error": "404"}`+"\n", 0o644)
		}, "GOPROXY must name a proxy that has it"},
		"patch that no longer applies": {func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, gazellePatch), patchOf("patched.bzl", "other", "ours"), 0o644)
		}, "no longer applies to patched.bzl"},
		"patch of a file that is gone": {func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, gazellePatch), patchOf("gone.bzl", "theirs", "ours"), 0o644)
		}, "gone.bzl"},
		"go command that fails": {func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "go"), "#!/bin/sh\necho broken >&2\nexit 1\n", 0o755)
		}, "broken"},
	} {
		t.Run(name, func(t *testing.T) {
			m, dir := fake(t)
			c.change(t, dir)
			if err := m.Build(t.Context(), t.TempDir()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestNameFollowsPins(t *testing.T) {
	m, dir := fake(t)
	before, err := m.Name()
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"go.sum", gazellePatch} {
		write(t, filepath.Join(dir, file), "another", 0o644)
		after, err := m.Name()
		if err != nil || after == before {
			t.Errorf("name %q, %v after a change of %s; was %q", after, err, file, before)
		}
		before = after
	}
}

// Those who have the registry get the same patches.
func TestModuleFileNamesThePatches(t *testing.T) {
	const root = "../../.."
	content, err := os.ReadFile(filepath.Join(root, "MODULE.bazel"))
	if err != nil {
		t.Fatal(err)
	}
	var named []string
	for _, match := range regexp.MustCompile(`"//third_party/bazel/patches:(.*)"`).FindAllSubmatch(content, -1) {
		named = append(named, string(match[1]))
	}
	files, err := filepath.Glob(filepath.Join(root, "third_party/bazel/patches/*.patch"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range files {
		files[i] = filepath.Base(files[i])
		if !regexp.MustCompile(`^\d{4}-(gazelle|rules_go)-`).MatchString(files[i]) {
			t.Errorf("%s has no module's name, so Build does not apply it", files[i])
		}
	}
	if slices.Sort(named); !slices.Equal(named, files) {
		t.Errorf("MODULE.bazel names %q, the folder has %q", named, files)
	}
}
