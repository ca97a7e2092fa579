package contents

import (
	"encoding/json"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// ChartConfig is the media type of a Helm chart's metadata, which a chart has in the place of an image's configuration.
const ChartConfig types.MediaType = "application/vnd.cncf.helm.config.v1+json"

// Keys of labels; that of the version is of a chart's annotation too.
const (
	revisionKey = "org.opencontainers.image.revision"
	versionKey  = "org.opencontainers.image.version"
)

// Digests are all that is pulled by digest.
type Digests struct {
	Images []Summary `json:"images"`
	Charts []Summary `json:"charts,omitempty"`
}

// Split tells images and charts apart.
func Split(summaries []Summary) Digests {
	var all Digests
	for _, summary := range summaries {
		if summary.IsChart() {
			all.Charts = append(all.Charts, summary)
		} else {
			all.Images = append(all.Images, summary)
		}
	}
	return all
}

// Write writes them as JSON.
func (d Digests) Write(out io.Writer) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(d)
}

// Summary is what others need to know of an image, or of a chart, to use it.
type Summary struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	// Digest of the manifest: what an image is pulled by.
	Digest string `json:"digest"`
	// Platform as in linux/amd64; a chart has none.
	Platform string `json:"platform,omitempty"`
	// Size in bytes of all that a pull transfers.
	Size int64 `json:"size"`
}

// IsChart tells a chart from an image.
func (s Summary) IsChart() bool { return s.Platform == "" }

// Summarize returns the summary of an image or a chart.
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
	summary := Summary{Name: name, Digest: digest.String(), Size: size}
	if manifest.Config.MediaType == ChartConfig {
		summary.Version = manifest.Annotations[versionKey]
		return summary, nil
	}
	config, err := image.ConfigFile()
	if err != nil {
		return Summary{}, err
	}
	summary.Version, summary.Platform = config.Config.Labels[versionKey], config.OS+"/"+config.Architecture
	return summary, nil
}
