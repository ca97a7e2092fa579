// Package images_test takes the shipped images through a registry, as a release and a cluster do.
package images_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/bazelbuild/rules_go/go/runfiles"
	server "github.com/google/go-containerregistry/pkg/registry"
	"golang.org/x/sys/unix"

	"kubefips.internal/tests/internal/namespaces"
	"kubefips.internal/tools/oci/contents"
	"kubefips.internal/tools/oci/layout"
	"kubefips.internal/tools/oci/registry"
)

// The registry of one test has a disk of its own.
func TestMain(m *testing.M) { namespaces.Main(m) }

// store is a registry on loopback.
type store struct {
	below   string // what images are pushed below
	blobs   string // folder with one file for each blob
	uploads atomic.Int32
	// fail answers requests by an error's status, when there is one, in place of the registry.
	fail func(*http.Request) int
}

func newStore(t *testing.T) *store {
	t.Helper()
	return newStoreIn(t, t.TempDir())
}

func newStoreIn(t *testing.T, blobs string) *store {
	t.Helper()
	kept := &store{blobs: blobs}
	handler := server.New(server.Logger(log.New(io.Discard, "", 0)), server.WithBlobHandler(server.NewDiskBlobHandler(kept.blobs)))
	listening := httptest.NewServer(http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		if kept.fail != nil {
			if status := kept.fail(request); status != 0 {
				if status == http.StatusUnauthorized {
					response.Header().Set("WWW-Authenticate", `Basic realm="test"`)
				}
				response.WriteHeader(status)
				return
			}
		}
		if request.Method != http.MethodGet && request.Method != http.MethodHead {
			kept.uploads.Add(1)
		}
		handler.ServeHTTP(response, request)
	}))
	t.Cleanup(listening.Close)
	kept.below = strings.TrimPrefix(listening.URL, "http://") + "/kubefips"
	return kept
}

// push runs //images:push_all and returns what it printed.
func (s *store) push(t *testing.T) (string, error) {
	t.Helper()
	out, err := exec.Command(runfile(t, os.Getenv("PUSH_ALL")), "--registry", s.below).CombinedOutput()
	return string(out), err
}

func (s *store) pushAll(t *testing.T) {
	t.Helper()
	if out, err := s.push(t); err != nil {
		t.Fatalf("push_all: %v\n%s", err, out)
	}
}

func (s *store) reference(image contents.Summary) string {
	return s.below + "/" + image.Name + "@" + image.Digest
}

// hasTag tells whether the image is tagged with its version.
func (s *store) hasTag(t *testing.T, image contents.Summary) bool {
	t.Helper()
	response, err := http.Get("http://" + strings.Replace(s.below, "/", "/v2/", 1) + "/" + image.Name + "/manifests/" + image.Version)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// tamper changes one bit of one blob of the image.
func (s *store) tamper(t *testing.T, pulled string) {
	t.Helper()
	image, err := layout.OpenImage(pulled)
	if err != nil {
		t.Fatal(err)
	}
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	digest, err := layers[len(layers)-1].Digest()
	if err != nil {
		t.Fatal(err)
	}
	found := ""
	err = filepath.WalkDir(s.blobs, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, digest.Hex) {
			found = path
		}
		return err
	})
	if err != nil || found == "" {
		t.Fatalf("the store has no blob %s: %v", digest, err)
	}
	data, err := os.ReadFile(found)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(found, data, 0o644); err != nil {
		t.Fatal(err)
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
	kept.pushAll(t)
	first := kept.uploads.Load()
	kept.pushAll(t)
	if again := kept.uploads.Load() - first; again != 0 {
		t.Errorf("pushing the same images again sent %d requests with content, the first time %d", again, first)
	}
	for _, image := range digests(t) {
		t.Run(image.Name, func(t *testing.T) {
			pulled := filepath.Join(t.TempDir(), "layout")
			if err := registry.Pull(context.Background(), kept.reference(image), pulled, registry.Options{}); err != nil {
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
		})
	}
	t.Run("crane", func(t *testing.T) { testCrane(t, kept, digests(t)[0]) })
	t.Run("helm", func(t *testing.T) { testHelm(t, kept, digests(t)) })
	t.Run("tampered", func(t *testing.T) { testTampered(t, kept, digests(t)[0]) })
}

// testCrane lets another client than the one that pushed read every layer by digest.
func testCrane(t *testing.T, kept *store, image contents.Summary) {
	crane := runfile(t, os.Getenv("CRANE"))
	for _, args := range [][]string{{"validate", "--remote", kept.reference(image)}, {"export", kept.reference(image), filepath.Join(t.TempDir(), "files.tar")}} {
		if out, err := exec.Command(crane, args...).CombinedOutput(); err != nil {
			t.Errorf("crane %s: %v\n%s", args[0], err, out)
		}
	}
}

// testHelm lets the built Helm pull every chart, by digest and by version, and look into it.
func testHelm(t *testing.T, kept *store, all []contents.Summary) {
	helm := runfile(t, os.Getenv("HELM"))
	t.Setenv("HOME", t.TempDir())
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
			out, err := run(append([]string{"pull", "--plain-http", "--destination=" + dir}, args...)...)
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
		if out, err := run("pull", "--plain-http", "--destination="+t.TempDir(), repository+"@sha256:"+strings.Repeat("0", 64)); err == nil {
			t.Errorf("helm pulled a digest of %s that nobody pushed:\n%s", chart.Name, out)
		}
	}
}

