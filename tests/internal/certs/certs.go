// Package certs makes the certificates of a test.
package certs

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"os"
	"testing"

	"kubefips.internal/tools/pki"
)

// An Authority is what the servers and clients of a test trust.
type Authority struct {
	*pki.CA
	Roots *x509.CertPool
}

// New makes an authority in a folder of its own.
func New(t testing.TB) Authority {
	t.Helper()
	ca, err := pki.NewCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(ca.CertFile)
	if err != nil {
		t.Fatal(err)
	}
	a := Authority{CA: ca, Roots: x509.NewCertPool()}
	a.Roots.AppendCertsFromPEM(pem)
	return a
}

// Leaf makes a certificate with the common name, valid for localhost, the loopback addresses and hosts.
func (a Authority) Leaf(t testing.TB, commonName string, hosts ...string) pki.Leaf {
	t.Helper()
	leaf, err := a.Issue(commonName, pkix.Name{CommonName: commonName}, hosts...)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

// Pair returns a certificate of the authority with its key.
func (a Authority) Pair(t testing.TB, leaf pki.Leaf) tls.Certificate {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(leaf.CertFile, leaf.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}
