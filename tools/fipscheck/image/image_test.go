package image_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kubefips.internal/tools/fipscheck/content"
	"kubefips.internal/tools/fipscheck/image"
)

var small = content.Limits{Unpacked: 1 << 20, File: 1 << 16, Entries: 50, Depth: 2}

const manifest = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json",CONFIG},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar",LAYER}]}`

const config = `{"os":"linux","architecture":"amd64","config":{"Env":["A=b"]},"rootfs":{"type":"layers","diff_ids":["DIFFID"]}}`

func layer(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, data := range map[string]string{"bin/app": "\x7fELF\x02\x01\x01", ".wh.old": ""} {
		if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(data)), Mode: 0o755}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// FuzzLayout fuzzes what is behind a right digest: manifest, config and layer.
// CONFIG, LAYER and DIFFID stand for descriptors and digests that fit.
func FuzzLayout(f *testing.F) {
	f.Add([]byte(manifest), []byte(config), layer(f))
	f.Add([]byte(strings.ReplaceAll(manifest, "manifest.v1", "index.v1")), []byte(config), []byte{})
	f.Add([]byte(`{"layers":[{"mediaType":"application/vnd.in-toto+json",LAYER}],"config":{CONFIG}}`), []byte(`null`), []byte(`{}`))
	f.Fuzz(func(t *testing.T, m, c, l []byte) {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o755); err != nil {
			t.Fatal(err)
		}
		put := func(name string, b []byte) {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		blob := func(b []byte) string {
			sum := fmt.Sprintf("%x", sha256.Sum256(b))
			put("blobs/sha256/"+sum, b)
			return fmt.Sprintf(`"digest":"sha256:%s","size":%d`, sum, len(b))
		}
		c = bytes.ReplaceAll(c, []byte("DIFFID"), fmt.Appendf(nil, "sha256:%x", sha256.Sum256(l)))
		m = bytes.ReplaceAll(m, []byte("CONFIG"), []byte(blob(c)))
		m = bytes.ReplaceAll(m, []byte("LAYER"), []byte(blob(l)))
		for _, kind := range []string{"manifest", "index"} {
			put("index.json", fmt.Appendf(nil, `{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.%s.v1+json",%s}]}`, kind, blob(m)))
			got, err := (&image.Reader{Limits: small}).Read(dir)
			if err == nil && len(got) == 0 {
				t.Error("neither an image nor an error")
			}
		}
	})
}

// FuzzArchive fuzzes saved images as a whole.
func FuzzArchive(f *testing.F) {
	for _, name := range []string{"index.json", "manifest.json"} {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for n, data := range map[string]string{name: `[{"Config":"c.json","Layers":["l.tar"]}]`, "c.json": config, "l.tar": string(layer(f))} {
			if err := w.WriteHeader(&tar.Header{Name: n, Size: int64(len(data)), Mode: 0o644}); err != nil {
				f.Fatal(err)
			}
			if _, err := w.Write([]byte(data)); err != nil {
				f.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		name := filepath.Join(t.TempDir(), "image.tar")
		if err := os.WriteFile(name, b, 0o644); err != nil {
			t.Fatal(err)
		}
		if got, err := (&image.Reader{Limits: small}).Read(name); err == nil && len(got) == 0 {
			t.Error("neither an image nor an error")
		}
	})
}
