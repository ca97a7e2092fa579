package cluster_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"kubefips.internal/tests/internal/proc"
)

// Clients do not speak with a server whose key is of Ed25519, although they are told to trust its certificate.
func (s *suite) testEd25519(t *testing.T) {
	_, unapproved, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	approved, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, server := range []struct {
		name    string
		key     crypto.Signer
		trusted bool
	}{
		{"P-256", approved, true},
		{"Ed25519", unapproved, false},
	} {
		certificate, authority := selfSigned(t, server.key)
		for client, command := range map[string]func(address string) []string{
			"kubectl": func(address string) []string {
				return []string{s.KubectlProgram(), "--kubeconfig=/dev/null", "--server=https://" + address, "--certificate-authority=" + authority, "--token=any", "get", "--raw=/"}
			},
			"etcdctl": func(address string) []string {
				return []string{proc.Runfile(t, os.Getenv("ETCDCTL")), "--endpoints=https://" + address, "--cacert=" + authority, "--dial-timeout=2s", "--command-timeout=2s", "get", "key"}
			},
		} {
			t.Run(client+" and "+server.name, func(t *testing.T) {
				h := listen(t, &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2", "http/1.1"}})
				// Nothing but the policy is in the way: a client without it speaks with the server.
				roots := x509.NewCertPool()
				roots.AddCert(certificate.Leaf)
				conn, err := tls.Dial("tcp", h.address, &tls.Config{RootCAs: roots})
				if err != nil {
					t.Fatalf("by an ordinary client: %v", err)
				}
				conn.Close()
				h.wait(t, 1)
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				arguments := command(h.address)
				out, _ := exec.CommandContext(ctx, arguments[0], arguments[1:]...).CombinedOutput() // it fails: no one answers
				h.wait(t, 2)
				if spoke := h.completed.Load() > 1; spoke != server.trusted {
					t.Errorf("completed a handshake = %t, want %t; it said %s", spoke, server.trusted, out)
				}
			})
		}
	}
}

// handshakes counts those of a server that does nothing else.
type handshakes struct {
	address          string
	ended, completed atomic.Int32
}

func listen(t *testing.T, config *tls.Config) *handshakes {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	h := &handshakes{address: listener.Addr().String()}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // the test has ended
			}
			if conn.(*tls.Conn).Handshake() == nil {
				h.completed.Add(1)
			}
			h.ended.Add(1)
			conn.Close()
		}
	}()
	return h
}

// wait waits until so many have ended, in whatever way.
func (h *handshakes) wait(t *testing.T, count int32) {
	t.Helper()
	proc.Eventually(t, time.Minute, func() error {
		if h.ended.Load() < count {
			return errors.New("the client did not ask the server")
		}
		return nil
	})
}

// selfSigned makes a server's certificate that is its own authority, and that of others, and the file with it.
func selfSigned(t *testing.T, key crypto.Signer) (certificate tls.Certificate, authority string) {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "tests"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IsCA:                  true,
		BasicConstraintsValid: true,
		NotBefore:             time.Now().Add(-time.Minute),
		NotAfter:              time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	authority = filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, authority
}
