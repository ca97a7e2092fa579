package measure

import "strings"

// Weight is how much a linked package matters.
type Weight string

const (
	High Weight = "HIGH"
	Med  Weight = "MED"
	Info Weight = "INFO"
)

// Rule classifies packages by import path.
type Rule struct {
	// Path is an import path; the packages under it belong to it.
	Path   string
	Weight Weight
	// BoringOnly is for algorithms that Go's native module has and
	// BoringCrypto, as Go wires it, has not.
	BoringOnly bool
	What       string
}

// rules are cryptography outside a validated module. The longest path wins.
var rules = []Rule{
	{Path: "crypto/rc4", Weight: High, What: "RC4"},
	{Path: "crypto/des", Weight: High, What: "DES and 3DES"},
	{Path: "crypto/dsa", Weight: High, What: "DSA"},
	{Path: "crypto/ed25519", Weight: High, BoringOnly: true, What: "Ed25519"},
	{Path: "crypto/md5", Weight: Med, What: "MD5"},
	{Path: "crypto/sha1", Weight: Med, What: "SHA-1"},
	{Path: "crypto/sha3", Weight: Med, BoringOnly: true, What: "SHA-3"},
	{Path: "crypto/hkdf", Weight: Med, BoringOnly: true, What: "HKDF"},
	{Path: "crypto/pbkdf2", Weight: Med, BoringOnly: true, What: "PBKDF2"},
	{Path: "crypto/mlkem", Weight: Med, BoringOnly: true, What: "ML-KEM"},
	{Path: "crypto/mldsa", Weight: Med, BoringOnly: true, What: "ML-DSA"},

	// What crypto/tls and crypto/x509 vendor for themselves.
	{Path: "vendor/golang.org/x/crypto", Weight: Info, What: "crypto/tls's own copy"},

	{Path: "golang.org/x/crypto/argon2", Weight: High, What: "Argon2"},
	{Path: "golang.org/x/crypto/bcrypt", Weight: High, What: "bcrypt"},
	{Path: "golang.org/x/crypto/blake2b", Weight: High, What: "BLAKE2b"},
	{Path: "golang.org/x/crypto/blake2s", Weight: High, What: "BLAKE2s"},
	{Path: "golang.org/x/crypto/blowfish", Weight: High, What: "Blowfish"},
	{Path: "golang.org/x/crypto/cast5", Weight: High, What: "CAST5"},
	{Path: "golang.org/x/crypto/chacha20", Weight: High, What: "ChaCha20"},
	{Path: "golang.org/x/crypto/chacha20poly1305", Weight: High, What: "ChaCha20-Poly1305"},
	{Path: "golang.org/x/crypto/curve25519", Weight: High, What: "X25519"},
	{Path: "golang.org/x/crypto/hkdf", Weight: Med, What: "HKDF"},
	{Path: "golang.org/x/crypto/md4", Weight: High, What: "MD4"},
	{Path: "golang.org/x/crypto/nacl", Weight: High, What: "NaCl"},
	{Path: "golang.org/x/crypto/openpgp", Weight: High, What: "OpenPGP"},
	{Path: "github.com/ProtonMail/go-crypto", Weight: High, What: "OpenPGP"},
	{Path: "golang.org/x/crypto/pbkdf2", Weight: Med, What: "PBKDF2"},
	{Path: "golang.org/x/crypto/pkcs12", Weight: High, What: "PKCS #12"},
	{Path: "software.sslmate.com/src/go-pkcs12", Weight: High, What: "PKCS #12"},
	{Path: "golang.org/x/crypto/poly1305", Weight: High, What: "Poly1305"},
	{Path: "golang.org/x/crypto/ripemd160", Weight: High, What: "RIPEMD-160"},
	{Path: "golang.org/x/crypto/salsa20", Weight: High, What: "Salsa20"},
	{Path: "golang.org/x/crypto/scrypt", Weight: High, What: "scrypt"},
	{Path: "golang.org/x/crypto/sha3", Weight: Med, What: "SHA-3"},
	{Path: "golang.org/x/crypto/ssh", Weight: High, What: "SSH"},
	{Path: "golang.org/x/crypto/tea", Weight: High, What: "TEA"},
	{Path: "golang.org/x/crypto/twofish", Weight: High, What: "Twofish"},
	{Path: "golang.org/x/crypto/xtea", Weight: High, What: "XTEA"},
	{Path: "golang.org/x/crypto/xts", Weight: High, What: "XTS"},

	{Path: "golang.zx2c4.com/wireguard", Weight: High, What: "WireGuard"},
	{Path: "github.com/cloudflare/circl", Weight: High, What: "CIRCL"},
	{Path: "github.com/quic-go/quic-go", Weight: High, What: "QUIC's own packet protection"},
	{Path: "github.com/containers/ocicrypt", Weight: High, What: "ocicrypt"},
	{Path: "filippo.io/edwards25519", Weight: High, What: "edwards25519"},
	{Path: "filippo.io/age", Weight: High, What: "age"},
	{Path: "github.com/zeebo/blake3", Weight: High, What: "BLAKE3"},
	{Path: "lukechampine.com/blake3", Weight: High, What: "BLAKE3"},
	{Path: "github.com/minio/sha256-simd", Weight: High, What: "SHA-256 of its own"},
	{Path: "github.com/minio/md5-simd", Weight: High, What: "MD5 of its own"},
	{Path: "github.com/tjfoc/gmsm", Weight: High, What: "SM2, SM3, SM4"},
	{Path: "github.com/emmansun/gmsm", Weight: High, What: "SM2, SM3, SM4"},

	{Path: "github.com/go-jose/go-jose", Weight: Med, What: "JOSE"},
	{Path: "gopkg.in/square/go-jose.v2", Weight: Med, What: "JOSE"},
	{Path: "gopkg.in/go-jose/go-jose.v2", Weight: Med, What: "JOSE"},
	{Path: "github.com/golang-jwt/jwt", Weight: Med, What: "JWT"},
	{Path: "github.com/dgrijalva/jwt-go", Weight: Med, What: "JWT"},
	{Path: "github.com/lestrrat-go/jwx", Weight: Med, What: "JWX"},
}

// NonApproved returns the rule for an import path, or nil.
func NonApproved(path string) *Rule {
	var best *Rule
	for i := range rules {
		r := &rules[i]
		if (path == r.Path || strings.HasPrefix(path, r.Path+"/")) && (best == nil || len(r.Path) > len(best.Path)) {
			best = r
		}
	}
	return best
}
