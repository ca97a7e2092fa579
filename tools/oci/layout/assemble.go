package layout

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	ggcr "github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Assemble writes the layout of an image to dir from files: its manifest, and every blob that the manifest names.
func Assemble(manifest string, blobs []string, dir string) error {
	raw, err := os.ReadFile(manifest)
	if err != nil {
		return err
	}
	parsed, err := v1.ParseManifest(bytes.NewReader(raw))
	if err != nil {
		return fmt.Errorf("%s: %w", manifest, err)
	}
	target, err := ggcr.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	written := map[v1.Hash]bool{}
	for _, file := range append([]string{manifest}, blobs...) {
		digest, err := addFile(target, file)
		if err != nil {
			return err
		}
		written[digest] = true
	}
	for _, blob := range append(parsed.Layers, parsed.Config) {
		if !written[blob.Digest] {
			return fmt.Errorf("%s names %s, and no file has this digest", manifest, blob.Digest)
		}
	}
	digest, size, err := v1.SHA256(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	kind := parsed.MediaType
	if kind == "" { // an older manifest need not say what it is
		kind = types.OCIManifestSchema1
	}
	return target.AppendDescriptor(v1.Descriptor{MediaType: kind, Size: size, Digest: digest})
}

func addFile(target ggcr.Path, name string) (digest v1.Hash, err error) {
	file, err := os.Open(name)
	if err != nil {
		return digest, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if digest, _, err = v1.SHA256(file); err != nil {
		return digest, err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return digest, err
	}
	return digest, target.WriteBlob(digest, io.NopCloser(file))
}
