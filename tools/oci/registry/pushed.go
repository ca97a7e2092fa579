package registry

import (
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Pushed names for each layer a repository that has it. A registry gives it to another of its repositories when it is asked to, but
// does not look for it there.
type Pushed map[v1.Hash]name.Repository

// mountable returns an image whose layers say which repository has them. All else is returned as it is.
func (p Pushed) mountable(content remote.Taggable) remote.Taggable {
	image, ok := content.(v1.Image)
	if !ok || p == nil {
		return content
	}
	return mountable{image, p}
}

// add notes that the repository has what mountable returned.
func (p Pushed) add(content remote.Taggable, repository name.Repository) error {
	image, ok := content.(mountable)
	if !ok {
		return nil
	}
	manifest, err := image.Manifest()
	if err != nil {
		return err
	}
	for _, layer := range manifest.Layers {
		p[layer.Digest] = repository
	}
	return nil
}

type mountable struct {
	v1.Image
	pushed Pushed
}

func (m mountable) Layers() ([]v1.Layer, error) {
	layers, err := m.Image.Layers()
	if err != nil {
		return nil, err
	}
	for i, layer := range layers {
		digest, err := layer.Digest()
		if err != nil {
			return nil, err
		}
		if from, ok := m.pushed[digest]; ok {
			layers[i] = &remote.MountableLayer{Layer: layer, Reference: from.Digest(digest.String())}
		}
	}
	return layers, nil
}
