// Package containerd_test lets the built containerd take the shipped images, from the bundle and from a registry, and run them.
package containerd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	server "github.com/google/go-containerregistry/pkg/registry"

	"kubefips.internal/tests/internal/container"
	"kubefips.internal/tests/internal/namespaces"
	"kubefips.internal/tests/internal/proc"
	"kubefips.internal/tools/oci/contents"
	"kubefips.internal/tools/oci/registry"
)

func TestMain(m *testing.M) { namespaces.Main(m) }

// A user namespace needs OOM scores that are not below the parent's.
const config = `version = 4
root = "/run/test/root"
state = "/run/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"]
`

// What each image runs, and what that prints.
var runs = []struct {
	image   string
	program []string
	want    string
}{
	{"coredns", []string{"/usr/local/bin/coredns", "-version"}, "CoreDNS-"},
	{"etcd", []string{"/usr/local/bin/etcd", "--version"}, "etcd Version"},
	{"flannel", []string{"/usr/sbin/iptables", "--version"}, "nf_tables"},
	{"kube-proxy", []string{"/usr/sbin/ipset", "help"}, "ipset v"},
	{"kube-proxy", []string{"/usr/sbin/conntrack", "--version"}, "conntrack v"},
	{"kube-proxy", []string{"/usr/sbin/ip6tables-save", "--version"}, "nf_tables"},
	{"pause", []string{"/pause", "-v"}, "pause.c"},
}

func images(t *testing.T) map[string]contents.Summary {
	t.Helper()
	data, err := os.ReadFile(proc.Runfile(t, os.Getenv("DIGESTS")))
	if err != nil {
		t.Fatal(err)
	}
	var all struct{ Images []contents.Summary }
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	byName := map[string]contents.Summary{}
	for _, image := range all.Images {
		byName[image.Name] = image
	}
	return byName
}

func TestContainerdTakesTheImages(t *testing.T) {
	container.StartContainerd(t, config, map[string]string{"containerd-shim-runc-v2": os.Getenv("SHIM")})
	t.Run("bundle", testBundle)
	t.Run("pull", testPull)
}

// A machine without a network: every image is there by version and by digest, and runs.
func testBundle(t *testing.T) {
	container.Ctr(t, "--namespace=bundle", "images", "import", "--no-unpack", proc.Runfile(t, os.Getenv("BUNDLE")))
	listed := container.Ctr(t, "--namespace=bundle", "images", "list", "--quiet")
	all := images(t)
	if strings.Contains(listed, "charts/") {
		t.Errorf("containerd took a chart for an image:\n%s", listed)
	}
	for _, image := range all {
		for _, name := range []string{image.Name + ":" + image.Version, image.Name + "@" + image.Digest} {
			if !strings.Contains(listed, "/"+name+"\n") {
				t.Errorf("containerd does not know %s after the import of the bundle:\n%s", name, listed)
			}
		}
	}
	for _, run := range runs {
		t.Run(run.image+run.program[0], func(t *testing.T) {
			var reference string
			for _, name := range strings.Fields(listed) {
				if strings.HasSuffix(name, "/"+run.image+"@"+all[run.image].Digest) {
					reference = name
				}
			}
			// As root: the test's user namespace has no other user.
			args := append([]string{"--namespace=bundle", "run", "--rm", "--user=0", reference, "run"}, run.program...)
			if out := container.Ctr(t, args...); !strings.Contains(out, run.want) {
				t.Errorf("%s printed %q, want %q", run.program, out, run.want)
			}
		})
	}
}

// A registry: what is pulled by digest runs, and a digest that is not there is refused.
func testPull(t *testing.T) {
	blobs := server.NewInMemoryBlobHandler()
	listening := httptest.NewServer(server.New(server.Logger(log.New(io.Discard, "", 0)), server.WithBlobHandler(blobs)))
	t.Cleanup(listening.Close)
	repository := strings.TrimPrefix(listening.URL, "http://") + "/team/etcd"
	var pushed bytes.Buffer
	if err := registry.Push(context.Background(), proc.Runfile(t, os.Getenv("ETCD")), registry.Options{Repository: repository}, &pushed); err != nil {
		t.Fatal(err)
	}
	reference := strings.TrimSpace(pushed.String())
	if want := repository + "@" + images(t)["etcd"].Digest; reference != want {
		t.Fatalf("pushed %s, want %s", reference, want)
	}
	container.Ctr(t, "images", "pull", "--plain-http", reference)
	if out := container.Ctr(t, "run", "--rm", reference, "pulled", "/usr/local/bin/etcd", "--version"); !strings.Contains(out, "etcd Version") {
		t.Errorf("etcd --version printed %q", out)
	}
	other := repository + "@sha256:" + strings.Repeat("0", 64)
	if out, err := proc.Output(proc.Runfile(t, os.Getenv("CTR")), "images", "pull", "--plain-http", other); err == nil {
		t.Errorf("pulled %s, which nobody pushed: %s", other, out)
	}
}
