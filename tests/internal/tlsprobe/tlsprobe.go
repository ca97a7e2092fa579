// Package tlsprobe asks a TLS server what it accepts, one combination at a time.
//
// The standard library's client cannot offer one TLS 1.3 cipher suite alone, nor can it tell which key exchange a
// server would have picked, so a probe is a ClientHello of its own (RFC 8446 section 4.1.2, RFC 5246 section 7.4.1.2)
// and the first record that the server answers it with: a ServerHello accepts, an alert refuses.
package tlsprobe

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
)

// Timeout bounds one probe.
const Timeout = 5 * time.Second

// An Offer is a ClientHello that leaves the server one choice.
type Offer struct {
	Name    string
	Version uint16      // tls.VersionTLS11 to tls.VersionTLS13
	Suite   uint16      // IANA cipher suite
	Curve   tls.CurveID // the only group; in TLS 1.3 with its key share

	// Approved tells whether a server with the FIPS 140 policy has to accept the offer; it has to refuse all others.
	Approved bool

	// Signature is the only one that the server's certificate may make; 0 for those that are approved.
	Signature tls.SignatureScheme
}

// Offers returns what every TLS port of the distribution is asked.
//
// In TLS 1.2 the suite names the kind of certificate, so those offers differ for a server whose certificate has an RSA key.
func Offers(rsa bool) []Offer {
	aes128, aes256 := tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
	chacha, cbc := tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA
	if rsa {
		aes128, aes256 = tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
		chacha, cbc = tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA
	}
	return []Offer{
		{"TLS 1.3, AES-128-GCM, P-256", tls.VersionTLS13, tls.TLS_AES_128_GCM_SHA256, tls.CurveP256, true, 0},
		{"TLS 1.3, AES-256-GCM, P-384", tls.VersionTLS13, tls.TLS_AES_256_GCM_SHA384, tls.CurveP384, true, 0},
		{"TLS 1.2, ECDHE AES-128-GCM, P-256", tls.VersionTLS12, aes128, tls.CurveP256, true, 0},
		{"TLS 1.2, ECDHE AES-256-GCM, P-384", tls.VersionTLS12, aes256, tls.CurveP384, true, 0},
		{"TLS 1.3, ChaCha20-Poly1305, P-256", tls.VersionTLS13, tls.TLS_CHACHA20_POLY1305_SHA256, tls.CurveP256, false, 0},
		{"TLS 1.2, ECDHE ChaCha20-Poly1305, P-256", tls.VersionTLS12, chacha, tls.CurveP256, false, 0},
		{"TLS 1.3, AES-128-GCM, X25519", tls.VersionTLS13, tls.TLS_AES_128_GCM_SHA256, tls.X25519, false, 0},
		{"TLS 1.2, ECDHE AES-128-GCM, X25519", tls.VersionTLS12, aes128, tls.X25519, false, 0},
		{"TLS 1.1, ECDHE AES-128-CBC, P-256", tls.VersionTLS11, cbc, tls.CurveP256, false, 0},
		{"TLS 1.2, RSA key exchange, AES-128-GCM", tls.VersionTLS12, tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.CurveP256, false, 0},
		{"TLS 1.3, AES-128-GCM, P-256, Ed25519 certificate", tls.VersionTLS13, tls.TLS_AES_128_GCM_SHA256, tls.CurveP256, false, tls.Ed25519},
	}
}

// Record and handshake types.
const (
	recordAlert     = 21
	recordHandshake = 22
	clientHello     = 1
	serverHello     = 2
)

// CheckPolicy makes every offer to a server at host:port that has an ECDSA key: it has to accept those that are approved,
// and no other.
func CheckPolicy(t testing.TB, address string) {
	t.Helper()
	for _, offer := range Offers(false) {
		accepted, err := Probe(address, "localhost", offer)
		if err != nil {
			t.Errorf("%s: %s: %v", address, offer.Name, err)
		} else if accepted != offer.Approved {
			t.Errorf("%s: %s: accepted = %t, want %t", address, offer.Name, accepted, offer.Approved)
		}
	}
}

