package cluster_test

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"kubefips.internal/tests/internal/proc"
	"kubefips.internal/tools/kubefips/cluster"
)

const patience = 3 * time.Minute

// echo is a server on each node, and a service in front of both.
const echo = `
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: echo}
spec:
  selector: {matchLabels: {app: echo}}
  template:
    metadata: {labels: {app: echo}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: echo
        image: %s
        readinessProbe: {httpGet: {port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: echo}
spec:
  type: NodePort
  selector: {app: echo}
  ports: [{port: 80, targetPort: 8080, nodePort: 30080}]
`

func TestCluster(t *testing.T) {
	s := boot(t)
	// What takes a while goes on during the first tests.
	s.install(t, "metrics-server", "kube-system")
	s.install(t, "traefik", "ingress", "--set=service.type=NodePort")
	s.createCronJob(t)
	s.apply(t, echo)
	s.must(t, "rollout", "status", "daemonset/echo", "--timeout=90s")
	t.Run("network", s.testNetwork)
	t.Run("logs and exec", s.testLogsAndExec)
	t.Run("port-forward", s.testPortForward)
	t.Run("rolling update", s.testRollingUpdate)
	t.Run("job", s.testJob)
	t.Run("secrets are encrypted at rest", s.testSecrets)
	t.Run("RBAC", s.testRBAC)
	t.Run("ingress", s.testIngress)
	t.Run("top", s.testTop)
	t.Run("TLS", func(t *testing.T) { s.testTLS(t, map[string]int{"metrics-server:10250": 1, "traefik:8443": 2}) })
	t.Run("Ed25519", s.testEd25519)
	t.Run("Ed25519 clients", s.testEd25519Clients)
	t.Run("a machine that lacks something", testLacking)
	t.Run("CronJob", s.testCronJob) // last: its minute has to be full
}

// echoPods returns name and address of the server on each node.
func (s *suite) echoPods(t *testing.T) (names, addresses map[string]string) {
	t.Helper()
	return s.podsOf(t, "echo")
}

// podsOf returns name and address of an app's pod on each node.
func (s *suite) podsOf(t *testing.T, app string) (names, addresses map[string]string) {
	t.Helper()
	names, addresses, err := s.findPods(app)
	if err != nil {
		t.Fatal(err)
	}
	return names, addresses
}

// findPods is podsOf for who tries again: a pod that starts has no address yet.
func (s *suite) findPods(app string) (names, addresses map[string]string, err error) {
	out, err := s.kubectl("get", "pods", "--selector=app="+app, "--field-selector=status.phase=Running",
		`--output=jsonpath={range .items[*]}{.spec.nodeName} {.metadata.name} {.status.podIP}{"\n"}{end}`)
	if err != nil {
		return nil, nil, err
	}
	names, addresses = map[string]string{}, map[string]string{}
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			return nil, nil, fmt.Errorf("pods of %s: %q", app, out)
		}
		names[fields[0]], addresses[fields[0]] = fields[1], fields[2]
	}
	if len(names) != len(s.Nodes()) {
		return nil, nil, fmt.Errorf("%s runs on %v, want all of %v", app, names, s.Nodes())
	}
	return names, addresses, nil
}

func (s *suite) testNetwork(t *testing.T) {
	names, addresses := s.echoPods(t)
	clusterIP := s.must(t, "get", "service", "echo", "--output=jsonpath={.spec.clusterIP}")
	for node, pod := range names {
		for other, address := range addresses {
			if out := s.must(t, "exec", pod, "--", "/workload", "ping", address); !strings.Contains(out, "reply from "+address) {
				t.Errorf("ping from %s to %s on %s: %q", node, address, other, out)
			}
			if out := s.must(t, "exec", pod, "--", "/workload", "get", "http://"+address+":8080"); out != names[other] {
				t.Errorf("GET from %s of %s answered %q, want %q", node, address, out, names[other])
			}
		}
		if out := s.must(t, "exec", pod, "--", "/workload", "lookup", "echo.default.svc.cluster.local"); out != clusterIP {
			t.Errorf("on %s echo resolves to %q, want %q", node, out, clusterIP)
		}
		// The service's name by the pod's search path; its rules give connections to both pods.
		seen := map[string]bool{}
		for range 50 {
			seen[s.must(t, "exec", pod, "--", "/workload", "get", "http://echo")] = true
			if len(seen) == len(names) {
				break
			}
		}
		for _, name := range names {
			if !seen[name] {
				t.Errorf("from %s the service never answered by %s, only by %v", node, name, seen)
			}
		}
		s.requireNodePort(t, node, slices.Collect(maps.Values(names))...)
		s.requireNftables(t, node, clusterIP)
	}
}

// requireNftables looks at the rules of a node's kube-proxy: the service is in its table of nftables, and none of its chains are in iptables'.
func (s *suite) requireNftables(t *testing.T, node, clusterIP string) {
	t.Helper()
	exec := func(program string, arguments ...string) string {
		return s.must(t, append([]string{"--namespace=kube-system", "exec", "kube-proxy-" + node, "--", program}, arguments...)...)
	}
	for name, want := range map[string]string{"service-ips": clusterIP + " . tcp . 80 : goto ", "service-nodeports": "tcp . 30080 : goto "} {
		if out := exec("nft", "list", "map", "ip", "kube-proxy", name); !strings.Contains(out, want) {
			t.Errorf("on %s the map %s of kube-proxy has no element %q:\n%s", node, name, want, out)
		}
	}
	if out := exec("iptables-save"); strings.Contains(out, ":KUBE-SERVICES") {
		t.Errorf("kube-proxy of %s has chains in iptables:\n%s", node, out)
	}
}

