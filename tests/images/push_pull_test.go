// Package images_test takes the shipped images through a registry, as a release and a cluster do.
package images_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bazelbuild/rules_go/go/runfiles"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"kubefips.internal/tests/internal/namespaces"
	serving "kubefips.internal/tests/internal/registry"
	"kubefips.internal/tools/oci/contents"
	"kubefips.internal/tools/oci/layout"
	"kubefips.internal/tools/oci/registry"
	"kubefips.internal/tools/pki"
)

// The registry of one test has a disk of its own.
func TestMain(m *testing.M) { namespaces.Main(m) }

// Whom the registry lets in.
const user, password = "team", "right"

// store is the registry, with TLS and a password, and the release below it.
type store struct {
	*serving.Registry
	below string // what images are pushed below
}

func newStore(t *testing.T) store {
	t.Helper()
	return newStoreIn(t, t.TempDir())
}

func newStoreIn(t *testing.T, folder string) store {
	t.Helper()
	ca, err := pki.NewCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	kept := store{Registry: serving.Start(t, serving.Options{Store: folder, CA: ca, User: user, Password: password})}
	kept.below = kept.Host + "/kubefips"
	kept.Login(t, user, password)
	return kept
}

// push runs //images:push_all and returns what it printed.
func (s store) push(t *testing.T) (string, error) {
	t.Helper()
	out, err := exec.Command(runfile(t, os.Getenv("PUSH_ALL")), "--registry", s.below).CombinedOutput()
	return string(out), err
}

func (s store) pushAll(t *testing.T) {
	t.Helper()
	if out, err := s.push(t); err != nil {
		t.Fatalf("push_all: %v\n%s", err, out)
	}
}

func (s store) pull(t *testing.T, image contents.Summary, dir string) error {
	t.Helper()
	return registry.Pull(context.Background(), s.reference(image), dir, registry.Options{Transport: s.Transport(t)})
}

func (s store) reference(image contents.Summary) string {
	return s.below + "/" + image.Name + "@" + image.Digest
}

