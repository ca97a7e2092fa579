package cli_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/klauspost/compress/zstd"

	"kubefips.internal/tools/fipscheck/checks"
	"kubefips.internal/tools/fipscheck/internal/fixture"
	"kubefips.internal/tools/fipscheck/judge"
	"kubefips.internal/tools/fipscheck/report"
)

// file is an entry of a layer.
type file struct {
	name string
	data []byte
	mode int64
	link string
	typ  byte
}

func layerTar(t testing.TB, files ...file) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.data)), Linkname: f.link, Typeflag: f.typ, Format: tar.FormatPAX}
		if h.Mode == 0 {
			h.Mode = 0o755
		}
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(f.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gz(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// img is an image to be written; zero values are filled in.
type img struct {
	layers  [][]byte // uncompressed tar archives
	config  v1.Config
	arch    string
	pack    func(testing.TB, []byte) []byte // default gzip
	media   string
	diffIDs []string
}

// store is an OCI layout under construction.
type store struct {
	t   testing.TB
	dir string
}

func newStore(t testing.TB) *store {
	s := &store{t, t.TempDir()}
	if err := os.MkdirAll(filepath.Join(s.dir, "blobs", "sha256"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.put("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`))
	return s
}

func (s *store) put(name string, b []byte) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), b, 0o644); err != nil {
		s.t.Fatal(err)
	}
}

type desc map[string]any

func (s *store) blob(media string, b []byte) desc {
	sum := sha256.Sum256(b)
	s.put("blobs/sha256/"+hex.EncodeToString(sum[:]), b)
	return desc{"mediaType": media, "size": len(b), "digest": "sha256:" + hex.EncodeToString(sum[:])}
}

func (s *store) json(media string, v any) desc {
	b, err := json.Marshal(v)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.blob(media, b)
}

const (
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	indexType    = "application/vnd.oci.image.index.v1+json"
	configType   = "application/vnd.oci.image.config.v1+json"
	layerType    = "application/vnd.oci.image.layer.v1.tar"
)

func (s *store) image(i img) desc {
	if i.arch == "" {
		i.arch = "amd64"
	}
	if i.media == "" {
		i.media = layerType + "+gzip"
	}
	if i.pack == nil {
		i.pack = gz
	}
	var layers []desc
	diffs := i.diffIDs
	for _, l := range i.layers {
		layers = append(layers, s.blob(i.media, i.pack(s.t, l)))
		if i.diffIDs == nil {
			sum := sha256.Sum256(l)
			diffs = append(diffs, "sha256:"+hex.EncodeToString(sum[:]))
		}
	}
	config := s.json(configType, map[string]any{
		"os": "linux", "architecture": i.arch, "config": i.config,
		"rootfs": map[string]any{"type": "layers", "diff_ids": diffs},
	})
	return s.json(manifestType, map[string]any{"schemaVersion": 2, "mediaType": manifestType, "config": config, "layers": layers})
}

func (s *store) index(ds ...desc) string {
	b, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": indexType, "manifests": ds})
	if err != nil {
		s.t.Fatal(err)
	}
	s.put("index.json", b)
	return s.dir
}

// oneLayer is the layout of an image with one layer of these files.
func oneLayer(t *testing.T, config v1.Config, files ...file) string {
	s := newStore(t)
	return s.index(s.image(img{layers: [][]byte{layerTar(t, files...)}, config: config}))
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// program is a good program small enough to be put into many images.
func program(t testing.TB) []byte {
	return read(t, fixture.Build(t, fixture.Program{Source: "hash", Boring: true, Cgo: true}))
}

func plain(t testing.TB) []byte {
	return read(t, fixture.Build(t, fixture.Program{Source: "hash"}))
}

// failures maps each failing check of the image itself to its messages.
func failures(r *report.Report) map[string][]string {
	m := map[string][]string{}
	for _, a := range r.Artifacts {
		if a.Kind == report.Binary {
			continue
		}
		for _, f := range a.Findings {
			if report.Failing(f) {
				m[f.Check] = append(m[f.Check], f.Message)
			}
		}
	}
	return m
}

func TestImageVerdicts(t *testing.T) {
	app := func(t *testing.T) file { return file{name: "usr/bin/app", data: program(t)} }
	tests := []struct {
		name  string
		ref   func(t *testing.T) string
		fails []string
		says  string
	}{
		{name: "good", ref: func(t *testing.T) string { return oneLayer(t, v1.Config{}, app(t)) }},
		{name: "good, zstd", ref: func(t *testing.T) string {
			s := newStore(t)
			return s.index(s.image(img{layers: [][]byte{layerTar(t, app(t))}, media: layerType + "+zstd", pack: zst}))
		}},
		{name: "good, not compressed", ref: func(t *testing.T) string {
			s := newStore(t)
			return s.index(s.image(img{layers: [][]byte{layerTar(t, app(t))}, media: layerType, pack: func(_ testing.TB, b []byte) []byte { return b }}))
		}},
		{name: "plain program", fails: []string{"O1"}, says: "/usr/bin/app was refused", ref: func(t *testing.T) string {
			return oneLayer(t, v1.Config{}, file{name: "usr/bin/app", data: plain(t)})
		}},
		{name: "plain program without executable bit", fails: []string{"O1"}, says: "was refused", ref: func(t *testing.T) string {
			return oneLayer(t, v1.Config{}, file{name: "data.bin", data: plain(t), mode: 0o644})
		}},
		{name: "plain program for the second platform", fails: []string{"O1"}, says: "was refused", ref: func(t *testing.T) string {
			s := newStore(t)
			arm := read(t, fixture.Build(t, fixture.Program{Source: "hash", Arch: "arm64", Boring: true}))
			return s.index(s.image(img{layers: [][]byte{layerTar(t, app(t))}}),
				s.image(img{layers: [][]byte{layerTar(t, file{name: "usr/bin/app", data: arm})}, arch: "arm64"}))
		}},
		{name: "plain program hidden by a whiteout", fails: []string{"O1"}, says: "/old was refused", ref: func(t *testing.T) string {
			s := newStore(t)
			return s.index(s.image(img{layers: [][]byte{layerTar(t, file{name: "old", data: plain(t)}), layerTar(t, file{name: ".wh.old"}, app(t))}}))
		}},
		{name: "plain program in a nested archive", fails: []string{"O1"}, says: "/payload.tar.gz!/bin/tool was refused", ref: func(t *testing.T) string {
			return oneLayer(t, v1.Config{}, app(t), file{name: "payload.tar.gz", data: gz(t, layerTar(t, file{name: "bin/tool", data: plain(t)}))})
		}},
		{name: "plain program, compressed", fails: []string{"O1"}, says: "/tool.gz! was refused", ref: func(t *testing.T) string {
			return oneLayer(t, v1.Config{}, app(t), file{name: "tool.gz", data: gz(t, plain(t))})
		}},
		{name: "archives without end", fails: []string{"O1"}, says: "nested deeper", ref: func(t *testing.T) string {
			b := []byte("x")
			for range 6 {
				b = gz(t, b)
			}
			return oneLayer(t, v1.Config{}, app(t), file{name: "matryoshka.gz", data: b})
		}},
		{name: "damaged program", fails: []string{"O1"}, says: "was refused", ref: func(t *testing.T) string {
			return oneLayer(t, v1.Config{}, file{name: "bin/app", data: program(t)[:1000]})
		}},
		{name: "path traversal", fails: []string{"O1"}, says: "leads out of the file system", ref: func(t *testing.T) string {
			return oneLayer(t, v1.Config{}, file{name: "a/../../../etc/cron.d/x", data: []byte("x")})
		}},
		{name: "hard link out of the image", fails: []string{"O1"}, says: "leads out of the file system", ref: func(t *testing.T) string {
			return oneLayer(t, v1.Config{}, file{name: "shadow", typ: tar.TypeLink, link: "../../etc/shadow"})
		}},
		{name: "hard link to nothing", fails: []string{"O1"}, says: "a hard link to /nowhere", ref: func(t *testing.T) string {
			return oneLayer(t, v1.Config{}, file{name: "a", typ: tar.TypeLink, link: "nowhere"})
		}},
		{name: "symbolic links in a circle", ref: func(t *testing.T) string {
			return oneLayer(t, v1.Config{}, app(t), file{name: "a", typ: tar.TypeSymlink, link: "b"}, file{name: "b", typ: tar.TypeSymlink, link: "a"}, file{name: "c", typ: tar.TypeLink, link: "usr/bin/app"})
		}},
		{name: "truncated layer", fails: []string{"O1"}, says: "unexpected EOF", ref: func(t *testing.T) string {
			s := newStore(t)
			l := layerTar(t, app(t))
			return s.index(s.image(img{layers: [][]byte{l[:len(l)/2]}}))
		}},
		{name: "truncated gzip", fails: []string{"O1"}, says: "unexpected EOF", ref: func(t *testing.T) string {
			s := newStore(t)
			return s.index(s.image(img{layers: [][]byte{layerTar(t, app(t))}, pack: func(t testing.TB, b []byte) []byte { b = gz(t, b); return b[:len(b)-20] }}))
		}},
		{name: "layer of unknown type", fails: []string{"O1"}, says: "no file system layer", ref: func(t *testing.T) string {
			s := newStore(t)
			return s.index(s.image(img{layers: [][]byte{layerTar(t, app(t))}, media: "application/x-squashfs"}))
		}},
		{name: "layer that is elsewhere", fails: []string{"O1"}, says: "elsewhere", ref: func(t *testing.T) string {
			s := newStore(t)
			return s.index(s.image(img{layers: [][]byte{layerTar(t, app(t))}, media: "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"}))
		}},
		{name: "config names another layer", fails: []string{"O5"}, says: "the config says", ref: func(t *testing.T) string {
			s := newStore(t)
			return s.index(s.image(img{layers: [][]byte{layerTar(t, app(t))}, diffIDs: []string{"sha256:" + strings.Repeat("0", 64)}}))
		}},
		{name: "blob altered", fails: []string{"O5"}, says: "not what its digest says", ref: func(t *testing.T) string {
			s := newStore(t)
			d := s.image(img{layers: [][]byte{layerTar(t, app(t))}})
			name := filepath.Join("blobs", strings.ReplaceAll(d["digest"].(string), ":", "/"))
			s.put(name, append(read(t, filepath.Join(s.dir, name)), ' '))
			return s.index(d)
		}},
		{name: "index that names itself", fails: []string{"O5"}, says: "not what its digest says", ref: func(t *testing.T) string {
			s := newStore(t)
			d := s.blob(indexType, []byte("{}"))
			b, _ := json.Marshal(map[string]any{"schemaVersion": 2, "manifests": []desc{d, d}})
			s.put(filepath.Join("blobs", strings.ReplaceAll(d["digest"].(string), ":", "/")), b)
			d["size"] = len(b)
			return s.index(d)
		}},
		{name: "indexes too deep", fails: []string{"O1"}, says: "nested deeper", ref: func(t *testing.T) string {
			s := newStore(t)
			d := s.image(img{layers: [][]byte{layerTar(t, app(t))}})
			for range 6 {
				d = s.json(indexType, map[string]any{"schemaVersion": 2, "mediaType": indexType, "manifests": []desc{d}})
			}
			return s.index(d)
		}},
		{name: "index that multiplies", fails: []string{"O1"}, says: "more than", ref: func(t *testing.T) string {
			s := newStore(t)
			d := s.image(img{layers: [][]byte{layerTar(t, app(t))}})
			for range 3 {
				d = s.json(indexType, map[string]any{"schemaVersion": 2, "mediaType": indexType, "manifests": slices.Repeat([]desc{d}, 100)})
			}
			return s.index(d)
		}},
		{name: "environment switches the module off", fails: []string{"O2"}, says: "fips140=off", ref: func(t *testing.T) string {
			return oneLayer(t, v1.Config{Env: []string{"PATH=/", "GODEBUG=madvdontneed=1,fips140=off"}}, app(t))
		}},
		{name: "environment without harm", ref: func(t *testing.T) string {
			return oneLayer(t, v1.Config{Env: []string{"PATH=/", "GODEBUG=madvdontneed=1"}}, app(t))
		}},
		{name: "argument weakens TLS", fails: []string{"O3"}, says: "below 1.2", ref: func(t *testing.T) string {
			return oneLayer(t, v1.Config{Entrypoint: []string{"/usr/bin/app"}, Cmd: []string{"--tls-min-version", "VersionTLS10"}}, app(t))
		}},
		{name: "argument within the policy", ref: func(t *testing.T) string {
			return oneLayer(t, v1.Config{Cmd: []string{"--tls-min-version=VersionTLS12", "--tls-cipher-suites=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"}}, app(t))
		}},
		{name: "crypto library", fails: []string{"O4"}, says: "libssl.so.3", ref: func(t *testing.T) string {
			return oneLayer(t, v1.Config{}, app(t), file{name: "usr/lib/libssl.so.3", data: []byte("x")})
		}},
		{name: "label claims a validation", fails: []string{"O7"}, says: "only uses one", ref: func(t *testing.T) string {
			return oneLayer(t, v1.Config{Labels: map[string]string{"description": "A FIPS 140-3 validated etcd"}}, app(t))
		}},
		{name: "label names a certificate that is not there", fails: []string{"O7"}, says: "#5247", ref: func(t *testing.T) string {
			return oneLayer(t, v1.Config{Labels: map[string]string{"fips": "uses the Go module, certificate #5247"}}, app(t))
		}},
		{name: "label claims FIPS without any module", fails: []string{"O7"}, says: "no program in the image has a module", ref: func(t *testing.T) string {
			return oneLayer(t, v1.Config{Labels: map[string]string{"org.example.fips": "true"}}, file{name: "app", data: read(t, fixture.Build(t, fixture.Program{Source: "hello"}))})
		}},
		{name: "label says what was measured", ref: func(t *testing.T) string {
			return oneLayer(t, v1.Config{Labels: map[string]string{"fips": "uses BoringCrypto, certificate #4735"}}, app(t))
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			code, r := judged(t, "image", tt.ref(t))
			got := failures(r)
			if ids := slices.Sorted(maps.Keys(got)); !slices.Equal(ids, tt.fails) {
				t.Errorf("refused by %v, want %v", got, tt.fails)
			}
			want := judge.OK
			if tt.fails != nil {
				want = judge.Refused
				if all := fmt.Sprint(got); !strings.Contains(all, tt.says) {
					t.Errorf("no failure says %q: %s", tt.says, all)
				}
			}
			if code != want {
				t.Errorf("exit code %d, want %d", code, want)
			}
		})
	}
}

func zst(t testing.TB, b []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(b, nil)
}

func TestHiddenFilesAreMarked(t *testing.T) {
	app := file{name: "dir/app", data: program(t)}
	s := newStore(t)
	ref := s.index(s.image(img{layers: [][]byte{
		layerTar(t, app, file{name: "gone", data: program(t)}, file{name: "kept", data: program(t)}),
		layerTar(t, file{name: ".wh.gone"}, file{name: "dir/.wh..wh..opq"}, file{name: "dir/new", data: program(t)}),
	}}))
	_, r := judged(t, "image", ref)
	got := map[string]bool{}
	for _, a := range r.Artifacts {
		if a.Kind == report.Binary {
			got[a.File] = a.Hidden
		}
	}
	want := map[string]bool{"/dir/app": true, "/gone": true, "/kept": false, "/dir/new": false}
	if !maps.Equal(got, want) {
		t.Errorf("hidden: %v, want %v", got, want)
	}
}

// A sparse entry of 10 GiB costs nothing, an ELF file of that size is refused.
func TestSparse(t *testing.T) {
	for name, head := range map[string]string{"data": "not a program", "ELF": "\x7fELF\x02\x01\x01"} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			ref := s.index(s.image(img{layers: [][]byte{sparse(head, 10<<30)}}))
			start := time.Now()
			_, r := judged(t, "image", ref)
			if d := time.Since(start); d > 20*time.Second {
				t.Errorf("took %v", d)
			}
			got := fmt.Sprint(failures(r)["O1"])
			if refused := strings.Contains(got, "10737418240 bytes"); refused != (name == "ELF") {
				t.Errorf("%s", got)
			}
		})
	}
}

