package toolchain_test

import (
	"bytes"
	"debug/elf"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/bazelbuild/rules_go/go/runfiles"
)

// printed is what each program prints: no folder but the tree's own, and a library whose code is its header's.
var printed = regexp.MustCompile(`^(tests/cc/)?(c_program\.c|cgo_program\.go|cgo_program\.cgo2\.c|_cgo_gotypes\.go): zlib ([0-9.]+), header ([0-9.]+)\n$`)

// hostPaths are what the machine's files, Bazel's folders and temporary folders have in their names.
var hostPaths = [][]byte{[]byte("/execroot/"), []byte("/sandbox/"), []byte("/external/"), []byte("/tmp/"), []byte("/usr/include"), []byte("/usr/lib/gcc")}

func TestProgramsAreStaticAndRun(t *testing.T) {
	for _, location := range strings.Fields(os.Getenv("PROGRAMS")) {
		t.Run(location[strings.LastIndex(location, "/")+1:], func(t *testing.T) {
			file := rlocation(t, location)
			binary, err := elf.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer binary.Close()

			want, command := elf.EM_X86_64, exec.Command(file)
			if strings.HasSuffix(location, "_arm64") {
				want, command = elf.EM_AARCH64, exec.Command(rlocation(t, os.Getenv("QEMU_ARM64")), file)
			}
			if binary.Machine != want {
				t.Errorf("machine %v, want %v", binary.Machine, want)
			}
			for _, program := range binary.Progs {
				if program.Type == elf.PT_INTERP || program.Type == elf.PT_DYNAMIC {
					t.Errorf("not static: it has a %v segment", program.Type)
				}
			}
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, path := range hostPaths {
				if at := bytes.Index(content, path); at >= 0 {
					t.Errorf("a path of the machine is inside: %q", content[max(0, at-40):min(len(content), at+60)])
				}
			}
			out, err := command.CombinedOutput()
			if err != nil {
				t.Fatalf("running it: %v\n%s", err, out)
			}
			if m := printed.FindSubmatch(out); m == nil || !bytes.Equal(m[3], m[4]) {
				t.Errorf("it printed %q, want a match of %s with equal versions", out, printed)
			}
		})
	}
}

// Every action runs in the sandbox that this test runs in, so the programs above were compiled without these. Bazel puts
// an empty file or folder in their place, which root can open.
func TestSandboxHidesTheHostsCompiler(t *testing.T) {
	for _, path := range []string{"/usr/bin/gcc", "/usr/include", "/usr/lib/gcc"} {
		content, err := os.ReadFile(path)
		if errors.Is(err, syscall.EISDIR) {
			var entries []os.DirEntry
			entries, err = os.ReadDir(path)
			for _, e := range entries {
				content = append(content, e.Name()...)
			}
		}
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		case err != nil:
			t.Errorf("%s: %v", path, err)
		case len(content) > 0:
			t.Errorf("%s can be read; see --sandbox_block_path in .bazelrc", path)
		}
	}
}

func rlocation(t *testing.T, location string) string {
	t.Helper()
	file, err := runfiles.Rlocation(location)
	if err != nil {
		t.Fatal(err)
	}
	return file
}
