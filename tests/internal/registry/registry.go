// Package registry serves images on the loopback interface for tests, by the registry that is shipped.
package registry

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"kubefips.internal/tests/internal/proc"
	"kubefips.internal/tools/pki"
)

// Options of a registry. The zero value serves everybody from a temporary folder over plain HTTP.
type Options struct {
	// Store is the folder that it keeps everything in.
	Store string
	// CA issues its certificate; it then serves TLS.
	CA *pki.CA
	// User is the only one whom it lets in, by Password.
	User, Password string
}

// A Registry is //components/distribution:registry, on a port of its own until the test ends.
type Registry struct {
	Host  string // localhost:port
	Store string // folder that it keeps everything in

	ca      *pki.CA
	config  string // file
	process *proc.Process
}

// Start starts a registry. It finds the program in the test's environment: REGISTRY is its runfile.
func Start(t testing.TB, options Options) *Registry {
	t.Helper()
	dir, port := t.TempDir(), proc.FreePort(t)
	r := &Registry{Host: fmt.Sprintf("localhost:%d", port), Store: options.Store, ca: options.CA, config: filepath.Join(dir, "config.yml")}
	if r.Store == "" {
		r.Store = t.TempDir()
	}
	type object = map[string]any
	http := object{"addr": fmt.Sprintf("127.0.0.1:%d", port)}
	config := object{
		"version": "0.1",
		"log":     object{"level": "error"}, // beside the access log
		"storage": object{"filesystem": object{"rootdirectory": r.Store}},
		"http":    http,
	}
	if r.ca != nil {
		leaf, err := r.ca.Issue(fmt.Sprintf("registry-%d", port), pkix.Name{CommonName: "registry"})
		if err != nil {
			t.Fatal(err)
		}
		http["tls"] = object{"certificate": leaf.CertFile, "key": leaf.KeyFile}
	}
	if options.User != "" {
		hash, err := bcrypt.GenerateFromPassword([]byte(options.Password), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		users := filepath.Join(dir, "htpasswd")
		write(t, users, []byte(options.User+":"+string(hash)+"\n"))
		config["auth"] = object{"htpasswd": object{"realm": "test", "path": users}}
	}
	text, err := json.Marshal(config) // which is YAML
	if err != nil {
		t.Fatal(err)
	}
	write(t, r.config, text)
	t.Setenv("OTEL_TRACES_EXPORTER", "none") // as in its image
	r.Restart(t)
	return r
}

// Restart starts the registry again after Kill, with what it has stored.
func (r *Registry) Restart(t testing.TB) {
	t.Helper()
	r.process = proc.Start(t, proc.Runfile(t, os.Getenv("REGISTRY")), "serve", r.config)
	proc.Eventually(t, 10*time.Second, func() error {
		conn, err := net.Dial("tcp", r.Host)
		if err == nil {
			conn.Close()
		}
		return err
	})
}

// Kill ends the registry in the middle of what it does.
func (r *Registry) Kill() { r.process.Kill() }

// taken is a line of the access log on a request that sends something, and that was not refused.
var taken = regexp.MustCompile(`"(POST|PUT|PATCH) \S+ HTTP/[0-9.]+" 2[0-9]{2} `)

// Uploads returns how many requests that send something the registry has taken since it was started, and how many of them sent a
// layer or a configuration.
func (r *Registry) Uploads() (all, blobs int) {
	lines := taken.FindAllStringSubmatch(r.process.Output(), -1)
	for _, line := range lines {
		if line[1] == http.MethodPatch {
			blobs++
		}
	}
	return len(lines), blobs
}

// Blob returns the file in which the registry keeps what has the digest.
func (r *Registry) Blob(digest string) string {
	hex := strings.TrimPrefix(digest, "sha256:")
	return filepath.Join(r.Store, "docker", "registry", "v2", "blobs", "sha256", hex[:2], hex, "data")
}

// Change flips a bit in the middle of what the registry keeps under the digest.
func (r *Registry) Change(t testing.TB, digest string) {
	t.Helper()
	data, err := os.ReadFile(r.Blob(digest))
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	write(t, r.Blob(digest), data)
}

// Transport returns what speaks to the registry and trusts its certificate, and no other.
func (r *Registry) Transport(t testing.TB) *http.Transport {
	t.Helper()
	pem, err := os.ReadFile(r.ca.CertFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
}

// Login lets programs that the test starts trust the registry's certificate, and gives them and the test a user for it, by
// the configuration of Docker that all clients read.
func (r *Registry) Login(t testing.TB, user, password string) {
	t.Helper()
	dir := t.TempDir()
	config := fmt.Sprintf(`{"auths": {%q: {"username": %q, "password": %q}}}`, r.Host, user, password)
	write(t, filepath.Join(dir, "config.json"), []byte(config))
	t.Setenv("DOCKER_CONFIG", dir)
	t.Setenv("SSL_CERT_FILE", r.ca.CertFile)
}

// Serve starts a registry behind a TLS front of the test's own, which negotiates what config says, and returns the name of the
// front: localhost:port.
func Serve(t testing.TB, config *tls.Config) string {
	t.Helper()
	backend := &url.URL{Scheme: "http", Host: Start(t, Options{}).Host}
	front := httptest.NewUnstartedServer(&httputil.ReverseProxy{Rewrite: func(request *httputil.ProxyRequest) {
		request.SetURL(backend)
		request.Out.Host = request.In.Host
		request.SetXForwarded() // the registry tells clients where to go on, by https
	}})
	front.TLS = config
	front.StartTLS()
	t.Cleanup(front.Close)
	_, port, err := net.SplitHostPort(front.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return "localhost:" + port
}

func write(t testing.TB, file string, content []byte) {
	t.Helper()
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
