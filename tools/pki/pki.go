// Package pki makes the certificates of clusters that last a day, and of tests; tools/pki/cmd makes those that people ask for.
package pki

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Lifetime of a CA and all its certificates.
const Lifetime = 24 * time.Hour

// A CA signs certificates with a P-256 key, which it does not write, and keeps everything else in one directory.
type CA struct {
	CertFile string // PEM

	dir  string
	pair *Pair
}

// NewCA makes a certificate authority whose files are in dir: ca.crt, and those of the leaves.
func NewCA(dir string) (*CA, error) {
	pair, err := NewAuthority("kubefips CA", P256, time.Now().Add(Lifetime))
	if err != nil {
		return nil, fmt.Errorf("making the CA: %w", err)
	}
	ca := &CA{CertFile: filepath.Join(dir, "ca.crt"), dir: dir, pair: pair}
	return ca, os.WriteFile(ca.CertFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Cert.Raw}), 0o644)
}

// A Leaf is a certificate for servers and clients, as PEM files.
type Leaf struct{ CertFile, KeyFile string }

// Issue makes a certificate with a P-256 key for the subject, valid for localhost, the loopback addresses and names, which
// may be IP addresses.
// Its files are <file>.crt and <file>.key.
func (ca *CA) Issue(file string, subject pkix.Name, names ...string) (Leaf, error) {
	return ca.IssueKey(P256, file, subject, names...)
}

// IssueKey is Issue with a key of another kind.
func (ca *CA) IssueKey(key Key, file string, subject pkix.Name, names ...string) (Leaf, error) {
	leaf := Leaf{CertFile: filepath.Join(ca.dir, file+".crt"), KeyFile: filepath.Join(ca.dir, file+".key")}
	pair, err := ca.pair.Issue(Request{
		Subject:  subject,
		Names:    append([]string{"localhost", "127.0.0.1", "::1"}, names...),
		Usages:   []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		Key:      key,
		NotAfter: ca.pair.Cert.NotAfter,
	})
	if err == nil {
		err = pair.Write(leaf.CertFile, leaf.KeyFile, true)
	}
	if err != nil {
		return leaf, fmt.Errorf("making the certificate of %s: %w", file, err)
	}
	return leaf, nil
}
