package registry_test

import (
	"bytes"
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	server "github.com/google/go-containerregistry/pkg/registry"

	"kubefips.internal/tools/oci/image"
	"kubefips.internal/tools/oci/layer"
	"kubefips.internal/tools/oci/layout"
	"kubefips.internal/tools/oci/registry"
)

// buildImage writes a small image's layout.
func buildImage(t *testing.T, architecture string) string {
	t.Helper()
	dir := t.TempDir()
	file, packed, out := filepath.Join(dir, "file"), filepath.Join(dir, "layer.tar.gz"), filepath.Join(dir, "layout")
	if err := os.WriteFile(file, []byte(strings.Repeat(architecture, 1000)), 0o644); err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	spec := layer.Spec{Compression: "gzip", Entries: []layer.Entry{{Path: "/file", Source: file, Mode: "0644"}}}
	if err := layer.Write(spec, &archive); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(packed, archive.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	err := image.Build(image.Spec{OS: "linux", Architecture: architecture, Layers: []image.Layer{{Path: packed, Owner: "//x"}}}, out)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func buildIndex(t *testing.T) string {
	t.Helper()
	out := t.TempDir()
	if err := image.BuildIndex([]string{buildImage(t, "amd64"), buildImage(t, "arm64")}, nil, out); err != nil {
		t.Fatal(err)
	}
	return out
}

// loopback is a registry that keeps its blobs in a folder.
type loopback struct {
	blobs   string
	handler http.Handler
	// uploads counts requests that send something.
	uploads atomic.Int32
}

func newLoopback(t *testing.T) *loopback {
	t.Helper()
	blobs := t.TempDir()
	return &loopback{
		blobs:   blobs,
		handler: server.New(server.Logger(log.New(io.Discard, "", 0)), server.WithBlobHandler(server.NewDiskBlobHandler(blobs))),
	}
}

func (l *loopback) ServeHTTP(response http.ResponseWriter, request *http.Request) {
	if request.Method != http.MethodGet && request.Method != http.MethodHead {
		l.uploads.Add(1)
	}
	l.handler.ServeHTTP(response, request)
}

// serve returns the name of a repository at the handler.
func serve(t *testing.T, handler http.Handler) string {
	t.Helper()
	listening := httptest.NewServer(handler)
	t.Cleanup(listening.Close)
	return strings.TrimPrefix(listening.URL, "http://") + "/team/demo"
}

func push(t *testing.T, layout, repository string, tags ...string) string {
	t.Helper()
	var reference bytes.Buffer
	if err := registry.Push(context.Background(), layout, registry.Options{Repository: repository, Tags: tags}, &reference); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(reference.String())
}

func digest(t *testing.T, dir string) string {
	t.Helper()
	opened, err := layout.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return opened.Digest()
}

// hasTag asks the registry itself.
func hasTag(t *testing.T, repository, tag string) bool {
	t.Helper()
	host, path, _ := strings.Cut(repository, "/")
	response, err := http.Get("http://" + host + "/v2/" + path + "/manifests/" + tag)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK
}

func TestPushedImagesComeBackByDigest(t *testing.T) {
	for name, layout := range map[string]string{"image": buildImage(t, "amd64"), "index": buildIndex(t)} {
		t.Run(name, func(t *testing.T) {
			repository := serve(t, newLoopback(t))
			reference := push(t, layout, repository, "v1", "latest")
			if want := repository + "@" + digest(t, layout); reference != want {
				t.Errorf("pushed as %s, want %s", reference, want)
			}
			if !hasTag(t, repository, "v1") || !hasTag(t, repository, "latest") {
				t.Error("a tag is missing")
			}
			back := filepath.Join(t.TempDir(), "layout")
			if err := registry.Pull(context.Background(), reference, back, registry.Options{}); err != nil {
				t.Fatal(err)
			}
			if got, want := digest(t, back), digest(t, layout); got != want {
				t.Errorf("pulled %s, pushed %s", got, want)
			}
			blobs, err := os.ReadDir(filepath.Join(layout, "blobs", "sha256"))
			if err != nil {
				t.Fatal(err)
			}
			for _, blob := range blobs {
				name := filepath.Join("blobs", "sha256", blob.Name())
				want, _ := os.ReadFile(filepath.Join(layout, name))
				if got, err := os.ReadFile(filepath.Join(back, name)); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%s did not come back: %v", name, err)
				}
			}
		})
	}
}

func TestPushingAgainUploadsNothing(t *testing.T) {
	loopback := newLoopback(t)
	repository, layout := serve(t, loopback), buildIndex(t)
	push(t, layout, repository, "v1")
	first := loopback.uploads.Load()
	push(t, layout, repository, "v1")
	if second := loopback.uploads.Load() - first; second != 0 {
		t.Errorf("the second push sent %d requests with content, the first %d", second, first)
	}
}

func TestPullRefusesATamperedByte(t *testing.T) {
	loopback := newLoopback(t)
	repository, layout := serve(t, loopback), buildImage(t, "amd64")
	reference := push(t, layout, repository)
	tampered := 0
	err := filepath.WalkDir(loopback.blobs, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		data[len(data)/2] ^= 1
		tampered++
		return os.WriteFile(path, data, 0o644)
	})
	if err != nil || tampered != 2 { // config and layer
		t.Fatalf("changed %d blobs: %v", tampered, err)
	}
	back := filepath.Join(t.TempDir(), "layout")
	err = registry.Pull(context.Background(), reference, back, registry.Options{})
	if err == nil || !strings.Contains(err.Error(), "sha256") {
		t.Errorf("got error %v, want one that names the digest", err)
	}
	if _, err := os.Stat(back); !os.IsNotExist(err) {
		t.Errorf("a refused pull left something behind: %v", err)
	}
}

