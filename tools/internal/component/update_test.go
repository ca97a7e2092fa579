package component_test

import (
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kubefips.internal/tools/internal/component"
	"kubefips.internal/tools/internal/fakeproxy"
)

const program = "example.com/prog/cmd/prog"

// newUpstream publishes two releases of a program. The first needs lib v1.2.0, the
// second v1.3.0; newer versions exist of all that they need. A module that only
// tests import is missing.
func newUpstream(t *testing.T) fakeproxy.Proxy {
	t.Helper()
	proxy := fakeproxy.New(t)
	for _, v := range []string{"v1.0.0", "v1.0.1", "v1.9.0"} {
		proxy.Publish(t, "example.com/base", v, map[string]string{"go.mod": "module example.com/base\n", "base.go": "package base\n"})
		proxy.Publish(t, "example.com/forked", v, map[string]string{"go.mod": "module example.com/forked\n", "fork.go": "package fork\n"})
		proxy.Publish(t, "example.com/late", v, map[string]string{"go.mod": "module example.com/late\n", "late.go": "package late\n"})
	}
	for _, v := range []string{"v1.2.0", "v1.3.0", "v1.9.0"} {
		proxy.Publish(t, "example.com/lib", v, map[string]string{
			"go.mod":      "module example.com/lib\n\ngo 1.24.0\n\nrequire example.com/base v1.0.0\n",
			"lib.go":      "package lib\n\nimport _ \"example.com/base\"\n",
			"lib_test.go": "package lib\n\nimport (\n\t_ \"example.com/late\"\n\t_ \"example.com/missing\"\n)\n",
		})
	}
	for version, lib := range map[string]string{"v1.0.0": "v1.2.0", "v1.1.0": "v1.3.0"} {
		proxy.Publish(t, "example.com/prog", version, upstreamFiles(t, lib))
		proxy.Publish(t, "example.com/prog/api", version, map[string]string{"go.mod": "module example.com/prog/api\n", "api.go": "package api\n"})
	}
	return proxy
}

func upstreamFiles(t *testing.T, lib string) map[string]string {
	t.Helper()
	return map[string]string{
		".go-version": fakeproxy.GoVersion(t) + "\n",
		"go.mod": `module example.com/prog

go 1.24.0

godebug panicnil=1

require (
	example.com/base v1.0.0 // indirect
	example.com/fork v0.0.0
	example.com/lib ` + lib + `
	example.com/missing v1.0.0
	example.com/prog/api v0.0.0
)

replace (
	example.com/fork => example.com/forked v1.0.1
	example.com/prog/api => ./api
)
`,
		"cmd/prog/main.go":      "package main\n\nimport (\n\t_ \"example.com/fork\"\n\t_ \"example.com/lib\"\n\t_ \"example.com/prog/api\"\n)\n\nfunc main() {}\n",
		"cmd/prog/main_test.go": "package main\n\nimport _ \"example.com/missing\"\n",
		"plain/plain.go":        "package plain\n",
	}
}

// newComponent makes the folder of a component that was never updated.
func newComponent(t *testing.T, goMod string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "prog")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(goMod), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

const newGoMod = "module kubefips.internal/components/prog\n\ngo 1.24.0\n\ntool " + program + "\n"

func update(t *testing.T, dir, version string) (string, error) {
	t.Helper()
	var out strings.Builder
	err := component.Update(t.Context(), &out, dir, version, []string{"1.99.0", fakeproxy.GoVersion(t)})
	return out.String(), err
}

// files reads all files of a folder.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		f, err := os.Open(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		data, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = string(data)
	}
	return all
}

func contains(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%s lacks %q:\n%s", what, part, text)
		}
	}
}

func TestUpdateSelectsWhatUpstreamSelects(t *testing.T) {
	newUpstream(t)
	dir := newComponent(t, newGoMod)
	if _, err := update(t, dir, "v1.0.0"); err != nil {
		t.Fatal(err)
	}
	first := files(t, dir)
	contains(t, "go.mod", first["go.mod"],
		"tool "+program+"\n",
		"example.com/base v1.0.0 // indirect\n",
		"example.com/lib v1.2.0 // indirect\n",
		"example.com/prog v1.0.0 // indirect\n",
		"example.com/fork => example.com/forked v1.0.1\n",
		"example.com/prog/api => example.com/prog/api v1.0.0\n",
	)
	for _, absent := range []string{"example.com/missing", "example.com/late"} {
		if strings.Contains(first["go.mod"]+first["go.sum"], absent) {
			t.Errorf("%s is needed by tests only, but is in go.mod or go.sum:\n%s%s", absent, first["go.mod"], first["go.sum"])
		}
	}
	contains(t, "go.sum", first["go.sum"], "example.com/forked v1.0.1 h1:", "example.com/lib v1.2.0 h1:", "example.com/prog v1.0.0 h1:")
	contains(t, "upstream.bzl", first["upstream.bzl"],
		`"module": "example.com/prog"`,
		`"version": "v1.0.0"`,
		`"revision": "h1:`,
		`"time": "2026-01-02T03:04:05Z"`,
		`"go": "`+fakeproxy.GoVersion(t)+`"`,
		`"go_from": ".go-version"`,
		`panicnil=1`,
	)

	if _, err := update(t, dir, "v1.1.0"); err != nil {
		t.Fatal(err)
	}
	second := files(t, dir)
	contains(t, "go.mod", second["go.mod"], "example.com/lib v1.3.0 // indirect\n", "example.com/prog/api => example.com/prog/api v1.1.0\n")
	if strings.Contains(second["go.sum"], "lib v1.2.0 h1:") {
		t.Errorf("go.sum still pins what is no longer used:\n%s", second["go.sum"])
	}

	if _, err := update(t, dir, "v1.0.0"); err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(files(t, dir), first) {
		t.Errorf("forwards and backwards is not where it started:\n%v\n%v", first, files(t, dir))
	}
}

