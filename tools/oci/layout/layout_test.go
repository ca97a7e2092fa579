package layout_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	ggcr "github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"kubefips.internal/tools/oci/layout"
)

// linked writes a layout with what add adds, and returns a folder in which each of its files is a link, as in a sandbox.
func linked(t *testing.T, add func(ggcr.Path) error) string {
	t.Helper()
	real, links := t.TempDir(), t.TempDir()
	written, err := ggcr.Write(real, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := add(written); err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(real, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		link := filepath.Join(links, strings.TrimPrefix(path, real))
		if entry.IsDir() {
			return os.MkdirAll(link, 0o755)
		}
		return os.Symlink(path, link)
	})
	if err != nil {
		t.Fatal(err)
	}
	return links
}

func TestLinkedImageIsReadWhole(t *testing.T) {
	want, err := random.Image(1000, 3)
	if err != nil {
		t.Fatal(err)
	}
	got, err := layout.OpenImage(linked(t, func(path ggcr.Path) error { return path.AppendImage(want) }))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(got); err != nil {
		t.Error(err)
	}
}

func TestLinkedIndexIsReadWhole(t *testing.T) {
	want, err := random.Index(1000, 2, 2)
	if err != nil {
		t.Fatal(err)
	}
	dir := linked(t, func(path ggcr.Path) error { return path.AppendIndex(want) })
	opened, err := layout.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	got, err := opened.Index()
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(got); err != nil {
		t.Error(err)
	}
	if _, err := layout.OpenImage(dir); err == nil || !strings.Contains(err.Error(), "not one image") {
		t.Errorf("OpenImage of an index: got error %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	for index, want := range map[string]string{
		"":                 "no such file",
		"{":                "index.json",
		`{"manifests":[]}`: "holds 0 manifests",
	} {
		dir := t.TempDir()
		if index != "" {
			if err := os.WriteFile(filepath.Join(dir, "index.json"), []byte(index), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := layout.Open(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("index.json %q: got error %v, want one with %q", index, err, want)
		}
	}
}

func TestAssembleTakesTheFilesOfAnImageAndMissesNone(t *testing.T) {
	image, err := random.Image(100, 2)
	if err != nil {
		t.Fatal(err)
	}
	source := linked(t, func(path ggcr.Path) error { return path.AppendImage(image) })
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	manifest := filepath.Join(source, "blobs", "sha256", digest.Hex)
	files, err := filepath.Glob(filepath.Join(source, "blobs", "sha256", "*"))
	if err != nil {
		t.Fatal(err)
	}
	blobs := slices.DeleteFunc(files, func(file string) bool { return file == manifest })
	dir := t.TempDir()
	if err := layout.Assemble(manifest, blobs, dir); err != nil {
		t.Fatal(err)
	}
	back, err := layout.OpenImage(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(back); err != nil {
		t.Error(err)
	}
	if got, err := back.Digest(); err != nil || got != digest {
		t.Errorf("got %s, %v, want %s", got, err, digest)
	}
	if err := layout.Assemble(manifest, blobs[1:], t.TempDir()); err == nil || !strings.Contains(err.Error(), "no file has this digest") {
		t.Errorf("without a blob: got error %v", err)
	}
}