func testTampered(t *testing.T, kept *store, image contents.Summary) {
	pulled, again := filepath.Join(t.TempDir(), "layout"), filepath.Join(t.TempDir(), "layout")
	if err := registry.Pull(context.Background(), kept.reference(image), pulled, registry.Options{}); err != nil {
		t.Fatal(err)
	}
	kept.tamper(t, pulled)
	if err := registry.Pull(context.Background(), kept.reference(image), again, registry.Options{}); err == nil || !strings.Contains(err.Error(), "sha256") {
		t.Errorf("with a changed bit in the store: got error %v, want one that names the digest", err)
	}
	if _, err := os.Stat(again); !os.IsNotExist(err) {
		t.Errorf("the refused pull left something behind: %v", err)
	}
}

func TestARegistryThatGoesAwayGetsNoTag(t *testing.T) {
	kept := newStore(t)
	kept.fail = func(request *http.Request) int {
		if request.Method == http.MethodPut && kept.uploads.Load() > 40 {
			return http.StatusServiceUnavailable
		}
		return 0
	}
	out, err := kept.push(t)
	if err == nil || !strings.Contains(out, "503") {
		t.Fatalf("push_all: %v, want an error with the registry's answer:\n%s", err, out)
	}
	kept.fail = nil
	for _, image := range digests(t) {
		if kept.hasTag(t, image) {
			t.Errorf("%s is tagged although the release is not complete", image.Name)
		}
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
	if err == nil || !strings.Contains(out, "no space left on device") || !strings.Contains(out, kept.below) {
		t.Fatalf("push_all: %v, want an error that names the repository and the reason:\n%s", err, out)
	}
	for _, each := range digests(t) {
		if kept.hasTag(t, each) {
			t.Errorf("%s is tagged although the release is not complete", each.Name)
		}
	}
}

func TestAWrongPasswordIsRefused(t *testing.T) {
	kept := newStore(t)
	kept.fail = func(request *http.Request) int {
		if user, password, _ := request.BasicAuth(); user != "team" || password != "right" {
			return http.StatusUnauthorized
		}
		return 0
	}
	host, _, _ := strings.Cut(kept.below, "/")
	config := t.TempDir()
	t.Setenv("DOCKER_CONFIG", config)
	auths := fmt.Sprintf(`{"auths": {%q: {"username": "team", "password": "wrong"}}}`, host)
	if err := os.WriteFile(filepath.Join(config, "config.json"), []byte(auths), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := kept.push(t); err == nil || !strings.Contains(out, "401") {
		t.Errorf("push_all: %v, want an error with the registry's answer:\n%s", err, out)
	}
	if uploads := kept.uploads.Load(); uploads != 0 {
		t.Errorf("the registry took %d requests with content", uploads)
	}
}