func TestUpdateKeepsDecisions(t *testing.T) {
	newUpstream(t)
	dir := newComponent(t, newGoMod+"\nrequire example.com/base v1.0.1 // indirect; CVE-2026-0001\n\nreplace example.com/fork => example.com/forked v1.9.0 // ours\n")
	for _, version := range []string{"v1.0.0", "v1.1.0"} {
		out, err := update(t, dir, version)
		if err != nil {
			t.Fatal(err)
		}
		contains(t, "go.mod", files(t, dir)["go.mod"],
			"example.com/base v1.0.1 // indirect; CVE-2026-0001\n",
			"example.com/fork => example.com/forked v1.9.0 // ours\n")
		contains(t, "output", out, "kept for its comment: require example.com/base v1.0.1", "differs, the README has to say why: example.com/base, upstream v1.0.0, here v1.0.1", "trusted on first use")
	}
}

func TestUpdateRefuses(t *testing.T) {
	for _, test := range []struct {
		name   string
		break_ func(t *testing.T, proxy fakeproxy.Proxy, dir string)
		want   []string
	}{
		{
			name:   "a version that is not there",
			break_: func(*testing.T, fakeproxy.Proxy, string) {},
			want:   []string{"go.mod", "example.com/prog", "v1.1.1"},
		},
		{
			name: "a module that a program needs is missing",
			break_: func(t *testing.T, proxy fakeproxy.Proxy, _ string) {
				proxy.Publish(t, "example.com/prog", "v1.1.1", upstreamFiles(t, "v1.4.0"))
				proxy.Publish(t, "example.com/prog/api", "v1.1.1", map[string]string{"go.mod": "module example.com/prog/api\n", "api.go": "package api\n"})
			},
			want: []string{"prog v1.1.1", "example.com/lib@v1.4.0"},
		},
		{
			name: "a module of a folder of upstream's is not published",
			break_: func(t *testing.T, proxy fakeproxy.Proxy, _ string) {
				proxy.Publish(t, "example.com/prog", "v1.1.1", upstreamFiles(t, "v1.2.0"))
			},
			want: []string{"go.mod", "example.com/prog/api", "./api", "add a replace or exclude line"},
		},
		{
			name: "a hash that differs from the pinned one",
			break_: func(t *testing.T, proxy fakeproxy.Proxy, dir string) {
				proxy.Publish(t, "example.com/prog", "v1.1.1", upstreamFiles(t, "v1.2.0"))
				proxy.Publish(t, "example.com/prog/api", "v1.1.1", map[string]string{"go.mod": "module example.com/prog/api\n", "api.go": "package api\n"})
				proxy.Publish(t, "example.com/lib", "v1.2.0", map[string]string{"go.mod": "module example.com/lib\n\ngo 1.24.0\n\nrequire example.com/base v1.0.0\n", "lib.go": "package lib // other\n"})
				t.Setenv("GOMODCACHE", t.TempDir())
			},
			want: []string{"example.com/lib@v1.2.0", "checksum mismatch", "go.sum"},
		},
		{
			name: "a program that the release does not have",
			break_: func(t *testing.T, proxy fakeproxy.Proxy, _ string) {
				files := upstreamFiles(t, "v1.2.0")
				delete(files, "cmd/prog/main.go")
				proxy.Publish(t, "example.com/prog", "v1.1.1", files)
			},
			want: []string{program, "v1.1.1", "tests only"},
		},
		{
			name: "a Go version that is not locked",
			break_: func(t *testing.T, proxy fakeproxy.Proxy, _ string) {
				files := upstreamFiles(t, "v1.2.0")
				files[".go-version"] = "1.98.0\n"
				proxy.Publish(t, "example.com/prog", "v1.1.1", files)
			},
			want: []string{"Go 1.98.0", ".go-version", "not locked", "update -- go 1.98.0"},
		},
		{
			name: "a program that sets GODEBUG by itself",
			break_: func(t *testing.T, proxy fakeproxy.Proxy, _ string) {
				files := upstreamFiles(t, "v1.2.0")
				files["cmd/prog/main.go"] = "//go:debug panicnil=0\n" + files["cmd/prog/main.go"]
				proxy.Publish(t, "example.com/prog", "v1.1.1", files)
			},
			want: []string{"//go:debug panicnil=0", "cmd/prog/main.go"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			proxy := newUpstream(t)
			dir := newComponent(t, newGoMod)
			if _, err := update(t, dir, "v1.0.0"); err != nil {
				t.Fatal(err)
			}
			before := files(t, dir)
			test.break_(t, proxy, dir)
			_, err := update(t, dir, "v1.1.1")
			if err == nil {
				t.Fatal("no error")
			}
			contains(t, "error", err.Error(), test.want...)
			if !maps.Equal(files(t, dir), before) {
				t.Errorf("the refused update left traces: %v", files(t, dir))
			}
		})
	}
}
