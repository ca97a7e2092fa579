package image_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/validate"

	"kubefips.internal/tools/oci/image"
	"kubefips.internal/tools/oci/layout"
)

// The files under testdata are what rules_oci 2.2.6 writes for the same input: its image builder was run with jq 1.8 and
// regctl 0.11. A difference in one byte is another digest.

func text(content string) image.Text { return &content }

func layers(names ...string) []image.Layer {
	var list []image.Layer
	for _, name := range names {
		list = append(list, image.Layer{
			Path:  filepath.Join("testdata", "layers", name),
			Owner: "@@//images/demo:" + strings.SplitN(name, ".", 2)[0],
		})
	}
	return list
}

func specs(derivedFrom string) map[string]image.Spec {
	return map[string]image.Spec{
		"empty": {OS: "linux", Architecture: "amd64"},
		"minimal": {
			OS: "linux", Architecture: "amd64",
			Layers:     layers("one.tar"),
			Entrypoint: text("/usr/bin/other"),
		},
		"blank": {
			OS: "linux", Architecture: "amd64",
			Entrypoint: text(""), Cmd: text(""), ExposedPorts: text(""), Volumes: text(""), Env: text(""),
			Labels: text(""), Annotations: text(""),
		},
		"everything": {
			OS: "linux", Architecture: "arm64", Variant: "v8",
			Layers:       layers("one.tar", "two.tar.gz", "three.tar.zst"),
			Created:      text("2024-02-03T04:05:06Z"),
			Entrypoint:   text("/usr/bin/demo\n--flag=a%5Cnb"),
			Cmd:          text("serve\n"),
			ExposedPorts: text("80/tcp,443"),
			Volumes:      text("/data,/srv/other"),
			Env:          text("PATH=/usr/bin\nA=$PATH:${PATH}x$NOPE=1\nB=<&> \"q\" \\"),
			Labels:       text("z=1\na=x=y\nempty\n\nu=é\u2028"),
			Annotations:  text("org.example=demo\nb=2"),
			User:         "65532:65532",
			WorkingDir:   "/data",
		},
		"derived": {
			Base:         derivedFrom,
			Layers:       layers("two.tar.gz"),
			Entrypoint:   text("/usr/bin/other"),
			ExposedPorts: text("8080"),
			Env:          text("PATH=/opt/bin:$PATH\nNEW=${A}"),
			Labels:       text("a=2\nnew=3"),
			Annotations:  text("b=3\nc=4"),
			User:         "0",
		},
	}
}

func build(t *testing.T, name string) string {
	t.Helper()
	base := ""
	if name == "derived" {
		base = build(t, "everything")
	}
	out := t.TempDir()
	if err := image.Build(specs(base)[name], out); err != nil {
		t.Fatal(err)
	}
	return out
}

func compare(t *testing.T, name, file string, got []byte) {
	t.Helper()
	want, err := os.ReadFile(filepath.Join("testdata", name, file))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s of %s differs from rules_oci's\ngot:\n%q\nwant:\n%q", file, name, got, want)
	}
}

func readFile(t *testing.T, elem ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestImagesHaveTheBytesOfRulesOCI(t *testing.T) {
	for name := range specs("") {
		t.Run(name, func(t *testing.T) {
			out := build(t, name)
			compare(t, name, "index.json", readFile(t, out, "index.json"))
			built, err := layout.OpenImage(out)
			if err != nil {
				t.Fatal(err)
			}
			manifest, err := built.RawManifest()
			if err != nil {
				t.Fatal(err)
			}
			compare(t, name, "manifest.json", manifest)
			config, err := built.RawConfigFile()
			if err != nil {
				t.Fatal(err)
			}
			compare(t, name, "config.json", config)
		})
	}
}

// The library does not know every layer compression, so "everything" and what derives from it are left to its golden.
func TestImagesAreValid(t *testing.T) {
	for _, name := range []string{"minimal", "empty"} {
		built, err := layout.OpenImage(build(t, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := validate.Image(built, validate.Fast); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestIndexHasTheBytesOfRulesOCI(t *testing.T) {
	out := t.TempDir()
	if err := image.BuildIndex([]string{build(t, "minimal"), build(t, "everything")}, text("org.example=demo\nb=2"), out); err != nil {
		t.Fatal(err)
	}
	compare(t, "index", "index.json", readFile(t, out, "index.json"))
	opened, err := layout.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	list, err := opened.Index()
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := list.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	compare(t, "index", "manifest.json", manifest)
	inner, err := list.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, descriptor := range inner.Manifests {
		if _, err := list.Image(descriptor.Digest); err != nil {
			t.Errorf("image %s of the index: %v", descriptor.Digest, err)
		}
	}
}

func TestBuildRefuses(t *testing.T) {
	notTar := filepath.Join(t.TempDir(), "cut.tar.gz")
	cut := readFile(t, "testdata", "layers", "two.tar.gz")
	if err := os.WriteFile(notTar, cut[:len(cut)/2], 0o644); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		spec image.Spec
		want string
	}{
		"a layer that is cut short":      {image.Spec{Layers: []image.Layer{{Path: notTar}}}, "unpacking gzip"},
		"a layer that is missing":        {image.Spec{Layers: []image.Layer{{Path: "testdata/none.tar"}}}, "no such file"},
		"a base that is no layout":       {image.Spec{Base: t.TempDir()}, "reading the OCI layout"},
		"a variable without a name":      {image.Spec{Env: text("A=1\n=2")}, `"=2" names no variable`},
		"an index in place of one image": {image.Spec{Base: indexLayout(t)}, "not one image"},
	} {
		t.Run(name, func(t *testing.T) {
			err := image.Build(test.spec, t.TempDir())
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one with %q", err, test.want)
			}
		})
	}
}

func indexLayout(t *testing.T) string {
	t.Helper()
	out := t.TempDir()
	if err := image.BuildIndex([]string{build(t, "empty")}, nil, out); err != nil {
		t.Fatal(err)
	}
	return out
}
