package cluster_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"kubefips.internal/tests/internal/proc"
	"kubefips.internal/tools/kubefips/cluster"
)

// The apiserver and the kubelets refuse a client whose key is of Ed25519, although they trust who signed its certificate.
func (s *suite) testEd25519Clients(t *testing.T) {
	approved, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, unapproved, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	authority, file := selfSigned(t, approved)
	roots := x509.NewCertPool()
	roots.AddCert(authority.Leaf)
	for _, trusted := range []string{file, s.Authority()} {
		content, err := os.ReadFile(trusted)
		if err != nil {
			t.Fatal(err)
		}
		roots.AppendCertsFromPEM(content)
	}
	good, bad := insisting(roots, signed(t, authority, approved)), insisting(roots, signed(t, authority, unapproved))

	// Nothing but the policy is in the way: a server without it lets the client in.
	h := listen(t, &tls.Config{Certificates: []tls.Certificate{authority}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots})
	err = enter(h.address, bad)
	if h.wait(t, 1); h.completed.Load() != 1 {
		t.Fatalf("refused by an ordinary server: %v", err)
	}

	servers := map[string]string{cluster.Apiserver: "/api/v1/nodes"}
	for _, node := range s.Nodes() {
		s.trust(t, node, file)
		servers[cluster.Address(node)+":10250"] = "/pods"
	}
	for address, path := range servers {
		client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: good, DisableKeepAlives: true}}
		proc.Eventually(t, patience, func() error { // servers see by themselves that the file has changed
			response, err := client.Get("https://" + address + path)
			if err != nil {
				return err
			}
			defer response.Body.Close()
			if response.StatusCode != http.StatusOK {
				return fmt.Errorf("a client of the authority, with P-256, got %s of %s", response.Status, address)
			}
			return nil
		})
		err := enter(address, bad)
		if alert := (*net.OpError)(nil); !errors.As(err, &alert) || alert.Op != "remote error" {
			t.Errorf("a client of the authority, with Ed25519, got %v of %s, want an alert", err, address)
		}
		t.Logf("%s says to a client with Ed25519: %v", address, err)
	}
}

// trust lets the servers of a node trust one more authority of clients.
func (s *suite) trust(t *testing.T, node, authority string) {
	t.Helper()
	content, err := os.ReadFile(authority)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(s.Dir(node, "etc/kubernetes/pki/kubernetes/ca.crt"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.Write(content)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
}

// signed makes an administrator's certificate.
func signed(t *testing.T, authority tls.Certificate, key crypto.Signer) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		Subject:      pkix.Name{CommonName: "client", Organization: []string{"system:masters"}},
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		NotBefore:    time.Now().Add(-time.Minute),
		NotAfter:     time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, authority.Leaf, key.Public(), authority.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// insisting is of a client that sends its certificate and signature, whatever the server asks for.
func insisting(roots *x509.CertPool, certificate tls.Certificate) *tls.Config {
	return &tls.Config{
		RootCAs:    roots,
		MinVersion: tls.VersionTLS13,
		GetClientCertificate: func(asked *tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if _, ok := certificate.PrivateKey.(ed25519.PrivateKey); ok {
				asked.SignatureSchemes[0] = tls.Ed25519 // crypto/tls chooses from this very slice
			}
			return &certificate, nil
		},
	}
}

// enter returns how the server ends the connection; in TLS 1.3 it judges the client after the latter's part of the handshake.
func enter(address string, config *tls.Config) error {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", address, config)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 1))
	return err
}
