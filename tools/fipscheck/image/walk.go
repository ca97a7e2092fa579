package image

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"path"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"kubefips.internal/tools/fipscheck/content"
)

// Bounds of one reference.
const (
	maxDepth     = 4   // of indexes in indexes
	maxManifests = 256 // in all indexes together
	maxLayers    = 512 // of one image
)

// Manifest is one image for one platform, walked to the last file.
type Manifest struct {
	Digest   string
	Platform string // of the config: linux/amd64
	Config   *v1.ConfigFile
	// Labels are those of the config and the annotations on the way to it.
	Labels map[string]string
	Layers []Layer
	// Problems fail the image: what could not be read or is not what its
	// digest says.
	Problems []Problem
}

// Problem is one reason to refuse an image.
type Problem struct {
	Check   string
	Subject string
	Message string
}

// Layer has the files that one layer adds.
type Layer struct {
	Digest string
	Files  []File
}

// File is one entry of a layer.
type File struct {
	content.Entry
	// Hidden says that a later layer covers or removes it.
	Hidden bool
}

// Reader reads images; layers that they share are read once.
type Reader struct {
	Limits content.Limits

	mu     sync.Mutex
	layers map[v1.Hash]*onceLayer
}

type onceLayer struct {
	once    sync.Once
	entries []content.Entry
	diffID  string
	err     error
}

// Read walks everything that ref leads to. The error is for a reference that
// leads nowhere; all else is in the manifests' problems.
func (r *Reader) Read(ref string) ([]*Manifest, error) {
	src, err := open(ref)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	roots, err := src.roots()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ref, err)
	}
	w := &walk{r: r, src: src}
	for _, d := range roots {
		w.descriptor(d, nil, 0)
	}
	if len(w.found) == 0 {
		return nil, fmt.Errorf("%s holds no image", ref)
	}
	return w.found, nil
}

type walk struct {
	r     *Reader
	src   source
	found []*Manifest
	seen  int
}

func (w *walk) fail(d v1.Descriptor, check, format string, args ...any) {
	w.found = append(w.found, &Manifest{
		Digest: d.Digest.String(), Platform: platform(d.Platform),
		Problems: []Problem{{Check: check, Subject: d.Digest.String(), Message: fmt.Sprintf(format, args...)}},
	})
}

// descriptor follows an index or reads an image.
func (w *walk) descriptor(d v1.Descriptor, labels map[string]string, depth int) {
	if w.seen++; w.seen > maxManifests {
		if w.seen == maxManifests+1 {
			w.fail(d, "O1", "more than %d manifests", maxManifests)
		}
		return
	}
	labels = merge(labels, d.Annotations)
	if !d.MediaType.IsIndex() && !d.MediaType.IsImage() {
		w.fail(d, "O1", "%s: neither an index nor an image", orNone(string(d.MediaType)))
		return
	}
	b, err := w.small(d)
	if err != nil {
		w.fail(d, "O5", "%v", err)
		return
	}
	if !d.MediaType.IsIndex() {
		w.manifest(d, b, labels)
		return
	}
	if depth >= maxDepth {
		w.fail(d, "O1", "indexes nested deeper than %d", maxDepth)
		return
	}
	var index v1.IndexManifest
	if err := json.Unmarshal(b, &index); err != nil {
		w.fail(d, "O1", "index: %v", err)
		return
	}
	if len(index.Manifests) == 0 {
		w.fail(d, "O1", "an index without images")
	}
	for _, m := range index.Manifests {
		w.descriptor(m, merge(labels, index.Annotations), depth+1)
	}
}