// hasTag tells whether the image is tagged with its version.
func (s store) hasTag(t *testing.T, image contents.Summary) bool {
	t.Helper()
	request, err := http.NewRequest(http.MethodHead, "https://"+strings.Replace(s.below, "/", "/v2/", 1)+"/"+image.Name+"/manifests/"+image.Version, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "application/vnd.oci.image.manifest.v1+json") // or it answers that it has none
	request.SetBasicAuth(user, password)
	response, err := (&http.Client{Transport: s.Transport(t)}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK && response.StatusCode != http.StatusNotFound {
		t.Fatalf("asked for %s of %s, the registry answers %s", image.Version, image.Name, response.Status)
	}
	return response.StatusCode == http.StatusOK
}

func (s store) wantNoTag(t *testing.T) {
	t.Helper()
	for _, image := range digests(t) {
		if s.hasTag(t, image) {
			t.Errorf("%s is tagged although the release is not complete", image.Name)
		}
	}
}

func runfile(t *testing.T, path string) string {
	t.Helper()
	found, err := runfiles.Rlocation(path)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func digests(t *testing.T) []contents.Summary {
	t.Helper()
	data, err := os.ReadFile(runfile(t, os.Getenv("DIGESTS")))
	if err != nil {
		t.Fatal(err)
	}
	var all contents.Digests
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	if len(all.Images) == 0 || len(all.Charts) == 0 {
		t.Fatal("no image, or no chart, in //images:digests")
	}
	return append(all.Images, all.Charts...)
}

func TestImagesGoThroughARegistryByDigest(t *testing.T) {
	kept := newStore(t)
	before := testKilled(t, kept)
	kept.pushAll(t)
	first, sent := kept.Uploads()
	kept.pushAll(t)
	if again, _ := kept.Uploads(); first == 0 || again != first {
		t.Errorf("pushing the same images again sent %d requests with content, the first time %d", again-first, first)
	}
	blobs := map[v1.Hash]bool{}
	for _, image := range digests(t) {
		t.Run(image.Name, func(t *testing.T) {
			pulled := filepath.Join(t.TempDir(), "layout")
			if err := kept.pull(t, image, pulled); err != nil {
				t.Fatal(err)
			}
			back, err := layout.OpenImage(pulled)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := contents.Summarize(image.Name, back); err != nil || got != image {
				t.Errorf("pulled %+v, %v\nbuilt  %+v", got, err, image)
			}
			if !kept.hasTag(t, image) {
				t.Errorf("there is no tag %s", image.Version)
			}
			manifest, err := back.Manifest()
			if err != nil {
				t.Fatal(err)
			}
			for _, blob := range append(manifest.Layers, manifest.Config) {
				blobs[blob.Digest] = true
			}
		})
	}
	// Whoever was killed had four at a time in hand.
	if before+sent > len(blobs)+4 {
		t.Errorf("%d layers and configurations were sent, and there are %d of them", before+sent, len(blobs))
	}
	t.Run("crane", func(t *testing.T) { testCrane(t, kept, digests(t)[0]) })
	t.Run("helm", func(t *testing.T) { testHelm(t, kept, digests(t)) })
	t.Run("tampered", func(t *testing.T) { testTampered(t, kept, digests(t)[0]) })
}

// testKilled kills the registry in the middle of a push, starts it again, and returns how many layers and configurations it had taken.
func testKilled(t *testing.T, kept store) int {
	t.Helper()
	killed := make(chan int)
	go func() {
		for all := 0; all < 40; all, _ = kept.Uploads() {
			time.Sleep(time.Millisecond)
		}
		kept.Kill()
		_, blobs := kept.Uploads()
		killed <- blobs
	}()
	out, err := kept.push(t)
	if err == nil || !strings.Contains(out, kept.below) {
		t.Errorf("push_all: %v, want an error that names the repository:\n%s", err, out)
	}
	blobs := <-killed
	kept.Restart(t)
	kept.wantNoTag(t)
	return blobs
}

// testCrane lets another client than the one that pushed read every layer by digest.
func testCrane(t *testing.T, kept store, image contents.Summary) {
	crane := runfile(t, os.Getenv("CRANE"))
	for _, args := range [][]string{{"validate", "--remote", kept.reference(image)}, {"export", kept.reference(image), filepath.Join(t.TempDir(), "files.tar")}} {
		if out, err := exec.Command(crane, args...).CombinedOutput(); err != nil {
			t.Errorf("crane %s: %v\n%s", args[0], err, out)
		}
	}
}

// testHelm lets the built Helm pull every chart, by digest and by version, and look into it.
func testHelm(t *testing.T, kept store, all []contents.Summary) {
	helm := runfile(t, os.Getenv("HELM"))
	t.Setenv("HOME", t.TempDir())
	t.Setenv("HELM_REGISTRY_CONFIG", filepath.Join(os.Getenv("DOCKER_CONFIG"), "config.json"))
	run := func(args ...string) (string, error) {
		out, err := exec.Command(helm, args...).CombinedOutput()
		return string(out), err
	}
	for _, chart := range all {
		if !chart.IsChart() {
			continue
		}
		repository := "oci://" + kept.below + "/" + chart.Name
		for _, args := range [][]string{{repository + "@" + chart.Digest}, {repository, "--version=" + chart.Version}} {
			dir := t.TempDir()
			out, err := run(append([]string{"pull", "--destination=" + dir}, args...)...)
			if err != nil || !strings.Contains(out, chart.Digest) {
				t.Errorf("helm pull %s: %v, want digest %s\n%s", args, err, chart.Digest, out)
				continue
			}
			pulled, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
			if err != nil || len(pulled) != 1 {
				t.Fatalf("helm pull %s wrote %q, %v", args, pulled, err)
			}
			if out, err := run("show", "chart", pulled[0]); err != nil || !strings.Contains(out, "\nversion: "+chart.Version+"\n") {
				t.Errorf("helm show chart: %v, want version %s\n%s", err, chart.Version, out)
			}
		}
		if out, err := run("pull", "--destination="+t.TempDir(), repository+"@sha256:"+strings.Repeat("0", 64)); err == nil {
			t.Errorf("helm pulled a digest of %s that nobody pushed:\n%s", chart.Name, out)
		}
	}
}

// testTampered changes one bit of one file of the registry.
func testTampered(t *testing.T, kept store, image contents.Summary) {
	pulled, again := filepath.Join(t.TempDir(), "layout"), filepath.Join(t.TempDir(), "layout")
	if err := kept.pull(t, image, pulled); err != nil {
		t.Fatal(err)
	}
	whole, err := layout.OpenImage(pulled)
	if err != nil {
		t.Fatal(err)
	}
	layers, err := whole.Layers()
	if err != nil {
		t.Fatal(err)
	}
	digest, err := layers[len(layers)-1].Digest()
	if err != nil {
		t.Fatal(err)
	}
	kept.Change(t, digest.String())
	if err := kept.pull(t, image, again); err == nil || !strings.Contains(err.Error(), digest.Hex) {
		t.Errorf("with a changed bit in the store: got error %v, want one that names the digest", err)
	}
	if _, err := os.Stat(again); !os.IsNotExist(err) {
		t.Errorf("the refused pull left something behind: %v", err)
	}
	if out, err := exec.Command(runfile(t, os.Getenv("CRANE")), "validate", "--remote", kept.reference(image)).CombinedOutput(); err == nil {
		t.Errorf("crane found nothing wrong: %s", out)
	}
}

func TestAFullDiskGetsNoTag(t *testing.T) {
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=32m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(disk, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	kept := newStoreIn(t, disk)
	out, err := kept.push(t)
	// When it was the end of a layer that had no place, the registry finds out when it counts what there is.
	full := strings.Contains(out, "no space left on device") || strings.Contains(out, "RANGE_INVALID")
	if err == nil || !full || !strings.Contains(out, kept.below) {
		t.Fatalf("push_all: %v, want an error that names the repository and the reason:\n%s", err, out)
	}
	kept.wantNoTag(t)
}

func TestStrangersAreRefused(t *testing.T) {
	kept := newStore(t)
	for name, stranger := range map[string]struct {
		let  func(*testing.T)
		want string
	}{
		"wrong password": {func(t *testing.T) { kept.Login(t, user, "wrong") }, "401"},
		"nobody":         {func(t *testing.T) { t.Setenv("DOCKER_CONFIG", t.TempDir()) }, "401"},
		// Its certificate is not one of the machine's.
		"unknown registry": {func(t *testing.T) { t.Setenv("SSL_CERT_FILE", "/dev/null") }, "certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			stranger.let(t)
			if out, err := kept.push(t); err == nil || !strings.Contains(out, stranger.want) || !strings.Contains(out, kept.below) {
				t.Errorf("push_all: %v, want an error with the repository and %q:\n%s", err, stranger.want, out)
			}
		})
	}
	if uploads, _ := kept.Uploads(); uploads != 0 {
		t.Errorf("the registry took %d requests with content", uploads)
	}
	kept.wantNoTag(t)
}