// sparse writes a PAX 1.0 sparse entry by hand: Go's writer makes none. Its
// data begins with head; the rest is a hole.
func sparse(head string, size int64) []byte {
	mapping := fmt.Sprintf("1\n0\n%d\n", len(head))
	body := append([]byte(mapping), make([]byte, 512-len(mapping))...)
	body = append(body, head...)
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	pax := ""
	for _, kv := range []string{"GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.name=sparse", fmt.Sprintf("GNU.sparse.realsize=%d", size)} {
		n := len(kv) + 3
		for len(fmt.Sprint(n))+len(kv)+2 != n {
			n++
		}
		pax += fmt.Sprintf("%d %s\n", n, kv)
	}
	for _, e := range []struct {
		typ  byte
		name string
		data []byte
	}{{tar.TypeXHeader, "PaxHeaders/sparse", []byte(pax)}, {tar.TypeReg, "sparse", body}} {
		h := make([]byte, 512)
		copy(h, e.name)
		copy(h[100:], "0000755\x000000000\x000000000\x00")
		copy(h[124:], fmt.Sprintf("%011o\x00%011o\x00", len(e.data), 0))
		h[156] = e.typ
		copy(h[257:], "ustar\x0000")
		copy(h[148:], "        ")
		sum := 0
		for _, c := range h {
			sum += int(c)
		}
		copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
		out.Write(h)
		out.Write(e.data)
		out.Write(make([]byte, (512-len(e.data)%512)%512))
	}
	w.Close()
	return out.Bytes()
}