func TestPullRefusesATamperedManifest(t *testing.T) {
	loopback := newLoopback(t)
	layout := buildImage(t, "amd64")
	tamper := http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		if request.Method != http.MethodGet || !strings.Contains(request.URL.Path, "/manifests/") {
			loopback.ServeHTTP(response, request)
			return
		}
		recorded := httptest.NewRecorder()
		loopback.ServeHTTP(recorded, request)
		body := recorded.Body.Bytes()
		body[len(body)-1] = ' ' // the newline at the end: still the same JSON
		response.Header().Set("Content-Type", recorded.Header().Get("Content-Type"))
		response.Write(body)
	})
	reference := push(t, layout, serve(t, tamper))
	err := registry.Pull(context.Background(), reference, filepath.Join(t.TempDir(), "layout"), registry.Options{})
	if err == nil || !strings.Contains(err.Error(), "digest") {
		t.Errorf("got error %v, want one about the digest", err)
	}
}

func TestPullWantsADigest(t *testing.T) {
	err := registry.Pull(context.Background(), "localhost:1/team/demo:v1", t.TempDir(), registry.Options{})
	if err == nil || !strings.Contains(err.Error(), "by digest") {
		t.Errorf("got error %v", err)
	}
}

func TestCredentialsAndTLS(t *testing.T) {
	loopback := newLoopback(t)
	locked := httptest.NewTLSServer(http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		if user, password, _ := request.BasicAuth(); user != "team" || password != "right" {
			response.Header().Set("WWW-Authenticate", `Basic realm="demo"`)
			response.WriteHeader(http.StatusUnauthorized)
			return
		}
		loopback.ServeHTTP(response, request)
	}))
	t.Cleanup(locked.Close)
	repository, layout := strings.TrimPrefix(locked.URL, "https://")+"/team/demo", buildImage(t, "amd64")
	for name, test := range map[string]struct {
		password  string
		transport http.RoundTripper
		want      string
	}{
		"right password":      {"right", locked.Client().Transport, ""},
		"wrong password":      {"wrong", locked.Client().Transport, "401"},
		"unknown certificate": {"right", nil, "certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			err := registry.Push(context.Background(), layout, registry.Options{
				Repository: repository,
				Tags:       []string{"v1"},
				Keychain:   authn.NewKeychainFromHelper(helper{test.password}),
				Transport:  test.transport,
			}, io.Discard)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got error %v, want %q", err, test.want)
			}
			if err != nil && !strings.Contains(err.Error(), repository) {
				t.Errorf("the error does not name the repository: %v", err)
			}
		})
	}
}

type helper struct{ password string }

func (h helper) Get(string) (string, string, error) { return "team", h.password, nil }

func TestAFailedPushLeavesNoTag(t *testing.T) {
	for name, fail := range map[string]func(http.ResponseWriter){
		"the registry's disk is full": func(response http.ResponseWriter) {
			response.WriteHeader(http.StatusInsufficientStorage)
			io.WriteString(response, `{"errors":[{"code":"UNKNOWN","message":"no space left on device"}]}`)
		},
		"the registry goes away": func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			loopback := newLoopback(t)
			var writes atomic.Int32
			var healthy atomic.Bool
			repository := serve(t, http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
				if request.Method == http.MethodPatch || request.Method == http.MethodPut {
					if writes.Add(1) > 2 && !healthy.Load() {
						fail(response)
						return
					}
				}
				loopback.ServeHTTP(response, request)
			}))
			layout := buildIndex(t)
			err := registry.Push(context.Background(), layout, registry.Options{Repository: repository, Tags: []string{"v1"}}, io.Discard)
			if err == nil || !strings.Contains(err.Error(), repository) {
				t.Errorf("got error %v, want one that names %s", err, repository)
			}
			if hasTag(t, repository, "v1") {
				t.Error("the failed push left a tag")
			}
			healthy.Store(true)
			push(t, layout, repository, "v1")
			if !hasTag(t, repository, "v1") {
				t.Error("the push after it left no tag")
			}
		})
	}
}
