package pki

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"time"
)

// A Pair is a certificate and its key.
type Pair struct {
	Cert *x509.Certificate
	Key  crypto.Signer
}

// A Request says what a certificate is for.
type Request struct {
	Subject  pkix.Name
	Names    []string // of DNS, or IP addresses
	Usages   []x509.ExtKeyUsage
	Key      Key
	NotAfter time.Time
}

// NewAuthority makes an authority, which signs certificates of servers and clients and no further authorities.
func NewAuthority(name string, key Key, notAfter time.Time) (*Pair, error) {
	return sign(nil, key, &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		NotAfter:              notAfter,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
	})
}

// Issue makes a certificate that the authority p has signed. It cannot outlast the authority's.
func (p *Pair) Issue(r Request) (*Pair, error) {
	template := &x509.Certificate{Subject: r.Subject, NotAfter: r.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: r.Usages}
	for _, name := range r.Names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	if end := p.Cert.NotAfter; r.NotAfter.Truncate(time.Second).After(end) { // certificates have whole seconds
		return nil, fmt.Errorf("it would last until %s, but its authority only until %s", r.NotAfter.UTC().Format(time.DateTime), end.UTC().Format(time.DateTime))
	}
	return sign(p, r.Key, template)
}

// sign makes a key and signs its certificate by the authority, or without one by itself.
func sign(authority *Pair, kind Key, template *x509.Certificate) (*Pair, error) {
	key, err := kind.generate()
	if err != nil {
		return nil, err
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)); err != nil {
		return nil, err
	}
	template.NotBefore = time.Now().Add(-time.Minute) // clocks differ
	if authority == nil {
		authority = &Pair{Cert: template, Key: key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, authority.Cert, key.Public(), authority.Key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &Pair{Cert: cert, Key: key}, err
}

// Write writes PEM files, of which only the owner can read the key. Files that are there already it replaces or, without
// force, leaves as they are and returns fs.ErrExist.
func (p *Pair) Write(certFile, keyFile string, force bool) error {
	der, err := x509.MarshalPKCS8PrivateKey(p.Key)
	if err != nil {
		return err
	}
	for _, file := range []string{certFile, keyFile} {
		if force {
			err = os.Remove(file)
		} else if _, err = os.Lstat(file); err == nil {
			return &fs.PathError{Op: "writing", Path: file, Err: fs.ErrExist}
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := writePEM(keyFile, "PRIVATE KEY", der, 0o600); err != nil {
		return err
	}
	return writePEM(certFile, "CERTIFICATE", p.Cert.Raw, 0o644)
}

func writePEM(file, kind string, der []byte, mode os.FileMode) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	return errors.Join(pem.Encode(f, &pem.Block{Type: kind, Bytes: der}), f.Close())
}

// ReadAuthority reads what Write wrote, or another tool, of an authority whose key is of a kind that there is here.
func ReadAuthority(certFile, keyFile string) (*Pair, error) {
	der, err := readPEM(certFile, "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", certFile, err)
	}
	if !cert.IsCA || cert.KeyUsage&x509.KeyUsageCertSign == 0 {
		return nil, fmt.Errorf("%s: the certificate is no authority's: it may not sign others", certFile)
	}
	if _, err := kindOf(cert.PublicKey); err != nil {
		return nil, fmt.Errorf("%s: %w", certFile, err)
	}
	if der, err = readPEM(keyFile, "PRIVATE KEY"); err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", keyFile, err)
	}
	key, ok := parsed.(crypto.Signer)
	if !ok || !key.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(cert.PublicKey) {
		return nil, fmt.Errorf("%s is not the key of %s", keyFile, certFile)
	}
	return &Pair{Cert: cert, Key: key}, nil
}

func readPEM(file, kind string) ([]byte, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(content)
	if block == nil || block.Type != kind {
		return nil, fmt.Errorf("%s does not begin with a PEM block %s", file, kind)
	}
	return block.Bytes, nil
}
