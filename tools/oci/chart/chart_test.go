package chart_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kubefips.internal/tools/oci/chart"
	"kubefips.internal/tools/oci/contents"
)

var built = chart.Values{Registry: "registry.example/team", Images: []contents.Summary{
	{Name: "coredns", Version: "v1.15.0", Digest: "sha256:c0"},
	{Name: "etcd", Version: "v3.7.3", Digest: "sha256:ed"},
}}

func TestFill(t *testing.T) {
	for text, want := range map[string]string{
		"image: ${image:etcd}":        "image: etcd@sha256:ed",
		"appVersion: ${version:etcd}": "appVersion: v3.7.3",
		"registry: ${registry}":       "registry: registry.example/team",
		"$plain {{ .Values.x }}":      "$plain {{ .Values.x }}",
	} {
		if got, err := built.Fill(text); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", text, got, err, want)
		}
	}
}

func TestFillRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"${image:redis}":  `no image "redis", only coredns, etcd`,
		"${version:}":     `no image ""`,
		"${digest:etcd}":  "there is only",
		"a ${} b":         "there is only",
		"${image:}${tag}": "there is only",
	} {
		if _, err := built.Fill(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v, want %q", text, err, want)
		}
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestPackGivesTheSameBytes(t *testing.T) {
	var archives [2]bytes.Buffer
	for i := range archives {
		files := map[string]string{"Chart.yaml": write(t, "name: x"), "values.yaml": write(t, "image: ${image:etcd}"), "templates/a.yaml": write(t, "image: {{ .Values.image }}")}
		if err := chart.Pack("x", files, built, &archives[i]); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(archives[0].Bytes(), archives[1].Bytes()) {
		t.Error("two archives of the same files differ")
	}
}

func TestPackRefusesAnUnknownImageAndSaysWhere(t *testing.T) {
	for _, inside := range []string{"Chart.yaml", "values.yaml"} {
		source := write(t, "name: x\nimage: ${image:redis}\n")
		err := chart.Pack("x", map[string]string{inside: source}, built, &bytes.Buffer{})
		for _, want := range []string{"chart x: ", source, `no image "redis", only coredns, etcd`} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got error %v, want one with %q", inside, err, want)
			}
		}
	}
}

func TestPackRefusesImagesInTemplates(t *testing.T) {
	for _, line := range []string{"  image: docker.example/redis:7", `- image: "redis:7"`, "image: {{ .Values.registry }}/etcd:v1"} {
		source := write(t, "kind: Pod\n"+line+"\n")
		err := chart.Pack("x", map[string]string{"templates/a.yaml": source}, built, &bytes.Buffer{})
		if err == nil || !strings.Contains(err.Error(), "take it from values.yaml") || !strings.Contains(err.Error(), "chart x: "+source) {
			t.Errorf("%s: got error %v", line, err)
		}
	}
}
