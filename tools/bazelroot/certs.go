package main

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"

	"software.sslmate.com/src/go-pkcs12"
)

// bundles are where systems keep the certificates that they trust.
var bundles = []string{
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/ca-bundle.pem",
	"/etc/ssl/cert.pem",
}

// certificates returns the machine's trusted certificates, as PEM and as the
// store that Java reads. A machine without any has none in the root either:
// a mirror may well be reached by plain HTTP.
func certificates() (bundle, store []byte, err error) {
	names := bundles
	if name := os.Getenv("SSL_CERT_FILE"); name != "" {
		names = []string{name}
	}
	for _, name := range names {
		if bundle, err = os.ReadFile(name); err == nil {
			break
		}
	}
	var trusted []*x509.Certificate
	for rest := bytes.Clone(bundle); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			continue // one that Go refuses is not one to rely on
		}
		trusted = append(trusted, cert)
	}
	store, err = pkcs12.Passwordless.EncodeTrustStore(trusted, "")
	if err != nil {
		return nil, nil, fmt.Errorf("writing the certificates for Java: %w", err)
	}
	return bundle, store, nil
}
