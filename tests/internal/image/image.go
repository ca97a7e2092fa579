// Package image makes images out of programs, for the containers of tests.
package image

import (
	"archive/tar"
	"bytes"
	"crypto/tls"
	"crypto/x509/pkix"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"kubefips.internal/tests/internal/proc"
	"kubefips.internal/tools/pki"
)

// A File of an image: a hard link, or a program when it has content, else a folder that everybody may write to.
type File struct {
	Name, Link string // without a leading slash
	Content    []byte
	Mode       int64 // where it is another one
}

// Read returns the content of a file, which has to be there.
func Read(t testing.TB, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// BusyBox returns BusyBox, given as a path, and a link to it for each of its applets.
func BusyBox(t testing.TB, program string) []File {
	t.Helper()
	files := []File{{Name: "bin/busybox", Content: Read(t, program)}}
	for applet := range strings.FieldsSeq(proc.Run(t, program, "--list")) {
		if applet != "busybox" {
			files = append(files, File{Name: "bin/" + applet, Link: "bin/busybox"})
		}
	}
	return files
}

// Layer returns a layer of files.
func Layer(t testing.TB, files []File) v1.Layer {
	t.Helper()
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, f := range files {
		header := &tar.Header{Name: f.Name, Mode: 0o755, Size: int64(len(f.Content))}
		switch {
		case f.Link != "":
			header.Typeflag, header.Linkname = tar.TypeLink, f.Link
		case f.Content == nil:
			header.Typeflag, header.Mode = tar.TypeDir, 0o1777
		}
		if f.Mode != 0 {
			header.Mode = f.Mode
		}
		if err := w.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(f.Content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	return layer
}

// New returns an image of layers, the lowest first.
func New(t testing.TB, config v1.Config, layers ...v1.Layer) v1.Image {
	t.Helper()
	image, err := mutate.AppendLayers(empty.Image, layers...)
	if err != nil {
		t.Fatal(err)
	}
	all, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	all.OS, all.Architecture, all.Config = "linux", runtime.GOARCH, config
	if image, err = mutate.ConfigFile(image, all); err != nil {
		t.Fatal(err)
	}
	return image
}

// OfProgram returns an image with nothing but a program, given as a path, whose containers run it with arguments.
func OfProgram(t testing.TB, program, name string, arguments ...string) v1.Image {
	t.Helper()
	return New(t, v1.Config{Entrypoint: []string{"/" + name}, Cmd: arguments}, Layer(t, []File{{Name: name, Content: Read(t, program)}}))
}

// WriteLayout writes an image as an OCI layout into a new folder.
func WriteLayout(t testing.TB, dir string, image v1.Image) {
	t.Helper()
	path, err := layout.Write(dir, empty.Index)
	if err == nil {
		err = path.AppendImage(image)
	}
	if err != nil {
		t.Fatalf("writing an image to %s: %v", dir, err)
	}
}

// Serve serves images over TLS, named without a registry as in "busybox:latest", until the test ends, and returns the URL.
func Serve(t testing.TB, ca *pki.CA, listener net.Listener, images map[string]v1.Image) string {
	t.Helper()
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	plain := httptest.NewServer(handler)
	defer plain.Close()
	for reference, image := range images {
		to, err := name.NewTag(strings.TrimPrefix(plain.URL, "http://") + "/" + reference)
		if err == nil {
			err = remote.Write(to, image)
		}
		if err != nil {
			t.Fatalf("making image %s: %v", reference, err)
		}
	}
	host, _, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.Issue("images", pkix.Name{CommonName: host}, host)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(leaf.CertFile, leaf.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler, TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}}}
	go server.ServeTLS(listener, "", "")
	t.Cleanup(func() { server.Close() })
	return "https://" + listener.Addr().String()
}
