// Package charts_test renders a chart with the built Helm and judges what a cluster would get.
package charts_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"kubefips.internal/tests/internal/proc"
	"kubefips.internal/tools/oci/contents"
)

// `bazel run //tests/charts:coredns_test -- -update` writes the golden file.
var update = flag.Bool("update", false, "write the golden file instead of comparing with it")

const registry = "registry.example/team"

type chartUnderTest struct{ name, archive, helm string }

func open(t *testing.T) chartUnderTest {
	t.Helper()
	t.Setenv("HOME", t.TempDir())
	return chartUnderTest{os.Getenv("CHART_NAME"), proc.Runfile(t, os.Getenv("CHART")), proc.Runfile(t, os.Getenv("HELM"))}
}

// template renders the chart into the namespace kube-system.
func (c chartUnderTest) template(args ...string) (string, error) {
	return proc.Output(c.helm, append([]string{"template", c.name, c.archive, "--namespace=kube-system", "--set=registry=" + registry}, args...)...)
}

func images(t *testing.T) []contents.Summary {
	t.Helper()
	data, err := os.ReadFile(proc.Runfile(t, os.Getenv("DIGESTS")))
	if err != nil {
		t.Fatal(err)
	}
	var all struct{ Images []contents.Summary }
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	return all.Images
}

func TestRendersAsTheGoldenFile(t *testing.T) {
	under := open(t)
	out, err := under.template()
	if err != nil {
		t.Fatal(err)
	}
	// Digests and versions change with every build of an image; the golden file says which image it is.
	for _, image := range images(t) {
		out = strings.ReplaceAll(out, image.Name+"@"+image.Digest, "${image:"+image.Name+"}")
		if image.Name == under.name {
			out = strings.ReplaceAll(out, image.Version, "${version:"+image.Name+"}")
		}
	}
	// Of a ConfigMap in which a version may stand.
	out = regexp.MustCompile(`(checksum/config: )[0-9a-f]{64}`).ReplaceAllString(out, "${1}SHA256")
	if *update {
		golden := filepath.Join(os.Getenv("BUILD_WORKSPACE_DIRECTORY"), "charts", under.name, "golden.yaml")
		if err := os.WriteFile(golden, []byte(out), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	golden := proc.Runfile(t, os.Getenv("GOLDEN"))
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if out != string(want) {
		t.Errorf("charts/%s/golden.yaml is not what Helm renders:\n%sIf that is meant: bazel run this test with `-- -update`, and review the change",
			under.name, contents.Diff(string(want), out))
	}
}

func TestLints(t *testing.T) {
	under := open(t)
	proc.Run(t, under.helm, "lint", "--strict", under.archive)
}

func TestEveryImageIsADigestThatWasBuilt(t *testing.T) {
	under := open(t)
	out, err := under.template()
	if err != nil {
		t.Fatal(err)
	}
	built := map[string]bool{}
	for _, image := range images(t) {
		built[registry+"/"+image.Name+"@"+image.Digest] = true
	}
	named := regexp.MustCompile(`(?m)^[\s-]*image: *(.*)$`).FindAllStringSubmatch(out, -1)
	if len(named) == 0 {
		t.Fatal("the chart names no image")
	}
	for _, image := range named {
		if reference := strings.Trim(image[1], `"`); !built[reference] {
			t.Errorf("%s is no image that was built", reference)
		}
	}
}

func TestFipscheckPasses(t *testing.T) {
	under := open(t)
	out, err := under.template()
	if err != nil {
		t.Fatal(err)
	}
	rendered := filepath.Join(t.TempDir(), under.name+".yaml")
	if err := os.WriteFile(rendered, []byte(out), 0o644); err != nil {
		t.Fatal(err)
	}
	fipscheck := proc.Runfile(t, os.Getenv("FIPSCHECK"))
	for _, judged := range []string{under.archive, rendered} {
		proc.Run(t, fipscheck, "chart", "--policy", proc.Runfile(t, os.Getenv("POLICY")), judged)
	}
}

func TestSchemaRefuses(t *testing.T) {
	under := open(t)
	for value, why := range map[string]string{
		"image=" + under.name + ":v1": "a tag in place of a digest",
		"registry=":                   "no registry",
		"noSuchValue=1":               "a value that the chart does not have",
	} {
		if out, err := under.template("--set=" + value); err == nil {
			t.Errorf("rendered with %s (%s):\n%s", value, why, out)
		} else if !strings.Contains(err.Error()+out, "schema") {
			t.Errorf("%s: got error %v, want one of the schema", value, err)
		}
	}
}
