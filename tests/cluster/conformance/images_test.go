package conformance_test

import (
	"crypto/x509/pkix"
	"os"
	"path"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"kubefips.internal/tests/internal/image"
	"kubefips.internal/tests/internal/proc"
	"kubefips.internal/tools/pki"
)

const users = `root:x:0:0:root:/root:/bin/sh
user-defined-in-image:x:1000:1000::/home/user:/bin/sh
nobody:x:65534:65534:nobody:/:/bin/false
`

const groups = `root:x:0:
user-defined-in-image:x:1000:
group-defined-in-image:x:50000:user-defined-in-image
nobody:x:65534:
`

// images returns those of the images that upstream's tests name (e2e --list-images) which can be made here: of upstream's own programs
// (test/images), BusyBox and Debian's curl, dig, getent and nc. What is an nginx upstream is BusyBox's httpd.
func images(t *testing.T, ca *pki.CA, references []string) map[string]v1.Image {
	t.Helper()
	program := func(name, variable string) image.File {
		return image.File{Name: name, Content: image.Read(t, proc.Runfile(t, os.Getenv(variable)))}
	}
	certificate, err := ca.Issue("localhost", pkix.Name{CommonName: "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	shell := image.Layer(t, append(image.BusyBox(t, proc.Runfile(t, os.Getenv("BUSYBOX"))),
		image.File{Name: "etc/passwd", Content: []byte(users), Mode: 0o644},
		image.File{Name: "etc/group", Content: []byte(groups), Mode: 0o644},
		image.File{Name: "etc/os-release", Content: []byte("PRETTY_NAME=\"in place of Alpine Linux\"\n"), Mode: 0o644}, // a test reads upstream's
		image.File{Name: "etc/nsswitch.conf", Content: []byte("hosts: files dns\n"), Mode: 0o644},
		image.File{Name: "tmp/"}, image.File{Name: "root/", Mode: 0o755}, image.File{Name: "var/run/", Mode: 0o755},
	))
	programs, err := tarball.LayerFromFile(proc.Runfile(t, os.Getenv("PROGRAMS")))
	if err != nil {
		t.Fatal(err)
	}
	agnhost := image.Layer(t, []image.File{
		program("agnhost", "AGNHOST"),
		{Name: "agnhost-2", Link: "agnhost"},
		{Name: "uploads/", Mode: 0o755},
		{Name: "localhost.crt", Content: image.Read(t, certificate.CertFile), Mode: 0o644}, // of its porter
		{Name: "localhost.key", Content: image.Read(t, certificate.KeyFile), Mode: 0o644},
	})
	page := func(file, content string) v1.Layer {
		return image.Layer(t, []image.File{{Name: file, Content: []byte(content), Mode: 0o644}})
	}

	all := map[string]v1.Image{}
	for _, reference := range references {
		_, name, _ := strings.Cut(reference, "/") // without the registry
		repository, _, _ := strings.Cut(path.Base(name), ":")
		config := v1.Config{Entrypoint: []string{"/agnhost"}, Cmd: []string{"pause"}, Labels: map[string]string{"name": name}} // so that they differ
		// Debian's programs are in place of BusyBox's of the same name.
		layers := []v1.Layer{shell, programs, agnhost}
		switch repository {
		case "agnhost":
			if strings.HasPrefix(reference, "gcr.io/") {
				continue // a private one
			}
			config.ExposedPorts = map[string]struct{}{"80/tcp": {}, "8080/tcp": {}, "8081/tcp": {}, "9376/tcp": {}, "5000/tcp": {}}
		case "nautilus", "kitten":
			config.Cmd = []string{"test-webserver"}
			layers = append(layers, page("data.json", `{"image": "`+repository+`.jpg"}`))
		case "busybox", "glibc-dns-testing":
			config.Entrypoint, config.Cmd, layers = nil, []string{"sh"}, layers[:2] // bash: left_out.yaml says why
		case "nonroot":
			config.User = "1234"
		case "nginx":
			config.Entrypoint, config.Cmd, layers = nil, []string{"httpd", "-f", "-p", "80", "-h", "/www"}, []v1.Layer{shell, page("www/index.html", "It works!\n")}
		case "nonewprivs":
			nnp := program("usr/local/bin/nnp", "NNP")
			nnp.Mode = 0o6755
			config.Entrypoint, config.Cmd, layers = nil, []string{"nnp"}, []v1.Layer{shell, image.Layer(t, []image.File{nnp})}
		case "pause":
			config.Entrypoint, config.Cmd, layers = []string{"/pause"}, nil, []v1.Layer{image.Layer(t, []image.File{program("pause", "PAUSE")})}
		default:
			continue
		}
		all[name] = image.New(t, config, layers...)
	}
	return all
}
