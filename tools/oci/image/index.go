package image

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/v1/types"

	"kubefips.internal/tools/oci/layout"
	"kubefips.internal/tools/oci/ordered"
)

// BuildIndex writes to the folder out the layout of an index over the images whose layouts stand at dirs, in their order.
func BuildIndex(dirs []string, annotations Text, out string) error {
	blobs := newLayout(out)
	manifests := []any{}
	for _, dir := range dirs {
		descriptor, err := blobs.include(dir)
		if err != nil {
			return fmt.Errorf("image %s: %w", dir, err)
		}
		manifests = append(manifests, descriptor)
	}
	list := ordered.NewObject().
		Set("schemaVersion", 2).
		Set("mediaType", string(types.OCIImageIndex)).
		Set("manifests", manifests)
	if err := setPairs(list, "annotations", annotations); err != nil {
		return err
	}
	listBytes := append(ordered.Encode(list), '\n')
	digest, err := blobs.add(listBytes)
	if err != nil {
		return err
	}
	return blobs.finish(ordered.NewObject().
		Set("manifests", []any{ordered.NewObject().
			Set("mediaType", string(types.OCIImageIndex)).
			Set("size", len(listBytes)).
			Set("digest", digest.String())}))
}

// include copies an image and returns its descriptor with the platform that its config names.
func (l layoutWriter) include(dir string) (*ordered.Object, error) {
	image, err := layout.OpenImage(dir)
	if err != nil {
		return nil, err
	}
	if err := l.path.WriteImage(image); err != nil {
		return nil, err
	}
	rawConfig, err := image.RawConfigFile()
	if err != nil {
		return nil, err
	}
	config, err := ordered.Decode(rawConfig)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	platform := ordered.NewObject()
	for _, key := range []string{"os", "architecture", "variant", "os.version", "os.features"} {
		if value := config.Get(key); value != nil {
			platform.Set(key, value)
		}
	}
	rawIndex, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		return nil, err
	}
	index, err := ordered.Decode(rawIndex)
	if err != nil {
		return nil, fmt.Errorf("index.json: %w", err)
	}
	manifests, err := index.Array("manifests")
	if err != nil {
		return nil, fmt.Errorf("index.json: %w", err)
	}
	return manifests[0].(*ordered.Object).Set("platform", platform), nil // OpenImage has seen that there is one
}
