package reproducibility_test

import (
	"bytes"
	"debug/elf"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kubefips.internal/tests/reproducibility"
)

func TestCompare(t *testing.T) {
	program := self(t)
	for name, c := range map[string]struct {
		first, second []byte
		want          string // "" when equal
	}{
		"equal":                {program, program, ""},
		"a section":            {program, inRodata(t, program), "ELF sections that differ: .rodata"},
		"outside all sections": {program, flipped(program, 8), "first difference at byte 8"},
		"a byte":               {[]byte("abc"), []byte("abd"), "first difference at byte 2"},
		"the size":             {[]byte("abc"), []byte("ab"), "sizes are 3 and 2"},
	} {
		t.Run(name, func(t *testing.T) {
			dirs := [2]string{t.TempDir(), t.TempDir()}
			for i, content := range [][]byte{c.first, c.second} {
				if err := os.WriteFile(filepath.Join(dirs[i], "file"), content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			err := reproducibility.Compare(dirs[0], dirs[1])
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), "file: ") || !strings.HasSuffix(err.Error(), c.want)) {
				t.Errorf("Compare = %v, want %q", err, c.want)
			}
		})
	}
}

func TestCompareNamesAFileOfOneSide(t *testing.T) {
	dirs := [2]string{t.TempDir(), t.TempDir()}
	if err := os.WriteFile(filepath.Join(dirs[1], "added"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := reproducibility.Compare(dirs[0], dirs[1]); err == nil || !strings.Contains(err.Error(), "added") {
		t.Errorf("Compare = %v, want an error that names the file", err)
	}
}

// self is this test's program.
func self(t *testing.T) []byte {
	t.Helper()
	file, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return program
}

func flipped(b []byte, i int) []byte {
	b = bytes.Clone(b)
	b[i] ^= 1
	return b
}

// inRodata returns a program with one bit of its .rodata changed.
func inRodata(t *testing.T, program []byte) []byte {
	t.Helper()
	file, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	return flipped(program, int(file.Section(".rodata").Offset)+100)
}
