package tlsprobe_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"kubefips.internal/tests/internal/tlsprobe"
)

// An ordinary server has to be told apart from one under policy: every offer is made to a server that accepts
// exactly the approved ones, and to one that accepts everything Go can.
func TestProbe(t *testing.T) {
	_, ed25519Key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ecdsaKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	approved := &tls.Config{
		Certificates:     []tls.Certificate{selfSigned(t, ecdsaKey)},
		MinVersion:       tls.VersionTLS12,
		CipherSuites:     []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384},
		CurvePreferences: []tls.CurveID{tls.CurveP256, tls.CurveP384},
	}
	anything := &tls.Config{
		Certificates: []tls.Certificate{selfSigned(t, ecdsaKey), selfSigned(t, ed25519Key)},
		MinVersion:   tls.VersionTLS10,
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA,
		},
		CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384},
	}
	for _, server := range []struct {
		name    string
		config  *tls.Config
		accepts func(tlsprobe.Offer) bool
	}{
		// The standard library cannot be told to refuse one TLS 1.3 suite; crypto/tls/fipsonly can.
		{"approved", approved, func(o tlsprobe.Offer) bool { return o.Approved || strings.HasPrefix(o.Name, "TLS 1.3, ChaCha20") }},
		{"anything", anything, func(o tlsprobe.Offer) bool { return !strings.Contains(o.Name, "RSA key exchange") }},
	} {
		t.Run(server.name, func(t *testing.T) {
			s := httptest.NewUnstartedServer(http.NotFoundHandler())
			s.TLS = server.config
			s.Config.ErrorLog = log.New(io.Discard, "", 0)
			s.StartTLS()
			defer s.Close()
			for _, o := range tlsprobe.Offers(false) {
				got, err := tlsprobe.Probe(s.Listener.Addr().String(), "localhost", o)
				if err != nil {
					t.Error(err)
				} else if want := server.accepts(o); got != want {
					t.Errorf("%s: accepted = %t, want %t", o.Name, got, want)
				}
			}
		})
	}
}

// No answer is not a refusal.
func TestProbeWithoutServer(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	addr := s.Listener.Addr().String()
	s.Close()
	if _, err := tlsprobe.Probe(addr, "localhost", tlsprobe.Offers(false)[0]); err == nil {
		t.Error("probing a closed port gave no error")
	}
}

func selfSigned(t *testing.T, key crypto.Signer) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "localhost"},
		DNSNames:     []string{"localhost"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
