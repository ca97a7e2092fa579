package cluster_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"kubefips.internal/tests/internal/proc"
	"kubefips.internal/tools/kubefips/cluster"
	"kubefips.internal/tools/pki"
)

// install installs a chart and does not wait for its pods.
func (s *suite) install(t *testing.T, chart, namespace string, arguments ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := s.Install(ctx, chart, namespace, arguments...); err != nil {
		t.Fatal(err)
	}
}

// metrics-server has measured every node, and pods of both.
func (s *suite) testTop(t *testing.T) {
	s.must(t, "--namespace=kube-system", "rollout", "status", "deployment/metrics-server", "--timeout=90s")
	names, _ := s.echoPods(t)
	for _, top := range []struct {
		arguments []string
		memory    int // its column
		want      []string
	}{
		{[]string{"nodes"}, 3, s.Nodes()},
		{[]string{"pods"}, 2, []string{names[cluster.ControlPlane], names[cluster.Worker]}},
		{[]string{"pods", "--namespace=kube-system"}, 2, []string{"etcd-" + cluster.ControlPlane, "kube-apiserver-" + cluster.ControlPlane}},
	} {
		proc.Eventually(t, patience, func() error {
			out, err := s.kubectl(append([]string{"top"}, append(top.arguments, "--no-headers")...)...)
			if err != nil {
				return err
			}
			measured := map[string]bool{}
			for line := range strings.Lines(out) {
				var cpu, memory int
				fields := strings.Fields(line)
				if len(fields) <= top.memory {
					return fmt.Errorf("kubectl top printed %q", out)
				}
				_, cpuErr := fmt.Sscanf(fields[1], "%dm", &cpu)
				_, memoryErr := fmt.Sscanf(fields[top.memory], "%dMi", &memory)
				measured[fields[0]] = cpuErr == nil && memoryErr == nil && memory > 0
			}
			for _, name := range top.want {
				if !measured[name] {
					return fmt.Errorf("kubectl top has no figures of %s: %q", name, out)
				}
			}
			return nil
		})
	}
}

const ingress = `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: echo}
spec:
  ingressClassName: traefik
  tls: [{hosts: [echo.example], secretName: echo-tls}]
  rules:
  - host: echo.example
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: echo, port: {number: 80}}}}
`

// A client outside the pods' network reaches them by HTTPS, with the ingress's own certificate, at every node.
func (s *suite) testIngress(t *testing.T) {
	ca, err := pki.NewCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.Issue("echo", pkix.Name{CommonName: "echo"}, "echo.example")
	if err != nil {
		t.Fatal(err)
	}
	s.must(t, "create", "secret", "tls", "echo-tls", "--cert="+leaf.CertFile, "--key="+leaf.KeyFile)
	s.apply(t, ingress)
	s.must(t, "--namespace=ingress", "rollout", "status", "deployment/traefik", "--timeout=90s")
	port := s.must(t, "--namespace=ingress", "get", "service", "traefik", `--output=jsonpath={.spec.ports[?(@.name=="websecure")].nodePort}`)
	authority, err := os.ReadFile(ca.CertFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	names, _ := s.echoPods(t)
	for _, node := range s.Nodes() {
		client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
			DisableKeepAlives: true,
			TLSClientConfig:   &tls.Config{RootCAs: roots},
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort(cluster.Address(node), port))
			},
		}}
		proc.Eventually(t, patience, func() error {
			body, err := get(&client, "https://echo.example")
			if err == nil && body != names[cluster.ControlPlane] && body != names[cluster.Worker] {
				err = fmt.Errorf("by the ingress at %s answered %q, want one of %v", node, body, names)
			}
			return err
		})
		if _, err := get(&client, "https://other.example"); err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("by the ingress at %s, another name: %v; want its certificate refused", node, err)
		}
	}
}

// What the administrator's machine listens on reaches pods of both nodes.
func (s *suite) testPortForward(t *testing.T) {
	names, _ := s.echoPods(t)
	for _, pod := range names {
		port := proc.FreePort(t)
		proc.Start(t, s.KubectlProgram(), "--kubeconfig="+s.Kubeconfig(), "port-forward", "pod/"+pod, fmt.Sprintf("%d:8080", port))
		proc.Eventually(t, patience, func() error {
			body, err := fetch(fmt.Sprintf("http://127.0.0.1:%d", port))
			if err == nil && body != pod {
				err = fmt.Errorf("the forwarded port answered %q, want %q", body, pod)
			}
			return err
		})
	}
}

// createCronJob asks for a job at every full minute, which testCronJob waits for.
func (s *suite) createCronJob(t *testing.T) {
	t.Helper()
	s.must(t, "create", "cronjob", "minutely", "--schedule=* * * * *", "--image="+s.Reference("workload"), "--", "/workload", "print", "done by the clock")
}

func (s *suite) testCronJob(t *testing.T) {
	s.must(t, "wait", "--for=jsonpath={.status.lastSuccessfulTime}", "cronjob/minutely", "--timeout=110s")
	jobs := strings.Fields(s.must(t, "get", "jobs", `--output=jsonpath={.items[?(@.metadata.ownerReferences[0].name=="minutely")].metadata.name}`))
	if !slices.ContainsFunc(jobs, func(job string) bool {
		out, err := s.kubectl("logs", "job/"+job)
		return err == nil && out == "done by the clock"
	}) {
		t.Errorf("of the jobs %v none printed what the CronJob says", jobs)
	}
}
