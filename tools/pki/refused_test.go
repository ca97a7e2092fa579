package pki_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kubefips.internal/tools/pki"
)

func TestUnapprovedKeysAreRefused(t *testing.T) {
	for kind, why := range map[string]string{
		"ed25519":  "crypto/tls/fipsonly refuses its certificates",
		"Ed25519":  "crypto/tls/fipsonly refuses its certificates",
		"rsa2048":  "until 2030 only",
		"RSA-1024": "FIPS 186-5",
		"p224":     "refuses certificates on P-224",
		"":         "FIPS 186-5",
	} {
		var key pki.Key
		err := key.Set(kind)
		_, made := pki.NewAuthority("an authority", pki.Key(kind), day)
		for _, err := range []error{err, made} {
			if err == nil || !strings.Contains(err.Error(), why) || !strings.Contains(err.Error(), "use p256, p384, rsa3072 or rsa4096") {
				t.Errorf("%q: %v; want what to use, and %q", kind, err, why)
			}
		}
	}
	for _, kind := range []string{"p256", "P-384", "RSA_3072", "rsa4096"} {
		if key := new(pki.Key); key.Set(kind) != nil || *key == "" {
			t.Errorf("%q was refused", kind)
		}
	}
}

// Authorities that another tool made, or that are none.
func TestUnsuitableAuthoritiesAreRefused(t *testing.T) {
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	weak, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	good, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name      string
		of, saved crypto.Signer // the certificate's key, and the one in the file
		isCA      bool
		want      string // "" for none
	}{
		{"a good one", good, good, true, ""},
		{"Ed25519", edwards, edwards, true, "ca.crt: a key of kind ed25519: use p256"},
		{"RSA-2048", weak, weak, true, "ca.crt: a key of kind rsa2048: use p256"},
		{"a leaf", good, good, false, "no authority's"},
		{"another key", good, other, true, "is not the key of"},
		{"no key", good, nil, true, "ca.key does not begin with a PEM block PRIVATE KEY"},
	} {
		t.Run(test.name, func(t *testing.T) {
			template := &x509.Certificate{SerialNumber: big.NewInt(1), KeyUsage: x509.KeyUsageCertSign, IsCA: test.isCA, BasicConstraintsValid: true, NotAfter: day}
			der, err := x509.CreateCertificate(rand.Reader, template, template, test.of.Public(), test.of)
			if err != nil {
				t.Fatal(err)
			}
			crt, key := filepath.Join(t.TempDir(), "ca.crt"), filepath.Join(t.TempDir(), "ca.key")
			write(t, crt, "CERTIFICATE", der)
			write(t, key, "PUBLIC KEY", nil)
			if test.saved != nil {
				if der, err = x509.MarshalPKCS8PrivateKey(test.saved); err != nil {
					t.Fatal(err)
				}
				write(t, key, "PRIVATE KEY", der)
			}
			if _, err := pki.ReadAuthority(crt, key); (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want %q", err, test.want)
			}
		})
	}
}

func write(t *testing.T, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestACertificateDoesNotOutlastItsAuthority(t *testing.T) {
	authority, err := pki.NewAuthority("an authority", pki.P256, day)
	if err != nil {
		t.Fatal(err)
	}
	_, err = authority.Issue(pki.Request{Key: pki.P256, NotAfter: day.Add(time.Hour)})
	if err == nil || !strings.Contains(err.Error(), "its authority only until") {
		t.Errorf("got error %v", err)
	}
}

func TestKeysAreNotReplacedUnasked(t *testing.T) {
	pair, err := pki.NewAuthority("an authority", pki.P256, day)
	if err != nil {
		t.Fatal(err)
	}
	for _, there := range []string{"crt", "key"} {
		dir := t.TempDir()
		crt, key := filepath.Join(dir, "crt"), filepath.Join(dir, "key")
		if err := os.WriteFile(filepath.Join(dir, there), []byte("precious"), 0o666); err != nil {
			t.Fatal(err)
		}
		if err := pair.Write(crt, key, false); !errors.Is(err, fs.ErrExist) {
			t.Errorf("with a %s: got error %v", there, err)
		}
		if files, _ := filepath.Glob(dir + "/*"); len(files) != 1 {
			t.Errorf("with a %s: files %q", there, files)
		}
		if content, err := os.ReadFile(filepath.Join(dir, there)); err != nil || string(content) != "precious" {
			t.Errorf("with a %s: it is %q, %v now", there, content, err)
		}
		if err := pair.Write(crt, key, true); err != nil {
			t.Errorf("with a %s, by force: %v", there, err)
		}
		if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("with a %s, by force: mode of the key %v, %v", there, info.Mode(), err)
		}
		if _, err := pki.ReadAuthority(crt, key); err != nil {
			t.Errorf("with a %s, by force: %v", there, err)
		}
	}
}
