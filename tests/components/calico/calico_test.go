package calico_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"kubefips.internal/tests/internal/controlplane"
	"kubefips.internal/tests/internal/namespaces"
	"kubefips.internal/tests/internal/proc"
	"kubefips.internal/tests/internal/tlsprobe"
)

func TestMain(m *testing.M) { namespaces.Main(m) }

const (
	uplink = "192.0.2.1/24"

	node = `{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1"}}`
	pod  = `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod", "namespace": "default"}, "spec": {
  "nodeName": "node-1", "automountServiceAccountToken": false, "containers": [{"name": "c", "image": "none"}]}}`
)

// One cluster for all that needs one. Each step stands on the one before it.
func TestCluster(t *testing.T) {
	addUplink(t)
	cp := controlplane.Start(t)
	t.Setenv("KUBECONFIG", cp.Kubeconfig)
	t.Setenv("DATASTORE_TYPE", "kubernetes")
	if _, err := cp.Kubectl(t, "create", "--validate=false", "-f", runfile(t, "MANIFEST")); err != nil {
		t.Fatal(err)
	}
	if _, err := cp.Kubectl(t, "wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"); err != nil {
		t.Fatal(err)
	}
	cp.Create(t, node)

	for _, step := range []struct {
		name string
		run  func(*testing.T, controlplane.ControlPlane)
	}{
		{"calico-node sets its node up", nodeSetsUp},
		{"the CNI plugins wire a pod", pluginsWirePod},
		{"kube-controllers follow the nodes", controllersFollowNodes},
		{"typha serves felix alone, under the TLS policy", typhaServes},
	} {
		if !t.Run(step.name, func(t *testing.T) { step.run(t, cp) }) {
			break
		}
	}
}

// addUplink gives the node a network, as there is none in its namespace.
func addUplink(t *testing.T) {
	t.Helper()
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "uplink"}, PeerName: "peer"}); err != nil {
		t.Fatal(err)
	}
	address, err := netlink.ParseAddr(uplink)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"uplink", "peer"} {
		link, err := netlink.LinkByName(name)
		if err == nil && name == "uplink" {
			err = netlink.AddrAdd(link, address)
		}
		if err == nil {
			err = netlink.LinkSetUp(link)
		}
		if err != nil {
			t.Fatalf("link %s: %v", name, err)
		}
	}
	// Calico's pods have a gateway of no host, which the node answers for as long as it knows a way there.
	if err := netlink.RouteAdd(&netlink.Route{Gw: net.IPv4(192, 0, 2, 254)}); err != nil {
		t.Fatalf("the default route: %v", err)
	}
}

// get asks calicoctl for one object.
func get(t *testing.T, kind, name string, object any) error {
	t.Helper()
	out, err := proc.Output(runfile(t, "CALICOCTL"), "get", kind, name, "--output=json")
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(out), object); err != nil {
		return fmt.Errorf("calicoctl get %s %s printed %q: %w", kind, name, out, err)
	}
	return nil
}

// nodeSetsUp lets calico-node find the node's address and make the pool that pods' addresses come from.
func nodeSetsUp(t *testing.T, _ controlplane.ControlPlane) {
	for variable, value := range map[string]string{
		"NODENAME":                  "node-1",
		"IP":                        "autodetect",
		"IP_AUTODETECTION_METHOD":   "interface=uplink",
		"CALICO_NETWORKING_BACKEND": "vxlan",
		"CALICO_IPV4POOL_CIDR":      "10.244.0.0/16",
		"CALICO_IPV4POOL_VXLAN":     "Always",
		"CALICO_IPV4POOL_IPIP":      "Never",
	} {
		t.Setenv(variable, value)
	}
	if _, err := proc.Output(runfile(t, "CALICO_NODE"), "-startup"); err != nil {
		t.Fatal(err)
	}
	var n struct {
		Spec struct{ BGP struct{ IPv4Address string } }
	}
	if err := get(t, "node", "node-1", &n); err != nil {
		t.Error(err)
	} else if got := n.Spec.BGP.IPv4Address; got != uplink {
		t.Errorf("the node's address is %q, want that of its uplink", got)
	}
	var pool struct {
		Spec struct{ CIDR, VXLANMode string }
	}
	if err := get(t, "ippool", "default-ipv4-ippool", &pool); err != nil {
		t.Error(err)
	} else if pool.Spec.CIDR != "10.244.0.0/16" || pool.Spec.VXLANMode != "Always" {
		t.Errorf("the pool is %+v, want 10.244.0.0/16 with VXLAN always", pool.Spec)
	}
	var cluster struct {
		Spec struct{ CalicoVersion string }
	}
	if err := get(t, "clusterinformation", "default", &cluster); err != nil {
		t.Error(err)
	} else if got, want := cluster.Spec.CalicoVersion, release(t); got != want {
		t.Errorf("the cluster's version is %q, want %s", got, want)
	}
}

