package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"strings"
)

// A Key is a kind of key. It is a flag's value, too.
type Key string

// The kinds that FIPS 186-5 approves, that BoringCrypto makes, and that a peer with the policy of crypto/tls/fipsonly accepts.
const (
	P256    Key = "p256"
	P384    Key = "p384"
	RSA3072 Key = "rsa3072"
	RSA4096 Key = "rsa4096"
)

// Kinds says which there are.
const Kinds = "p256, p384, rsa3072 or rsa4096"

// refused has what somebody may ask for, and why it is not to be had.
var refused = map[string]string{
	"ed25519": "BoringCrypto does not do Ed25519, and crypto/tls/fipsonly refuses its certificates",
	"p224":    "crypto/tls/fipsonly refuses certificates on P-224",
	"rsa2048": "NIST SP 800-57 gives its 112 bits of security strength until 2030 only",
}

// Set parses a kind.
func (k *Key) Set(name string) error {
	switch kind := Key(strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(name))); kind {
	case P256, P384, RSA3072, RSA4096:
		*k = kind
		return nil
	default:
		why := refused[string(kind)]
		if why == "" {
			why = "FIPS 186-5 approves these, BoringCrypto makes them, and crypto/tls/fipsonly accepts them"
		}
		return fmt.Errorf("a key of kind %s: use %s: %s", name, Kinds, why)
	}
}

// String returns the name of the kind.
func (k *Key) String() string { return string(*k) }

// Type is what a flag's help calls it.
func (k *Key) Type() string { return "kind" }

func (k Key) generate() (crypto.Signer, error) {
	switch k {
	case P256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case P384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case RSA3072:
		return rsa.GenerateKey(rand.Reader, 3072)
	case RSA4096:
		return rsa.GenerateKey(rand.Reader, 4096)
	default:
		return nil, k.Set(string(k))
	}
}

// kindOf returns the kind of a key that was made elsewhere.
func kindOf(public crypto.PublicKey) (k Key, err error) {
	switch public := public.(type) {
	case *ecdsa.PublicKey:
		err = k.Set(public.Curve.Params().Name)
	case *rsa.PublicKey:
		err = k.Set(fmt.Sprintf("rsa%d", public.N.BitLen()))
	default:
		err = k.Set(strings.TrimSuffix(strings.TrimLeft(fmt.Sprintf("%T", public), "*"), ".PublicKey"))
	}
	return k, err
}
