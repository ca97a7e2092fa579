package contents_test

import (
	"archive/tar"
	"bytes"
	"io"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"kubefips.internal/tools/oci/contents"
)

const (
	amd64 = "\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x3e\x00"
	arm64 = "\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
)

func file(name, content string) (tar.Header, string) {
	return tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(content))}, content
}

// archive packs headers with their contents: name, content, name, content...
func archive(t *testing.T, files ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	writer := tar.NewWriter(&out)
	for i := 0; i < len(files); i += 2 {
		header, content := file(files[i], files[i+1])
		if strings.HasSuffix(header.Name, "/") {
			header = tar.Header{Name: header.Name, Typeflag: tar.TypeDir, Mode: 0o755}
		}
		if header.Name == "usr/b" {
			header.PAXRecords = map[string]string{"SCHILY.xattr.security.capability": "\x01\x00", "SCHILY.xattr.a": "b"}
		}
		if err := writer.WriteHeader(&header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(writer, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func build(t *testing.T, architecture string, layers ...[]byte) v1.Image {
	t.Helper()
	built, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{Architecture: architecture, OS: "linux", Config: v1.Config{
		Entrypoint: []string{"/a", "-b"}, User: "65532", Env: []string{"A=1"}, ExposedPorts: map[string]struct{}{"2": {}, "1": {}},
		Labels: map[string]string{
			"kubefips.go":                       "1.26.10",
			"kubefips.module":                   "example.org/a/v2@v2.0.1 b@v1",
			"org.opencontainers.image.licenses": "Apache-2.0 AND MIT",
			"org.opencontainers.image.revision": "c0ffee",
			"org.opencontainers.image.version":  "v1",
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, packed := range layers {
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed)), nil })
		if err != nil {
			t.Fatal(err)
		}
		if built, err = mutate.AppendLayers(built, layer); err != nil {
			t.Fatal(err)
		}
	}
	return built
}

func TestDescribe(t *testing.T) {
	got, err := contents.Describe(build(t, "arm64", archive(t, "usr/", "", "usr/a", arm64), archive(t, "usr/", "", "usr/b", "text")))
	if err != nil {
		t.Fatal(err)
	}
	const want = `user: 65532
workdir:
entrypoint: /a -b
cmd:
env: A=1
ports: 1 2
volumes:
label kubefips.go: *
label kubefips.module: example.org/a/v2@* b@*
label org.opencontainers.image.licenses: Apache-2.0 AND MIT
label org.opencontainers.image.revision: *
label org.opencontainers.image.version: *
drwxr-xr-x 0:0 /usr
-rw-r--r-- 0:0 /usr/a
-rw-r--r-- 0:0 /usr/b a=62 security.capability=0100
`
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestDescribeRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		image v1.Image
		want  string
	}{
		"a program for another architecture": {build(t, "arm64", archive(t, "a", amd64)), "/a is for EM_X86_64, the image for arm64"},
		"an unknown architecture":            {build(t, "riscv64"), `"riscv64"`},
		"a path that two layers share":       {build(t, "amd64", archive(t, "a", "1"), archive(t, "a", "2")), "layer 1: /a is in a layer below"},
		"a file in the place of a folder":    {build(t, "amd64", archive(t, "a/", ""), archive(t, "a", "")), "/a is in a layer below"},
		"a whiteout":                         {build(t, "amd64", archive(t, ".wh.a", "")), "deletes"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := contents.Describe(test.image)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestDiffNamesWhatIsMissingAndWhatIsNot(t *testing.T) {
	got := contents.Diff("/a\n/b\n", "/b\n/c\n")
	if want := "  missing: /a\n  not expected: /c\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := contents.Diff("/a\n/b\n", "/b\n/a\n"); !strings.Contains(got, "another order") {
		t.Errorf("got %q", got)
	}
}

func TestSummary(t *testing.T) {
	layer := archive(t, "a", "1")
	built := build(t, "amd64", layer)
	digest, err := built.Digest()
	if err != nil {
		t.Fatal(err)
	}
	got, err := contents.Summarize("demo", built)
	if err != nil {
		t.Fatal(err)
	}
	if got.Size < 100 || got.Size > 3000 {
		t.Errorf("size %d is not that of manifest, config and layer", got.Size)
	}
	got.Size = 0
	want := contents.Summary{Name: "demo", Version: "v1", Digest: digest.String(), Platform: "linux/amd64"}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
