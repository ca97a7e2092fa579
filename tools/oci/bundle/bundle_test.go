package bundle_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"kubefips.internal/tools/oci/bundle"
	"kubefips.internal/tools/oci/chart"
	"kubefips.internal/tools/oci/contents"
	"kubefips.internal/tools/oci/layer"
	oci "kubefips.internal/tools/oci/layout"
)

// image writes an image of two layers, of which the lower is in every image.
func image(t *testing.T, name, version string) bundle.Image {
	t.Helper()
	lower, upper := static.NewLayer([]byte("shared"), types.OCIUncompressedLayer), static.NewLayer([]byte(name), types.OCIUncompressedLayer)
	made, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), lower, upper)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := made.Digest()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path, err := layout.Write(dir, empty.Index)
	if err == nil {
		err = path.AppendImage(made)
	}
	if err != nil {
		t.Fatal(err)
	}
	return bundle.Image{Summary: contents.Summary{Name: name, Version: version, Digest: digest.String(), Platform: "linux/amd64"}, Layout: dir}
}

func TestBundleNamesEachImageAndSharesLayers(t *testing.T) {
	images := []bundle.Image{image(t, "coredns", "v1.15.0"), image(t, "etcd", "v3.7.3")}
	var out, again bytes.Buffer
	for _, target := range []*bytes.Buffer{&out, &again} {
		if err := bundle.Write(images, "registry.example/team", target); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(out.Bytes(), again.Bytes()) {
		t.Error("two bundles of the same images differ")
	}
	var index v1.IndexManifest
	blobs := 0
	for archive := tar.NewReader(&out); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Name == "index.json" {
			if err := json.NewDecoder(archive).Decode(&index); err != nil {
				t.Fatal(err)
			}
		}
		if strings.HasPrefix(header.Name, "blobs/sha256/") && header.Typeflag == tar.TypeReg {
			blobs++
		}
	}
	// For each image a manifest, a config and a layer; one layer for both.
	if blobs != 7 {
		t.Errorf("%d blobs, want 7", blobs)
	}
	var names []string
	for _, manifest := range index.Manifests {
		names = append(names, manifest.Annotations["io.containerd.image.name"])
	}
	want := "registry.example/team/coredns:v1.15.0 registry.example/team/coredns@" + images[0].Digest +
		" registry.example/team/etcd:v3.7.3 registry.example/team/etcd@" + images[1].Digest
	if got := strings.Join(names, " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestBundleHasChartsAndTheListBesideTheImages(t *testing.T) {
	dir := t.TempDir()
	packed := filepath.Join(dir, "packed.tgz")
	var archive bytes.Buffer
	spec := layer.Spec{Compression: "gzip", Entries: []layer.Entry{{Path: "/x/Chart.yaml", Source: filepath.Join(dir, "Chart.yaml"), Mode: "0644"}}}
	err := errors.Join(
		os.WriteFile(spec.Entries[0].Source, []byte("name: x\nversion: 1.0.0\ndescription: A chart\n"), 0o644),
		layer.Write(spec, &archive),
		os.WriteFile(packed, archive.Bytes(), 0o644),
		chart.WriteLayout(packed, filepath.Join(dir, "layout")),
	)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := oci.OpenImage(filepath.Join(dir, "layout"))
	if err != nil {
		t.Fatal(err)
	}
	summary, err := contents.Summarize("charts/x", opened)
	if err != nil {
		t.Fatal(err)
	}
	etcd := image(t, "etcd", "v3.7.3")
	var out bytes.Buffer
	if err := bundle.Write([]bundle.Image{etcd, {Summary: summary, Layout: filepath.Join(dir, "layout")}}, "registry.example/team", &out); err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for archive := tar.NewReader(&out); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[header.Name], err = io.ReadAll(archive); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(files["charts/x-1.0.0.tgz"], archive.Bytes()) {
		t.Error("charts/x-1.0.0.tgz is not the packed chart")
	}
	if files["blobs/sha256/"+strings.TrimPrefix(summary.Digest, "sha256:")] == nil {
		t.Error("the chart's manifest is not in the bundle")
	}
	var index v1.IndexManifest
	if err := json.Unmarshal(files["index.json"], &index); err != nil {
		t.Fatal(err)
	}
	for _, manifest := range index.Manifests {
		if manifest.Digest.String() == summary.Digest && len(manifest.Annotations) != 0 {
			t.Errorf("the chart is named, so containerd takes it for an image: %v", manifest.Annotations)
		}
	}
	var list contents.Digests
	if err := json.Unmarshal(files[bundle.Digests], &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Images) != 1 || list.Images[0] != etcd.Summary || len(list.Charts) != 1 || list.Charts[0] != summary {
		t.Errorf("the list is %+v", list)
	}
}

func TestBundleRefusesAnImageWithoutAVersion(t *testing.T) {
	err := bundle.Write([]bundle.Image{image(t, "etcd", "")}, "registry.example/team", io.Discard)
	if err == nil || !strings.Contains(err.Error(), "image etcd has no version") {
		t.Errorf("got error %v", err)
	}
}
