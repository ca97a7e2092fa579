package contents

import (
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Summary is what others need to know of an image to use it.
type Summary struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	// Digest of the manifest: what an image is pulled by.
	Digest string `json:"digest"`
	// Platform as in linux/amd64.
	Platform string `json:"platform"`
	// Size in bytes of all that a pull transfers.
	Size int64 `json:"size"`
}

// Summarize returns the summary of an image.
func Summarize(name string, image v1.Image) (Summary, error) {
	digest, err := image.Digest()
	if err != nil {
		return Summary{}, err
	}
	manifest, err := image.Manifest()
	if err != nil {
		return Summary{}, err
	}
	size, err := image.Size()
	if err != nil {
		return Summary{}, err
	}
	size += manifest.Config.Size
	for _, layer := range manifest.Layers {
		size += layer.Size
	}
	config, err := image.ConfigFile()
	if err != nil {
		return Summary{}, err
	}
	return Summary{
		Name:     name,
		Version:  config.Config.Labels["org.opencontainers.image.version"],
		Digest:   digest.String(),
		Platform: config.OS + "/" + config.Architecture,
		Size:     size,
	}, nil
}
