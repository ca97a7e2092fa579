// Package bundle holds //images:bundle to a list of digests: all that the list names is in it, and nothing else.
package bundle

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"kubefips.internal/tools/oci/bundle"
	"kubefips.internal/tools/oci/contents"
)

const (
	blobs  = "blobs/sha256/"
	charts = "charts/"
	name   = "io.containerd.image.name"
	// A manifest, an index or a list that is larger is none of ours.
	limit = 1 << 20
)

// List reads the list of digests in a bundle.
func List(archive io.Reader) ([]byte, error) {
	for files := tar.NewReader(archive); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("there is no %s in it: is this what //images:bundle writes?", bundle.Digests)
		}
		if err != nil {
			return nil, err
		}
		if header.Name == bundle.Digests {
			return read(files, header)
		}
	}
}

func read(file io.Reader, header *tar.Header) ([]byte, error) {
	if header.Size > limit {
		return nil, fmt.Errorf("%s has %d bytes, more than %d", header.Name, header.Size, limit)
	}
	return io.ReadAll(file)
}

// found is what a bundle holds, by sha256.
type found struct {
	blobs  map[string]int64  // size
	small  map[string][]byte // content of blobs that may be manifests
	charts map[string]string // of files, name -> sha256
	index  v1.IndexManifest
}

// Check reads a bundle, and compares every byte of it with the list.
func Check(archive io.Reader, list []byte) error {
	var listed contents.Digests
	if err := json.Unmarshal(list, &listed); err != nil {
		return fmt.Errorf("%s: %w", bundle.Digests, err)
	}
	inside, err := scan(archive, list)
	if err != nil {
		return err
	}
	reached := map[string]bool{}
	for _, each := range append(slices.Clone(listed.Images), listed.Charts...) {
		if err := inside.reach(each, reached); err != nil {
			return fmt.Errorf("%s: %w", each.Name, err)
		}
	}
	for _, blob := range slices.Sorted(maps.Keys(inside.blobs)) {
		if !reached[blob] {
			return fmt.Errorf("%s%s belongs to nothing that the list names", blobs, blob)
		}
	}
	for file, digest := range inside.charts {
		if !reached[digest] {
			return fmt.Errorf("%s is not the chart that the list names", file)
		}
	}
	return inside.checkNames(listed)
}

// scan reads the whole archive once.
func scan(archive io.Reader, list []byte) (*found, error) {
	inside := &found{blobs: map[string]int64{}, small: map[string][]byte{}, charts: map[string]string{}}
	seen := map[string]bool{}
	for files := tar.NewReader(archive); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return inside, nil
		}
		if err != nil {
			return nil, err
		}
		if header.Typeflag == tar.TypeDir {
			continue
		}
		if header.Typeflag != tar.TypeReg || seen[header.Name] {
			return nil, fmt.Errorf("%s is not a file, or is there twice", header.Name)
		}
		seen[header.Name] = true
		if err := inside.add(header, files, list); err != nil {
			return nil, err
		}
	}
}

func (f *found) add(header *tar.Header, file io.Reader, list []byte) error {
	digest, isBlob := strings.CutPrefix(header.Name, blobs)
	switch {
	case isBlob || strings.HasPrefix(header.Name, charts):
		var content bytes.Buffer
		sum := sha256.New()
		out := io.Writer(sum)
		if header.Size <= limit {
			out = io.MultiWriter(sum, &content)
		}
		if _, err := io.Copy(out, file); err != nil {
			return err
		}
		actual := fmt.Sprintf("%x", sum.Sum(nil))
		if !isBlob {
			f.charts[header.Name] = actual
			return nil
		}
		if actual != digest {
			return fmt.Errorf("%s has the sha256 %s", header.Name, actual)
		}
		f.blobs[digest] = header.Size
		if header.Size <= limit {
			f.small[digest] = content.Bytes()
		}
		return nil
	case header.Name == "oci-layout":
		return nil
	}
	content, err := read(file, header)
	if err != nil {
		return err
	}
	switch header.Name {
	case "index.json":
		if err := json.Unmarshal(content, &f.index); err != nil {
			return fmt.Errorf("index.json: %w", err)
		}
		return nil
	case bundle.Digests:
		if !bytes.Equal(content, list) {
			return fmt.Errorf("%s in it is not the list that was verified", header.Name)
		}
		return nil
	}
	return fmt.Errorf("%s belongs to nothing that the list names", header.Name)
}

// reach notes the blobs of an image or a chart, and fails when one is missing.
func (f *found) reach(each contents.Summary, reached map[string]bool) error {
	digest := strings.TrimPrefix(each.Digest, "sha256:")
	raw, exists := f.small[digest]
	if !exists {
		return fmt.Errorf("the manifest %s is missing", each.Digest)
	}
	var manifest v1.Manifest
	if err := json.Unmarshal(raw, &manifest); err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	reached[digest] = true
	for _, blob := range append(manifest.Layers, manifest.Config) {
		if size, exists := f.blobs[blob.Digest.Hex]; !exists || size != blob.Size {
			return fmt.Errorf("%s is missing, or does not have %d bytes", blob.Digest, blob.Size)
		}
		reached[blob.Digest.Hex] = true
	}
	return nil
}

// checkNames fails when containerd would call an image by the name, version or digest of another one.
func (f *found) checkNames(listed contents.Digests) error {
	ends := map[string][]string{}
	for _, image := range listed.Images {
		ends[image.Digest] = append(ends[image.Digest], "/"+image.Name+":"+image.Version, "/"+image.Name+"@"+image.Digest)
	}
	for _, chart := range listed.Charts {
		ends[chart.Digest] = nil
	}
	for _, manifest := range f.index.Manifests {
		known, isListed := ends[manifest.Digest.String()]
		if !isListed {
			return fmt.Errorf("index.json: %s is not on the list", manifest.Digest)
		}
		called, isCalled := manifest.Annotations[name]
		if isCalled && !slices.ContainsFunc(known, func(end string) bool { return strings.HasSuffix(called, end) }) {
			return fmt.Errorf("index.json: %s is called %s, which the list does not say", manifest.Digest, called)
		}
	}
	return nil
}
