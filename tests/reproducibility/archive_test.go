package reproducibility_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/klauspost/compress/zstd"

	"kubefips.internal/tests/internal/image"
	"kubefips.internal/tests/reproducibility"
)

// A file is an entry of an archive, and its content.
type file struct {
	tar.Header
	content []byte
}

func archive(t *testing.T, files []file) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		f.Size = int64(len(f.content))
		if err := w.WriteHeader(&f.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(f.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func compressed(t *testing.T, format string, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch format {
	case ".tar":
		return content
	case ".tar.gz":
		w = gzip.NewWriter(&b)
	case ".tar.zst":
		z, err := zstd.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		w = z
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestArchives(t *testing.T) {
	files := func(change func([]file) []file) []file {
		return change([]file{
			{tar.Header{Name: "bin/program", Mode: 0o755, ModTime: time.Unix(0, 0)}, []byte("program")},
			{tar.Header{Name: "bin/link", Mode: 0o777, Typeflag: tar.TypeSymlink, Linkname: "program", ModTime: time.Unix(0, 0)}, nil},
			{tar.Header{Name: "etc/text", Mode: 0o644, ModTime: time.Unix(0, 0)}, []byte("abc")},
		})
	}
	for name, c := range map[string]struct {
		change func(f []file) []file
		want   string // "" when equal
	}{
		"equal":  {func(f []file) []file { return f }, ""},
		"a byte": {func(f []file) []file { f[2].content = []byte("abd"); return f }, "etc/text: contents: first difference at byte 2"},
		"mode":   {func(f []file) []file { f[0].Mode = 0o4755; return f }, "bin/program: mode 0755 and 4755"},
		"owner":  {func(f []file) []file { f[0].Uid, f[0].Uname = 1000, "me"; return f }, "bin/program: owner 0:0 and 1000:0 me:"},
		"time":   {func(f []file) []file { f[2].ModTime = time.Unix(1, 0); return f }, "etc/text: time 1970-01-01T00:00:00Z and 1970-01-01T00:00:01Z"},
		"link":   {func(f []file) []file { f[1].Linkname = "text"; return f }, "bin/link: link program and text"},
		"type":   {func(f []file) []file { f[2].Typeflag, f[2].content = tar.TypeDir, nil; return f }, "etc/text: type 0 and 5, contents: sizes are 3 and 0"},
		"capability": {func(f []file) []file { f[0].PAXRecords = map[string]string{"SCHILY.xattr.user.a": "b"}; return f },
			`bin/program: attributes map[] and map["SCHILY.xattr.user.a":"b"]`},
		"missing": {func(f []file) []file { return f[:2] }, "etc/text (missing)"},
		"added":   {func(f []file) []file { return append(f, file{tar.Header{Name: "etc/more"}, nil}) }, "etc/more (added)"},
		"two":     {func(f []file) []file { f[0].Mode, f[2].Mode = 0, 0; return f }, "bin/program: mode 0755 and 0000\n\tetc/text: mode 0644 and 0000"},
		"order": {func(f []file) []file { slices.Reverse(f); return f },
			"order: number 1 is bin/program and etc/text"},
		"many": {func(f []file) []file {
			for i := range 12 {
				f = append(f, file{tar.Header{Name: fmt.Sprint("more-", i)}, nil})
			}
			return f
		}, "more-9 (added)\n\tand 2 more entries"},
	} {
		for _, format := range []string{".tar", ".tar.gz", ".tar.zst"} {
			t.Run(name+format, func(t *testing.T) {
				first := compressed(t, format, archive(t, files(func(f []file) []file { return f })))
				second := compressed(t, format, archive(t, files(c.change)))
				err := compare(t, first, second)
				if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasSuffix(err.Error(), c.want)) {
					t.Errorf("Compare = %v, want %q", err, c.want)
				}
			})
		}
	}
}

func TestArchivesThatDifferOutsideTheirEntries(t *testing.T) {
	plain := archive(t, []file{{tar.Header{Name: "a"}, []byte("abc")}})
	first := compressed(t, ".tar.gz", plain)
	second := bytes.Clone(first)
	second[4] = 1 // gzip's own time
	if err := compare(t, first, second); err == nil || !strings.HasSuffix(err.Error(), "first difference at byte 4") {
		t.Errorf("Compare = %v, want the byte", err)
	}
}

func TestLayouts(t *testing.T) {
	lower, program := image.File{Name: "lower", Content: []byte("x")}, image.File{Name: "bin/program", Content: self(t)}
	changed, writable := program, program
	changed.Content = inRodata(t, changed.Content)
	writable.Mode = 0o777
	write := func(config v1.Config, files ...image.File) string {
		dir := t.TempDir()
		var layers []v1.Layer
		for _, f := range files {
			layers = append(layers, image.Layer(t, []image.File{f}))
		}
		image.WriteLayout(t, dir, image.New(t, config, layers...))
		return dir
	}
	first := write(v1.Config{}, lower, program)
	for name, c := range map[string]struct {
		second string
		want   []string // in this order; none when equal
	}{
		"equal":     {write(v1.Config{}, lower, program), nil},
		"a section": {write(v1.Config{}, lower, changed), []string{"layer 2 of 2: sha256 ", "bin/program: contents: ELF sections that differ: .rodata"}},
		"mode":      {write(v1.Config{}, lower, writable), []string{"layer 2 of 2: sha256 ", "bin/program: mode 0755 and 0777"}},
		"both layers": {write(v1.Config{}, writable, changed),
			[]string{"layer 1 of 2: ", "lower (missing)", "bin/program (added)", "layer 2 of 2: ", "ELF sections that differ: .rodata"}},
		"fewer layers":  {write(v1.Config{}, lower), []string{"2 layers and 1"}},
		"configuration": {write(v1.Config{User: "me"}, lower, program), []string{"configuration: sha256 ", "first difference at byte "}},
	} {
		t.Run(name, func(t *testing.T) {
			err := reproducibility.Compare(first, c.second)
			if len(c.want) == 0 && err != nil || len(c.want) > 0 && err == nil {
				t.Fatalf("Compare = %v, want %q", err, c.want)
			}
			rest := fmt.Sprint(err)
			for _, want := range c.want {
				_, after, found := strings.Cut(rest, want)
				if !found {
					t.Fatalf("Compare = %v, want %q", err, c.want)
				}
				rest = after
			}
		})
	}
}

func TestLayoutWithoutOneOfItsBlobs(t *testing.T) {
	dirs := [2]string{t.TempDir(), t.TempDir()}
	for i, dir := range dirs {
		image.WriteLayout(t, dir, image.New(t, v1.Config{}, image.Layer(t, []image.File{{Name: fmt.Sprint(i), Content: []byte("x")}})))
	}
	if err := os.RemoveAll(filepath.Join(dirs[1], "blobs")); err != nil {
		t.Fatal(err)
	}
	if err := reproducibility.Compare(dirs[0], dirs[1]); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("Compare = %v, want that a blob is not there", err)
	}
}

// compare compares two files.
func compare(t *testing.T, contents ...[]byte) error {
	t.Helper()
	var paths []string
	for _, content := range contents {
		paths = append(paths, filepath.Join(t.TempDir(), "file"))
		if err := os.WriteFile(paths[len(paths)-1], content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return reproducibility.Compare(paths[0], paths[1])
}