// pluginsWirePod calls the CNI plugins as a container runtime does, and connects from the node to the pod.
func pluginsWirePod(t *testing.T, cp controlplane.ControlPlane) {
	cp.Create(t, pod)
	network := namespaces.NewNetwork(t)
	config, err := json.Marshal(map[string]any{
		"cniVersion": "1.0.0", "name": "k8s-pod-network", "type": "calico", "nodename": "node-1", "datastore_type": "kubernetes",
		"mtu": 1450, "log_level": "info", "log_file_path": filepath.Join(t.TempDir(), "cni.log"), "ipam_lock_file": filepath.Join(t.TempDir(), "ipam.lock"),
		"ipam": map[string]any{"type": "calico-ipam"}, "policy": map[string]any{"type": "k8s"}, "kubernetes": map[string]any{"kubeconfig": cp.Kubeconfig},
	})
	if err != nil {
		t.Fatal(err)
	}
	call := func(command string) string {
		t.Helper()
		cmd := exec.Command(runfile(t, "CALICO"))
		cmd.Env = []string{
			"CNI_COMMAND=" + command, "CNI_CONTAINERID=container", "CNI_NETNS=" + network.Path, "CNI_IFNAME=eth0",
			"CNI_PATH=" + filepath.Dir(runfile(t, "CALICO_IPAM")), "CNI_ARGS=K8S_POD_NAMESPACE=default;K8S_POD_NAME=pod;K8S_POD_INFRA_CONTAINER_ID=container",
		}
		cmd.Stdin = bytes.NewReader(config)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("calico %s: %v\n%s%s", command, err, out, stderr.Bytes())
		}
		return string(out)
	}
	var result struct{ IPs []struct{ Address string } }
	if out := call("ADD"); json.Unmarshal([]byte(out), &result) != nil || len(result.IPs) != 1 {
		t.Fatalf("calico ADD printed %q, want one address", out)
	}
	address, _, err := net.ParseCIDR(result.IPs[0].Address)
	if _, pool, _ := net.ParseCIDR("10.244.0.0/16"); err != nil || !pool.Contains(address) {
		t.Fatalf("the pod's address is %q (%v), want one of the pool", result.IPs[0].Address, err)
	}

	var listener net.Listener
	if err := network.Do(func() (err error) { listener, err = net.Listen("tcp4", address.String()+":0"); return err }); err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := net.DialTimeout("tcp4", listener.Addr().String(), 10*time.Second)
	if err != nil {
		t.Fatalf("from the node to the pod: %v", err)
	}
	conn.Close()

	used := func() bool {
		out, err := proc.Output(runfile(t, "CALICOCTL"), "ipam", "show", "--ip="+address.String())
		if err != nil {
			t.Fatal(err)
		}
		return !strings.Contains(out, "is not assigned")
	}
	if !used() {
		t.Errorf("%s is not in use while the pod has it", address)
	}
	call("DEL")
	if used() {
		t.Errorf("%s is still in use after DEL", address)
	}
}

