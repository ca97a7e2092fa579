package traefik_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kubefips.internal/tests/internal/certs"
	"kubefips.internal/tests/internal/proc"
	"kubefips.internal/tests/internal/tlsprobe"
)

// Routes localhost to one backend, and asks for all that the FIPS 140 policy forbids.
const configuration = `
http:
  routers:
    test:
      rule: Host(` + "`localhost`" + `)
      service: backend
      tls: {}
  services:
    backend:
      loadBalancer:
        servers:
          - url: %s
tls:
  stores:
    default:
      defaultCertificate:
        certFile: %s
        keyFile: %s
  options:
    default:
      minVersion: VersionTLS10
      curvePreferences: [X25519, CurveP256, CurveP384]
      cipherSuites:
        - TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
        - TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA
        - TLS_RSA_WITH_AES_128_GCM_SHA256
        - TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        - TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
`

// start runs Traefik in front of a backend and returns its HTTPS port, as host:port, and a client that trusts it.
func start(t *testing.T, backend http.HandlerFunc) (string, *http.Client) {
	t.Helper()
	dir := t.TempDir()
	ca := certs.New(t)
	leaf := ca.Leaf(t, "traefik")

	server := httptest.NewServer(backend)
	t.Cleanup(server.Close)
	file := filepath.Join(dir, "dynamic.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, configuration, server.URL, leaf.CertFile, leaf.KeyFile), 0o600); err != nil {
		t.Fatal(err)
	}
	port := proc.FreePort(t)
	proc.Start(t, proc.Runfile(t, os.Getenv("TRAEFIK")),
		fmt.Sprintf("--entrypoints.websecure.address=127.0.0.1:%d", port),
		"--providers.file.filename="+file, "--global.checknewversion=false", "--global.sendanonymoususage=false")

	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Roots}}}
	proc.Eventually(t, 30*time.Second, func() error {
		resp, err := client.Get(fmt.Sprintf("https://localhost:%d/", port))
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("GET / = %s", resp.Status)
		}
		return nil
	})
	return fmt.Sprintf("localhost:%d", port), client
}

func TestRoutesToBackend(t *testing.T) {
	address, client := start(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s", r.Header.Get("X-Forwarded-Proto"), r.URL.Path)
	})
	resp, err := client.Get("https://" + address + "/a/path")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(body), "https /a/path"; got != want {
		t.Errorf("the backend saw %q, want %q", got, want)
	}
}

func TestUnknownHostIsNotRouted(t *testing.T) {
	address, client := start(t, func(http.ResponseWriter, *http.Request) {})
	req, err := http.NewRequest(http.MethodGet, "https://"+address+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "elsewhere.example.test"
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("GET of an unknown host = %s, want %d", resp.Status, http.StatusNotFound)
	}
}

func TestConfigurationCannotWeakenTLSPolicy(t *testing.T) {
	address, _ := start(t, func(http.ResponseWriter, *http.Request) {})
	tlsprobe.CheckPolicy(t, address)
}

func TestPrintedVersion(t *testing.T) {
	out := proc.Run(t, proc.Runfile(t, os.Getenv("TRAEFIK")), "version")
	fields := map[string]string{}
	for line := range strings.Lines(out) {
		key, value, _ := strings.Cut(line, ":")
		fields[key] = strings.TrimSpace(value)
	}
	for key, want := range map[string]string{
		"Version":    strings.TrimPrefix(os.Getenv("UPSTREAM_VERSION"), "v"),
		"Codename":   "langres",
		"Go version": "go" + os.Getenv("UPSTREAM_GO") + "-X:boringcrypto",
		"Built":      os.Getenv("UPSTREAM_TIME"),
	} {
		if fields[key] != want {
			t.Errorf("traefik version: %s = %q, want %q", key, fields[key], want)
		}
	}
}
