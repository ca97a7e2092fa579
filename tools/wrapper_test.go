// Package tools_test tests tools/bazel, the script.
package tools_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// checkout is a copy of what the script needs, with programs on its PATH.
type checkout struct{ dir, path, home string }

func newCheckout(t *testing.T, programs map[string]string) checkout {
	t.Helper()
	c := checkout{dir: t.TempDir(), path: t.TempDir(), home: t.TempDir()}
	script, err := os.ReadFile("bazel")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		filepath.Join(c.dir, "tools", "bazel"):                         string(script),
		filepath.Join(c.dir, ".bazelversion"):                          "7.7.1\n",
		filepath.Join(c.dir, "go.mod"):                                 "module x\n",
		filepath.Join(c.dir, "go.sum"):                                 "",
		filepath.Join(c.dir, "tools", "bazelroot", "main.go"):          "package main\n",
		filepath.Join(c.dir, "tools", "internal", "debian", "lock.go"): "package debian\n",
	}
	for name, text := range programs {
		files[filepath.Join(c.path, name)] = "#!/bin/sh\n" + text + "\n"
	}
	for name, data := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(data), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// call runs tools/bazel with arguments that a shell might split.
func (c checkout) call(t *testing.T, env ...string) (output string, code int) {
	t.Helper()
	cmd := exec.Command(filepath.Join(c.dir, "tools", "bazel"), "build", "a b")
	cmd.Dir = c.home
	// Without the folders that may have a Bazel or a Go.
	cmd.Env = append([]string{"HOME=" + c.home, "PATH=" + c.path + ":" + coreutils(t)}, env...)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// coreutils returns a folder with links to the programs that the script needs.
func coreutils(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"sh", "cat", "chmod", "cut", "dirname", "env", "find", "mkdir", "mv", "sha256sum", "sort", "tail"} {
		file, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(file, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const (
	echoArgs = `for a; do echo "<$a>"; done; exit 3`
	// fakeGo compiles a program that prints its arguments.
	fakeGo = `case $1 in
env) echo https://proxy.test ;;
build) while [ "$1" != -o ]; do shift; done; echo compiled >>"$HOME/log"; printf '#!/bin/sh\nfor a; do echo "<$a>"; done; exit 3\n' >"$2"; chmod +x "$2" ;;
esac`
)

func TestBazelAtHandIsRun(t *testing.T) {
	for name, c := range map[string]struct {
		programs map[string]string
		env      []string
	}{
		"BAZEL_REAL": {map[string]string{"other": echoArgs}, []string{"BAZEL_REAL=other"}},
		"on PATH":    {map[string]string{"bazel": `[ "$1" = --version ] && { echo bazel 7.7.1; exit; }` + "\n" + echoArgs}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			out, code := newCheckout(t, c.programs).call(t, c.env...)
			if out != "<build>\n<a b>\n" || code != 3 {
				t.Errorf("exit code %d, output %q", code, out)
			}
		})
	}
}

func TestOtherVersionIsNotRun(t *testing.T) {
	c := newCheckout(t, map[string]string{"bazel": "echo bazel 4.2.3", "go": fakeGo})
	out, code := c.call(t)
	if code != 3 || !strings.HasSuffix(out, "<"+c.dir+">\n<build>\n<a b>\n") {
		t.Errorf("exit code %d, output %q; want the workspace and the arguments for bazelroot", code, out)
	}
}

func TestProgramIsCompiledOncePerState(t *testing.T) {
	c := newCheckout(t, map[string]string{"go": fakeGo})
	for _, change := range []string{"", "", "package main // changed\n"} {
		if change != "" {
			if err := os.WriteFile(filepath.Join(c.dir, "tools", "bazelroot", "main.go"), []byte(change), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if out, code := c.call(t); code != 3 {
			t.Fatalf("exit code %d, output %q", code, out)
		}
	}
	log, err := os.ReadFile(filepath.Join(c.home, "log"))
	if err != nil || strings.Count(string(log), "compiled") != 2 {
		t.Errorf("compiled %q, %v; want twice", log, err)
	}
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		programs map[string]string
		want     string
	}{
		"neither Bazel nor Go": {nil, "there is neither Bazel 7.7.1 nor Go here"},
		"no proxy": {map[string]string{"go": "[ $1 = env ] && { echo off; exit; }; echo module lookup disabled; exit 1"},
			"module lookup disabled\ntools/bazel: tools/bazelroot did not compile; its modules come from GOPROXY, now off"},
	} {
		t.Run(name, func(t *testing.T) {
			if out, code := newCheckout(t, c.programs).call(t); code != 1 || !strings.Contains(out, c.want) {
				t.Errorf("exit code %d, output %q; want %q", code, out, c.want)
			}
		})
	}
}
