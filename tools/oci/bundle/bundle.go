// Package bundle writes images and charts into one archive, for machines without a network.
package bundle

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	ggcr "github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"kubefips.internal/tools/oci/chart"
	"kubefips.internal/tools/oci/contents"
	"kubefips.internal/tools/oci/layer"
	"kubefips.internal/tools/oci/layout"
)

// imageName is the annotation by which containerd calls what it imports.
const imageName = "io.containerd.image.name"

// Digests is the name, in the archive, of the list of all that is in it.
const Digests = "digests.json"

// An Image is one of a bundle, or a chart.
type Image struct {
	contents.Summary
	// Layout is the folder of the image's OCI layout.
	Layout string
}

// Write writes an OCI layout as a tar archive: what images share is in it once. Each image has two names below registry,
// by version and by digest. Charts have none, for containerd would take them for images; they are there as packed charts
// too, <name>-<version>.tgz. The list of digests, which a release signs, is in it as Digests.
func Write(images []Image, registry string, out io.Writer) (err error) {
	index, err := build(images, registry)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bundle")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if _, err := ggcr.Write(dir, index); err != nil {
		return err
	}
	if err := addFiles(images, dir); err != nil {
		return err
	}
	return pack(dir, out)
}

// addFiles writes what the archive has beside the layout.
func addFiles(images []Image, dir string) error {
	var summaries []contents.Summary
	for _, image := range images {
		summaries = append(summaries, image.Summary)
		if !image.IsChart() {
			continue
		}
		opened, err := layout.OpenImage(image.Layout)
		if err != nil {
			return err
		}
		packed, err := chart.Archive(opened)
		if err != nil {
			return fmt.Errorf("%s: %w", image.Name, err)
		}
		file := filepath.Join(dir, image.Name+"-"+image.Version+".tgz")
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, packed, 0o644)); err != nil {
			return err
		}
	}
	list, err := os.Create(filepath.Join(dir, Digests))
	if err != nil {
		return err
	}
	return errors.Join(contents.Split(summaries).Write(list), list.Close())
}

func build(images []Image, registry string) (v1.ImageIndex, error) {
	index := v1.ImageIndex(empty.Index)
	for _, image := range images {
		opened, err := layout.OpenImage(image.Layout)
		if err != nil {
			return nil, err
		}
		if image.Version == "" {
			return nil, fmt.Errorf("image %s has no version to be called by: its label org.opencontainers.image.version is missing", image.Name)
		}
		if image.IsChart() {
			index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: opened})
			continue
		}
		repository := registry + "/" + image.Name
		for _, name := range []string{repository + ":" + image.Version, repository + "@" + image.Digest} {
			index = mutate.AppendManifests(index, mutate.IndexAddendum{
				Add:        opened,
				Descriptor: v1.Descriptor{Annotations: map[string]string{imageName: name}},
			})
		}
	}
	return index, nil
}

// pack writes the files below dir, sorted and without times.
func pack(dir string, out io.Writer) error {
	spec := layer.Spec{Compression: "none"}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		inside, err := filepath.Rel(dir, path)
		spec.Entries = append(spec.Entries, layer.Entry{Path: "/" + inside, Source: path, Mode: "0644"})
		return err
	})
	if err != nil {
		return err
	}
	return layer.Write(spec, out)
}
