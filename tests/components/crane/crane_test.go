package crane_test

import (
	"archive/tar"
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

const content = "a file in a layer\n"

// start returns a registry that crane trusts and that negotiates the given groups alone, and crane itself.
func start(t *testing.T, groups ...tls.CurveID) (host, crane string) {
	t.Helper()
	ca := certs.New(t)
	leaf := ca.Leaf(t, "registry")
	cert := ca.Pair(t, leaf)
	t.Setenv("SSL_CERT_FILE", ca.CertFile)
	t.Setenv("HOME", t.TempDir())
	crane = proc.Runfile(t, os.Getenv("CRANE"))
	return registry.Serve(t, &tls.Config{Certificates: []tls.Certificate{cert}, CurvePreferences: groups}), crane
}

// layer writes a layer with one file.
func layer(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "file", Mode: 0o644, Size: int64(len(content))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "layer.tar")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestPushesAndPulls(t *testing.T) {
	host, crane := start(t, tls.CurveP256)
	image, copied := host+"/test/image:v1", host+"/test/copy:v1"
	proc.Run(t, crane, "append", "--new_layer="+layer(t), "--new_tag="+image)
	proc.Run(t, crane, "validate", "--remote="+image)

	dir := filepath.Join(t.TempDir(), "layout")
	proc.Run(t, crane, "pull", "--format=oci", image, dir)
	proc.Run(t, crane, "push", dir, copied)
	if got, want := proc.Run(t, crane, "digest", copied), proc.Run(t, crane, "digest", image); got != want {
		t.Errorf("digest of the pushed copy = %s, want %s", got, want)
	}

	r := tar.NewReader(strings.NewReader(proc.Run(t, crane, "export", copied, "-")))
	if _, err := r.Next(); err != nil {
		t.Fatalf("reading the exported image: %v", err)
	}
	var got bytes.Buffer
	if _, err := got.ReadFrom(r); err != nil {
		t.Fatalf("reading the exported image: %v", err)
	}
	if got.String() != content {
		t.Errorf("the file in the exported image = %q, want %q", got.String(), content)
	}
}

func TestRefusesRegistryWithX25519Alone(t *testing.T) {
	host, crane := start(t, tls.X25519)
	if out, err := proc.Output(crane, "append", "--new_layer="+layer(t), "--new_tag="+host+"/test/image:v1"); err == nil {
		t.Errorf("crane pushed to a registry that offers X25519 alone: %s", out)
	}
}

func TestPrintedVersion(t *testing.T) {
	if got, want := strings.TrimSpace(proc.Run(t, proc.Runfile(t, os.Getenv("CRANE")), "version")), strings.TrimPrefix(os.Getenv("UPSTREAM_VERSION"), "v"); got != want {
		t.Errorf("crane version = %s, want %s", got, want)
	}
}