func (w *walk) manifest(d v1.Descriptor, raw []byte, labels map[string]string) {
	m := &Manifest{Digest: d.Digest.String(), Platform: platform(d.Platform), Labels: labels}
	w.found = append(w.found, m)
	bad := func(check, subject, format string, args ...any) {
		m.Problems = append(m.Problems, Problem{check, subject, fmt.Sprintf(format, args...)})
	}
	var manifest v1.Manifest
	if err := json.Unmarshal(raw, &manifest); err != nil {
		bad("O1", "", "manifest: %v", err)
		return
	}
	if len(manifest.Layers) > maxLayers {
		bad("O1", "", "%d layers; %d are the limit", len(manifest.Layers), maxLayers)
		return
	}
	m.Labels = merge(m.Labels, manifest.Annotations)
	b, err := w.small(manifest.Config)
	if err != nil {
		bad("O5", manifest.Config.Digest.String(), "config: %v", err)
		return
	}
	// Attestations are manifests with no file system in them.
	if attestation(manifest) {
		m.Platform = "attestation"
		return
	}
	m.Config = &v1.ConfigFile{}
	if err := json.Unmarshal(b, m.Config); err != nil {
		bad("O1", "", "config: %v", err)
		return
	}
	of := m.Config.OS + "/" + m.Config.Architecture
	if m.Platform != "" && m.Platform != of {
		bad("O1", "", "the index says %s, the config %s", m.Platform, of)
	}
	m.Platform = of
	m.Labels = merge(m.Labels, m.Config.Config.Labels)
	if n := len(m.Config.RootFS.DiffIDs); n != len(manifest.Layers) {
		bad("O1", "", "%d layers, but the config names %d", len(manifest.Layers), n)
	}
	for i, l := range manifest.Layers {
		entries, diffID, err := w.layer(l)
		if err != nil {
			check := "O1"
			if errors.Is(err, errDigest) {
				check = "O5"
			}
			bad(check, l.Digest.String(), "layer %d: %v", i+1, err)
			continue
		}
		if i < len(m.Config.RootFS.DiffIDs) && diffID != m.Config.RootFS.DiffIDs[i].String() {
			bad("O5", l.Digest.String(), "layer %d unpacks to %s, the config says %s", i+1, diffID, m.Config.RootFS.DiffIDs[i])
		}
		layer := Layer{Digest: l.Digest.String()}
		for _, e := range entries {
			layer.Files = append(layer.Files, File{Entry: e})
		}
		m.Layers = append(m.Layers, layer)
	}
	hide(m.Layers)
	m.hardLinks(bad)
}

// attestation recognises what builders attach to an index beside the images.
func attestation(m v1.Manifest) bool {
	for _, l := range m.Layers {
		if l.MediaType != "application/vnd.in-toto+json" {
			return false
		}
	}
	return len(m.Layers) > 0
}

// hide marks the files that a later layer replaces or removes.
func hide(layers []Layer) {
	gone := map[string]bool{}   // paths that later layers have
	opaque := map[string]bool{} // paths below which later layers removed all
	for i := len(layers) - 1; i >= 0; i-- {
		var paths, dirs []string
		for k := range layers[i].Files {
			f := &layers[i].Files[k]
			outer, _, _ := strings.Cut(f.Path, "!") // a file in an archive shares its fate
			f.Hidden = !f.Whiteout && (gone[outer] || under(opaque, outer))
			switch {
			case f.Opaque:
				dirs = append(dirs, f.Path)
			case f.Whiteout:
				paths, dirs = append(paths, f.Path), append(dirs, f.Path)
			default:
				paths = append(paths, outer)
			}
		}
		for _, p := range paths {
			gone[p] = true
		}
		for _, p := range dirs {
			opaque[p] = true
		}
	}
}

func under(dirs map[string]bool, p string) bool {
	for p != "/" {
		if p = path.Dir(p); dirs[p] {
			return true
		}
	}
	return false
}

// hardLinks checks that each hard link leads to a file that was walked.
func (m *Manifest) hardLinks(bad func(check, subject, format string, args ...any)) {
	have := map[string]bool{}
	for _, l := range m.Layers {
		for _, f := range l.Files {
			have[f.Path] = true
		}
		for _, f := range l.Files {
			if f.Link != "" && f.Mode.IsRegular() && !have[f.Link] {
				bad("O1", f.Path, "a hard link to %s, which no layer has", f.Link)
			}
		}
	}
}

