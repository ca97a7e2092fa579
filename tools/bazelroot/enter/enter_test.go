package enter_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kubefips.internal/tools/bazelroot/enter"
)

// The test binary plays two more roles: the wrapper that enters a root, and
// the program that looks around in it.
const (
	wrapperArg = "act-as-wrapper"
	programArg = "act-as-program"
)

func TestMain(m *testing.M) {
	err := enter.Child()
	switch {
	case err != nil:
	case len(os.Args) > 2 && os.Args[1] == wrapperArg:
		var s enter.Spec
		if err = json.Unmarshal([]byte(os.Args[2]), &s); err == nil {
			var code int
			if code, err = enter.Run(&s); err == nil {
				os.Exit(code)
			}
		}
	case len(os.Args) > 1 && os.Args[1] == programArg:
		if err = lookAround(); err == nil {
			os.Exit(7)
		}
	default:
		os.Exit(m.Run())
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// view is what the program sees.
type view struct {
	Dir, File, Tree, HostEtc string
	Link                     string
	UID                      int
	Usr, Kept                []string
	WroteTree, WroteRoot     bool
	Env                      []string
	Proc                     bool
}

func lookAround() error {
	v := view{UID: os.Getuid(), Env: os.Environ()}
	v.Dir, _ = os.Getwd()
	read := func(name string) string {
		data, _ := os.ReadFile(name)
		return string(data)
	}
	v.File = read(enter.Private + "/file")
	v.Tree = read("/bin/tool")
	v.HostEtc = read(enter.HostEtc + "/passwd")
	v.Link, _ = os.Readlink("/bin")
	for dir, names := range map[string]*[]string{"/usr": &v.Usr, ".": &v.Kept} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			*names = append(*names, e.Name())
		}
	}
	v.WroteTree = os.WriteFile("/usr/new", nil, 0o644) == nil
	v.WroteRoot = os.WriteFile("/new", nil, 0o644) == nil
	_, err := os.Stat(fmt.Sprintf("/proc/%d/exe", os.Getpid()))
	v.Proc = err == nil
	return json.NewEncoder(os.Stdout).Encode(v)
}

// newSpec describes a call of this test binary in a small tree.
func newSpec(t *testing.T) *enter.Spec {
	t.Helper()

	root, work := t.TempDir(), t.TempDir()
	for name, data := range map[string]string{"usr/bin/tool": "the tree's", "etc/os-release": ""} {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("usr/bin", filepath.Join(root, "bin")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(work, "kept"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &enter.Spec{
		Root:       root,
		MountPoint: t.TempDir(),
		Files:      map[string][]byte{"file": []byte("this call's")},
		Dirs:       []string{work},
		Path:       self,
		Args:       []string{"program", programArg},
		Env:        []string{"ONLY=this"},
		Dir:        work,
	}
}

// run enters the root in another process and returns its output and error.
func run(t *testing.T, s *enter.Spec) (stdout, stderr string, code int) {
	t.Helper()
	arg, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, wrapperArg, string(arg))
	var out, errOut strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errOut.String(), cmd.ProcessState.ExitCode()
}

func TestProgramSeesTheTreeAndTheMachinesFiles(t *testing.T) {
	s := newSpec(t)
	stdout, stderr, code := run(t, s)
	if code != 7 {
		t.Fatalf("exit code %d, want the program's 7\n%s", code, stderr)
	}
	var v view
	if err := json.Unmarshal([]byte(stdout), &v); err != nil {
		t.Fatal(err)
	}
	passwd, err := os.ReadFile("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	for what, ok := range map[string]bool{
		"starts in its directory":             v.Dir == s.Dir,
		"sees this call's files":              v.File == "this call's",
		"sees the tree, through its links":    v.Tree == "the tree's" && v.Link == "usr/bin",
		"sees nothing of the machine's /usr":  slices.Equal(v.Usr, []string{"bin"}),
		"sees the machine's /etc at its side": v.HostEtc == string(passwd),
		"sees the machine's other files":      slices.Equal(v.Kept, []string{"kept"}),
		"cannot change the tree":              !v.WroteTree,
		"cannot change the root":              !v.WroteRoot,
		"has the given environment only":      slices.Equal(v.Env, s.Env),
		"finds itself in /proc":               v.Proc,
		"stays who it is":                     v.UID == os.Getuid(),
	} {
		if !ok {
			t.Errorf("not true: %s\n%+v", what, v)
		}
	}
	if left, err := os.ReadDir(s.MountPoint); err != nil || len(left) > 0 {
		t.Errorf("mount point has %v, %v; want nothing", left, err)
	}
	if _, err := os.Stat(filepath.Join(s.Root, "usr", "new")); err == nil {
		t.Error("the tree was written to")
	}
}

func TestFailedCheckStopsTheCall(t *testing.T) {
	s := newSpec(t)
	s.Check = []string{s.Path, wrapperArg, "{"}
	stdout, stderr, code := run(t, s)
	if code != 1 || stdout != "" {
		t.Errorf("exit code %d, output %q; want 1 and nothing", code, stdout)
	}
	for _, want := range []string{"does not allow the namespaces", "unexpected end of JSON", "--privileged", "BAZEL_REAL"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("%q is not in: %s", want, stderr)
		}
	}
}

func TestDirectoryOfTheOperatingSystemIsRefused(t *testing.T) {
	s := newSpec(t)
	s.Dirs = []string{"/usr/share"}
	if _, stderr, code := run(t, s); code != 1 || !strings.Contains(stderr, "move it out of the operating system's directories") ||
		strings.Contains(stderr, "namespaces") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}
