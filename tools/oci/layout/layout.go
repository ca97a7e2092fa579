// Package layout reads the OCI layouts that Bazel hands out.
//
// Their blobs may be links: in sandboxes and runfiles all files are, and rules_oci's own layouts link to the layers.
// go-containerregistry reads no linked blob, to be safe from the layouts of strangers; so reading is done here.
package layout

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// A Layout is a folder that holds one image or one index.
type Layout struct {
	// Descriptor of what it holds.
	Descriptor v1.Descriptor
	dir        string
}

// Open reads the layout at dir.
func Open(dir string) (Layout, error) {
	data, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		return Layout{}, fmt.Errorf("reading the OCI layout %s: %w", dir, err)
	}
	var index v1.IndexManifest
	if err := json.Unmarshal(data, &index); err != nil {
		return Layout{}, fmt.Errorf("reading the OCI layout %s: index.json: %w", dir, err)
	}
	if len(index.Manifests) != 1 {
		return Layout{}, fmt.Errorf("the OCI layout %s holds %d manifests, want 1", dir, len(index.Manifests))
	}
	return Layout{Descriptor: index.Manifests[0], dir: dir}, nil
}

// OpenImage returns the image in the layout at dir.
func OpenImage(dir string) (v1.Image, error) {
	layout, err := Open(dir)
	if err != nil {
		return nil, err
	}
	if !layout.Descriptor.MediaType.IsImage() {
		return nil, fmt.Errorf("the OCI layout %s holds %s, not one image", dir, layout.Descriptor.MediaType)
	}
	return layout.Image()
}

// Digest of what the layout holds, as in sha256:...
func (l Layout) Digest() string { return l.Descriptor.Digest.String() }

// Image returns the image that the layout holds.
func (l Layout) Image() (v1.Image, error) {
	return partial.CompressedToImage(blob{l.dir, l.Descriptor})
}

// Index returns the index that the layout holds.
func (l Layout) Index() (v1.ImageIndex, error) {
	raw, err := blob{l.dir, l.Descriptor}.RawManifest()
	return index{l, raw}, err
}

func open(dir string, digest v1.Hash) (io.ReadCloser, error) {
	return os.Open(filepath.Join(dir, "blobs", digest.Algorithm, digest.Hex))
}

func read(dir string, digest v1.Hash) ([]byte, error) {
	return os.ReadFile(filepath.Join(dir, "blobs", digest.Algorithm, digest.Hex))
}

// blob is a manifest, with what it refers to, or a layer: the parts of go-containerregistry's interfaces that it cannot
// work out itself.
type blob struct {
	dir        string
	descriptor v1.Descriptor
}

func (b blob) MediaType() (types.MediaType, error) { return b.descriptor.MediaType, nil }
func (b blob) Digest() (v1.Hash, error)            { return b.descriptor.Digest, nil }
func (b blob) Size() (int64, error)                { return b.descriptor.Size, nil }
func (b blob) RawManifest() ([]byte, error)        { return read(b.dir, b.descriptor.Digest) }
func (b blob) Compressed() (io.ReadCloser, error)  { return open(b.dir, b.descriptor.Digest) }
func (b blob) Descriptor() (*v1.Descriptor, error) { return &b.descriptor, nil }
func (b blob) Manifest() (*v1.Manifest, error)     { return partial.Manifest(b) }

func (b blob) RawConfigFile() ([]byte, error) {
	manifest, err := b.Manifest()
	if err != nil {
		return nil, err
	}
	return read(b.dir, manifest.Config.Digest)
}

func (b blob) LayerByDigest(digest v1.Hash) (partial.CompressedLayer, error) {
	manifest, err := b.Manifest()
	if err != nil {
		return nil, err
	}
	for _, descriptor := range append(manifest.Layers, manifest.Config) {
		if descriptor.Digest == digest {
			return blob{b.dir, descriptor}, nil
		}
	}
	return nil, fmt.Errorf("%s: image %s has no layer %s", b.dir, b.descriptor.Digest, digest)
}

type index struct {
	layout Layout
	raw    []byte
}

func (i index) MediaType() (types.MediaType, error) { return i.layout.Descriptor.MediaType, nil }
func (i index) Digest() (v1.Hash, error)            { return i.layout.Descriptor.Digest, nil }
func (i index) Size() (int64, error)                { return i.layout.Descriptor.Size, nil }
func (i index) RawManifest() ([]byte, error)        { return i.raw, nil }
func (i index) IndexManifest() (*v1.IndexManifest, error) {
	return v1.ParseIndexManifest(bytes.NewReader(i.raw))
}

func (i index) Image(digest v1.Hash) (v1.Image, error) {
	inner, err := i.find(digest)
	if err != nil {
		return nil, err
	}
	return inner.Image()
}

func (i index) ImageIndex(digest v1.Hash) (v1.ImageIndex, error) {
	inner, err := i.find(digest)
	if err != nil {
		return nil, err
	}
	return inner.Index()
}

func (i index) find(digest v1.Hash) (Layout, error) {
	manifest, err := i.IndexManifest()
	if err != nil {
		return Layout{}, err
	}
	for _, descriptor := range manifest.Manifests {
		if descriptor.Digest == digest {
			return Layout{Descriptor: descriptor, dir: i.layout.dir}, nil
		}
	}
	return Layout{}, fmt.Errorf("%s: index %s has no %s", i.layout.dir, i.layout.Digest(), digest)
}
