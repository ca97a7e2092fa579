package chart_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kubefips.internal/tools/oci/chart"
	"kubefips.internal/tools/oci/contents"
	"kubefips.internal/tools/oci/layout"
)

const chartYAML = "apiVersion: v2\nname: x\ndescription: A chart\nversion: 1.2.3\nappVersion: ${version:etcd}\n"

// pack writes a packed chart with one template.
func pack(t *testing.T, chartYAML string) string {
	t.Helper()
	var packed bytes.Buffer
	files := map[string]string{"Chart.yaml": write(t, chartYAML), "templates/Chart.yaml": write(t, "name: another")}
	if err := chart.Pack("x", files, built, &packed); err != nil {
		t.Fatal(err)
	}
	return write(t, packed.String())
}

func TestWriteLayout(t *testing.T) {
	var summaries [2]contents.Summary
	for i := range summaries {
		packed, dir := pack(t, chartYAML), filepath.Join(t.TempDir(), "layout")
		if err := chart.WriteLayout(packed, dir); err != nil {
			t.Fatal(err)
		}
		artifact, err := layout.OpenImage(dir)
		if err != nil {
			t.Fatal(err)
		}
		if summaries[i], err = contents.Summarize("charts/x", artifact); err != nil {
			t.Fatal(err)
		}
		config, err := artifact.RawConfigFile()
		if want := `{"apiVersion":"v2","appVersion":"v3.7.3","description":"A chart","name":"x","version":"1.2.3"}`; err != nil || string(config) != want {
			t.Errorf("config %s, %v, want %s", config, err, want)
		}
		inside, err := chart.Archive(artifact)
		if want, _ := os.ReadFile(packed); err != nil || !bytes.Equal(inside, want) {
			t.Errorf("the packed chart did not come back: %v", err)
		}
	}
	if summaries[0] != summaries[1] {
		t.Errorf("the same chart twice:\n%+v\n%+v", summaries[0], summaries[1])
	}
	if got := summaries[0]; got.Version != "1.2.3" || !got.IsChart() {
		t.Errorf("got %+v", got)
	}
}

func TestWriteLayoutRefuses(t *testing.T) {
	var noChart bytes.Buffer
	if err := chart.Pack("x", map[string]string{"templates/a.yaml": write(t, "kind: Pod")}, built, &noChart); err != nil {
		t.Fatal(err)
	}
	for want, packed := range map[string]string{
		"no Chart.yaml":             write(t, noChart.String()),
		"EOF":                       write(t, "text"),
		"Chart.yaml has no version": pack(t, "name: x\ndescription: A chart\n"),
	} {
		if err := chart.WriteLayout(packed, t.TempDir()); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), packed) {
			t.Errorf("got error %v, want one with %q and the file", err, want)
		}
	}
}
