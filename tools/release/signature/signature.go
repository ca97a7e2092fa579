// Package signature signs files by detached signatures, and verifies them: ECDSA with P-256, or RSA PKCS #1 v1.5 with 3072
// or 4096 bits, over SHA-256. `openssl dgst -sha256` makes and verifies the same.
package signature

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// Sign returns the signature on data by the private key in keyPEM, a PKCS #8 block.
func Sign(keyPEM, data []byte) ([]byte, error) {
	block, _ := pem.Decode(keyPEM)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, errors.New("no PEM block PRIVATE KEY: `openssl genpkey` writes one, and `openssl pkcs8 -topk8 -nocrypt` turns other keys into one")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a %T does not sign", key)
	}
	if err := check(signer.Public()); err != nil {
		return nil, err
	}
	digest := sha256.Sum256(data)
	return signer.Sign(rand.Reader, digest[:], crypto.SHA256)
}

// Verify returns nil when signature is that of data by the owner of the public key in keyPEM.
func Verify(keyPEM, data, signature []byte) error {
	block, _ := pem.Decode(keyPEM)
	if block == nil || block.Type != "PUBLIC KEY" {
		return errors.New("no PEM block PUBLIC KEY: `openssl pkey -pubout` writes one")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return err
	}
	if err := check(key); err != nil {
		return err
	}
	digest, valid := sha256.Sum256(data), false
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		valid = ecdsa.VerifyASN1(key, digest[:], signature)
	case *rsa.PublicKey:
		valid = rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) == nil
	}
	if !valid {
		return errors.New("the signature is not that of this file by this key")
	}
	return nil
}

// check refuses keys that the cryptographic module does not sign with, or not for long.
func check(key crypto.PublicKey) error {
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		if key.Curve == elliptic.P256() {
			return nil
		}
		return fmt.Errorf("a key on %s: use P-256, or RSA with 3072 or 4096 bits", key.Curve.Params().Name)
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits != 3072 && bits != 4096 {
			return fmt.Errorf("an RSA key of %d bits: use one of 3072 or 4096, or P-256", bits)
		}
		return nil
	}
	return fmt.Errorf("a %T: use a key on P-256, or RSA with 3072 or 4096 bits", key)
}
