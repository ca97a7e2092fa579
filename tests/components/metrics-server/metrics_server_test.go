package metrics_server_test

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"kubefips.internal/tests/internal/certs"
	"kubefips.internal/tests/internal/proc"
	"kubefips.internal/tests/internal/tlsprobe"
)

// start runs metrics-server against the API of a cluster with one node, and returns its port, as host:port, a client
// that is allowed to read, and what metrics-server tells the API server of itself.
//
// The API server and the kubelet are the test's own: what is tested is that metrics-server finds the node, scrapes its
// kubelet and serves what it read.
func start(t *testing.T) (string, *http.Client, <-chan string) {
	t.Helper()
	dir := t.TempDir()
	ca := certs.New(t)
	leaf := ca.Leaf(t, "metrics-server")
	cert := ca.Pair(t, leaf)

	serve := func(handler http.Handler) *httptest.Server {
		server := httptest.NewUnstartedServer(handler)
		server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, CurvePreferences: []tls.CurveID{tls.CurveP256}}
		server.StartTLS()
		t.Cleanup(server.Close)
		return server
	}
	kubelet := serve(http.HandlerFunc(kubeletMetrics))
	agents := make(chan string, 1)
	cluster := apiServer(kubelet.Listener.Addr().(*net.TCPAddr).Port)
	api := serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case agents <- r.UserAgent():
		default: // one is enough
		}
		cluster.ServeHTTP(w, r)
	}))

	kubeconfig := filepath.Join(dir, "kubeconfig")
	if err := os.WriteFile(kubeconfig, fmt.Appendf(nil, `
apiVersion: v1
kind: Config
clusters:
  - name: test
    cluster: {server: "%s", certificate-authority: %s}
users:
  - name: test
    user: {client-certificate: %s, client-key: %s}
contexts:
  - name: test
    context: {cluster: test, user: test}
current-context: test
`, api.URL, ca.CertFile, leaf.CertFile, leaf.KeyFile), 0o600); err != nil {
		t.Fatal(err)
	}
	port := proc.FreePort(t)
	proc.Start(t, proc.Runfile(t, os.Getenv("METRICS_SERVER")),
		"--kubeconfig="+kubeconfig, "--authentication-kubeconfig="+kubeconfig, "--authorization-kubeconfig="+kubeconfig,
		"--authentication-skip-lookup", "--client-ca-file="+ca.CertFile,
		"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", port),
		"--tls-cert-file="+leaf.CertFile, "--tls-private-key-file="+leaf.KeyFile,
		"--kubelet-certificate-authority="+ca.CertFile, "--kubelet-preferred-address-types=InternalIP",
		"--kubelet-use-node-status-port", "--metric-resolution=10s", "--kubelet-request-timeout=5s")

	client := &http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Roots, Certificates: []tls.Certificate{cert}}},
	}
	address := fmt.Sprintf("localhost:%d", port)
	proc.Eventually(t, 30*time.Second, func() error {
		_, err := get(client, "https://"+address+"/livez")
		return err
	})
	return address, client, agents
}

// cpuSeconds is by how much the CPU time of the node and its container grows in a second: half a core.
const cpuSeconds = 0.5

// kubeletMetrics is a kubelet's /metrics/resource, as far as metrics-server reads it.
func kubeletMetrics(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/metrics/resource" {
		http.NotFound(w, r)
		return
	}
	now := time.Now().UnixMilli()
	fmt.Fprintf(w, "node_cpu_usage_seconds_total %f %d\n", cpuSeconds*float64(now%1e9)/1000, now)
	fmt.Fprintf(w, "node_memory_working_set_bytes %d %d\n", 256<<20, now)
	const container = `{container="c",namespace="default",pod="p"}`
	fmt.Fprintf(w, "container_start_time_seconds%s 1\n", container)
	fmt.Fprintf(w, "container_cpu_usage_seconds_total%s %f %d\n", container, cpuSeconds*float64(now%1e9)/1000, now)
	fmt.Fprintf(w, "container_memory_working_set_bytes%s %d %d\n", container, 64<<20, now)
}

