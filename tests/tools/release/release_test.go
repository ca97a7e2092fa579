// Package release_test signs the tree's own list of digests by a key that lasts as long as the test.
package release_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kubefips.internal/tests/internal/proc"
)

// newKey writes a key pair and returns the files.
func newKey(t *testing.T) (private, public string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	open, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return write(t, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})), write(t, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: open}))
}

func write(t *testing.T, content []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestARelease(t *testing.T) {
	release, bundle := proc.Runfile(t, os.Getenv("RELEASE")), proc.Runfile(t, os.Getenv("BUNDLE"))
	built, err := os.ReadFile(proc.Runfile(t, os.Getenv("DIGESTS")))
	if err != nil {
		t.Fatal(err)
	}
	private, public := newKey(t)
	_, stranger := newKey(t)
	list := write(t, built)
	proc.Run(t, release, "sign", "--key="+private, "--output="+list+".sig", list)
	verify := []string{"verify", "--key=" + public, "--signature=" + list + ".sig"}

	// The list beside the bundle, and the same one in it; then every byte of the bundle.
	proc.Run(t, release, append(verify, list)...)
	proc.Run(t, release, append(verify, "--bundle="+bundle)...)

	changed := write(t, []byte(strings.Replace(string(built), "sha256:", "sha256:0", 1)))
	for what, args := range map[string][]string{
		"a changed list":           append(verify, changed),
		"a wrong key":              {"verify", "--key=" + stranger, "--signature=" + list + ".sig", list},
		"a wrong key for a bundle": {"verify", "--key=" + stranger, "--signature=" + list + ".sig", "--bundle=" + bundle},
	} {
		if out, err := proc.Output(release, args...); err == nil || !strings.Contains(out, "the signature is not that of this file by this key") {
			t.Errorf("%s: %v\n%s", what, err, out)
		}
	}
	if out, err := proc.Output(release, "sign", "--key="+private, "--output="+list+".none", write(t, []byte("{}"))); err == nil || !strings.Contains(out, "no list of digests") {
		t.Errorf("signing what is no list: %v\n%s", err, out)
	}
}