// controllersFollowNodes sees the status change that check-status tells, and what the controllers make of a node.
func controllersFollowNodes(t *testing.T, _ controlplane.ControlPlane) {
	status := filepath.Join(t.TempDir(), "status.json")
	ready := func() error {
		_, err := proc.Output(runfile(t, "CHECK_STATUS"), "--ready", "--file="+status)
		return err
	}
	if ready() == nil {
		t.Error("check-status says ready while nothing runs")
	}
	t.Setenv("ENABLED_CONTROLLERS", "node")
	t.Setenv("AUTO_HOST_ENDPOINTS", "enabled")
	proc.Start(t, runfile(t, "KUBE_CONTROLLERS"), "--status-file="+status)
	proc.Eventually(t, time.Minute, ready)
	var endpoint struct{ Spec struct{ Node string } }
	proc.Eventually(t, time.Minute, func() error { return get(t, "hostendpoint", "node-1-auto-hep", &endpoint) })
	if endpoint.Spec.Node != "node-1" {
		t.Errorf("the host endpoint is of node %q, want node-1", endpoint.Spec.Node)
	}
}

// typhaServes probes typha's port for felix.
func typhaServes(t *testing.T, cp controlplane.ControlPlane) {
	server := cp.Issue(t, "typha", pkix.Name{CommonName: "typha"})
	port, health, metrics := proc.FreePort(t), proc.FreePort(t), proc.FreePort(t)
	for variable, value := range map[string]string{
		"DATASTORETYPE":            "kubernetes",
		"LOGFILEPATH":              "none",
		"SERVERHOST":               "127.0.0.1",
		"SERVERPORT":               fmt.Sprint(port),
		"SERVERCERTFILE":           server.CertFile,
		"SERVERKEYFILE":            server.KeyFile,
		"CAFILE":                   cp.CA.CertFile,
		"CLIENTCN":                 "felix",
		"HEALTHENABLED":            "true",
		"HEALTHHOST":               "127.0.0.1",
		"HEALTHPORT":               fmt.Sprint(health),
		"PROMETHEUSMETRICSENABLED": "true",
		"PROMETHEUSMETRICSHOST":    "127.0.0.1",
		"PROMETHEUSMETRICSPORT":    fmt.Sprint(metrics),
	} {
		t.Setenv("TYPHA_"+variable, value)
	}
	proc.Start(t, runfile(t, "CALICO_TYPHA"))
	proc.Eventually(t, time.Minute, func() error {
		_, err := read(fmt.Sprintf("http://127.0.0.1:%d/readiness", health))
		return err
	})
	// No program of Calico's prints its Go version; this is where one tells it.
	var told string
	proc.Eventually(t, time.Minute, func() (err error) {
		told, err = read(fmt.Sprintf("http://127.0.0.1:%d/metrics", metrics))
		return err
	})
	if want := `go_info{version="go` + os.Getenv("UPSTREAM_GO"); !strings.Contains(told, want) {
		t.Errorf("the metrics of typha lack %s:\n%s", want, told)
	}

	address := fmt.Sprintf("127.0.0.1:%d", port)
	tlsprobe.CheckPolicy(t, address)
	// Typha waits for felix to speak first, and ends the connection of anybody else.
	if err := readAs(t, cp, address, "felix", 3*time.Second); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("connected as felix: %v, want silence", err)
	}
	if err := readAs(t, cp, address, "stranger", 30*time.Second); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("connected as a stranger: %v, want to be refused", err)
	}
}

// read returns what a URL answers with.
func read(url string) (string, error) {
	response, err := http.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode/100 != 2 {
		err = errors.New(response.Status)
	}
	return string(body), err
}

// readAs connects with a certificate of the cluster's CA for name, and reads until the server says something or the time is up.
func readAs(t *testing.T, cp controlplane.ControlPlane, address, name string, timeout time.Duration) error {
	t.Helper()
	leaf := cp.Issue(t, name, pkix.Name{CommonName: name})
	certificate, err := tls.LoadX509KeyPair(leaf.CertFile, leaf.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	// Whom typha lets in is asked here, not who typha is.
	conn, err := tls.Dial("tcp", address, &tls.Config{Certificates: []tls.Certificate{certificate}, InsecureSkipVerify: true, CurvePreferences: []tls.CurveID{tls.CurveP256}})
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 1))
	return err
}

