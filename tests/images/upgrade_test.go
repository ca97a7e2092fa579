package images_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"kubefips.internal/tests/internal/image"
	"kubefips.internal/tests/internal/proc"
	"kubefips.internal/tools/oci/contents"
	"kubefips.internal/tools/oci/registry"
)

// TestAnUpgradeSendsNothingButTheNewProgram pushes etcd as `bazel run //images/etcd:push` does, and then etcd with another
// layer of programs.
func TestAnUpgradeSendsNothingButTheNewProgram(t *testing.T) {
	kept, etcd, built := newStore(t), summary(t, "etcd"), open(t, "etcd")
	repository := kept.below + "/etcd"
	out, err := exec.Command(program(t, "PUSH"), "--repository", repository).CombinedOutput()
	if err != nil || !strings.Contains(string(out), kept.reference(etcd)) {
		t.Fatalf("//images/etcd:push: %v, want it to name %s:\n%s", err, kept.reference(etcd), out)
	}
	if !kept.hasTag(t, etcd) {
		t.Errorf("//images/etcd:push left no tag %s", etcd.Version)
	}
	blobs := len(layers(t, built)) + 1 // and the configuration
	kept.wantUploads(t, blobs, 2)      // the manifest by digest, and by tag

	folder := t.TempDir()
	image.WriteLayout(t, folder, withAnotherTop(t, built))
	if err := registry.Push(context.Background(), folder, registry.Options{Repository: repository, Transport: kept.Transport(t)}, io.Discard); err != nil {
		t.Fatal(err)
	}
	kept.wantUploads(t, blobs+2, 3) // more: one layer, one configuration, one manifest
}

// wantUploads waits until the registry has taken so many blobs, which are layers and configurations and take three requests each, and
// so many manifests. More of them is an error.
func (s store) wantUploads(t *testing.T, blobs, manifests int) {
	t.Helper()
	proc.Eventually(t, 5*time.Second, func() error {
		requests, got := s.Uploads()
		if got != blobs || requests != 3*blobs+manifests {
			return fmt.Errorf("the registry took %d blobs and %d requests with content, want %d and %d", got, requests, blobs, 3*blobs+manifests)
		}
		return nil
	})
}

// withAnotherTop returns the image with another program in the place of its uppermost layer.
func withAnotherTop(t *testing.T, whole v1.Image) v1.Image {
	t.Helper()
	config, err := whole.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	below := layers(t, whole)
	another := image.Layer(t, []image.File{{Name: "usr/local/bin/etcd", Content: []byte("another program")}})
	upgraded := image.New(t, config.Config, append(below[:len(below)-1], another)...)
	return mutate.ConfigMediaType(mutate.MediaType(upgraded, types.OCIManifestSchema1), types.OCIConfigJSON)
}

// TestLoadGivesTheImageToTheEngine runs `bazel run //images/etcd:load` with a program in the place of docker.
func TestLoadGivesTheImageToTheEngine(t *testing.T) {
	programs := t.TempDir()
	archive := filepath.Join(programs, "archive.tar")
	engine := fmt.Sprintf("#!/bin/sh\ntest \"$*\" = load && exec cat >%q\n", archive)
	if err := os.WriteFile(filepath.Join(programs, "docker"), []byte(engine), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", programs+":"+os.Getenv("PATH"))
	if out, err := exec.Command(program(t, "LOAD")).CombinedOutput(); err != nil {
		t.Fatalf("//images/etcd:load: %v\n%s", err, out)
	}
	tag, err := name.NewTag("kubefips/etcd:" + summary(t, "etcd").Version)
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := tarball.ImageFromPath(archive, &tag)
	if err != nil {
		t.Fatal(err)
	}
	got, err := loaded.ConfigName() // what an engine calls it by
	if err != nil {
		t.Fatal(err)
	}
	if want, err := open(t, "etcd").ConfigName(); err != nil || got != want {
		t.Errorf("the engine got %s, %v, want %s", got, err, want)
	}
}

// program returns the program of a target of which the variable names all files; the program is the first.
func program(t *testing.T, variable string) string {
	t.Helper()
	files := strings.Fields(os.Getenv(variable))
	if len(files) == 0 {
		t.Fatalf("%s names no file", variable)
	}
	return runfile(t, files[0])
}

// summary returns what //images:digests says of an image.
func summary(t *testing.T, name string) contents.Summary {
	t.Helper()
	for _, each := range digests(t) {
		if each.Name == name {
			return each
		}
	}
	t.Fatalf("there is no image %s in //images:digests", name)
	return contents.Summary{}
}
