package component_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/mod/modfile"

	"kubefips.internal/tools/internal/component"
	"kubefips.internal/tools/internal/fakeproxy"
)

func TestFindGoPin(t *testing.T) {
	for _, test := range []struct {
		name  string
		files map[string]string
		want  component.GoPin
	}{
		{"file", map[string]string{".go-version": "1.26.10\n", "go.mod": "module m\n\ngo 1.26.0\n"}, component.GoPin{File: ".go-version", Version: "1.26.10"}},
		{"series", map[string]string{".go-version": "1.26\n", "go.mod": "module m\n\ngo 1.26.0\n"}, component.GoPin{File: ".go-version", Version: "1.26"}},
		{"release before tests", map[string]string{
			".github/workflows/release/Dockerfile": "FROM x\nARG GO_VERSION=1.27.2\n",
			"Dockerfile":                           "ARG GO_VERSION=1.26\n",
		}, component.GoPin{File: ".github/workflows/release/Dockerfile", Version: "1.27.2"}},
		{"image", map[string]string{"Dockerfile": "FROM golang:1.26.4 as build\n"}, component.GoPin{File: "Dockerfile", Version: "1.26.4"}},
		{"environment", map[string]string{".github/env": "GOLANG_VERSION=1.27\nOTHER=1\n"}, component.GoPin{File: ".github/env", Version: "1.27"}},
		{"workflow", map[string]string{".github/workflows/release.yml": "env:\n  GO_VERSION: \"1.26\"\n"}, component.GoPin{File: ".github/workflows/release.yml", Version: "1.26"}},
		{"make", map[string]string{"metadata.mk": "GO_BUILD_VER=1.24.9-llvm18.1.8-k8s1.33.5\n"}, component.GoPin{File: "metadata.mk", Version: "1.24.9"}},
		{"Bazel CI", map[string]string{".bazelci/buildkite-install-go.sh": "pkg=go1.25.0.linux-amd64.tar.gz\n"}, component.GoPin{File: ".bazelci/buildkite-install-go.sh", Version: "1.25.0"}},
		{"toolchain line", map[string]string{"Dockerfile": "FROM debian\n", "go.mod": "module m\n\ngo 1.26.0\n\ntoolchain go1.26.10\n"}, component.GoPin{File: "go.mod", Version: "1.26.10"}},
		{"go line", map[string]string{"go.mod": "module m\n\ngo 1.26.2\n"}, component.GoPin{File: "go.mod", Version: "1.26.2"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			files := fstest.MapFS{}
			for name, text := range test.files {
				files[name] = &fstest.MapFile{Data: []byte(text)}
			}
			got, err := component.FindGoPin(files)
			if err != nil || got != test.want {
				t.Errorf("got %v, %v, want %v", got, err, test.want)
			}
		})
	}
	if pin, err := component.FindGoPin(fstest.MapFS{"go.mod": {Data: []byte("module m\n")}}); err == nil {
		t.Errorf("no Go version anywhere gave %v", pin)
	}
}

// The repository rule hands on what FindGoPin looks at, and nothing else but a file of build tags.
func TestGoPinFilesAreFetched(t *testing.T) {
	text, err := os.ReadFile("../../../rules/private/upstream.bzl")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(text), "\n_FILES = [\n")
	list, _, _ = strings.Cut(list, "]\n")
	var fetched []string
	for line := range strings.Lines(list) {
		fetched = append(fetched, strings.Trim(strings.TrimSpace(line), `",`))
	}
	want := component.GoPinFiles()
	slices.Sort(want)
	if !slices.Equal(fetched, want) {
		t.Errorf("rules/private/upstream.bzl has %q, FindGoPin looks at %q", fetched, want)
	}
	if !strings.Contains(string(text), "/"+component.TagsFile+`"`) {
		t.Errorf("rules/private/upstream.bzl writes no %s", component.TagsFile)
	}
}

func TestGoPinMatches(t *testing.T) {
	for _, test := range []struct {
		pin, version string
		want         bool
	}{
		{"1.26.10", "1.26.10", true},
		{"1.26.1", "1.26.10", false},
		{"1.26", "1.26.10", true},
		{"1.2", "1.26.10", false},
	} {
		if got := (component.GoPin{Version: test.pin}).Matches(test.version); got != test.want {
			t.Errorf("pin %s, Go %s: %v", test.pin, test.version, got)
		}
	}
}

