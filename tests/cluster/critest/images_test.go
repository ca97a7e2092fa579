package critest_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"kubefips.internal/tests/internal/image"
	"kubefips.internal/tests/internal/proc"
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

// images returns the images that critest names, whatever registry it thinks they are of. They are made of BusyBox.
func images(t *testing.T) map[string]v1.Image {
	t.Helper()
	base := image.Layer(t, append(image.BusyBox(t, proc.Runfile(t, os.Getenv("BUSYBOX"))),
		image.File{Name: "etc/passwd", Content: []byte(users)},
		image.File{Name: "etc/group", Content: []byte(groups)},
		// BusyBox has neither, and another name for what they print.
		image.File{Name: "bin/pgrep", Content: []byte("#!/bin/sh\nexec pidof \"$1\"\n")},
		image.File{Name: "bin/ipcs", Content: []byte("#!/bin/sh\ncat /proc/sysvipc/shm\n")},
		image.File{Name: "www/index.html", Content: []byte("It works!\n")},
		image.File{Name: "tmp/"}, image.File{Name: "root/"}, image.File{Name: "var/run/"}, image.File{Name: "mnt/"},
	))
	pause := image.Layer(t, []image.File{{Name: "pause", Content: image.Read(t, proc.Runfile(t, os.Getenv("PAUSE")))}})
	web := func(port int) v1.Config {
		return v1.Config{Cmd: []string{"sh", "-c", fmt.Sprintf("echo httpd at %d; exec httpd -f -p %[1]d -h /www", port)}}
	}
	all := map[string]v1.Image{}
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
		made := image.New(t, config, from)
		for tag := range strings.SplitSeq(tags, ",") {
			all[repository+":"+tag] = made
		}
	}
	return all
}
