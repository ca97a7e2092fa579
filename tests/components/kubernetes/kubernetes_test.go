package kubernetes_test

import (
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kubefips.internal/tests/internal/pki"
	"kubefips.internal/tests/internal/proc"
	"kubefips.internal/tests/internal/tlsprobe"
)

// controlPlane is an apiserver on its own etcd; both talk TLS.
type controlPlane struct {
	ca         *pki.CA
	apiserver  string // host:port
	kubeconfig string // of a cluster administrator
}

func start(t *testing.T) controlPlane {
	t.Helper()
	dir := t.TempDir()
	ca, err := pki.NewCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	server := issue(t, ca, "server", pkix.Name{CommonName: "server"})
	etcd := fmt.Sprintf("https://127.0.0.1:%d", proc.FreePort(t))
	peer := fmt.Sprintf("https://127.0.0.1:%d", proc.FreePort(t))
	proc.Start(t, runfile(t, "ETCD"), "--name=test", "--data-dir="+t.TempDir(),
		"--listen-client-urls="+etcd, "--advertise-client-urls="+etcd,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=test="+peer,
		"--client-cert-auth", "--trusted-ca-file="+ca.CertFile, "--cert-file="+server.CertFile, "--key-file="+server.KeyFile,
		"--peer-client-cert-auth", "--peer-trusted-ca-file="+ca.CertFile, "--peer-cert-file="+server.CertFile, "--peer-key-file="+server.KeyFile)

	port := proc.FreePort(t)
	cp := controlPlane{ca: ca, apiserver: fmt.Sprintf("127.0.0.1:%d", port)}
	proc.Start(t, runfile(t, "KUBE_APISERVER"),
		"--etcd-servers="+etcd, "--etcd-cafile="+ca.CertFile, "--etcd-certfile="+server.CertFile, "--etcd-keyfile="+server.KeyFile,
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", port), "--endpoint-reconciler-type=none",
		"--tls-cert-file="+server.CertFile, "--tls-private-key-file="+server.KeyFile, "--client-ca-file="+ca.CertFile,
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file="+server.CertFile,
		"--service-account-signing-key-file="+server.KeyFile, "--service-cluster-ip-range=10.96.0.0/16",
		"--authorization-mode=RBAC", "--disable-admission-plugins=ServiceAccount", "--profiling=false")
	cp.kubeconfig = cp.identity(t, "admin", pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}})
	proc.Eventually(t, time.Minute, func() error {
		_, err := cp.kubectl(t, "get", "--raw", "/readyz")
		return err
	})
	return cp
}

// identity issues a client certificate and writes a kubeconfig with it.
func (cp controlPlane) identity(t *testing.T, file string, subject pkix.Name) string {
	t.Helper()
	leaf := issue(t, cp.ca, file, subject)
	config := map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": "test",
		"clusters": []any{map[string]any{"name": "test", "cluster": map[string]any{"server": "https://" + cp.apiserver, "certificate-authority": cp.ca.CertFile}}},
		"users":    []any{map[string]any{"name": file, "user": map[string]any{"client-certificate": leaf.CertFile, "client-key": leaf.KeyFile}}},
		"contexts": []any{map[string]any{"name": "test", "context": map[string]any{"cluster": "test", "user": file}}},
	}
	data, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(filepath.Dir(cp.ca.CertFile), file+".kubeconfig")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (cp controlPlane) kubectl(t *testing.T, args ...string) (string, error) {
	return proc.Output(runfile(t, "KUBECTL"), append([]string{"--kubeconfig=" + cp.kubeconfig, "--cache-dir=" + filepath.Dir(cp.ca.CertFile)}, args...)...)
}

func TestReadyAndServesObjects(t *testing.T) {
	cp := start(t)
	if _, err := cp.kubectl(t, "create", "configmap", "c", "--from-literal=key=a value"); err != nil {
		t.Fatal(err)
	}
	out, err := cp.kubectl(t, "get", "configmap", "c", "-o", "jsonpath={.data.key}")
	if err != nil || out != "a value" {
		t.Errorf("get configmap = %q, %v; want %q", out, err, "a value")
	}
}

