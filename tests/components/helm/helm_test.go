package helm_test

import (
	"bytes"
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kubefips.internal/tests/internal/certs"
	"kubefips.internal/tests/internal/proc"
	"kubefips.internal/tests/internal/registry"
)

// start makes a chart of helm's own and packages it.
func start(t *testing.T) (helm, chart, archive string) {
	t.Helper()
	t.Setenv("HOME", t.TempDir())
	helm = proc.Runfile(t, os.Getenv("HELM"))
	dir := t.TempDir()
	chart = filepath.Join(dir, "web")
	proc.Run(t, helm, "create", chart)
	proc.Run(t, helm, "package", chart, "--version=1.2.3", "--destination="+dir)
	return helm, chart, filepath.Join(dir, "web-1.2.3.tgz")
}

// serve starts a registry that negotiates the given groups alone.
func serve(t *testing.T, groups ...tls.CurveID) (host, caFile string) {
	t.Helper()
	ca := certs.New(t)
	leaf := ca.Leaf(t, "registry")
	cert := ca.Pair(t, leaf)
	return registry.Serve(t, &tls.Config{Certificates: []tls.Certificate{cert}, CurvePreferences: groups}), ca.CertFile
}

func TestRenders(t *testing.T) {
	helm, chart, archive := start(t)
	proc.Run(t, helm, "lint", "--strict", chart)
	for _, from := range []string{chart, archive} {
		out := proc.Run(t, helm, "template", "release", from, "--set=replicaCount=7", "--namespace=web")
		for _, want := range []string{"kind: Deployment", "name: release-web", "replicas: 7"} {
			if !strings.Contains(out, want) {
				t.Errorf("helm template %s lacks %q:\n%s", filepath.Base(from), want, out)
			}
		}
	}
}

func TestRefusesBrokenChart(t *testing.T) {
	helm, chart, _ := start(t)
	if err := os.WriteFile(filepath.Join(chart, "templates", "broken.yaml"), []byte("{{ .Values.absent.key }}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := proc.Output(helm, "template", "release", chart); err == nil {
		t.Errorf("helm rendered a chart that reads a missing value: %s", out)
	}
}

func TestPushesAndPulls(t *testing.T) {
	helm, _, archive := start(t)
	host, ca := serve(t, tls.CurveP256)
	proc.Run(t, helm, "push", archive, "oci://"+host+"/charts", "--ca-file="+ca)
	dir := t.TempDir()
	proc.Run(t, helm, "pull", "oci://"+host+"/charts/web", "--version=1.2.3", "--destination="+dir, "--ca-file="+ca)
	want, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, filepath.Base(archive)))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the chart that was pulled (%d bytes) is not the one that was pushed (%d bytes)", len(got), len(want))
	}
}

func TestRefusesRegistryWithX25519Alone(t *testing.T) {
	helm, _, archive := start(t)
	host, ca := serve(t, tls.X25519)
	if out, err := proc.Output(helm, "push", archive, "oci://"+host+"/charts", "--ca-file="+ca); err == nil {
		t.Errorf("helm pushed to a registry that offers X25519 alone: %s", out)
	} else if want := "handshake failure"; !strings.Contains(out, want) {
		t.Errorf("helm failed without %q: %s", want, out)
	}
}

func TestPrintedVersion(t *testing.T) {
	out := proc.Run(t, proc.Runfile(t, os.Getenv("HELM")), "version")
	for _, want := range []string{
		`Version:"` + os.Getenv("UPSTREAM_VERSION") + `"`,
		`GitCommit:"` + os.Getenv("UPSTREAM_REVISION") + `"`,
		`GitTreeState:"clean"`,
		`GoVersion:"go` + os.Getenv("UPSTREAM_GO") + `-X:boringcrypto"`,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("helm version lacks %q:\n%s", want, out)
		}
	}
}
