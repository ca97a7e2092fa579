// Package image reads container images from OCI layouts, archives and
// registries, and walks every layer of every platform.
package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// maxManifest bounds indexes, manifests and configs in bytes.
const maxManifest = 8 << 20

// maxArchiveEntries bounds the entries of a saved image.
const maxArchiveEntries = 10_000

// source gives the parts of an image, unverified.
type source interface {
	// roots are the descriptors from which the walk starts.
	roots() ([]v1.Descriptor, error)
	// blob opens the content of a descriptor.
	blob(v1.Descriptor) (io.ReadCloser, error)
	io.Closer
}

// open finds out what kind of reference ref is: a folder, a file, or the name
// of an image in a registry.
func open(ref string) (source, error) {
	st, err := os.Stat(ref)
	switch {
	case err == nil && st.IsDir():
		if _, err := os.Stat(filepath.Join(ref, "index.json")); err != nil {
			return nil, fmt.Errorf("%s is no OCI layout: %w; for a plain folder use `fipscheck tree`", ref, err)
		}
		return &layout{files: folder(ref)}, nil
	case err == nil:
		return openArchive(ref)
	}
	r, parseErr := name.ParseReference(ref)
	if parseErr != nil {
		return nil, fmt.Errorf("%s is no file, folder or image reference: %w", ref, parseErr)
	}
	if r.Context().Scheme() == "http" && !loopback(r.Context().RegistryStr()) {
		return nil, fmt.Errorf("%s would be fetched by plain HTTP, which is for loopback only", ref)
	}
	return &registry{ref: r}, nil
}

// files opens files by their path in a layout.
type files interface {
	open(name string) (io.ReadCloser, error)
	io.Closer
}

// folder is a layout on disk. Its blobs may be links that lead out of it, as
// Bazel makes them: what they lead to has to have the right digest anyway.
type folder string

func (f folder) open(name string) (io.ReadCloser, error) {
	return os.Open(filepath.Join(string(f), filepath.FromSlash(name)))
}

func (f folder) Close() error { return nil }

// layout is an OCI image layout.
type layout struct{ files files }

func (l *layout) Close() error { return l.files.Close() }

func (l *layout) roots() ([]v1.Descriptor, error) {
	b, err := readFile(l.files, "index.json")
	if err != nil {
		return nil, err
	}
	var index v1.IndexManifest
	if err := json.Unmarshal(b, &index); err != nil {
		return nil, fmt.Errorf("index.json: %w", err)
	}
	if len(index.Manifests) == 0 {
		return nil, errors.New("index.json names no image")
	}
	return index.Manifests, nil
}

func (l *layout) blob(d v1.Descriptor) (io.ReadCloser, error) {
	if d.Digest.Algorithm != "sha256" || len(d.Digest.Hex) != 2*sha256.Size {
		return nil, fmt.Errorf("digest %s is not a SHA-256", d.Digest)
	}
	return l.files.open(path.Join("blobs", d.Digest.Algorithm, d.Digest.Hex))
}