func parse(t *testing.T, text string) *modfile.File {
	t.Helper()
	f, err := modfile.Parse("go.mod", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestDifferences(t *testing.T) {
	upstream := parse(t, `module k8s.io/kubernetes

require (
	example.com/a v1.0.0
	example.com/b v1.0.0
	example.com/c v1.0.0
	example.com/only-tests v1.0.0
	k8s.io/api v0.0.0
	k8s.io/late v0.0.0
)

replace (
	example.com/b => example.com/fork v1.2.0
	k8s.io/api => ./staging/api
	k8s.io/late => ./staging/late
)
`)
	here := parse(t, `module kubefips.internal/components/kubernetes

require (
	example.com/a v1.0.0
	example.com/b v1.0.0
	example.com/c v1.0.1
	example.com/new v1.0.0
	k8s.io/api v0.0.0
	k8s.io/kubernetes v1.37.2
	k8s.io/late v0.0.0
)

replace (
	k8s.io/api => k8s.io/api v0.37.2
	k8s.io/late => k8s.io/late v0.37.1
)
`)
	want := []component.Difference{
		{Module: "example.com/b", Upstream: "example.com/fork v1.2.0", Here: "v1.0.0"},
		{Module: "example.com/c", Upstream: "v1.0.0", Here: "v1.0.1"},
		{Module: "example.com/new", Upstream: "none", Here: "v1.0.0"},
		{Module: "k8s.io/late", Upstream: "./staging/late", Here: "v0.37.1"},
	}
	got := component.Differences(here, []*modfile.File{upstream}, "k8s.io/kubernetes", "v1.37.2")
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestReadExplained(t *testing.T) {
	rows, err := component.ReadExplained([]byte("# x\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n| Module | Upstream | Here | Why |\n|---|---|---|---|\n| `m/*` | `v1` | `v2` | a reason |\n\n| c | d |\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []component.Explained{{Difference: component.Difference{Module: "m/*", Upstream: "v1", Here: "v2"}, Why: "a reason"}}
	if !slices.Equal(rows, want) {
		t.Errorf("got %v, want %v", rows, want)
	}
	if rows, err := component.ReadExplained([]byte("| Module | Upstream | Here | Why |\n|---|---|---|---|\n| `m` | `v1` | `v2` | |\n")); err == nil {
		t.Errorf("a row without a reason gave %v", rows)
	}
}

// checked is a component that equals its upstream, and upstream's go.mod.
func checked(t *testing.T) (dir, goMod string, local component.GoCommand) {
	t.Helper()
	newUpstream(t)
	dir = newComponent(t, newGoMod)
	if _, err := update(t, dir, "v1.0.0"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "README.md"), []byte("# prog\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for _, name := range []string{"go.mod", ".go-version"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(upstreamFiles(t, "v1.2.0")[name]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(folder, component.TagsFile), []byte("//go:build linux && !no_disk\nBUILDTAGS += static_build\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	local, err = component.LocalGo(filepath.Join(strings.TrimSpace(string(goroot)), "bin", "go"))
	if err != nil {
		t.Fatal(err)
	}
	return dir, filepath.Join(folder, "go.mod"), local
}

func edit(t *testing.T, file, old, new string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), old) {
		t.Fatalf("%s lacks %q", file, old)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(data), old, new, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestCheck(t *testing.T) {
	equal, equalMod, local := checked(t)
	table := "| Module | Upstream | Here | Why |\n|---|---|---|---|\n"
	for _, test := range []struct {
		name   string
		change func(t *testing.T, dir, goMod string)
		want   []string // none: passes
	}{
		{name: "equal", change: func(*testing.T, string, string) {}},
		{
			name: "another version of a module",
			change: func(t *testing.T, dir, _ string) {
				edit(t, filepath.Join(dir, "go.mod"), "lib v1.2.0", "lib v1.3.0")
			},
			want: []string{"README.md", "example.com/lib", "v1.2.0", "v1.3.0"},
		},
		{
			name: "another version of a module with a reason",
			change: func(t *testing.T, dir, _ string) {
				edit(t, filepath.Join(dir, "go.mod"), "lib v1.2.0", "lib v1.3.0")
				edit(t, filepath.Join(dir, "README.md"), "# prog\n", "# prog\n\n"+table+"| `example.com/lib` | `v1.2.0` | `v1.3.0` | it is safer |\n")
			},
		},
		{
			name: "an explanation of nothing",
			change: func(t *testing.T, dir, _ string) {
				edit(t, filepath.Join(dir, "README.md"), "# prog\n", "# prog\n\n"+table+"| `example.com/lib` | `v1.2.0` | `v1.3.0` | it is safer |\n")
			},
			want: []string{"README.md", "describes no difference"},
		},
		{
			name: "another Go version",
			change: func(t *testing.T, _, goMod string) {
				edit(t, filepath.Join(filepath.Dir(goMod), ".go-version"), "1.", "1.9")
			},
			want: []string{"upstream.bzl", ".go-version says 1.9"},
		},
		{
			name: "a table edited by hand",
			change: func(t *testing.T, dir, _ string) {
				edit(t, filepath.Join(dir, "upstream.bzl"), "}\n", "}\n\nMORE = 1\n")
			},
			want: []string{"upstream.bzl", "edited by hand", "update -- prog v1.0.0"},
		},
		{
			name: "another default GODEBUG",
			change: func(t *testing.T, _, goMod string) {
				edit(t, goMod, "panicnil=1", "panicnil=0")
			},
			want: []string{"upstream.bzl", "godebug", "panicnil=1"},
		},
		{
			name: "an older go line",
			change: func(t *testing.T, _, goMod string) {
				edit(t, goMod, "go 1.24.0", "go 1.21.0")
			},
			want: []string{"upstream.bzl", "godebug"},
		},
		{
			name: "a program of a module that nobody named",
			change: func(t *testing.T, dir, _ string) {
				edit(t, filepath.Join(dir, "go.mod"), program, "example.com/other")
			},
			want: []string{"go.mod", "example.com/other", "MODULE.bazel"},
		},
		{
			name: "upstream's build tags, and one of ours with a reason",
			change: func(t *testing.T, dir, _ string) {
				edit(t, filepath.Join(dir, "README.md"), "# prog\n", "# prog\n\n| | |\n|---|---|\n| Build tags | `static_build` with `no_disk`; `vendor.plain`, ours: it is safer |\n")
			},
		},
		{
			name: "a build tag that upstream does not know",
			change: func(t *testing.T, dir, _ string) {
				edit(t, filepath.Join(dir, "README.md"), "# prog\n", "# prog\n\n| | |\n|---|---|\n| Build tags | `static`, as upstream; `vendor.plain`, ours |\n")
			},
			want: []string{"README.md", "build tag static:", "build tag vendor.plain:", "`static`, ours: <reason>"},
		},
		{
			name: "another version of the main module",
			change: func(t *testing.T, dir, _ string) {
				edit(t, filepath.Join(dir, "upstream.bzl"), `"v1.0.0"`, `"v1.0.1"`)
			},
			want: []string{"go.mod", "example.com/prog v1.0.1"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir, upstream := filepath.Join(t.TempDir(), "prog"), t.TempDir()
			for to, from := range map[string]string{dir: equal, upstream: filepath.Dir(equalMod)} {
				if err := os.CopyFS(to, os.DirFS(from)); err != nil {
					t.Fatal(err)
				}
			}
			goMod := filepath.Join(upstream, "go.mod")
			test.change(t, dir, goMod)
			err := component.Check(t.Context(), dir, []string{goMod}, local)
			switch {
			case err == nil && test.want != nil:
				t.Error("no error")
			case err != nil && test.want == nil:
				t.Error(err)
			case err != nil:
				contains(t, "error", err.Error(), test.want...)
			}
		})
	}
}

func TestCheckBinary(t *testing.T) {
	dir, _, _ := checked(t)
	binary := filepath.Join(t.TempDir(), "prog")
	build := func(godebug string) {
		t.Helper()
		cmd := exec.Command("go", "build", "-ldflags=-s -X=runtime.godebugDefault="+godebug, "-o", binary, program)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH="+runtime.GOARCH)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	u, err := component.ReadUpstream(dir)
	if err != nil {
		t.Fatal(err)
	}
	// A longer list that has upstream's in it is another list.
	for _, godebug := range []string{"", u.Godebug + ",zip=1", "zip=1," + u.Godebug} {
		build(godebug)
		if err := component.CheckBinary(dir, binary); err == nil || !strings.Contains(err.Error(), "default GODEBUG is not") {
			t.Errorf("a program with the default GODEBUG %q gave %v", godebug, err)
		}
	}
	build(u.Godebug)
	if err := component.CheckBinary(dir, binary); err != nil {
		t.Error(err)
	}

	edit(t, filepath.Join(dir, "go.mod"), "lib v1.2.0", "lib v1.3.0")
	edit(t, filepath.Join(dir, "go.sum"), "example.com/base v1.0.0 h1:", "example.com/base v1.0.0 h1:x")
	contains(t, "error", component.CheckBinary(dir, binary).Error(),
		"linked with example.com/lib v1.2.0",
		"example.com/base v1.0.0 has the hash")
}

func TestDefaultGODEBUGNeedsNoMoreThanTheCommand(t *testing.T) {
	_, _, local := checked(t)
	for goMod, want := range map[string]string{
		"module m\n\ngo " + fakeproxy.GoVersion(t) + "\n":                                    "",
		"module m\n\ngo " + fakeproxy.GoVersion(t) + "\n\ngodebug http2client=0\n":           "http2client=0",
		"module m\n\ngo " + fakeproxy.GoVersion(t) + "\n\nrequire example.com/none v1.0.0\n": "",
	} {
		if got, err := component.DefaultGODEBUG(t.Context(), local, []byte(goMod)); err != nil || got != want {
			t.Errorf("%q: got %q, %v, want %q", goMod, got, err, want)
		}
	}
}
