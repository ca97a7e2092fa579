// Package apiserver_test lets the built apiserver judge what the charts render.
package apiserver_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kubefips.internal/tests/internal/controlplane"
	"kubefips.internal/tests/internal/proc"
)

// Every object of every chart is admitted as it stands: a field that the apiserver does not know is an error.
func TestTheApiserverTakesEveryObject(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	cp := controlplane.Start(t)
	helm := proc.Runfile(t, os.Getenv("HELM"))
	t.Run("unknown field", func(t *testing.T) { refusesUnknownField(t, cp) })
	for _, name := range strings.Fields(os.Getenv("CHARTS")) {
		t.Run(name, func(t *testing.T) {
			archive := proc.Runfile(t, os.Getenv(strings.ToUpper("CHART_"+strings.ReplaceAll(name, "-", "_"))))
			rendered := filepath.Join(t.TempDir(), name+".yaml")
			out := proc.Run(t, helm, "template", name, archive, "--namespace=kube-system", "--include-crds")
			if err := os.WriteFile(rendered, []byte(out), 0o644); err != nil {
				t.Fatal(err)
			}
			// The namespace is made by the apiserver itself, soon after its start.
			if _, err := cp.Kubectl(t, "wait", "--for=jsonpath={.status.phase}=Active", "namespace/kube-system", "--timeout=60s"); err != nil {
				t.Fatal(err)
			}
			applied, err := cp.Kubectl(t, "apply", "--server-side", "--validate=strict", "-f", rendered)
			if err != nil {
				t.Fatal(err)
			}
			if want := strings.Count("\n"+out, "\nkind: "); strings.Count(applied, "serverside-applied") != want || want == 0 {
				t.Errorf("%d objects were rendered, and these applied:\n%s", want, applied)
			}
		})
	}
}

// refusesUnknownField shows that the apiserver would say so.
func refusesUnknownField(t *testing.T, cp controlplane.ControlPlane) {
	file := filepath.Join(t.TempDir(), "service.yaml")
	const object = "apiVersion: v1\nkind: Service\nmetadata: {name: x, namespace: default}\nspec: {ports: [{port: 53}], noSuchField: 1}\n"
	if err := os.WriteFile(file, []byte(object), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := cp.Kubectl(t, "apply", "--server-side", "--validate=strict", "-f", file); err == nil {
		t.Errorf("applied an object with an unknown field: %s", out)
	}
}
