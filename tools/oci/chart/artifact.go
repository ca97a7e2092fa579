package chart

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	ggcr "github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"go.yaml.in/yaml/v3"

	"kubefips.internal/tools/oci/contents"
)

// archiveType is the media type of a packed chart.
const archiveType types.MediaType = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"

// WriteLayout writes a packed chart to the folder dir as the OCI layout of what `helm push` sends to a registry, without
// the time.
func WriteLayout(archive, dir string) error {
	packed, err := os.ReadFile(archive)
	if err != nil {
		return err
	}
	metadata, err := readMetadata(packed)
	if err != nil {
		return fmt.Errorf("%s: %w", archive, err)
	}
	config, err := json.Marshal(metadata)
	if err != nil {
		return fmt.Errorf("%s: Chart.yaml: %w", archive, err)
	}
	layout, err := ggcr.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	manifest := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Annotations: map[string]string{}}
	for annotation, field := range map[string]string{"title": "name", "version": "version", "description": "description"} {
		text, _ := metadata[field].(string)
		if text == "" {
			return fmt.Errorf("%s: Chart.yaml has no %s", archive, field)
		}
		manifest.Annotations["org.opencontainers.image."+annotation] = text
	}
	if manifest.Config, err = add(layout, contents.ChartConfig, config); err != nil {
		return err
	}
	content, err := add(layout, archiveType, packed)
	if err != nil {
		return err
	}
	manifest.Layers = []v1.Descriptor{content}
	raw, err := json.Marshal(manifest)
	if err != nil {
		return err
	}
	descriptor, err := add(layout, types.OCIManifestSchema1, raw)
	if err != nil {
		return err
	}
	return layout.AppendDescriptor(descriptor)
}

func add(layout ggcr.Path, kind types.MediaType, blob []byte) (v1.Descriptor, error) {
	digest, size, err := v1.SHA256(bytes.NewReader(blob))
	if err != nil {
		return v1.Descriptor{}, err
	}
	return v1.Descriptor{MediaType: kind, Size: size, Digest: digest}, layout.WriteBlob(digest, io.NopCloser(bytes.NewReader(blob)))
}

// readMetadata reads the Chart.yaml of a packed chart.
func readMetadata(packed []byte) (map[string]any, error) {
	unpacked, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("reading the packed chart: %w", err)
	}
	for archive := tar.NewReader(unpacked); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil, errors.New("there is no Chart.yaml in it: is this a packed chart?")
		}
		if err != nil {
			return nil, err
		}
		if folder, file := path.Split(header.Name); file != "Chart.yaml" || path.Dir(path.Clean(folder)) != "." {
			continue
		}
		var metadata map[string]any
		if err := yaml.NewDecoder(archive).Decode(&metadata); err != nil {
			return nil, fmt.Errorf("Chart.yaml: %w", err)
		}
		return metadata, nil
	}
}

// Archive returns the packed chart in an OCI layout's image, which WriteLayout has written.
func Archive(artifact v1.Image) ([]byte, error) {
	layers, err := artifact.Layers()
	if err != nil {
		return nil, err
	}
	if len(layers) != 1 {
		return nil, fmt.Errorf("a chart with %d layers, want 1", len(layers))
	}
	packed, err := layers[0].Compressed()
	if err != nil {
		return nil, err
	}
	defer packed.Close()
	return io.ReadAll(packed)
}
