package bazel_remote_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	"kubefips.internal/tests/internal/certs"
	"kubefips.internal/tests/internal/proc"
	"kubefips.internal/tests/internal/tlsprobe"
)

// server is a running cache with TLS, which wants a certificate of its clients.
type server struct {
	http, grpc string // host:port
	client     *http.Client
	stranger   *http.Client // has no certificate
}

func start(t *testing.T) server {
	t.Helper()
	ca := certs.New(t)
	leaf := ca.Leaf(t, "cache")
	cert := ca.Pair(t, leaf)
	client := func(certs ...tls.Certificate) *http.Client {
		return &http.Client{
			Timeout:   10 * time.Second,
			Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Roots, Certificates: certs}},
		}
	}
	s := server{
		http:     fmt.Sprintf("127.0.0.1:%d", proc.FreePort(t)),
		grpc:     fmt.Sprintf("127.0.0.1:%d", proc.FreePort(t)),
		client:   client(cert),
		stranger: client(),
	}
	proc.Start(t, proc.Runfile(t, os.Getenv("BAZEL_REMOTE")),
		"--dir="+t.TempDir(), "--max_size=1", "--http_address="+s.http, "--grpc_address="+s.grpc,
		"--tls_ca_file="+ca.CertFile, "--tls_cert_file="+leaf.CertFile, "--tls_key_file="+leaf.KeyFile)
	proc.Eventually(t, 30*time.Second, func() error {
		_, _, err := s.do(s.client, http.MethodGet, "/status", nil)
		return err
	})
	return s
}

func (s server) do(client *http.Client, method, path string, body []byte) (int, []byte, error) {
	req, err := http.NewRequest(method, "https://"+s.http+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return resp.StatusCode, got, err
}

func TestStoresAndServes(t *testing.T) {
	s := start(t)
	blob := bytes.Repeat([]byte("a blob that zstd can make smaller\n"), 10000)
	path := fmt.Sprintf("/cas/%x", sha256.Sum256(blob))
	if status, _, err := s.do(s.client, http.MethodGet, path, nil); err != nil || status != http.StatusNotFound {
		t.Fatalf("GET before PUT = %d, %v, want %d", status, err, http.StatusNotFound)
	}
	if status, body, err := s.do(s.client, http.MethodPut, path, blob); err != nil || status != http.StatusOK {
		t.Fatalf("PUT = %d, %v, want %d: %s", status, err, http.StatusOK, body)
	}
	status, got, err := s.do(s.client, http.MethodGet, path, nil)
	if err != nil || status != http.StatusOK {
		t.Fatalf("GET after PUT = %d, %v, want %d", status, err, http.StatusOK)
	}
	if !bytes.Equal(got, blob) {
		t.Errorf("GET after PUT gave %d bytes, want the %d that were put", len(got), len(blob))
	}
}

func TestRefusesBlobUnderAnotherHash(t *testing.T) {
	s := start(t)
	path := fmt.Sprintf("/cas/%x", sha256.Sum256([]byte("another blob")))
	if status, _, err := s.do(s.client, http.MethodPut, path, []byte("a blob")); err != nil || status == http.StatusOK {
		t.Errorf("PUT under the hash of another blob = %d, %v, want an error status", status, err)
	}
	if status, _, err := s.do(s.client, http.MethodGet, path, nil); err != nil || status != http.StatusNotFound {
		t.Errorf("GET of it = %d, %v, want %d", status, err, http.StatusNotFound)
	}
}

func TestRefusesClientWithoutCertificate(t *testing.T) {
	s := start(t)
	blob := []byte("a blob")
	path := fmt.Sprintf("/cas/%x", sha256.Sum256(blob))
	for _, method := range []string{http.MethodGet, http.MethodPut} {
		if status, _, err := s.do(s.stranger, method, path, blob); err != nil || status != http.StatusUnauthorized {
			t.Errorf("%s without a certificate = %d, %v, want %d", method, status, err, http.StatusUnauthorized)
		}
	}
}

func TestTLSPolicy(t *testing.T) {
	s := start(t)
	for _, address := range []string{s.http, s.grpc} {
		tlsprobe.CheckPolicy(t, address)
	}
}

func TestPrintedVersion(t *testing.T) {
	s := start(t)
	_, body, err := s.do(s.client, http.MethodGet, "/status", nil)
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ GitCommit, GitTags string }
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	if want := os.Getenv("UPSTREAM_REVISION"); got.GitCommit != want {
		t.Errorf("/status: GitCommit = %q, want %q", got.GitCommit, want)
	}
	if want := os.Getenv("UPSTREAM_VERSION"); got.GitTags != want {
		t.Errorf("/status: GitTags = %q, want %q", got.GitTags, want)
	}
}
