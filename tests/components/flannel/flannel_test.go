package flannel_test

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"kubefips.internal/tests/internal/certs"
	"kubefips.internal/tests/internal/namespaces"
	"kubefips.internal/tests/internal/proc"
	"kubefips.internal/tools/pki"
)

func TestMain(m *testing.M) { namespaces.Main(m) }

const (
	prefix  = "/coreos.com/network"
	network = `{"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}`
)

// store is an etcd with TLS that the nodes reach at their network's address of it.
type store struct {
	endpoint string
	ca       certs.Authority
	leaf     pki.Leaf // of server and clients alike
}

func startStore(t *testing.T, address string) store {
	t.Helper()
	ca := certs.New(t)
	leaf := ca.Leaf(t, "etcd", address)
	s := store{endpoint: "https://" + address + ":2379", ca: ca, leaf: leaf}
	proc.Start(t, runfile(t, "ETCD"), "--data-dir="+t.TempDir(),
		"--listen-client-urls="+s.endpoint, "--advertise-client-urls="+s.endpoint,
		"--client-cert-auth", "--trusted-ca-file="+ca.CertFile, "--cert-file="+leaf.CertFile, "--key-file="+leaf.KeyFile)
	proc.Eventually(t, 30*time.Second, func() error {
		_, err := s.etcdctl(t, "put", prefix+"/config", network)
		return err
	})
	return s
}

func (s store) etcdctl(t *testing.T, args ...string) (string, error) {
	return proc.Output(runfile(t, "ETCDCTL"), append([]string{
		"--endpoints=" + s.endpoint, "--cacert=" + s.ca.CertFile, "--cert=" + s.leaf.CertFile, "--key=" + s.leaf.KeyFile,
	}, args...)...)
}

// node is a network namespace with an uplink and a flanneld. A nil namespace is the test's own.
type node struct {
	*namespaces.Network
	address string // of its uplink
	subnet  *net.IPNet
	env     map[string]string // what flanneld wrote
}

func (n node) do(f func() error) error {
	if n.Network == nil {
		return f()
	}
	return n.Do(f)
}

// start runs flanneld on the node until it has written its subnet. It makes no rules of iptables or nft, which are the image's.
func (n *node) start(t *testing.T, s store) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "subnet.env")
	n.do(func() error {
		proc.Start(t, runfile(t, "FLANNELD"), "--iface=uplink", "--subnet-file="+file, "--iptables-forward-rules=false",
			"--etcd-endpoints="+s.endpoint, "--etcd-cafile="+s.ca.CertFile, "--etcd-certfile="+s.leaf.CertFile, "--etcd-keyfile="+s.leaf.KeyFile)
		return nil
	})
	proc.Eventually(t, 30*time.Second, func() error {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		n.env = map[string]string{}
		for line := range strings.Lines(string(content)) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			n.env[key] = value
		}
		if _, n.subnet, err = net.ParseCIDR(n.env["FLANNEL_SUBNET"]); err != nil {
			return fmt.Errorf("%s: %w:\n%s", file, err, content)
		}
		return nil
	})
}

// wire connects two nodes by their uplinks.
func wire(t *testing.T) (a, b *node) {
	t.Helper()
	a = &node{address: "192.0.2.1"}
	b = &node{Network: namespaces.NewNetwork(t), address: "192.0.2.2"}
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "uplink"}, PeerName: "peer"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, name := range []string{"flannel.1", "uplink"} {
			if link, err := netlink.LinkByName(name); err == nil {
				netlink.LinkDel(link)
			}
		}
	})
	peer, err := netlink.LinkByName("peer")
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(b.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := netlink.LinkSetNsFd(peer, int(file.Fd())); err != nil {
		t.Fatal(err)
	}
	if err := b.Do(func() error { return netlink.LinkSetName(peer, "uplink") }); err != nil {
		t.Fatal(err)
	}
	for _, n := range []*node{a, b} {
		if err := n.do(func() error {
			link, err := netlink.LinkByName("uplink")
			if err != nil {
				return err
			}
			address, err := netlink.ParseAddr(n.address + "/24")
			if err != nil {
				return err
			}
			if err := netlink.AddrAdd(link, address); err != nil {
				return err
			}
			return netlink.LinkSetUp(link)
		}); err != nil {
			t.Fatalf("uplink of %s: %v", n.address, err)
		}
	}
	return a, b
}

