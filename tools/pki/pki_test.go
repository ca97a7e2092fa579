package pki_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"kubefips.internal/tools/pki"
)

var (
	day    = time.Now().AddDate(0, 0, 1)
	server = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	client = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
)

// describe says what a key is, from its numbers alone.
func describe(public crypto.PublicKey) string {
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		return key.Curve.Params().Name
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA-%d", key.N.BitLen())
	}
	return fmt.Sprintf("%T", public)
}

func TestIssuedCertificatesAreAccepted(t *testing.T) {
	for _, test := range []struct {
		authority, leaf pki.Key
		is, signature   string // key of the leaf, and what its authority made
	}{
		{pki.P256, pki.RSA3072, "RSA-3072", "ECDSA-SHA256"},
		{pki.P384, pki.P256, "P-256", "ECDSA-SHA384"},
		{pki.RSA3072, pki.P384, "P-384", "SHA256-RSA"},
		{pki.RSA4096, pki.RSA4096, "RSA-4096", "SHA256-RSA"},
	} {
		t.Run(string(test.authority+" and "+test.leaf), func(t *testing.T) {
			made, err := pki.NewAuthority("an authority", test.authority, day)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			crt, key := filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key")
			if err := made.Write(crt, key, false); err != nil {
				t.Fatal(err)
			}
			authority, err := pki.ReadAuthority(crt, key)
			if err != nil {
				t.Fatal(err)
			}
			leaf, err := authority.Issue(pki.Request{Subject: pkix.Name{CommonName: "api"}, Names: []string{"api.example", "10.0.0.7"}, Usages: server, Key: test.leaf, NotAfter: day})
			if err != nil {
				t.Fatal(err)
			}
			if got := describe(leaf.Cert.PublicKey); got != test.is || leaf.Cert.SignatureAlgorithm.String() != test.signature {
				t.Errorf("%s, signed by %s; want %s, signed by %s", got, leaf.Cert.SignatureAlgorithm, test.is, test.signature)
			}
			roots, others := x509.NewCertPool(), x509.NewCertPool()
			roots.AddCert(authority.Cert)
			stranger, err := pki.NewAuthority("an authority", pki.P256, day)
			if err != nil {
				t.Fatal(err)
			}
			others.AddCert(stranger.Cert)
			for _, verify := range []struct {
				name    string
				options x509.VerifyOptions
				good    bool
			}{
				{"by name", x509.VerifyOptions{Roots: roots, DNSName: "api.example", KeyUsages: server}, true},
				{"by address", x509.VerifyOptions{Roots: roots, DNSName: "10.0.0.7", KeyUsages: server}, true},
				{"by another name", x509.VerifyOptions{Roots: roots, DNSName: "localhost", KeyUsages: server}, false},
				{"as a client", x509.VerifyOptions{Roots: roots, KeyUsages: client}, false},
				{"by another authority", x509.VerifyOptions{Roots: others, KeyUsages: server}, false},
				{"before it was made", x509.VerifyOptions{Roots: roots, CurrentTime: time.Now().Add(-time.Hour), KeyUsages: server}, false},
				{"after its end", x509.VerifyOptions{Roots: roots, CurrentTime: day.Add(time.Second), KeyUsages: server}, false},
			} {
				if _, err := leaf.Cert.Verify(verify.options); (err == nil) != verify.good {
					t.Errorf("%s: %v, want success = %t", verify.name, err, verify.good)
				}
			}
			if !authority.Cert.MaxPathLenZero {
				t.Error("the authority may make authorities")
			}
		})
	}
}

// What clusters and tests use.
func TestCA(t *testing.T) {
	ca, err := pki.NewCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(ca.CertFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(content)
	for kind, issue := range map[string]func() (pki.Leaf, error){
		"P-256": func() (pki.Leaf, error) { return ca.Issue("leaf", pkix.Name{CommonName: "leaf"}, "leaf.example") },
		"RSA-3072": func() (pki.Leaf, error) {
			return ca.IssueKey(pki.RSA3072, "leaf", pkix.Name{CommonName: "leaf"}, "leaf.example")
		},
	} {
		leaf, err := issue()
		if err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(leaf.CertFile)
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(content)
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if got := describe(cert.PublicKey); got != kind {
			t.Errorf("key is %s, want %s", got, kind)
		}
		for _, name := range []string{"localhost", "127.0.0.1", "::1", "leaf.example"} {
			for _, usage := range [][]x509.ExtKeyUsage{server, client} {
				if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, KeyUsages: usage}); err != nil {
					t.Errorf("%s for %s: %v", kind, name, err)
				}
			}
		}
	}
}
