// Package controlplane starts the distribution's apiserver for tests.
package controlplane

import (
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"kubefips.internal/tests/internal/proc"
	"kubefips.internal/tools/pki"
)

// A ControlPlane is an apiserver on its own etcd; both talk TLS.
type ControlPlane struct {
	CA         *pki.CA // of servers and clients alike
	Apiserver  string  // host:port
	Kubeconfig string  // of a cluster administrator
}

// Start starts an apiserver until the test ends, and waits until it is ready. It finds its programs in the test's environment:
// ETCD, KUBE_APISERVER and KUBECTL are runfiles.
func Start(t testing.TB) ControlPlane {
	t.Helper()
	ca, err := pki.NewCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	port := proc.FreePort(t)
	cp := ControlPlane{CA: ca, Apiserver: fmt.Sprintf("127.0.0.1:%d", port)}
	server := cp.Issue(t, "server", pkix.Name{CommonName: "server"})
	etcd := fmt.Sprintf("https://127.0.0.1:%d", proc.FreePort(t))
	peer := fmt.Sprintf("https://127.0.0.1:%d", proc.FreePort(t))
	proc.Start(t, runfile(t, "ETCD"), "--name=test", "--data-dir="+t.TempDir(),
		"--listen-client-urls="+etcd, "--advertise-client-urls="+etcd,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=test="+peer,
		"--client-cert-auth", "--trusted-ca-file="+ca.CertFile, "--cert-file="+server.CertFile, "--key-file="+server.KeyFile,
		"--peer-client-cert-auth", "--peer-trusted-ca-file="+ca.CertFile, "--peer-cert-file="+server.CertFile, "--peer-key-file="+server.KeyFile)
	proc.Start(t, runfile(t, "KUBE_APISERVER"),
		"--etcd-servers="+etcd, "--etcd-cafile="+ca.CertFile, "--etcd-certfile="+server.CertFile, "--etcd-keyfile="+server.KeyFile,
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", port), "--endpoint-reconciler-type=none",
		"--tls-cert-file="+server.CertFile, "--tls-private-key-file="+server.KeyFile, "--client-ca-file="+ca.CertFile,
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file="+server.CertFile,
		"--service-account-signing-key-file="+server.KeyFile, "--service-cluster-ip-range=10.96.0.0/16",
		"--authorization-mode=RBAC", "--allow-privileged", "--disable-admission-plugins=ServiceAccount", "--profiling=false")
	cp.Kubeconfig = cp.Identity(t, "admin", pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}})
	proc.Eventually(t, time.Minute, func() error {
		_, err := cp.Kubectl(t, "get", "--raw", "/readyz")
		return err
	})
	return cp
}

// Issue makes a certificate whose files are <file>.crt and <file>.key.
func (cp ControlPlane) Issue(t testing.TB, file string, subject pkix.Name) pki.Leaf {
	t.Helper()
	leaf, err := cp.CA.Issue(file, subject)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

// Identity issues a client certificate and returns the path of a kubeconfig with it.
func (cp ControlPlane) Identity(t testing.TB, file string, subject pkix.Name) string {
	t.Helper()
	leaf := cp.Issue(t, file, subject)
	config := map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": "test",
		"clusters": []any{map[string]any{"name": "test", "cluster": map[string]any{"server": "https://" + cp.Apiserver, "certificate-authority": cp.CA.CertFile}}},
		"users":    []any{map[string]any{"name": file, "user": map[string]any{"client-certificate": leaf.CertFile, "client-key": leaf.KeyFile}}},
		"contexts": []any{map[string]any{"name": "test", "context": map[string]any{"cluster": "test", "user": file}}},
	}
	data, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(filepath.Dir(cp.CA.CertFile), file+".kubeconfig")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Kubectl runs kubectl with cp.Kubeconfig.
func (cp ControlPlane) Kubectl(t testing.TB, args ...string) (string, error) {
	t.Helper()
	return proc.Output(runfile(t, "KUBECTL"), append([]string{"--kubeconfig=" + cp.Kubeconfig, "--cache-dir=" + filepath.Dir(cp.CA.CertFile)}, args...)...)
}

// Create makes an object, given as JSON or YAML.
func (cp ControlPlane) Create(t testing.TB, object string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "object")
	if err := os.WriteFile(file, []byte(object), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := cp.Kubectl(t, "create", "-f", file); err != nil {
		t.Fatal(err)
	}
}

func runfile(t testing.TB, env string) string {
	t.Helper()
	return proc.Runfile(t, os.Getenv(env))
}
