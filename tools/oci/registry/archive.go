package registry

import (
	"fmt"
	"io"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"kubefips.internal/tools/oci/layout"
)

// WriteArchive writes the image in the layout at dir as the archive that `docker load` and its kin take.
func WriteArchive(dir string, tags []string, out io.Writer) error {
	image, err := layout.OpenImage(dir)
	if err != nil {
		return err
	}
	images := map[name.Reference]v1.Image{}
	for _, tag := range tags {
		reference, err := name.NewTag(tag)
		if err != nil {
			return fmt.Errorf("tag %q: %w", tag, err)
		}
		images[reference] = image
	}
	if len(images) == 0 {
		return fmt.Errorf("no name to load %s by: give at least one repository:tag", dir)
	}
	return tarball.MultiRefWrite(images, out)
}
