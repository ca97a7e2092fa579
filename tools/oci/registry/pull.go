package registry

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Pull writes the image or index that reference names by digest as an OCI layout to the folder dir. Every byte is compared
// with its digest; when one is wrong nothing is left at dir.
func Pull(ctx context.Context, reference, dir string, options Options) error {
	digest, err := name.NewDigest(reference, append(options.named(), name.StrictValidation)...)
	if err != nil {
		return fmt.Errorf("%q does not name an image by digest, as in registry.example/team/etcd@sha256:...: %w", reference, err)
	}
	if err := pull(ctx, digest, dir, options); err != nil {
		return errors.Join(fmt.Errorf("pulling %s: %w", digest, err), os.RemoveAll(dir))
	}
	return nil
}

func pull(ctx context.Context, digest name.Digest, dir string, options Options) error {
	found, err := remote.Get(digest, append(options.remote(), remote.WithContext(ctx))...)
	if err != nil {
		return err
	}
	target, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	if found.MediaType.IsIndex() {
		index, err := found.ImageIndex()
		if err != nil {
			return err
		}
		return target.AppendIndex(index)
	}
	image, err := found.Image()
	if err != nil {
		return err
	}
	return target.AppendImage(image)
}
