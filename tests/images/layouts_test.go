package images_test

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"kubefips.internal/tools/oci/layout"
)

// base are the layers of //images/base, and a licence that is among those of each; the others have none of their own.
var base = map[string]string{"CERTIFICATES": "MPL-2.0", "NETWORK_PROGRAMS": "GPL-2.0-only", "USERS": "", "ZONEINFO": ""}

// layouts returns the folder of every image and chart, by name, as //images:push_all is told them.
func layouts(t *testing.T) map[string]string {
	t.Helper()
	data, err := os.ReadFile(runfile(t, os.Getenv("PUSH_ALL")) + ".args.json")
	if err != nil {
		t.Fatal(err)
	}
	var args []string
	if err := json.Unmarshal(data, &args); err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for pair := range slices.Chunk(args[3:], 2) { // behind push-all --registry REGISTRY
		found[pair[0]] = runfile(t, strings.TrimPrefix(pair[1], "runfile:"))
	}
	return found
}

// open returns an image as it was built.
func open(t *testing.T, name string) v1.Image {
	t.Helper()
	image, err := layout.OpenImage(layouts(t)[name])
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// images returns every image of the release, by name.
func images(t *testing.T) map[string]v1.Image {
	t.Helper()
	all := map[string]v1.Image{}
	for _, each := range digests(t) {
		if !each.IsChart() {
			all[each.Name] = open(t, each.Name)
		}
	}
	return all
}

func layers(t *testing.T, image v1.Image) []v1.Layer {
	t.Helper()
	found, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func digest(t *testing.T, layer v1.Layer) v1.Hash {
	t.Helper()
	found, err := layer.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// baseLayers returns the key in base of each layer of //images/base.
func baseLayers(t *testing.T) map[v1.Hash]string {
	t.Helper()
	found := map[v1.Hash]string{}
	for name := range base {
		file, err := os.Open(runfile(t, os.Getenv("BASE_"+name)))
		if err != nil {
			t.Fatal(err)
		}
		hash, _, err := v1.SHA256(file)
		if err := errors.Join(err, file.Close()); err != nil {
			t.Fatal(err)
		}
		found[hash] = name
	}
	return found
}

// holdsProgram tells whether a layer has a file that may be started.
func holdsProgram(t *testing.T, layer v1.Layer) bool {
	t.Helper()
	archive, err := layer.Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	for reader := tar.NewReader(archive); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return false
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Typeflag == tar.TypeReg && header.Mode&0o111 != 0 {
			return true
		}
	}
}

// From below: the layers of //images/base, folders and files, programs that other images have too, programs of this image alone.
func TestWhatChangesLeastLiesLowest(t *testing.T) {
	all, common := images(t), baseLayers(t)
	users := map[v1.Hash]int{}
	for _, image := range all {
		for _, layer := range layers(t, image) {
			users[digest(t, layer)]++
		}
	}
	rank := func(layer v1.Layer) int {
		_, isBase := common[digest(t, layer)]
		switch {
		case isBase:
			return 0
		case !holdsProgram(t, layer):
			return 1
		case users[digest(t, layer)] > 1:
			return 2
		}
		return 3
	}
	for name, image := range all {
		highest := 0
		for i, layer := range layers(t, image) {
			if found := rank(layer); found < highest {
				t.Errorf("%s: layer %d, %s, lies above one that changes more often; put it before that one in `layers` of images/%s/BUILD.bazel",
					name, i, digest(t, layer), name)
			} else {
				highest = found
			}
		}
		if highest < 2 {
			t.Errorf("%s has no layer of programs", name)
		}
	}
}

func TestLabels(t *testing.T) {
	all, common := images(t), baseLayers(t)
	labels := map[string]map[string]string{}
	for name, image := range all {
		config, err := image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		labels[name] = config.Config.Labels
		licenses := labels[name]["org.opencontainers.image.licenses"]
		for _, layer := range layers(t, image) {
			if license := base[common[digest(t, layer)]]; !strings.Contains(licenses, license) {
				t.Errorf("%s has the layer %s, and its label of licences does not say %s: %q", name, common[digest(t, layer)], license, licenses)
			}
		}
	}
	// What upstream.bzl says; all else that a label has is in contents.txt.
	for word := range strings.FieldsSeq(os.Getenv("LABELS")) {
		label, want, _ := strings.Cut(word, "=")
		name, key, _ := strings.Cut(label, "/")
		if got := labels[name][key]; got != want {
			t.Errorf("%s: label %s is %q, want %q", name, key, got, want)
		}
	}
}
