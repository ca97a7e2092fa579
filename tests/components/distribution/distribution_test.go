package distribution_test

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"golang.org/x/crypto/bcrypt"

	"kubefips.internal/tests/internal/proc"
	"kubefips.internal/tests/internal/tlsprobe"
	"kubefips.internal/tools/pki"
)

// server is a running registry: by the configuration in the image, and what an operator sets in its environment.
type server struct {
	address  string          // host:port
	store    string          // folder
	client   *http.Transport // has a certificate
	stranger *http.Transport // has none
}

// environment sets what the configuration says of a container's folders to what a test has, and more.
func environment(t *testing.T, more map[string]string) (s server, ca *pki.CA) {
	t.Helper()
	ca, err := pki.NewCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.Issue("registry", pkix.Name{CommonName: "registry"})
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(leaf.CertFile, leaf.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(ca.CertFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	s = server{
		address:  fmt.Sprintf("127.0.0.1:%d", proc.FreePort(t)),
		store:    t.TempDir(),
		client:   &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}},
		stranger: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}},
	}
	for _, variables := range []map[string]string{{
		"OTEL_TRACES_EXPORTER":                      "none",
		"REGISTRY_HTTP_ADDR":                        s.address,
		"REGISTRY_HTTP_TLS_CERTIFICATE":             leaf.CertFile,
		"REGISTRY_HTTP_TLS_KEY":                     leaf.KeyFile,
		"REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": s.store,
	}, more} {
		for variable, value := range variables {
			t.Setenv(variable, value)
		}
	}
	return s, ca
}

// start starts a registry with more in its environment.
func start(t *testing.T, more map[string]string) server {
	t.Helper()
	s, _ := environment(t, more)
	s.serve(t)
	return s
}

func (s server) serve(t *testing.T) {
	t.Helper()
	proc.Start(t, proc.Runfile(t, os.Getenv("REGISTRY")), "serve", proc.Runfile(t, os.Getenv("CONFIG")))
	proc.Eventually(t, 10*time.Second, func() error {
		_, err := s.do(s.client, http.MethodGet, "/v2/", "")
		return err
	})
}

func (s server) do(transport http.RoundTripper, method, path, body string) (*http.Response, error) {
	request, err := http.NewRequest(method, "https://"+s.address+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	response, err := (&http.Client{Timeout: 10 * time.Second, Transport: transport}).Do(request)
	if err != nil {
		return nil, err
	}
	return response, response.Body.Close()
}

// push sends an image of random content, as the user when there is one, and returns its name by digest.
func (s server) push(t *testing.T, options ...remote.Option) (name.Digest, error) {
	t.Helper()
	image, err := random.Image(1<<16, 3)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	reference, err := name.NewDigest(s.address + "/team/image@" + digest.String())
	if err != nil {
		t.Fatal(err)
	}
	return reference, remote.Write(reference, image, options...)
}

func TestKeepsAnImage(t *testing.T) {
	s := start(t, nil)
	reference, err := s.push(t, remote.WithTransport(s.client))
	if err != nil {
		t.Fatal(err)
	}
	image, err := remote.Image(reference, remote.WithTransport(s.client))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(image); err != nil {
		t.Errorf("the image that comes back: %v", err)
	}
}

func TestRefusesBlobUnderAnotherDigest(t *testing.T) {
	s := start(t, nil)
	response, err := s.do(s.client, http.MethodPost, "/v2/team/image/blobs/uploads/", "")
	if err != nil || response.StatusCode != http.StatusAccepted {
		t.Fatalf("POST = %v, %v", response, err)
	}
	at, err := response.Location()
	if err != nil {
		t.Fatal(err)
	}
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte("another blob")))
	response, err = s.do(s.client, http.MethodPut, at.RequestURI()+"&digest="+digest, "a blob")
	if err != nil || response.StatusCode != http.StatusBadRequest {
		t.Errorf("PUT under the digest of another blob = %v, %v, want %d", response, err, http.StatusBadRequest)
	}
	response, err = s.do(s.client, http.MethodHead, "/v2/team/image/blobs/"+digest, "")
	if err != nil || response.StatusCode != http.StatusNotFound {
		t.Errorf("HEAD of it = %v, %v, want %d", response, err, http.StatusNotFound)
	}
}