func readFile(f files, name string) ([]byte, error) {
	r, err := f.open(name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, maxManifest+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(b) > maxManifest {
		return nil, fmt.Errorf("%s: larger than %d bytes", name, maxManifest)
	}
	return b, nil
}

// openArchive reads an OCI or docker-save archive. Its contents are left where
// they are: only the places of the entries are remembered.
func openArchive(file string) (source, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	a := &archive{f: f, entries: map[string]entry{}}
	if err := a.index(); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if _, ok := a.entries["index.json"]; ok {
		return &layout{files: a}, nil
	}
	if _, ok := a.entries["manifest.json"]; ok {
		s, err := newDockerSave(a)
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		return s, nil
	}
	f.Close()
	return nil, fmt.Errorf("%s has neither index.json (OCI) nor manifest.json (docker save)", file)
}

type entry struct {
	off, size int64
	link      string
}

type archive struct {
	f       *os.File
	entries map[string]entry
}

func (a *archive) Close() error { return a.f.Close() }

func (a *archive) index() error {
	tr := tar.NewReader(a.f) // it seeks over the contents
	for n := 0; ; n++ {
		h, err := tr.Next()
		if err == io.EOF {
			if n == 0 {
				return errors.New("an empty archive")
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading as a tar archive (compressed archives have to be unpacked first): %w", err)
		}
		if n >= maxArchiveEntries {
			return fmt.Errorf("more than %d entries", maxArchiveEntries)
		}
		key := path.Clean(strings.TrimLeft(h.Name, "/"))
		switch h.Typeflag {
		case tar.TypeReg:
			off, err := a.f.Seek(0, io.SeekCurrent)
			if err != nil {
				return err
			}
			a.entries[key] = entry{off: off, size: h.Size}
		case tar.TypeSymlink:
			a.entries[key] = entry{link: path.Join(path.Dir(key), h.Linkname)}
		case tar.TypeLink:
			a.entries[key] = entry{link: path.Clean(h.Linkname)}
		}
	}
}

func (a *archive) open(name string) (io.ReadCloser, error) {
	key := path.Clean(name)
	for range 8 { // links to links
		e, ok := a.entries[key]
		if !ok {
			return nil, fmt.Errorf("the archive has no %s", key)
		}
		if e.link == "" {
			return io.NopCloser(io.NewSectionReader(a.f, e.off, e.size)), nil
		}
		key = e.link
	}
	return nil, fmt.Errorf("%s: links in the archive go round in a circle", name)
}

// dockerSave presents the old format of `docker save` as descriptors. It has
// no manifests, so one is made for each image from the digests of its parts.
type dockerSave struct {
	a         *archive
	manifests []v1.Descriptor
	parts     map[v1.Hash]string // digest -> name in the archive
	made      map[v1.Hash][]byte
}

func newDockerSave(a *archive) (*dockerSave, error) {
	b, err := readFile(a, "manifest.json")
	if err != nil {
		return nil, err
	}
	var images []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	if err := json.Unmarshal(b, &images); err != nil {
		return nil, fmt.Errorf("manifest.json: %w", err)
	}
	if len(images) == 0 {
		return nil, errors.New("manifest.json names no image")
	}
	s := &dockerSave{a: a, parts: map[v1.Hash]string{}, made: map[v1.Hash][]byte{}}
	for _, img := range images {
		m := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1}
		if m.Config, err = s.part(img.Config, types.OCIConfigJSON); err != nil {
			return nil, err
		}
		for _, l := range img.Layers {
			d, err := s.part(l, types.OCIUncompressedLayer)
			if err != nil {
				return nil, err
			}
			m.Layers = append(m.Layers, d)
		}
		raw, err := json.Marshal(m)
		if err != nil {
			return nil, err
		}
		h, n, err := v1.SHA256(bytes.NewReader(raw))
		if err != nil {
			return nil, err
		}
		s.made[h] = raw
		s.manifests = append(s.manifests, v1.Descriptor{MediaType: m.MediaType, Size: n, Digest: h})
	}
	return s, nil
}

// part hashes one file of the archive.
func (s *dockerSave) part(name string, mt types.MediaType) (v1.Descriptor, error) {
	r, err := s.a.open(name)
	if err != nil {
		return v1.Descriptor{}, err
	}
	defer r.Close()
	h, n, err := v1.SHA256(r)
	if err != nil {
		return v1.Descriptor{}, fmt.Errorf("%s: %w", name, err)
	}
	// The names are digests in all versions of the format; a name that says
	// otherwise is a contradiction.
	base := strings.TrimSuffix(path.Base(name), ".json")
	if _, err := hex.DecodeString(base); err == nil && len(base) == 2*sha256.Size && base != h.Hex {
		return v1.Descriptor{}, fmt.Errorf("%s has the SHA-256 %s: not the content that its name says", name, h.Hex)
	}
	s.parts[h] = name
	return v1.Descriptor{MediaType: mt, Size: n, Digest: h}, nil
}

func (s *dockerSave) Close() error { return s.a.Close() }

func (s *dockerSave) roots() ([]v1.Descriptor, error) { return s.manifests, nil }

func (s *dockerSave) blob(d v1.Descriptor) (io.ReadCloser, error) {
	if b, ok := s.made[d.Digest]; ok {
		return io.NopCloser(bytes.NewReader(b)), nil
	}
	n, ok := s.parts[d.Digest]
	if !ok {
		return nil, fmt.Errorf("the archive has no %s", d.Digest)
	}
	return s.a.open(n)
}

// registry is an image in a registry.
type registry struct{ ref name.Reference }

func (r *registry) Close() error { return nil }

func (r *registry) roots() ([]v1.Descriptor, error) {
	d, err := remote.Get(r.ref, remote.WithAuthFromKeychain(authn.DefaultKeychain))
	if err != nil {
		return nil, err
	}
	return []v1.Descriptor{d.Descriptor}, nil
}

func (r *registry) blob(d v1.Descriptor) (io.ReadCloser, error) {
	ref := r.ref.Context().Digest(d.Digest.String())
	if d.MediaType.IsIndex() || d.MediaType.IsImage() {
		got, err := remote.Get(ref, remote.WithAuthFromKeychain(authn.DefaultKeychain))
		if err != nil {
			return nil, err
		}
		return io.NopCloser(bytes.NewReader(got.Manifest)), nil
	}
	l, err := remote.Layer(ref, remote.WithAuthFromKeychain(authn.DefaultKeychain))
	if err != nil {
		return nil, err
	}
	return l.Compressed()
}

func loopback(host string) bool {
	h, _, _ := strings.Cut(host, ":")
	return strings.HasPrefix(host, "[::1]") || h == "localhost" || h == "127.0.0.1" || strings.HasSuffix(h, ".localhost")
}
