package signature_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kubefips.internal/tools/release/signature"
)

func pair(t *testing.T, key crypto.Signer) (private, public []byte) {
	t.Helper()
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	open, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: open})
}

func ec(t *testing.T, curve elliptic.Curve) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func rsaKey(t *testing.T, bits int) crypto.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestSignedIsVerified(t *testing.T) {
	_, stranger := pair(t, ec(t, elliptic.P256()))
	for name, key := range map[string]crypto.Signer{"P-256": ec(t, elliptic.P256()), "RSA-3072": rsaKey(t, 3072)} {
		t.Run(name, func(t *testing.T) {
			private, public := pair(t, key)
			signed, err := signature.Sign(private, []byte("list"))
			if err != nil {
				t.Fatal(err)
			}
			if err := signature.Verify(public, []byte("list"), signed); err != nil {
				t.Error(err)
			}
			changed := append([]byte{}, signed...)
			changed[len(changed)-1] ^= 1
			for what, err := range map[string]error{
				"a changed list":      signature.Verify(public, []byte("lists"), signed),
				"a changed signature": signature.Verify(public, []byte("list"), changed),
				"no signature":        signature.Verify(public, []byte("list"), nil),
				"another key":         signature.Verify(stranger, []byte("list"), signed),
			} {
				if err == nil || !strings.Contains(err.Error(), "not that of this file by this key") {
					t.Errorf("%s: got error %v", what, err)
				}
			}
		})
	}
}

func TestWeakAndForeignKeysAreRefused(t *testing.T) {
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		key  crypto.Signer
		want string
	}{
		"Ed25519":  {edwards, "use a key on P-256"},
		"P-224":    {ec(t, elliptic.P224()), "a key on P-224: use P-256"},
		"RSA-2048": {rsaKey(t, 2048), "an RSA key of 2048 bits"},
	} {
		private, public := pair(t, test.key)
		_, err := signature.Sign(private, []byte("list"))
		for _, err := range []error{err, signature.Verify(public, []byte("list"), nil)} {
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: got error %v, want %q", name, err, test.want)
			}
		}
	}
	private, public := pair(t, ec(t, elliptic.P256()))
	if _, err := signature.Sign(public, nil); err == nil || !strings.Contains(err.Error(), "no PEM block PRIVATE KEY") {
		t.Errorf("signing with a public key: got error %v", err)
	}
	if err := signature.Verify(private, nil, nil); err == nil || !strings.Contains(err.Error(), "no PEM block PUBLIC KEY") {
		t.Errorf("verifying with a private key: got error %v", err)
	}
}

func TestWhatOpenSSLSignedIsVerified(t *testing.T) {
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	for _, kind := range []string{"ec", "rsa"} {
		if err := signature.Verify(read(kind+".pub"), read("list.json"), read(kind+".sig")); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if err := signature.Verify(read(kind+".pub"), append(read("list.json"), ' '), read(kind+".sig")); err == nil {
			t.Errorf("%s: a changed list passed", kind)
		}
	}
}
