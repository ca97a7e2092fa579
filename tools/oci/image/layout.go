package image

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	ggcr "github.com/google/go-containerregistry/pkg/v1/layout"

	"kubefips.internal/tools/oci/layer"
	"kubefips.internal/tools/oci/layout"
	"kubefips.internal/tools/oci/ordered"
)

// A layoutWriter fills one OCI layout.
type layoutWriter struct{ path ggcr.Path }

func newLayout(dir string) layoutWriter { return layoutWriter{ggcr.Path(dir)} }

// layerBlob is what config and manifest say of a layer.
type layerBlob struct {
	digest, diffID v1.Hash
	size           int64
	compression    string // as in the media type: gzip, zstd or nothing
}

func (l layoutWriter) add(data []byte) (v1.Hash, error) {
	hash, _, err := v1.SHA256(bytes.NewReader(data))
	if err != nil {
		return hash, err
	}
	return hash, l.path.WriteBlob(hash, io.NopCloser(bytes.NewReader(data)))
}

func (l layoutWriter) addLayer(path string) (layerBlob, error) {
	file, err := os.Open(path)
	if err != nil {
		return layerBlob{}, err
	}
	defer file.Close()
	blob, err := measure(file)
	if err != nil {
		return layerBlob{}, err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return layerBlob{}, err
	}
	return blob, l.path.WriteBlob(blob.digest, file)
}

// measure reads a layer once for its digest, and beside it what it unpacks to.
func measure(file io.Reader) (layerBlob, error) {
	packed := sha256.New()
	counted := &countingReader{reader: io.TeeReader(file, packed)}
	unpacked, compression, err := layer.Unpack(counted)
	if err != nil {
		return layerBlob{}, err
	}
	defer unpacked.Close()
	diffID, _, err := v1.SHA256(unpacked)
	if err != nil {
		return layerBlob{}, fmt.Errorf("unpacking %s: %w", compression, err)
	}
	if _, err := io.Copy(io.Discard, counted); err != nil {
		return layerBlob{}, err
	}
	return layerBlob{
		digest:      v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(packed.Sum(nil))},
		diffID:      diffID,
		size:        counted.count,
		compression: compression,
	}, nil
}

type countingReader struct {
	reader io.Reader
	count  int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.reader.Read(p)
	c.count += int64(n)
	return n, err
}

// from copies the blobs of the one image in the layout at dir.
func (l layoutWriter) from(dir string) (config, manifest *ordered.Object, err error) {
	base, err := layout.OpenImage(dir)
	if err != nil {
		return nil, nil, err
	}
	layers, err := base.Layers()
	if err != nil {
		return nil, nil, err
	}
	for _, layer := range layers {
		if err := l.copyLayer(layer); err != nil {
			return nil, nil, err
		}
	}
	rawConfig, err := base.RawConfigFile()
	if err != nil {
		return nil, nil, err
	}
	if config, err = ordered.Decode(rawConfig); err != nil {
		return nil, nil, fmt.Errorf("config: %w", err)
	}
	rawManifest, err := base.RawManifest()
	if err != nil {
		return nil, nil, err
	}
	if manifest, err = ordered.Decode(rawManifest); err != nil {
		return nil, nil, fmt.Errorf("manifest: %w", err)
	}
	return config, manifest, nil
}

func (l layoutWriter) copyLayer(layer v1.Layer) error {
	digest, err := layer.Digest()
	if err != nil {
		return err
	}
	blob, err := layer.Compressed()
	if err != nil {
		return err
	}
	return l.path.WriteBlob(digest, blob)
}

// finish writes what makes a folder of blobs a layout.
func (l layoutWriter) finish(index *ordered.Object) error {
	if err := l.path.WriteFile("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644); err != nil {
		return err
	}
	return l.path.WriteFile("index.json", append(ordered.Encode(index), '\n'), 0o644)
}