// Probe offers o to the server at addr (host:port), naming it serverName.
//
// It returns true when the server answers with a ServerHello that takes the offer and false when it answers with an
// alert. Any other end (no server, a time-out, a closed connection, another choice than the offered) is an error: it
// says nothing about the offer.
func Probe(addr, serverName string, o Offer) (accepted bool, err error) {
	conn, err := net.DialTimeout("tcp", addr, Timeout)
	if err != nil {
		return false, fmt.Errorf("probing %s: %w", addr, err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(Timeout)); err != nil {
		return false, fmt.Errorf("probing %s: %w", addr, err)
	}
	hello, err := o.hello(serverName)
	if err != nil {
		return false, fmt.Errorf("building the ClientHello of %q: %w", o.Name, err)
	}
	if _, err := conn.Write(hello); err != nil {
		return false, fmt.Errorf("probing %s with %q: %w", addr, o.Name, err)
	}
	var header [5]byte
	if _, err := io.ReadFull(conn, header[:]); err != nil {
		return false, fmt.Errorf("probing %s with %q: reading the answer: %w", addr, o.Name, err)
	}
	body := make([]byte, binary.BigEndian.Uint16(header[3:]))
	if _, err := io.ReadFull(conn, body); err != nil {
		return false, fmt.Errorf("probing %s with %q: reading the answer: %w", addr, o.Name, err)
	}
	switch header[0] {
	case recordAlert:
		return false, nil
	case recordHandshake:
		if err := o.taken(body); err != nil {
			return false, fmt.Errorf("probing %s with %q: %w", addr, o.Name, err)
		}
		return true, nil
	default:
		return false, fmt.Errorf("probing %s with %q: answer of record type %d is not TLS", addr, o.Name, header[0])
	}
}

// Extension numbers.
const (
	extServerName          = 0
	extSupportedGroups     = 10
	extPointFormats        = 11
	extSignatureAlgorithms = 13
	extSupportedVersions   = 43
	extKeyShare            = 51
)

var signatureAlgorithms = []tls.SignatureScheme{
	tls.ECDSAWithP256AndSHA256, tls.ECDSAWithP384AndSHA384, tls.ECDSAWithP521AndSHA512,
	tls.PSSWithSHA256, tls.PSSWithSHA384, tls.PKCS1WithSHA256, tls.PKCS1WithSHA384,
}

// hello returns the record with the ClientHello that makes the offer.
func (o Offer) hello(serverName string) ([]byte, error) {
	random := make([]byte, 32)
	if _, err := rand.Read(random); err != nil {
		return nil, err
	}
	share, err := keyShare(o.Curve)
	if err != nil {
		return nil, err
	}
	var b cryptobyte.Builder
	b.AddUint8(recordHandshake)
	b.AddUint16(tls.VersionTLS10) // of the record layer; the same for all
	b.AddUint16LengthPrefixed(func(r *cryptobyte.Builder) {
		r.AddUint8(clientHello)
		r.AddUint24LengthPrefixed(func(h *cryptobyte.Builder) {
			h.AddUint16(min(o.Version, tls.VersionTLS12))
			h.AddBytes(random)
			h.AddUint8LengthPrefixed(func(id *cryptobyte.Builder) { id.AddBytes(random) })
			h.AddUint16LengthPrefixed(func(s *cryptobyte.Builder) { s.AddUint16(o.Suite) })
			h.AddUint8LengthPrefixed(func(c *cryptobyte.Builder) { c.AddUint8(0) })
			h.AddUint16LengthPrefixed(func(e *cryptobyte.Builder) {
				extension := func(number uint16, body cryptobyte.BuilderContinuation) {
					e.AddUint16(number)
					e.AddUint16LengthPrefixed(body)
				}
				o.extensions(extension, serverName, share)
			})
		})
	})
	return b.Bytes()
}

func (o Offer) extensions(add func(uint16, cryptobyte.BuilderContinuation), serverName string, share []byte) {
	add(extServerName, func(b *cryptobyte.Builder) {
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
			b.AddUint8(0)
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(serverName)) })
		})
	})
	add(extSupportedGroups, func(b *cryptobyte.Builder) {
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddUint16(uint16(o.Curve)) })
	})
	add(extPointFormats, func(b *cryptobyte.Builder) {
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddUint8(0) })
	})
	add(extSignatureAlgorithms, func(b *cryptobyte.Builder) {
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
			signatures := signatureAlgorithms
			if o.Signature != 0 {
				signatures = []tls.SignatureScheme{o.Signature}
			}
			for _, s := range signatures {
				b.AddUint16(uint16(s))
			}
		})
	})
	if o.Version != tls.VersionTLS13 {
		return
	}
	add(extSupportedVersions, func(b *cryptobyte.Builder) {
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddUint16(o.Version) })
	})
	add(extKeyShare, func(b *cryptobyte.Builder) {
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
			b.AddUint16(uint16(o.Curve))
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(share) })
		})
	})
}

// keyShare returns a fresh public key on the curve.
func keyShare(id tls.CurveID) ([]byte, error) {
	curve, ok := map[tls.CurveID]ecdh.Curve{tls.CurveP256: ecdh.P256(), tls.CurveP384: ecdh.P384(), tls.X25519: ecdh.X25519()}[id]
	if !ok {
		return nil, fmt.Errorf("no curve for group %v", id)
	}
	key, err := curve.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	return key.PublicKey().Bytes(), nil
}

// taken returns an error unless body is a ServerHello that chose exactly the offer.
func (o Offer) taken(body []byte) error {
	var (
		s, hello, session, extensions cryptobyte.String
		kind, compression             uint8
		version, suite                uint16
	)
	s = body
	if !s.ReadUint8(&kind) || kind != serverHello || !s.ReadUint24LengthPrefixed(&hello) ||
		!hello.ReadUint16(&version) || !hello.Skip(32) || !hello.ReadUint8LengthPrefixed(&session) ||
		!hello.ReadUint16(&suite) || !hello.ReadUint8(&compression) {
		return fmt.Errorf("the answer is no ServerHello")
	}
	if !hello.Empty() && !hello.ReadUint16LengthPrefixed(&extensions) {
		return fmt.Errorf("the extensions of the ServerHello are malformed")
	}
	for !extensions.Empty() {
		var number uint16
		var value cryptobyte.String
		if !extensions.ReadUint16(&number) || !extensions.ReadUint16LengthPrefixed(&value) {
			return fmt.Errorf("the extensions of the ServerHello are malformed")
		}
		if number == extSupportedVersions && !value.ReadUint16(&version) {
			return fmt.Errorf("the version in the ServerHello is malformed")
		}
	}
	if version != o.Version || suite != o.Suite {
		return fmt.Errorf("the server chose %s with %s", tls.VersionName(version), tls.CipherSuiteName(suite))
	}
	return nil
}
