// Package pki makes the certificates of clusters that last a day, and of tests.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Lifetime of every certificate made here.
const Lifetime = 24 * time.Hour

// A CA signs certificates with a P-256 key and keeps everything it makes in one directory.
type CA struct {
	CertFile string // PEM

	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewCA makes a certificate authority whose files are in dir: ca.crt, and those of the leaves.
func NewCA(dir string) (*CA, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making the CA's key: %w", err)
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "kubefips CA"},
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	ca := &CA{CertFile: filepath.Join(dir, "ca.crt"), dir: dir, key: key}
	der, err := sign(template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("making the CA's certificate: %w", err)
	}
	if ca.cert, err = x509.ParseCertificate(der); err != nil {
		return nil, fmt.Errorf("making the CA's certificate: %w", err)
	}
	return ca, writePEM(ca.CertFile, "CERTIFICATE", der)
}

// A Leaf is a certificate for servers and clients, as PEM files.
type Leaf struct{ CertFile, KeyFile string }

// Issue makes a certificate with a P-256 key for the subject, valid for localhost, the loopback addresses and names, which
// may be IP addresses.
// Its files are <file>.crt and <file>.key.
func (ca *CA) Issue(file string, subject pkix.Name, names ...string) (Leaf, error) {
	leaf := Leaf{CertFile: filepath.Join(ca.dir, file+".crt"), KeyFile: filepath.Join(ca.dir, file+".key")}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return leaf, fmt.Errorf("making the key of %s: %w", file, err)
	}
	template := &x509.Certificate{
		Subject:     subject,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:    []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := sign(template, ca.cert, &key.PublicKey, ca.key)
	if err != nil {
		return leaf, fmt.Errorf("making the certificate of %s: %w", file, err)
	}
	if err := writePEM(leaf.CertFile, "CERTIFICATE", der); err != nil {
		return leaf, err
	}
	der, err = x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return leaf, fmt.Errorf("making the key of %s: %w", file, err)
	}
	return leaf, writePEM(leaf.KeyFile, "PRIVATE KEY", der)
}

func sign(template, parent *x509.Certificate, public *ecdsa.PublicKey, signer *ecdsa.PrivateKey) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	template.NotBefore = time.Now().Add(-time.Minute)
	template.NotAfter = template.NotBefore.Add(Lifetime)
	return x509.CreateCertificate(rand.Reader, template, parent, public, signer)
}

func writePEM(file, kind string, der []byte) error {
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
