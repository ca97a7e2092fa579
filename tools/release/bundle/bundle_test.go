package bundle_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	ggcr "github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	oci "kubefips.internal/tools/oci/bundle"
	"kubefips.internal/tools/oci/chart"
	"kubefips.internal/tools/oci/contents"
	"kubefips.internal/tools/oci/layout"
	"kubefips.internal/tools/release/bundle"
)

func image(t *testing.T, name string) string {
	t.Helper()
	dir := t.TempDir()
	made, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), static.NewLayer([]byte(name), types.OCIUncompressedLayer))
	if err == nil {
		made, err = mutate.Config(made, v1.Config{Labels: map[string]string{"org.opencontainers.image.version": "v1"}})
	}
	if err != nil {
		t.Fatal(err)
	}
	path, err := ggcr.Write(dir, empty.Index)
	if err == nil {
		err = path.AppendImage(made)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func packedChart(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	file, packed := filepath.Join(dir, "Chart.yaml"), filepath.Join(dir, "x.tgz")
	if err := os.WriteFile(file, []byte("name: x\nversion: 1.0.0\ndescription: A chart\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	err := errors.Join(
		chart.Pack("x", map[string]string{"Chart.yaml": file}, chart.Values{}, &archive),
		os.WriteFile(packed, archive.Bytes(), 0o644),
		chart.WriteLayout(packed, filepath.Join(dir, "layout")),
	)
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "layout")
}

// build writes a bundle of two images and a chart, and returns it with its list.
func build(t *testing.T) (archive, list []byte) {
	t.Helper()
	var all []oci.Image
	for name, dir := range map[string]string{"etcd": image(t, "etcd"), "coredns": image(t, "coredns"), "charts/x": packedChart(t)} {
		opened, err := layout.OpenImage(dir)
		if err != nil {
			t.Fatal(err)
		}
		summary, err := contents.Summarize(name, opened)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, oci.Image{Summary: summary, Layout: dir})
	}
	var out bytes.Buffer
	if err := oci.Write(all, "registry.example/team", &out); err != nil {
		t.Fatal(err)
	}
	list, err := bundle.List(bytes.NewReader(out.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), list
}

// rewrite copies a bundle file by file; change returns the new content, or nil to leave the file out.
func rewrite(t *testing.T, archive []byte, change func(name string, content []byte) []byte, more ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	writer := tar.NewWriter(&out)
	put := func(name string, content []byte) {
		header := tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(content))}
		if err := writer.WriteHeader(&header); err != nil {
			t.Fatal(err)
		}
		if _, err := writer.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	for files := tar.NewReader(bytes.NewReader(archive)); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(files)
		if err != nil {
			t.Fatal(err)
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		if content = change(header.Name, content); content != nil {
			put(header.Name, content)
		}
	}
	for _, name := range more {
		put(name, []byte("more"))
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func same(_ string, content []byte) []byte { return content }

func TestABundleIsWhatItsListSays(t *testing.T) {
	archive, list := build(t)
	for what, archive := range map[string][]byte{"as built": archive, "copied": rewrite(t, archive, same)} {
		if err := bundle.Check(bytes.NewReader(archive), list); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestAChangedBundleIsRefused(t *testing.T) {
	archive, list := build(t)
	in := func(file string, change func([]byte) []byte) func(string, []byte) []byte {
		return func(name string, content []byte) []byte {
			if strings.HasPrefix(name, file) {
				return change(content)
			}
			return content
		}
	}
	replace := func(old, by string) func([]byte) []byte {
		return func(content []byte) []byte {
			return bytes.ReplaceAll(content, []byte(old), []byte(by))
		}
	}
	for name, test := range map[string]struct {
		archive []byte
		want    string
	}{
		"a changed blob":       {rewrite(t, archive, in("blobs/", func(content []byte) []byte { return append(content, ' ') })), "has the sha256"},
		"a missing blob":       {rewrite(t, archive, in("blobs/", func([]byte) []byte { return nil })), "is missing"},
		"one more blob":        {rewrite(t, archive, same, "blobs/sha256/187897ce0afcf20b50ba2b37dca84a951b7046f29ed5ab94f010619f69d6e189"), "belongs to nothing"},
		"one more file":        {rewrite(t, archive, same, "install.sh"), "install.sh belongs to nothing"},
		"a file twice":         {rewrite(t, archive, same, "index.json"), "index.json is not a file, or is there twice"},
		"a changed chart":      {rewrite(t, archive, in("charts/", func(content []byte) []byte { return append(content, ' ') })), "charts/x-1.0.0.tgz is not the chart"},
		"one more chart":       {rewrite(t, archive, same, "charts/y-1.0.0.tgz"), "charts/y-1.0.0.tgz is not the chart"},
		"another name":         {rewrite(t, archive, in("index.json", replace("team/etcd:v1", "team/coredns:v1"))), "is called registry.example/team/coredns:v1"},
		"another version":      {rewrite(t, archive, in("index.json", replace("team/etcd:v1", "team/etcd:v2"))), "is called registry.example/team/etcd:v2"},
		"another list":         {rewrite(t, archive, in("digests.json", func(content []byte) []byte { return append(content, ' ') })), "not the list that was verified"},
		"an unlisted manifest": {rewrite(t, archive, in("index.json", replace(`"manifests":[`, `"manifests":[{"mediaType":"x","size":1,"digest":"sha256:187897ce0afcf20b50ba2b37dca84a951b7046f29ed5ab94f010619f69d6e189"},`))), "is not on the list"},
	} {
		if err := bundle.Check(bytes.NewReader(test.archive), list); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got error %v, want %q", name, err, test.want)
		}
	}
	if _, err := bundle.List(bytes.NewReader(rewrite(t, archive, in("digests.json", func([]byte) []byte { return nil })))); err == nil || !strings.Contains(err.Error(), "no digests.json") {
		t.Errorf("no list: got error %v", err)
	}
}