func TestRefusesWrongPassword(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("right"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	users := filepath.Join(t.TempDir(), "htpasswd")
	if err := os.WriteFile(users, []byte("team:"+string(hash)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, map[string]string{"REGISTRY_AUTH": "htpasswd", "REGISTRY_AUTH_HTPASSWD_REALM": "registry", "REGISTRY_AUTH_HTPASSWD_PATH": users})
	for _, test := range []struct{ password, want string }{{"right", ""}, {"wrong", "401"}, {"", "401"}} {
		_, err := s.push(t, remote.WithTransport(s.stranger), remote.WithAuth(&authn.Basic{Username: "team", Password: test.password}))
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("pushing with the password %q: %v, want %q", test.password, err, test.want)
		}
	}
}

func TestRefusesClientWithoutCertificate(t *testing.T) {
	s, ca := environment(t, nil)
	t.Setenv("REGISTRY_HTTP_TLS_CLIENTCAS", "["+ca.CertFile+"]")
	s.serve(t)
	if _, err := s.push(t, remote.WithTransport(s.client)); err != nil {
		t.Errorf("pushing with a certificate: %v", err)
	}
	if _, err := s.do(s.stranger, http.MethodGet, "/v2/", ""); err == nil || !strings.Contains(err.Error(), "certificate required") {
		t.Errorf("GET without a certificate: %v, want an error of TLS", err)
	}
}

// Nothing in the registry's configuration widens the policy.
func TestTLSPolicy(t *testing.T) {
	s := start(t, map[string]string{
		"REGISTRY_HTTP_TLS_CIPHERSUITES": "[TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA,TLS_RSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]",
	})
	for _, offer := range tlsprobe.Offers(false) {
		accepted, err := tlsprobe.Probe(s.address, "localhost", offer)
		if err != nil {
			t.Error(err)
		} else if accepted != offer.Approved {
			t.Errorf("%s: accepted = %t, want %t", offer.Name, accepted, offer.Approved)
		}
	}
}

// The configuration of the image does not serve without TLS.
func TestDoesNotStartWithoutCertificate(t *testing.T) {
	const nowhere = "/etc/distribution/tls/tls.crt"
	environment(t, map[string]string{"REGISTRY_HTTP_TLS_CERTIFICATE": nowhere})
	out, err := proc.Output(proc.Runfile(t, os.Getenv("REGISTRY")), "serve", proc.Runfile(t, os.Getenv("CONFIG")))
	if err == nil || !strings.Contains(out, nowhere+": no such file") {
		t.Errorf("registry serve: %v, want an error that names %s:\n%s", err, nowhere, out)
	}
}

// A store that is left out is no other one's: the registry does not start.
func TestDoesNotStartOnALeftOutStore(t *testing.T) {
	for _, store := range []string{"azure", "gcs", "s3"} {
		config := filepath.Join(t.TempDir(), "config.yml")
		if err := os.WriteFile(config, []byte("version: 0.1\nstorage:\n  "+store+": {}\nhttp:\n  addr: 127.0.0.1:0\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := proc.Output(proc.Runfile(t, os.Getenv("REGISTRY")), "serve", config)
		if want := "StorageDriver not registered: " + store; err == nil || !strings.Contains(out, want) {
			t.Errorf("registry serve: %v, want %q:\n%s", err, want, out)
		}
	}
}

func TestPrintedVersion(t *testing.T) {
	out := proc.Run(t, proc.Runfile(t, os.Getenv("REGISTRY")), "--version")
	if want := "github.com/distribution/distribution/v3 " + strings.TrimPrefix(os.Getenv("UPSTREAM_VERSION"), "v"); !strings.HasSuffix(strings.TrimSpace(out), want) {
		t.Errorf("registry --version = %q, want %q at its end", out, want)
	}
}