// layer walks one layer, once for all images that have it.
func (w *walk) layer(d v1.Descriptor) ([]content.Entry, string, error) {
	w.r.mu.Lock()
	if w.r.layers == nil {
		w.r.layers = map[v1.Hash]*onceLayer{}
	}
	l := w.r.layers[d.Digest]
	if l == nil {
		l = &onceLayer{}
		w.r.layers[d.Digest] = l
	}
	w.r.mu.Unlock()
	l.once.Do(func() { l.entries, l.diffID, l.err = w.readLayer(d) })
	return l.entries, l.diffID, l.err
}

func (w *walk) readLayer(d v1.Descriptor) ([]content.Entry, string, error) {
	if !d.MediaType.IsLayer() {
		return nil, "", fmt.Errorf("media type %s is no file system layer", orNone(string(d.MediaType)))
	}
	if !d.MediaType.IsDistributable() {
		return nil, "", fmt.Errorf("media type %s: the content is elsewhere and cannot be proven", d.MediaType)
	}
	v, err := w.open(d)
	if err != nil {
		return nil, "", err
	}
	defer v.Close()
	var entries []content.Entry
	diff := sha256.New()
	err = content.Tar(v, w.r.Limits, diff, func(e content.Entry) error {
		entries = append(entries, e)
		return nil
	})
	// A broken stream may be the consequence of wrong bytes: that is the
	// better reason.
	if verr := v.verify(); verr != nil {
		return nil, "", verr
	}
	if err != nil {
		return nil, "", err
	}
	return entries, "sha256:" + hex.EncodeToString(diff.Sum(nil)), nil
}

// small reads an index, manifest or config and compares it with its descriptor.
func (w *walk) small(d v1.Descriptor) ([]byte, error) {
	if d.Size > maxManifest {
		return nil, fmt.Errorf("%d bytes; %d are the limit", d.Size, maxManifest)
	}
	v, err := w.open(d)
	if err != nil {
		return nil, err
	}
	defer v.Close()
	var b bytes.Buffer
	if _, err := io.Copy(&b, v); err != nil {
		return nil, err
	}
	return b.Bytes(), v.verify()
}

var errDigest = errors.New("not what its digest says")

// verified reads no more than a descriptor's size and hashes what it reads.
type verified struct {
	io.Closer
	r io.Reader
	h hash.Hash
	d v1.Descriptor
}

func (w *walk) open(d v1.Descriptor) (*verified, error) {
	if d.Digest.Algorithm != "sha256" || d.Size < 0 {
		return nil, fmt.Errorf("digest %s of %d bytes is no SHA-256 descriptor", d.Digest, d.Size)
	}
	rc, err := w.src.blob(d)
	if err != nil {
		return nil, err
	}
	h := sha256.New()
	return &verified{Closer: rc, r: io.TeeReader(io.LimitReader(rc, d.Size+1), h), h: h, d: d}, nil
}

func (v *verified) Read(b []byte) (int, error) { return v.r.Read(b) }

// verify reads the rest and compares.
func (v *verified) verify() error {
	if _, err := io.Copy(io.Discard, v.r); err != nil {
		return err
	}
	if got := hex.EncodeToString(v.h.Sum(nil)); got != v.d.Digest.Hex {
		return fmt.Errorf("the content (the first %d bytes and one more) has sha256 %s, the descriptor says %s: %w", v.d.Size, got, v.d.Digest.Hex, errDigest)
	}
	return nil
}

func platform(p *v1.Platform) string {
	if p == nil || p.OS == "" || p.OS == "unknown" {
		return ""
	}
	return p.OS + "/" + p.Architecture
}

func merge(a, b map[string]string) map[string]string {
	if len(b) == 0 {
		return a
	}
	m := make(map[string]string, len(a)+len(b))
	for k, v := range a {
		m[k] = v
	}
	for k, v := range b {
		m[k] = v
	}
	return m
}

func orNone(s string) string {
	if s == "" {
		return "no media type"
	}
	return s
}