// install runs in a root of its own, where the node's folders are where the manifest mounts them.
func TestInstallCopiesPlugins(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"opt/cni/bin", "host/opt/cni/bin", "host/etc/cni/net.d"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, env := range map[string]string{"calico": "CALICO", "calico-ipam": "CALICO_IPAM", "install": "INSTALL"} {
		mount(t, runfile(t, env), filepath.Join(root, "opt/cni/bin", name))
	}
	cmd := exec.Command("/opt/cni/bin/install")
	cmd.Dir = "/"
	cmd.Env = []string{"SLEEP=false", "CNI_NET_DIR=/etc/cni/net.d", "CNI_CONF_NAME=10-calico.conflist", "KUBERNETES_NODE_NAME=node-1"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("install: %v\n%s", err, out)
	}
	for _, name := range []string{"calico", "calico-ipam"} {
		if got := strings.TrimSpace(proc.Run(t, filepath.Join(root, "host/opt/cni/bin", name), "-v")); got != release(t) {
			t.Errorf("the installed %s has the version %q, want %s", name, got, release(t))
		}
	}
	file := filepath.Join(root, "host/etc/cni/net.d/10-calico.conflist")
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Plugins []struct{ Type, Nodename string }
	}
	if err := json.Unmarshal(content, &config); err != nil {
		t.Fatalf("%s: %v\n%s", file, err, content)
	}
	if len(config.Plugins) == 0 || config.Plugins[0].Type != "calico" || config.Plugins[0].Nodename != "node-1" {
		t.Errorf("%s has the plugins %+v, want calico first, for node-1", file, config.Plugins)
	}
}

// mount lets a file be seen at another path.
func mount(t *testing.T, source, target string) {
	t.Helper()
	source, err := filepath.EvalSymlinks(source)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(target, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(source, target, "", unix.MS_BIND, ""); err != nil {
		t.Fatalf("mounting %s on %s: %v", source, target, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(target, 0); err != nil {
			t.Error(err)
		}
	})
}

func TestFlexvol(t *testing.T) {
	for call, want := range map[string]string{"init": "Success", "mount": "Not supported"} { // without a folder, there is nothing to mount
		var answer struct{ Status string }
		if out := proc.Run(t, runfile(t, "FLEXVOL"), call); json.Unmarshal([]byte(out), &answer) != nil || answer.Status != want {
			t.Errorf("flexvol %s printed %q, want the status %s", call, out, want)
		}
	}
}

func TestPrintedVersions(t *testing.T) {
	revision, date := os.Getenv("UPSTREAM_REVISION"), os.Getenv("UPSTREAM_TIME")
	for _, program := range []struct {
		env  string
		args []string
		want []string
	}{
		{"CALICO", []string{"-v"}, []string{release(t)}},
		{"CALICO_IPAM", []string{"-v"}, []string{release(t)}},
		{"CALICO_NODE", []string{"-v"}, []string{release(t), revision, date}},
		{"CALICO_TYPHA", []string{"--version"}, []string{release(t), revision, date}},
		{"CALICOCTL", []string{"version", "--client"}, []string{release(t), revision}},
		{"KUBE_CONTROLLERS", []string{"--version"}, []string{release(t), revision, date}},
	} {
		out := proc.Run(t, runfile(t, program.env), program.args...)
		for _, want := range program.want {
			if !regexp.MustCompile(`(?m)(^|\s)` + regexp.QuoteMeta(want) + `$`).MatchString(out) {
				t.Errorf("%s %v lacks %q:\n%s", program.env, program.args, want, out)
			}
		}
	}
}

// release returns the version whose images upstream's manifest names: a tag, which the module proxy does not tell.
func release(t *testing.T) string {
	t.Helper()
	manifest, err := os.ReadFile(runfile(t, "MANIFEST"))
	if err != nil {
		t.Fatal(err)
	}
	image := regexp.MustCompile(`(?m)^ +image: \S+/node:(\S+)$`).FindSubmatch(manifest)
	if image == nil {
		t.Fatal("upstream's manifest names no image of calico-node")
	}
	return string(image[1])
}

func runfile(t *testing.T, env string) string {
	t.Helper()
	return proc.Runfile(t, os.Getenv(env))
}