// requireNodePort asks the service at a node's own address, from outside.
func (s *suite) requireNodePort(t *testing.T, node string, want ...string) {
	t.Helper()
	proc.Eventually(t, patience, func() error {
		body, err := fetch("http://" + cluster.Address(node) + ":30080")
		if err != nil {
			return err
		}
		if !slices.Contains(want, body) {
			return fmt.Errorf("the node port of %s answered %q, want one of %q", node, body, want)
		}
		return nil
	})
}

func fetch(url string) (string, error) {
	return get(&http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}, url)
}

// get returns what a client gets, without the space around it.
func get(client *http.Client, url string) (string, error) {
	response, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(bytes.TrimSpace(body)), err
}

func (s *suite) testLogsAndExec(t *testing.T) {
	names, _ := s.echoPods(t)
	for node, pod := range names {
		if out := s.must(t, "logs", pod); !strings.Contains(out, "serving as "+pod) {
			t.Errorf("log of %s on %s: %q", pod, node, out)
		}
		if out := s.must(t, "exec", pod, "--", "/workload", "print", "by exec"); out != "by exec" {
			t.Errorf("exec in %s on %s printed %q", pod, node, out)
		}
	}
}

func (s *suite) testRollingUpdate(t *testing.T) {
	s.apply(t, `
apiVersion: apps/v1
kind: Deployment
metadata: {name: rolling}
spec:
  replicas: 2
  selector: {matchLabels: {app: rolling}}
  template:
    metadata: {labels: {app: rolling}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: rolling
        image: %s
        env: [{name: VERSION, value: "1"}]
        readinessProbe: {httpGet: {port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: rolling}
spec:
  type: NodePort
  selector: {app: rolling}
  ports: [{port: 80, targetPort: 8080, nodePort: 30081}]
`)
	url := "http://" + cluster.Address(cluster.Worker) + ":30081"
	requireVersion := func(version string) {
		t.Helper()
		s.must(t, "rollout", "status", "deployment/rolling", "--timeout=90s")
		proc.Eventually(t, patience, func() error {
			for range 10 { // no pod of another version answers any longer
				body, err := fetch(url)
				if err != nil {
					return err
				}
				if !strings.HasSuffix(body, " "+version) {
					return fmt.Errorf("the service answers %q, want version %s", body, version)
				}
			}
			return nil
		})
	}
	requireVersion("1")
	s.must(t, "set", "env", "deployment/rolling", "VERSION=2")
	requireVersion("2")
	s.must(t, "rollout", "undo", "deployment/rolling")
	requireVersion("1")
}

func (s *suite) testJob(t *testing.T) {
	s.must(t, "create", "job", "once", "--image="+s.Reference("workload"), "--", "/workload", "print", "done once")
	s.must(t, "wait", "--for=condition=Complete", "job/once", "--timeout=90s")
	if out := s.must(t, "logs", "job/once"); out != "done once" {
		t.Errorf("the job printed %q", out)
	}
}

func (s *suite) testSecrets(t *testing.T) {
	const plain = "nobody-may-read-this"
	s.must(t, "create", "secret", "generic", "sealed", "--from-literal=key="+plain)
	stored, err := s.etcdctl("get", "/registry/secrets/default/sealed", "--print-value-only")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(stored, "k8s:enc:aesgcm:v1:key1:") || strings.Contains(stored, plain) {
		t.Errorf("etcd has %q, want what AES-GCM made of it", stored)
	}
	if out := s.must(t, "get", "secret", "sealed", "--output=go-template={{.data.key | base64decode}}"); out != plain {
		t.Errorf("the apiserver gives %q, want %q", out, plain)
	}
	// What is no secret is stored as it is: so the search above would find a plain value.
	s.must(t, "create", "configmap", "open", "--from-literal=key="+plain)
	if stored, err = s.etcdctl("get", "/registry/configmaps/default/open", "--print-value-only"); err != nil || !strings.Contains(stored, plain) {
		t.Errorf("etcd has %q, %v; want it to contain %q", stored, err, plain)
	}
}

func (s *suite) testRBAC(t *testing.T) {
	s.must(t, "create", "serviceaccount", "reader")
	s.must(t, "create", "role", "reader", "--verb=list", "--resource=pods")
	s.must(t, "create", "rolebinding", "reader", "--role=reader", "--serviceaccount=default:reader")
	token := s.must(t, "create", "token", "reader")
	as := func(arguments ...string) (string, error) {
		// An empty kubeconfig: the administrator's certificate would win over the token.
		return s.kubectl(append([]string{"--kubeconfig=/dev/null", "--server=https://" + cluster.Apiserver,
			"--certificate-authority=" + s.Authority(), "--token=" + token}, arguments...)...)
	}
	proc.Eventually(t, patience, func() error { // the authorizer learns of the role a little later
		_, err := as("get", "pods")
		return err
	})
	for _, refused := range [][]string{
		{"get", "secrets"},
		{"get", "pods", "--namespace=kube-system"},
		{"delete", "pods", "--all"},
		{"create", "configmap", "mine"},
	} {
		if out, err := as(refused...); err == nil || !strings.Contains(strings.ToLower(out), "forbidden") {
			t.Errorf("kubectl %s by the reader of pods: %q, want it forbidden", strings.Join(refused, " "), out)
		}
	}
}
