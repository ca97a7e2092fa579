package cli_test

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	server "github.com/google/go-containerregistry/pkg/registry"

	"kubefips.internal/tools/oci/cli"
)

func write(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestArgumentsBesideTheProgramComeFirst(t *testing.T) {
	t.Setenv("RUNFILES_DIR", "/runfiles")
	program := filepath.Join(t.TempDir(), "push")
	write(t, program+".args.json", `["push", "--layout", "runfile:_main/images/etcd/image"]`)
	got, err := cli.Arguments([]string{program, "--tag", "v1"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"push", "--layout", "/runfiles/_main/images/etcd/image", "--tag", "v1"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestArgumentsWithoutAFileBesideTheProgram(t *testing.T) {
	got, err := cli.Arguments([]string{filepath.Join(t.TempDir(), "oci"), "digest"})
	if err != nil || !slices.Equal(got, []string{"digest"}) {
		t.Errorf("got %q, %v", got, err)
	}
}

// layout builds an image of one file and returns its folder and digest file.
func layout(t *testing.T, dir string) (layout, digest string) {
	t.Helper()
	spec := write(t, filepath.Join(dir, "spec.json"), `{"compression":"zstd","entries":[{"path":"/etc/passwd","mode":"0644","source":"`+
		write(t, filepath.Join(dir, "passwd"), "root:x:0:0::/:\n")+`"}]}`)
	layer, layout, digest := filepath.Join(dir, "layer.tar.zst"), filepath.Join(dir, "layout"), filepath.Join(dir, "digest")
	for _, args := range [][]string{
		{"layer", "--spec", spec, "--output", layer},
		{"layers", "--output", filepath.Join(dir, "checked"), layer},
		{"image", "--os", "linux", "--architecture", "amd64", "--layer", layer, "--owner", "//x", "--user", "1", "--output", layout,
			"--labels", write(t, filepath.Join(dir, "labels.txt"), "org.opencontainers.image.version=v1\n")},
		{"digest", "--layout", layout, "--output", digest},
	} {
		if err := cli.New().Run(args); err != nil {
			t.Fatalf("oci %s: %v", strings.Join(args, " "), err)
		}
	}
	return layout, digest
}

func TestContentsComparesWithTheGolden(t *testing.T) {
	dir := t.TempDir()
	layout, digest := layout(t, dir)
	golden := write(t, filepath.Join(dir, "golden.txt"), "user: 1\n-rw-r--r-- 0:0 /bin/sh\n")
	args := []string{"contents", "--layout", layout, "--digest", digest, "--golden", golden}

	err := cli.New().Run(args)
	for _, want := range []string{golden, "missing: -rw-r--r-- 0:0 /bin/sh", "not expected: -rw-r--r-- 0:0 /etc/passwd", "--update"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want one with %q", err, want)
		}
	}
	if err := cli.New().Run(append(args, "--update")); err != nil {
		t.Fatal(err)
	}
	if err := cli.New().Run(args); err != nil {
		t.Errorf("after --update: %v", err)
	}
	write(t, digest, "sha256:00\n")
	if err := cli.New().Run(args); err == nil || !strings.Contains(err.Error(), "says sha256:00") {
		t.Errorf("with another digest: got error %v", err)
	}
}

func TestLoadGivesTheArchiveToTheEngine(t *testing.T) {
	dir := t.TempDir()
	layout, _ := layout(t, dir)
	tags := write(t, filepath.Join(dir, "tags.txt"), "kubefips/demo:v1\n")
	received := filepath.Join(dir, "received.tar")
	engine := write(t, filepath.Join(dir, "engine"), "#!/bin/sh\ntest \"$1\" = load && cat > "+received+"\n")
	if err := cli.New().Run([]string{"load", "--layout", layout, "--tags-file", tags, "--loader", engine}); err != nil {
		t.Fatal(err)
	}
	archive, err := os.ReadFile(received)
	if err != nil || !strings.Contains(string(archive), "kubefips/demo:v1") {
		t.Errorf("the engine got %d bytes without the tag: %v", len(archive), err)
	}
	err = cli.New().Run([]string{"load", "--layout", layout, "--tags-file", tags, "--loader", filepath.Join(dir, "none")})
	if err == nil || !strings.Contains(err.Error(), "no container engine found") {
		t.Errorf("without an engine: got error %v", err)
	}
}

func TestPushWantsARepository(t *testing.T) {
	layout, _ := layout(t, t.TempDir())
	err := cli.New().Run([]string{"push", "--layout", layout})
	if err == nil || !strings.Contains(err.Error(), "--repository") {
		t.Errorf("got error %v", err)
	}
}

func TestDigests(t *testing.T) {
	dir := t.TempDir()
	layout, digest := layout(t, dir)
	out := filepath.Join(dir, "digests.json")
	if err := cli.New().Run([]string{"digests", "--output", out, "demo", layout}); err != nil {
		t.Fatal(err)
	}
	if err := cli.New().Run([]string{"digests", "--output", out, "demo"}); err == nil || !strings.Contains(err.Error(), "a name and a layout") {
		t.Errorf("a name without a layout: got error %v", err)
	}
	got, _ := os.ReadFile(out)
	want, _ := os.ReadFile(digest)
	if !strings.Contains(string(got), strings.TrimSpace(string(want))) || !strings.Contains(string(got), `"platform": "linux/amd64"`) {
		t.Errorf("got %s", got)
	}
}

func TestPushAllTagsNothingUnlessAllIsPushed(t *testing.T) {
	layout, _ := layout(t, t.TempDir())
	var refused atomic.Pointer[string] // part of the path of what the registry refuses
	handler := server.New(server.Logger(log.New(io.Discard, "", 0)))
	listening := httptest.NewServer(http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		if part := refused.Load(); part != nil && strings.Contains(request.URL.Path, *part) {
			response.WriteHeader(http.StatusForbidden)
			return
		}
		handler.ServeHTTP(response, request)
	}))
	defer listening.Close()
	below := strings.TrimPrefix(listening.URL, "http://") + "/team"
	args := []string{"push-all", "--registry", below, "first", layout, "second", layout}
	tags := func() (found int) {
		for _, name := range []string{"first", "second"} {
			response, err := http.Get(listening.URL + "/v2/team/" + name + "/manifests/v1")
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				found++
			}
		}
		return found
	}

	// While layers are sent, none is tagged; while tags are set, the same command sets the others.
	for want, part := range []string{"/second/", "/second/manifests/v1"} {
		refused.Store(&part)
		if err := cli.New().Run(args); err == nil || !strings.Contains(err.Error(), "team/second") {
			t.Errorf("got error %v, want one that names team/second", err)
		}
		if got := tags(); got != want {
			t.Errorf("%s is refused: %d images are tagged, want %d", part, got, want)
		}
	}
	refused.Store(nil)
	if err := cli.New().Run(args); err != nil {
		t.Fatal(err)
	}
	if got := tags(); got != 2 {
		t.Errorf("%d images are tagged, want 2", got)
	}
}