func TestTLSPolicy(t *testing.T) {
	cp := start(t)
	for _, offer := range tlsprobe.Offers(false) {
		accepted, err := tlsprobe.Probe(cp.apiserver, "localhost", offer)
		if err != nil {
			t.Error(err)
		} else if accepted != offer.Approved {
			t.Errorf("%s: accepted = %t, want %t", offer.Name, accepted, offer.Approved)
		}
	}
}

func TestRefusesStrangers(t *testing.T) {
	cp := start(t)
	cp.kubeconfig = cp.identity(t, "nobody", pkix.Name{CommonName: "nobody"})
	if out, err := cp.kubectl(t, "get", "secrets", "--all-namespaces"); err == nil || !strings.Contains(out, "forbidden") {
		t.Errorf("get secrets as nobody = %q, %v; want it forbidden", out, err)
	}
}

const node = `{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1"}, "status": {
  "allocatable": {"cpu": "2", "memory": "4Gi", "pods": "10"}, "capacity": {"cpu": "2", "memory": "4Gi", "pods": "10"},
  "conditions": [{"type": "Ready", "status": "True", "reason": "Test", "message": "ready"}]}}`

const deployment = `{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "namespace": "default"}, "spec": {
  "selector": {"matchLabels": {"app": "d"}}, "template": {"metadata": {"labels": {"app": "d"}}, "spec": {
    "automountServiceAccountToken": false, "tolerations": [{"operator": "Exists"}], "containers": [{"name": "c", "image": "none"}]}}}}`

// A Deployment becomes a pod through the controller-manager, and the scheduler puts the pod on the only node.
func TestControllersAndSchedulerWork(t *testing.T) {
	cp := start(t)
	for _, program := range []struct {
		env, user string
		args      []string
	}{
		{"KUBE_CONTROLLER_MANAGER", "system:kube-controller-manager", []string{"--use-service-account-credentials"}},
		{"KUBE_SCHEDULER", "system:kube-scheduler", nil},
	} {
		kubeconfig := cp.identity(t, strings.TrimPrefix(program.user, "system:"), pkix.Name{CommonName: program.user})
		proc.Start(t, runfile(t, program.env), append(program.args,
			"--kubeconfig="+kubeconfig, "--authentication-kubeconfig="+kubeconfig, "--authorization-kubeconfig="+kubeconfig,
			"--leader-elect=false", "--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", proc.FreePort(t)))...)
	}
	for name, object := range map[string]string{"node.json": node, "deployment.json": deployment} {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, []byte(object), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := cp.kubectl(t, "create", "-f", file); err != nil {
			t.Fatal(err)
		}
	}
	proc.Eventually(t, time.Minute, func() error {
		out, err := cp.kubectl(t, "get", "pods", "-l", "app=d", "-o", "jsonpath={.items[0].spec.nodeName}")
		if err != nil {
			return err
		}
		if out != "node-1" {
			return fmt.Errorf("the pod is on node %q, want node-1", out)
		}
		return nil
	})
}

func TestPrintedVersions(t *testing.T) {
	version, revision, goVersion := os.Getenv("UPSTREAM_VERSION"), os.Getenv("UPSTREAM_REVISION"), "go"+os.Getenv("UPSTREAM_GO")
	for _, env := range []string{"KUBE_APISERVER", "KUBE_CONTROLLER_MANAGER", "KUBE_PROXY", "KUBE_SCHEDULER", "KUBELET"} {
		out := proc.Run(t, runfile(t, env), "--version=raw")
		for _, want := range []string{version, revision, goVersion, `GitTreeState:"clean"`} {
			if !strings.Contains(out, want) {
				t.Errorf("%s --version=raw lacks %q: %s", env, want, out)
			}
		}
	}
	out := proc.Run(t, runfile(t, "KUBECTL"), "version", "--client", "--output=json")
	for _, want := range []string{version, revision, goVersion} {
		if !strings.Contains(out, want) {
			t.Errorf("kubectl version lacks %q: %s", want, out)
		}
	}
}

func issue(t *testing.T, ca *pki.CA, file string, subject pkix.Name) pki.Leaf {
	t.Helper()
	leaf, err := ca.Issue(file, subject)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

func runfile(t *testing.T, env string) string {
	t.Helper()
	return proc.Runfile(t, os.Getenv(env))
}
