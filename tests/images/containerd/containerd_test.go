// Package containerd_test lets the built containerd take the shipped images, from the bundle and from a registry, and run them.
package containerd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kubefips.internal/tests/internal/container"
	"kubefips.internal/tests/internal/namespaces"
	"kubefips.internal/tests/internal/proc"
	serving "kubefips.internal/tests/internal/registry"
	"kubefips.internal/tools/oci/contents"
	"kubefips.internal/tools/oci/layout"
	"kubefips.internal/tools/oci/registry"
	"kubefips.internal/tools/pki"
)

func TestMain(m *testing.M) { namespaces.Main(m) }

// A user namespace needs OOM scores that are not below the parent's.
const config = `version = 4
root = "/run/test/root"
state = "/run/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"]
`

// What each image runs, and what that prints. The image distribution is not among them: its folder for data is of a user that the
// test's user namespace does not have.
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
	{"kube-proxy", []string{"/usr/sbin/nft", "--version"}, "nftables v"},
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
	t.Run("pull", testPull) // first, because containerd does not pull what the import has brought, in whatever namespace
	t.Run("bundle", testBundle)
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

// The registry that is shipped, with TLS and a password: what is pulled by digest runs; a stranger, a digest that is not there and a
// layer of which a bit has changed are refused.
func testPull(t *testing.T) {
	ca, err := pki.NewCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	const user, password = "team", "right"
	store := serving.Start(t, serving.Options{CA: ca, User: user, Password: password})
	store.Login(t, user, password)
	repository := store.Host + "/team/etcd"
	var pushed bytes.Buffer
	built := proc.Runfile(t, os.Getenv("ETCD"))
	if err := registry.Push(context.Background(), built, registry.Options{Repository: repository, Transport: store.Transport(t)}, &pushed); err != nil {
		t.Fatal(err)
	}
	reference := strings.TrimSpace(pushed.String())
	if want := repository + "@" + images(t)["etcd"].Digest; reference != want {
		t.Fatalf("pushed %s, want %s", reference, want)
	}

	// As on a node: a folder of certs.d.
	hosts := t.TempDir()
	if err := os.Mkdir(filepath.Join(hosts, store.Host), 0o700); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("server = %q\nca = %q\n", "https://"+store.Host, ca.CertFile)
	if err := os.WriteFile(filepath.Join(hosts, store.Host, "hosts.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	pull := func(namespace, password, reference string) (string, error) {
		return proc.Output(proc.Runfile(t, os.Getenv("CTR")), "--namespace="+namespace, "images", "pull", "--hosts-dir="+hosts, "--user="+user+":"+password, reference)
	}
	if out, err := pull("stranger", "wrong", reference); err == nil || !strings.Contains(out, "401") {
		t.Errorf("with a wrong password: %v, want an error with the registry's answer", err)
	}
	if _, err := pull("pull", password, reference); err != nil {
		t.Fatal(err)
	}
	if out := container.Ctr(t, "--namespace=pull", "run", "--rm", reference, "pulled", "/usr/local/bin/etcd", "--version"); !strings.Contains(out, "etcd Version") {
		t.Errorf("etcd --version printed %q", out)
	}
	other := repository + "@sha256:" + strings.Repeat("0", 64)
	if out, err := pull("other", password, other); err == nil {
		t.Errorf("pulled %s, which nobody pushed: %s", other, out)
	}

	container.Ctr(t, "--namespace=pull", "images", "remove", "--sync", reference) // and with it what it has of the image
	changed := lastLayer(t, built)
	store.Change(t, changed)
	if out, err := pull("pull", password, reference); err == nil || !strings.Contains(out, strings.TrimPrefix(changed, "sha256:")) {
		t.Errorf("with a changed bit in the store: %v, want an error that names %s: %s", err, changed, out)
	}
}

// lastLayer returns the digest of the layer on top of the image in the layout at dir.
func lastLayer(t *testing.T, dir string) string {
	t.Helper()
	image, err := layout.OpenImage(dir)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := image.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	return manifest.Layers[len(manifest.Layers)-1].Digest.String()
}
