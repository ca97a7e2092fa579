package critest_test

import (
	"archive/tar"
	"bytes"
	"crypto/tls"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"kubefips.internal/tests/internal/proc"
	"kubefips.internal/tools/pki"
)

// sandboxImage is the image of a sandbox's own process, which is pause.
const sandboxImage = "registry.k8s.io/sandbox:test"

const users = `root:x:0:0:root:/root:/bin/sh
www-data:x:33:33:www-data:/var/www:/bin/false
default-user:x:1000:1000::/home/default-user:/bin/sh
nobody:x:65534:65534:nobody:/home:/bin/false
`

const groups = `root:x:0:
www-data:x:33:
default-user:x:1000:
group-defined-in-image:x:50000:default-user
nogroup:x:65534:
`

// serveImages serves the images that critest names, whatever registry it thinks they are of. They are made of BusyBox.
func serveImages(t *testing.T, ca *pki.CA) (address string) {
	t.Helper()
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	plain := httptest.NewServer(handler)
	t.Cleanup(plain.Close)

	busybox := proc.Runfile(t, os.Getenv("BUSYBOX"))
	base, err := newImage(busyboxFiles(t, busybox))
	if err != nil {
		t.Fatal(err)
	}
	pause, err := newImage([]file{{name: "pause", content: read(t, proc.Runfile(t, os.Getenv("PAUSE")))}})
	if err != nil {
		t.Fatal(err)
	}
	web := func(port int) v1.Config {
		return v1.Config{Cmd: []string{"sh", "-c", fmt.Sprintf("echo httpd at %d; exec httpd -f -p %[1]d -h /www", port)}}
	}
	const e2e, staging = "e2e-test-images/", "k8s-staging-cri-tools/"
	for reference, config := range map[string]v1.Config{
		e2e + "busybox:1.29-2":                      {},
		e2e + "nginx:1.14-2":                        web(80),
		e2e + "httpd:2.4.39-4":                      web(80),
		staging + "hostnet-nginx-" + runtime.GOARCH: web(12003),
		staging + "test-image-user-uid":             {User: "1002"},
		staging + "test-image-user-username":        {User: "www-data"},
		staging + "test-image-user-uid-group":       {User: "1003:1004"},
		staging + "test-image-user-username-group":  {User: "www-data:1004"},
		staging + "test-image-predefined-group":     {User: "1000"},
		staging + "test-image-latest":               {},
		staging + "test-image-tag:test":             {},
		staging + "test-image-tag:all":              {},
		staging + "test-image-1":                    {},
		staging + "test-image-2":                    {},
		staging + "test-image-3":                    {},
		staging + "test-image-tags:1,2,3":           {},
		"pause:3.9":                                 {},
		"sandbox:test":                              {},
	} {
		repository, tags, tagged := strings.Cut(reference, ":")
		if !tagged {
			tags = "latest"
		}
		from := base
		switch repository {
		case "sandbox", "pause":
			from, config.Entrypoint = pause, []string{"/pause"}
		default:
			if config.Cmd == nil {
				config.Cmd = []string{"sh"}
			}
		}
		config.Labels = map[string]string{"name": reference} // so that they differ
		image, err := mutate.Config(from, config)
		if err != nil {
			t.Fatal(err)
		}
		for tag := range strings.SplitSeq(tags, ",") {
			to, err := name.NewTag(strings.TrimPrefix(plain.URL, "http://") + "/" + repository + ":" + tag)
			if err == nil {
				err = remote.Write(to, image)
			}
			if err != nil {
				t.Fatalf("making image %s: %v", reference, err)
			}
		}
	}

	leaf, err := ca.Issue("registry", pkix.Name{CommonName: "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(leaf.CertFile, leaf.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewUnstartedServer(handler)
	front.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	front.StartTLS()
	t.Cleanup(front.Close)
	return front.URL
}

// A file of an image: a program when it has content, else a folder that everybody may write to, or a hard link.
type file struct {
	name, link string
	content    []byte
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func busyboxFiles(t *testing.T, busybox string) []file {
	t.Helper()
	files := []file{
		{name: "bin/busybox", content: read(t, busybox)},
		{name: "etc/passwd", content: []byte(users)},
		{name: "etc/group", content: []byte(groups)},
		// BusyBox has neither, and another name for what they print.
		{name: "bin/pgrep", content: []byte("#!/bin/sh\nexec pidof \"$1\"\n")},
		{name: "bin/ipcs", content: []byte("#!/bin/sh\ncat /proc/sysvipc/shm\n")},
		{name: "www/index.html", content: []byte("It works!\n")},
		{name: "tmp/"}, {name: "root/"}, {name: "var/run/"}, {name: "mnt/"},
	}
	for applet := range strings.FieldsSeq(proc.Run(t, busybox, "--list")) {
		if applet != "busybox" {
			files = append(files, file{name: "bin/" + applet, link: "bin/busybox"})
		}
	}
	return files
}

func newImage(files []file) (v1.Image, error) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, f := range files {
		header := &tar.Header{Name: f.name, Mode: 0o755, Size: int64(len(f.content))}
		switch {
		case f.link != "":
			header.Typeflag, header.Linkname = tar.TypeLink, f.link
		case f.content == nil:
			header.Typeflag, header.Mode = tar.TypeDir, 0o1777
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive.Bytes())), nil })
	if err != nil {
		return nil, err
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return nil, err
	}
	all, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	all.OS, all.Architecture = "linux", runtime.GOARCH
	return mutate.ConfigFile(image, all)
}