// Two nodes lease subnets in etcd, each makes its VXLAN device, and a connection goes from one to the other through it.
func TestConnectsNodesThroughVXLAN(t *testing.T) {
	a, b := wire(t)
	s := startStore(t, a.address)
	a.start(t, s)
	b.start(t, s)
	if a.subnet.String() == b.subnet.String() {
		t.Fatalf("both nodes have the subnet %s", a.subnet)
	}
	for _, n := range []*node{a, b} {
		if got := n.env["FLANNEL_NETWORK"]; got != "10.244.0.0/16" {
			t.Errorf("FLANNEL_NETWORK of %s is %q, want 10.244.0.0/16", n.address, got)
		}
		n.requireDeviceOfLease(t, s)
	}

	inside := &net.TCPAddr{IP: a.subnet.IP} // flanneld gives this address to the device
	listener, err := net.ListenTCP("tcp4", inside)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var source string
	proc.Eventually(t, 30*time.Second, func() error {
		return b.Do(func() error {
			conn, err := net.DialTimeout("tcp4", listener.Addr().String(), time.Second)
			if err != nil {
				return err
			}
			defer conn.Close()
			source = conn.LocalAddr().(*net.TCPAddr).IP.String()
			return nil
		})
	})
	if source != b.subnet.IP.String() {
		t.Errorf("the connection came from %s, want %s: it did not take the tunnel", source, b.subnet.IP)
	}
}

// requireDeviceOfLease compares the node's VXLAN device with what its lease in etcd tells the other nodes.
func (n *node) requireDeviceOfLease(t *testing.T, s store) {
	t.Helper()
	key := prefix + "/subnets/" + strings.ReplaceAll(n.subnet.String(), "/", "-")
	value, err := s.etcdctl(t, "get", key, "--print-value-only")
	if err != nil {
		t.Fatal(err)
	}
	var lease struct {
		PublicIP    string
		BackendType string
		BackendData struct {
			VNI     int
			VtepMAC string
		}
	}
	if err := json.Unmarshal([]byte(value), &lease); err != nil {
		t.Fatalf("lease %s is %q: %v", key, value, err)
	}
	var link netlink.Link
	if err := n.do(func() (err error) { link, err = netlink.LinkByName("flannel.1"); return err }); err != nil {
		t.Fatal(err)
	}
	device, ok := link.(*netlink.Vxlan)
	if !ok {
		t.Fatalf("flannel.1 is a %s, want a vxlan", link.Type())
	}
	if lease.BackendType != "vxlan" || lease.PublicIP != n.address || lease.BackendData.VNI != device.VxlanId || lease.BackendData.VtepMAC != device.HardwareAddr.String() {
		t.Errorf("lease %s = %+v, want vxlan at %s, VNI %d, MAC %s", key, lease, n.address, device.VxlanId, device.HardwareAddr)
	}
}

func TestInstallConf(t *testing.T) {
	dir := t.TempDir()
	source, target := filepath.Join(dir, "source"), filepath.Join(dir, "10-flannel.conflist")
	for file, content := range map[string]string{source: "new", target: "old"} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	proc.Run(t, runfile(t, "INSTALL_CONF"), source, target)
	if got, err := os.ReadFile(target); err != nil || string(got) != "new" {
		t.Errorf("%s = %q, %v; want %q", target, got, err, "new")
	}
	missing := filepath.Join(dir, "missing")
	if out, err := proc.Output(runfile(t, "INSTALL_CONF"), missing, target); err == nil || !strings.Contains(out, missing) {
		t.Errorf("install-conf of a missing file: %q, %v; want an error that names it", out, err)
	}
	if got, err := os.ReadFile(target); err != nil || string(got) != "new" {
		t.Errorf("after the refusal %s = %q, %v; want it untouched", target, got, err)
	}
}

func TestPrintedVersion(t *testing.T) {
	out, err := proc.Output(runfile(t, "FLANNELD"), "--version")
	if got := strings.TrimSpace(out); err != nil || got != os.Getenv("UPSTREAM_VERSION") {
		t.Errorf("flanneld --version = %q, %v; want %s", got, err, os.Getenv("UPSTREAM_VERSION"))
	}
}

func runfile(t *testing.T, env string) string {
	t.Helper()
	return proc.Runfile(t, os.Getenv(env))
}