// The same image has the same verdict from a layout, archives and a registry.
func TestSourcesAgree(t *testing.T) {
	s := newStore(t)
	dir := s.index(s.image(img{layers: [][]byte{layerTar(t, file{name: "bin/app", data: program(t)}), layerTar(t, file{name: "bin/bad", data: plain(t)})}}))
	idx, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	m, err := idx.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	image, err := idx.Image(m.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}

	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	tag, err := name.NewTag(host + "/test/app:v1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, image); err != nil {
		t.Fatal(err)
	}
	docker := filepath.Join(t.TempDir(), "docker.tar")
	if err := tarball.WriteToFile(docker, tag, image); err != nil {
		t.Fatal(err)
	}
	oci := filepath.Join(t.TempDir(), "oci.tar")
	if err := os.WriteFile(oci, tarOf(t, dir), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{dir, oci, docker, tag.String(), host + "/test/app@" + m.Manifests[0].Digest.String()} {
		code, r := judged(t, "image", ref)
		var got []string
		for _, a := range r.Artifacts {
			got = append(got, a.Kind+" "+a.File[max(0, strings.LastIndex(a.File, "/")):]+" "+a.Verdict)
		}
		if code != judge.Refused || len(got) != 3 || got[1] != "binary /app pass" || got[2] != "binary /bad fail" {
			t.Errorf("%s: exit code %d, %v", ref, code, got)
		}
	}
}

func tarOf(t *testing.T, dir string) []byte {
	var files []file
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		files = append(files, file{name: rel, data: read(t, p)})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return layerTar(t, files...)
}

func TestPlainHTTPOnlyForLoopback(t *testing.T) {
	code, _, stderr := run("image", "10.1.2.3:5000/app:v1")
	if code != judge.Unusable || !strings.Contains(stderr, "loopback only") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}

// O9: what is in the image has to be what was verified at build, and takes its
// name and mode from there.
func TestVerdictsOfTheBuild(t *testing.T) {
	good := fixture.Build(t, fixture.Program{Source: "hash", Boring: true, Cgo: true})
	policy := write(t, "policy.yaml", "version: 1\nartifacts:\n  \"images/*\": none\n")
	verdict := filepath.Join(t.TempDir(), "app.json")
	if code, _, stderr := run("binary", "--policy", policy, "--mode", "boring", "--artifact", "demo/app", "--output", "json", "--output-file", verdict, good); code != judge.OK {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	image := func(extra ...file) string {
		return oneLayer(t, v1.Config{}, append(extra, file{name: "app", data: read(t, good)})...)
	}
	code, r := judged(t, "image", "--policy", policy, "--artifact", "images/demo", "--verdicts", verdict, image())
	if code != judge.OK || r.Artifacts[1].Name != "demo/app" {
		t.Errorf("verified program: exit code %d, name %s, %v", code, r.Artifacts[1].Name, failures(r))
	}
	other := file{name: "other", data: read(t, fixture.Build(t, fixture.Program{Source: "hello"}))}
	code, r = judged(t, "image", "--policy", policy, "--artifact", "images/demo", "--verdicts", verdict, image(other))
	if got := fmt.Sprint(failures(r)["O9"]); code != judge.Refused || !strings.Contains(got, "/other") {
		t.Errorf("program without verdict: exit code %d, %s", code, got)
	}
}

func TestTree(t *testing.T) {
	dir := t.TempDir()
	for name, b := range map[string][]byte{"app": program(t), "notes.txt": []byte("x"), "python3": []byte("#!x")} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("loop", filepath.Join(dir, "loop")); err != nil {
		t.Fatal(err)
	}
	code, r := judged(t, "tree", dir)
	if code != judge.OK || len(r.Artifacts) != 2 {
		t.Errorf("exit code %d, %d artifacts, %v", code, len(r.Artifacts), failures(r))
	}
	if !slices.ContainsFunc(r.Artifacts[0].Findings, func(f checks.Finding) bool { return f.Check == "O6" && f.Subject == "/python3" }) {
		t.Error("the interpreter is not reported")
	}
	if err := os.WriteFile(filepath.Join(dir, "bad"), plain(t), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, r = judged(t, "tree", dir); code != judge.Refused || !strings.Contains(fmt.Sprint(failures(r)["O1"]), "/bad") {
		t.Errorf("plain program: exit code %d, %v", code, failures(r))
	}
}

func TestChart(t *testing.T) {
	tests := []struct {
		name, text string
		fails      []string
		warns      string
	}{
		{name: "good", text: "kind: Pod\nspec:\n  containers:\n  - name: a\n    args: [--tls-min-version=VersionTLS12]\n    env:\n    - {name: GODEBUG, value: madvdontneed=1}\n"},
		{name: "environment", fails: []string{"O2"}, text: "kind: Pod\nspec:\n  containers:\n  - env:\n    - name: GODEBUG\n      value: fips140=off\n"},
		{name: "template", fails: []string{"O2", "O3"}, text: "{{- if .Values.x }}\nspec:\n  containers:\n  - image: {{ .Values.image }}\n    args:\n    {{- range .Values.args }}\n    - {{ . }}\n    {{- end }}\n    - --kubelet-insecure-tls\n    env:\n    - name: GODEBUG\n      value: tlsrsakex=1\n{{- end }}\n"},
		{name: "at rest", fails: []string{"O3"}, text: "kind: EncryptionConfiguration\nresources:\n- providers:\n  - secretbox:\n      keys: []\n"},
		{name: "host path", warns: "O8", text: "spec:\n  volumes:\n  - name: bin\n    hostPath:\n      path: /usr/local/bin\n"},
		{name: "aliases that multiply", text: "a: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]\nd: &d [*c, *c, *c, *c, *c, *c, *c]\ne: &e [*d, *d, *d, *d, *d]\nf: [*e, *e, *e, *e, *e, *e]\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, r := judged(t, "chart", write(t, "m.yaml", tt.text))
			got := failures(r)
			if ids := slices.Sorted(maps.Keys(got)); !slices.Equal(ids, tt.fails) || (code == judge.OK) != (tt.fails == nil) {
				t.Errorf("exit code %d, %v, want %v", code, got, tt.fails)
			}
			warned := slices.ContainsFunc(r.Artifacts[0].Findings, func(f checks.Finding) bool { return f.Status == checks.Warn })
			if warned != (tt.warns != "") {
				t.Errorf("warned %v, want %q", warned, tt.warns)
			}
		})
	}
	if code, _, stderr := run("chart", write(t, "m.yaml", "a: [")); code != judge.Unusable {
		t.Errorf("broken YAML: exit code %d, %s", code, stderr)
	}
	packed := filepath.Join(t.TempDir(), "chart.tgz")
	if err := os.WriteFile(packed, gz(t, layerTar(t, file{name: "c/templates/a.yaml", data: []byte(tests[1].text)})), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, r := judged(t, "chart", packed); code != judge.Refused || len(r.Artifacts) != 1 {
		t.Errorf("packaged chart: exit code %d", code)
	}
}
