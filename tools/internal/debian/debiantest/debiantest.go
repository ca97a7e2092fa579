// Package debiantest makes Debian packages and serves them on loopback.
package debiantest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/blakesmith/ar"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"kubefips.internal/tools/internal/debian"
)

// Entry is one member of a package's data.tar. Without a type it is a regular
// file, or a directory when its name ends in a slash.
type Entry struct {
	Name, Content, Link string
	Type                byte
	Mode                int64
}

// Deb returns a package with the entries; compression is "", "gz", "xz" or "zst".
func Deb(t testing.TB, compression string, entries ...Entry) []byte {
	t.Helper()
	member := "data.tar"
	if compression != "" {
		member += "." + compression
	}
	data := Compress(t, compression, tarball(t, entries))
	var b bytes.Buffer
	w := ar.NewWriter(&b)
	must(t, w.WriteGlobalHeader())
	for _, m := range []struct {
		name string
		data []byte
	}{{"debian-binary", []byte("2.0\n")}, {"control.tar", tarball(t, nil)}, {member, data}} {
		must(t, w.WriteHeader(&ar.Header{Name: m.name, Size: int64(len(m.data)), Mode: 0o644}))
		_, err := w.Write(m.data)
		must(t, err)
	}
	return b.Bytes()
}

func tarball(t testing.TB, entries []Entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Name: e.Name, Typeflag: e.Type, Mode: e.Mode, Linkname: e.Link, Size: int64(len(e.Content))}
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
			if strings.HasSuffix(e.Name, "/") {
				h.Typeflag = tar.TypeDir
			}
		}
		if h.Mode == 0 {
			h.Mode = 0o755
		}
		must(t, w.WriteHeader(h))
		_, err := w.Write([]byte(e.Content))
		must(t, err)
	}
	must(t, w.Close())
	return b.Bytes()
}

// Compress returns data as Deb and an archive's index have it.
func Compress(t testing.TB, compression string, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	var err error
	switch compression {
	case "":
		return data
	case "gz":
		w = gzip.NewWriter(&b)
	case "xz":
		w, err = xz.NewWriter(&b)
	case "zst":
		w, err = zstd.NewWriter(&b)
	default:
		t.Fatalf("unknown compression %q", compression)
	}
	must(t, err)
	_, err = w.Write(data)
	must(t, err)
	must(t, w.Close())
	return b.Bytes()
}

// Archive serves files and counts what is asked for.
type Archive struct {
	*httptest.Server
	mu       sync.Mutex
	files    map[string][]byte
	requests map[string]int
}

// NewArchive starts an archive that stops with the test.
func NewArchive(t testing.TB) *Archive {
	a := &Archive{files: map[string][]byte{}, requests: map[string]int{}}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		data, ok := a.files[r.URL.Path]
		a.requests[r.URL.Path]++
		a.mu.Unlock()
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(data) // a client may hang up
	}))
	t.Cleanup(a.Close)
	return a
}

// Mirrors returns the archive as the only mirror.
func (a *Archive) Mirrors(t testing.TB) *debian.Mirrors {
	t.Helper()
	m, err := debian.ParseMirrors(a.URL + "/debian")
	must(t, err)
	return m
}

// Put serves data at path of the "debian" archive and returns its lock entry.
func (a *Archive) Put(path string, data []byte) debian.File {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.files["/debian/"+path] = data
	sum := sha256.Sum256(data)
	return debian.File{Archive: "debian", Path: path, SHA256: hex.EncodeToString(sum[:]), Size: int64(len(data))}
}

// Delete makes the archive forget a path.
func (a *Archive) Delete(path string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.files, "/debian/"+path)
}

// Requests returns how often a path was asked for.
func (a *Archive) Requests(path string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.requests["/debian/"+path]
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
