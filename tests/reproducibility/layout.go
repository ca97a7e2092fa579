package reproducibility

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// isLayout says whether a folder is an OCI layout.
func isLayout(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "oci-layout"))
	return err == nil
}

// compareLayouts compares two OCI layouts of one image. Equal ones are known by their index, which has the digest of all else.
func compareLayouts(first, second string) error {
	index := Compare(filepath.Join(first, "index.json"), filepath.Join(second, "index.json"))
	if index == nil {
		return nil
	}
	a, err := manifest(first)
	b, err2 := manifest(second)
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	if len(a.Layers) != len(b.Layers) {
		return fmt.Errorf("%d layers and %d", len(a.Layers), len(b.Layers))
	}
	var different []error
	for i, layer := range a.Layers {
		if err := compareBlobs(first, second, layer, b.Layers[i]); err != nil {
			different = append(different, fmt.Errorf("layer %d of %d: %w", i+1, len(a.Layers), err))
		}
	}
	if len(different) > 0 {
		return errors.Join(different...) // the configuration names the layers, so it differs with them
	}
	if err := compareBlobs(first, second, a.Config, b.Config); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	return fmt.Errorf("layers and configuration are equal; index.json: %w", index)
}

func compareBlobs(first, second string, a, b v1.Descriptor) error {
	if a.Digest == b.Digest {
		return nil
	}
	return Compare(blob(first, a.Digest), blob(second, b.Digest))
}

func blob(dir string, h v1.Hash) string { return filepath.Join(dir, "blobs", h.Algorithm, h.Hex) }

// manifest reads the manifest of a layout's one image.
func manifest(dir string) (*v1.Manifest, error) {
	content, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		return nil, err
	}
	index, err := v1.ParseIndexManifest(bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, "index.json"), err)
	}
	if len(index.Manifests) != 1 {
		return nil, fmt.Errorf("%s: %d images, want one", dir, len(index.Manifests))
	}
	file := blob(dir, index.Manifests[0].Digest)
	if content, err = os.ReadFile(file); err != nil {
		return nil, err
	}
	m, err := v1.ParseManifest(bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return m, nil
}
