package kubernetes_test

import (
	"crypto/x509/pkix"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"kubefips.internal/tests/internal/controlplane"
	"kubefips.internal/tests/internal/proc"
	"kubefips.internal/tests/internal/tlsprobe"
)

func TestReadyAndServesObjects(t *testing.T) {
	cp := controlplane.Start(t)
	if _, err := cp.Kubectl(t, "create", "configmap", "c", "--from-literal=key=a value"); err != nil {
		t.Fatal(err)
	}
	out, err := cp.Kubectl(t, "get", "configmap", "c", "-o", "jsonpath={.data.key}")
	if err != nil || out != "a value" {
		t.Errorf("get configmap = %q, %v; want %q", out, err, "a value")
	}
}

func TestTLSPolicy(t *testing.T) {
	cp := controlplane.Start(t)
	tlsprobe.CheckPolicy(t, cp.Apiserver)
}

func TestRefusesStrangers(t *testing.T) {
	cp := controlplane.Start(t)
	cp.Kubeconfig = cp.Identity(t, "nobody", pkix.Name{CommonName: "nobody"})
	if out, err := cp.Kubectl(t, "get", "secrets", "--all-namespaces"); err == nil || !strings.Contains(out, "forbidden") {
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
	cp := controlplane.Start(t)
	for _, program := range []struct {
		env, user string
		args      []string
	}{
		{"KUBE_CONTROLLER_MANAGER", "system:kube-controller-manager", []string{"--use-service-account-credentials"}},
		{"KUBE_SCHEDULER", "system:kube-scheduler", nil},
	} {
		kubeconfig := cp.Identity(t, strings.TrimPrefix(program.user, "system:"), pkix.Name{CommonName: program.user})
		proc.Start(t, runfile(t, program.env), append(program.args,
			"--kubeconfig="+kubeconfig, "--authentication-kubeconfig="+kubeconfig, "--authorization-kubeconfig="+kubeconfig,
			"--leader-elect=false", "--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", proc.FreePort(t)))...)
	}
	cp.Create(t, node)
	cp.Create(t, deployment)
	proc.Eventually(t, time.Minute, func() error {
		out, err := cp.Kubectl(t, "get", "pods", "-l", "app=d", "-o", "jsonpath={.items[0].spec.nodeName}")
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

func runfile(t *testing.T, env string) string {
	t.Helper()
	return proc.Runfile(t, os.Getenv(env))
}