// apiServer answers for one node with one pod, and grants every access.
func apiServer(kubeletPort int) http.Handler {
	const listMeta = `"metadata":{"resourceVersion":"1"}`
	list := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			query := r.URL.Query()
			switch {
			case query.Has("sendInitialEvents"): // an API server without streaming lists
				w.WriteHeader(http.StatusUnprocessableEntity)
				io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Invalid","code":422}`)
			case query.Has("watch"):
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			default:
				io.WriteString(w, body)
			}
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/nodes", list(fmt.Sprintf(`{"kind":"NodeList","apiVersion":"v1",%s,"items":[{
		"metadata":{"name":"worker","uid":"1","resourceVersion":"1"},
		"status":{"addresses":[{"type":"InternalIP","address":"127.0.0.1"}],"daemonEndpoints":{"kubeletEndpoint":{"Port":%d}}}
	}]}`, listMeta, kubeletPort)))
	mux.HandleFunc("GET /api/v1/pods", list(`{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1",`+listMeta+`,"items":[{
		"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"p","namespace":"default","uid":"2","resourceVersion":"1"}}]}`))
	mux.HandleFunc("POST /apis/authorization.k8s.io/v1/subjectaccessreviews", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, `{"kind":"SubjectAccessReview","apiVersion":"authorization.k8s.io/v1","status":{"allowed":true}}`)
	})
	return mux
}

func get(client *http.Client, url string) ([]byte, error) {
	resp, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s = %s: %s", url, resp.Status, body)
	}
	return body, err
}

// usage is what metrics-server says that a node or a container uses.
type usage struct{ CPU, Memory string }

func TestServesMetrics(t *testing.T) {
	address, client, _ := start(t)
	// CPU usage needs two scrapes.
	proc.Eventually(t, time.Minute, func() error {
		_, err := get(client, "https://"+address+"/readyz")
		return err
	})
	var node struct{ Usage usage }
	var pod struct{ Containers []struct{ Usage usage } }
	for path, into := range map[string]any{"nodes/worker": &node, "namespaces/default/pods/p": &pod} {
		body, err := get(client, "https://"+address+"/apis/metrics.k8s.io/v1beta1/"+path)
		if err == nil {
			err = json.Unmarshal(body, into)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	node.Usage.check(t, "node", "256Mi")
	if len(pod.Containers) != 1 {
		t.Fatalf("the pod has metrics of %d containers, want 1", len(pod.Containers))
	}
	pod.Containers[0].Usage.check(t, "container", "64Mi")
}

func (u usage) check(t *testing.T, of, memory string) {
	t.Helper()
	if u.Memory != memory {
		t.Errorf("memory usage of the %s = %s, want %s", of, u.Memory, memory)
	}
	if got, err := cores(u.CPU); err != nil || math.Abs(got-cpuSeconds) > 0.1 {
		t.Errorf("CPU usage of the %s = %s, want about %v cores", of, u.CPU, cpuSeconds)
	}
}

// cores reads a Kubernetes quantity of CPU, in nano-, micro- or millicores.
func cores(quantity string) (float64, error) {
	for suffix, unit := range map[string]float64{"n": 1e-9, "u": 1e-6, "m": 1e-3} {
		if number, found := strings.CutSuffix(quantity, suffix); found {
			n, err := strconv.ParseFloat(number, 64)
			return n * unit, err
		}
	}
	return strconv.ParseFloat(quantity, 64)
}

func TestTLSPolicy(t *testing.T) {
	address, _, _ := start(t)
	tlsprobe.CheckPolicy(t, address)
}

func TestPrintedVersion(t *testing.T) {
	if got, want := strings.TrimSpace(proc.Run(t, proc.Runfile(t, os.Getenv("METRICS_SERVER")), "--version")), os.Getenv("UPSTREAM_VERSION"); got != want {
		t.Errorf("metrics-server --version = %q, want %q", got, want)
	}
}

// The one place where metrics-server tells its commit, cut short.
func TestUserAgentHasCommit(t *testing.T) {
	_, _, agents := start(t)
	want := fmt.Sprintf("/%s (linux/%s) kubernetes/%.7s", os.Getenv("UPSTREAM_VERSION"), runtime.GOARCH, os.Getenv("UPSTREAM_REVISION"))
	if got := <-agents; !strings.HasSuffix(got, want) {
		t.Errorf("metrics-server calls itself %q, want %q at its end", got, want)
	}
}
