package cni_plugins_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/server4"
	"github.com/vishvananda/netlink"

	"kubefips.internal/tests/internal/namespaces"
	"kubefips.internal/tests/internal/proc"
)

func TestMain(m *testing.M) { namespaces.Main(m) }

// config is a plugin's configuration, less cniVersion and name.
type config map[string]any

// result is what a plugin prints: the wiring after ADD, or an error.
type result struct {
	Code       int    `json:"code"`
	Message    string `json:"msg"`
	Interfaces []struct {
		Name    string `json:"name"`
		MAC     string `json:"mac"`
		Sandbox string `json:"sandbox"`
	} `json:"interfaces"`
	IPs []struct {
		Address string `json:"address"`
		Gateway string `json:"gateway"`
	} `json:"ips"`
}

// pod stands for a pod's network: a namespace, its interface eth0, and where plugins keep their data.
type pod struct {
	*namespaces.Network
	id      string
	root    string // of the file system that plugins run in
	plugins string // directory in it
	data    string // directory in it, shared by the pods of a test
}

func newPod(t *testing.T, data string) pod {
	t.Helper()
	return newPodOn(t, "/", pluginsDir(t), data)
}

func newPodOn(t *testing.T, root, plugins, data string) pod {
	t.Helper()
	return pod{namespaces.NewNetwork(t), "pod-" + strings.ReplaceAll(filepath.Base(t.TempDir()), "/", "-"), root, plugins, data}
}

// pluginsDir is where the test has all plugins.
func pluginsDir(t *testing.T) string {
	t.Helper()
	return filepath.Dir(proc.Runfile(t, os.Getenv("BRIDGE")))
}

// call runs one plugin as a container runtime does. previous is the JSON that the plugin before it in the chain printed.
func (p pod) call(command, ifname string, c config, previous []byte) ([]byte, error) {
	conf := config{"cniVersion": "1.0.0", "name": "net"}
	for key, value := range c {
		conf[key] = value
	}
	if previous != nil {
		conf["prevResult"] = json.RawMessage(previous)
	}
	stdin, err := json.Marshal(conf)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(filepath.Join(p.plugins, c["type"].(string)))
	cmd.Env = []string{
		"CNI_COMMAND=" + command, "CNI_CONTAINERID=" + p.id, "CNI_NETNS=" + p.Path, "CNI_IFNAME=" + ifname, "CNI_PATH=" + p.plugins,
		"PATH=/usr/sbin",
	}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: p.root}
	cmd.Stdin = bytes.NewReader(stdin)
	out, err := cmd.Output()
	if err != nil {
		var r result
		if json.Unmarshal(out, &r) == nil && r.Message != "" {
			err = errors.New(r.Message)
		}
		return nil, fmt.Errorf("%s %s: %w", c["type"], command, err)
	}
	return out, nil
}

// wire runs a chain of plugins for eth0 and returns what the last one printed; when the test ends, the chain is undone.
func (p pod) wire(t *testing.T, chain ...config) result {
	t.Helper()
	return p.wireAs(t, "eth0", chain...)
}

func (p pod) wireAs(t *testing.T, ifname string, chain ...config) result {
	t.Helper()
	var out []byte
	for _, c := range chain {
		var err error
		if out, err = p.call("ADD", ifname, c, out); err != nil {
			t.Fatal(err)
		}
	}
	var r result
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("%s ADD printed %q: %v", chain[len(chain)-1]["type"], out, err)
	}
	t.Cleanup(func() {
		for _, c := range slices.Backward(chain) {
			if _, err := p.call("DEL", ifname, c, out); err != nil {
				t.Error(err)
			}
		}
	})
	return r
}

// link returns an interface as seen inside the pod.
func (p pod) link(t *testing.T, name string) netlink.Link {
	t.Helper()
	var link netlink.Link
	err := p.Do(func() (err error) { link, err = netlink.LinkByName(name); return err })
	if err != nil {
		t.Fatalf("link %s in the pod: %v", name, err)
	}
	return link
}

// addresses returns the IPv4 addresses of an interface inside the pod, with their masks.
func (p pod) addresses(t *testing.T, name string) []string {
	t.Helper()
	var addresses []string
	link := p.link(t, name)
	err := p.Do(func() error {
		list, err := netlink.AddrList(link, netlink.FAMILY_V4)
		for _, a := range list {
			addresses = append(addresses, a.IPNet.String())
		}
		return err
	})
	if err != nil {
		t.Fatalf("addresses of %s in the pod: %v", name, err)
	}
	return addresses
}

func (p pod) requireAddress(t *testing.T, name, want string) {
	t.Helper()
	if got := p.addresses(t, name); !slices.Equal(got, []string{want}) {
		t.Errorf("addresses of %s = %v, want %s", name, got, want)
	}
}

// do calls f in a namespace (nil: the test's own).
func do(n *namespaces.Network, f func() error) error {
	if n == nil {
		return f()
	}
	return n.Do(f)
}

// requireReach fails unless a TCP connection from one namespace arrives in another (nil: the test's own).
func requireReach(t *testing.T, from, to *namespaces.Network, address string) {
	t.Helper()
	var listener net.Listener
	if err := do(to, func() (err error) { listener, err = net.Listen("tcp4", address+":0"); return err }); err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if err := do(from, func() error {
		conn, err := net.DialTimeout("tcp4", listener.Addr().String(), 5*time.Second)
		if err != nil {
			return err
		}
		return conn.Close()
	}); err != nil {
		t.Errorf("reaching %s: %v", listener.Addr(), err)
	}
}

func hostLocal(data, subnet string) config {
	return config{"type": "host-local", "dataDir": data, "ranges": [][]config{{{"subnet": subnet}}}}
}

func bridge(t *testing.T, data string) config {
	t.Cleanup(func() {
		if link, err := netlink.LinkByName("br0"); err == nil {
			netlink.LinkDel(link)
		}
	})
	return config{"type": "bridge", "bridge": "br0", "isGateway": true, "ipam": hostLocal(data, "10.10.0.0/24")}
}

// addLink makes a link in the test's own namespace.
func addLink(t *testing.T, link netlink.Link) {
	t.Helper()
	if err := netlink.LinkAdd(link); err != nil {
		t.Fatalf("this test needs a kernel with links of type %s: %v", link.Type(), err)
	}
	t.Cleanup(func() {
		if link, err := netlink.LinkByName(link.Attrs().Name); err == nil {
			netlink.LinkDel(link)
		}
	})
	if err := netlink.LinkSetUp(link); err != nil {
		t.Fatal(err)
	}
}

func named(name string) netlink.LinkAttrs { return netlink.LinkAttrs{Name: name} }

func TestBridgeAndHostLocalConnectPods(t *testing.T) {
	data := t.TempDir()
	a, b := newPod(t, data), newPod(t, data)
	network := bridge(t, data)
	a.wire(t, network)
	a.requireAddress(t, "eth0", "10.10.0.2/24")
	b.wire(t, network)
	b.requireAddress(t, "eth0", "10.10.0.3/24")
	requireReach(t, a.Network, b.Network, "10.10.0.3")
	requireReach(t, b.Network, nil, "10.10.0.1")
}

func TestHostLocalGivesReleasedAddressesBack(t *testing.T) {
	data := t.TempDir()
	subnet := bridge(t, data)
	subnet["ipam"] = hostLocal(data, "10.10.0.0/30") // room for one pod beside the gateway
	first, refused, next := newPod(t, data), newPod(t, data), newPod(t, data)
	if _, err := first.call("ADD", "eth0", subnet, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := refused.call("ADD", "eth0", subnet, nil); err == nil || !strings.Contains(err.Error(), "no IP addresses available") {
		t.Errorf("ADD to a full subnet: %v, want a refusal", err)
	}
	if _, err := first.call("DEL", "eth0", subnet, nil); err != nil {
		t.Fatal(err)
	}
	next.wire(t, subnet)
	next.requireAddress(t, "eth0", "10.10.0.2/30")
}

func TestLoopback(t *testing.T) {
	p := newPod(t, "")
	p.wireAs(t, "lo", config{"type": "loopback"})
	p.requireAddress(t, "lo", "127.0.0.1/8")
	requireReach(t, p.Network, p.Network, "127.0.0.1")
}

func TestPtpAndStatic(t *testing.T) {
	p := newPod(t, "")
	p.wire(t, config{"type": "ptp", "ipam": config{"type": "static", "addresses": []config{{"address": "10.20.0.7/24", "gateway": "10.20.0.1"}}}})
	p.requireAddress(t, "eth0", "10.20.0.7/24")
	requireReach(t, nil, p.Network, "10.20.0.7")
}

func TestMacvlan(t *testing.T) {
	addLink(t, &netlink.Veth{LinkAttrs: named("parent"), PeerName: "peer"})
	p := newPod(t, "")
	p.wire(t, config{"type": "macvlan", "master": "parent", "ipam": config{"type": "static", "addresses": []config{{"address": "10.30.0.2/24"}}}})
	p.requireAddress(t, "eth0", "10.30.0.2/24")
	if got := p.link(t, "eth0").Type(); got != "macvlan" {
		t.Errorf("eth0 is a %s, want a macvlan", got)
	}
}

func TestTap(t *testing.T) {
	p := newPod(t, "")
	// With owner and group, because the plugin runs iproute2 otherwise.
	p.wire(t, config{"type": "tap", "owner": 0, "group": 0, "ipam": config{"type": "static", "addresses": []config{{"address": "10.40.0.2/24"}}}})
	p.requireAddress(t, "eth0", "10.40.0.2/24")
	if got := p.link(t, "eth0").Type(); got != "tuntap" {
		t.Errorf("eth0 is a %s, want a tuntap", got)
	}
}

func TestHostDeviceMovesTheDeviceAndBack(t *testing.T) {
	addLink(t, &netlink.Veth{LinkAttrs: named("device"), PeerName: "peer"})
	p := newPod(t, "")
	t.Run("in", func(t *testing.T) {
		p.wire(t, config{"type": "host-device", "device": "device"})
		p.link(t, "eth0")
		if _, err := netlink.LinkByName("device"); err == nil {
			t.Error("the device is still outside the pod")
		}
	})
	if _, err := netlink.LinkByName("device"); err != nil {
		t.Errorf("after DEL: %v", err)
	}
}

// Kernels are built without some kinds of links. Where the kernel has no such link, the plugin has to report just that.
func TestLinksThatTheKernelMayLack(t *testing.T) {
	static := config{"type": "static", "addresses": []config{{"address": "10.50.0.2/24"}}}
	for _, plugin := range []struct {
		probe netlink.Link
		kind  string
		c     config
	}{
		{&netlink.Dummy{LinkAttrs: named("probe")}, "dummy", config{"type": "dummy", "ipam": static}},
		{&netlink.IPVlan{LinkAttrs: named("probe")}, "ipvlan", config{"type": "ipvlan", "master": "parent", "ipam": static}},
		{&netlink.Vlan{LinkAttrs: named("probe"), VlanId: 7}, "vlan", config{"type": "vlan", "master": "parent", "vlanId": 7, "ipam": static}},
	} {
		t.Run(plugin.kind, func(t *testing.T) {
			parent := &netlink.Veth{LinkAttrs: named("parent"), PeerName: "peer"}
			addLink(t, parent)
			p := newPod(t, "")
			if plugin.kind != "dummy" {
				plugin.probe.Attrs().ParentIndex = parent.Attrs().Index
			}
			err := netlink.LinkAdd(plugin.probe)
			if errors.Is(err, syscall.EOPNOTSUPP) {
				if _, err := p.call("ADD", "eth0", plugin.c, nil); err == nil || !strings.Contains(err.Error(), syscall.EOPNOTSUPP.Error()) {
					t.Errorf("ADD on a kernel without such links: %v, want %q", err, syscall.EOPNOTSUPP)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := netlink.LinkDel(plugin.probe); err != nil {
				t.Fatal(err)
			}
			p.wire(t, plugin.c)
			p.requireAddress(t, "eth0", "10.50.0.2/24")
			if got := p.link(t, "eth0").Type(); got != plugin.kind {
				t.Errorf("eth0 is a %s, want a %s", got, plugin.kind)
			}
		})
	}
}

func TestVrf(t *testing.T) {
	data := t.TempDir()
	p := newPod(t, data)
	vrf := config{"type": "vrf", "vrfname": "red"}
	err := netlink.LinkAdd(&netlink.Vrf{LinkAttrs: named("probe"), Table: 7})
	if errors.Is(err, syscall.EOPNOTSUPP) {
		wired, err := p.call("ADD", "eth0", bridge(t, data), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.call("ADD", "eth0", vrf, wired); err == nil || !strings.Contains(err.Error(), syscall.EOPNOTSUPP.Error()) {
			t.Errorf("ADD on a kernel without such links: %v, want %q", err, syscall.EOPNOTSUPP)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	p.wire(t, bridge(t, data), vrf)
	if master, red := p.link(t, "eth0").Attrs().MasterIndex, p.link(t, "red").Attrs().Index; master != red {
		t.Errorf("eth0 is enslaved to link %d, want %d", master, red)
	}
}

func TestTuning(t *testing.T) {
	data := t.TempDir()
	p := newPod(t, data)
	p.wire(t, bridge(t, data), config{
		"type": "tuning", "dataDir": data, "mtu": 1400, "mac": "0a:58:0a:0a:00:02", "sysctl": config{"net.ipv4.conf.eth0.arp_filter": "1"},
	})
	attrs := p.link(t, "eth0").Attrs()
	if attrs.MTU != 1400 || attrs.HardwareAddr.String() != "0a:58:0a:0a:00:02" {
		t.Errorf("eth0 has MTU %d and address %s", attrs.MTU, attrs.HardwareAddr)
	}
	var sysctl []byte
	if err := p.Do(func() (err error) {
		sysctl, err = os.ReadFile("/proc/sys/net/ipv4/conf/eth0/arp_filter")
		return err
	}); err != nil || string(sysctl) != "1\n" {
		t.Errorf("arp_filter = %q, %v", sysctl, err)
	}
}

func TestSbrRoutesBySource(t *testing.T) {
	data := t.TempDir()
	p := newPod(t, data)
	p.wire(t, bridge(t, data), config{"type": "sbr"})
	var sources []string
	if err := p.Do(func() error {
		rules, err := netlink.RuleList(netlink.FAMILY_V4)
		for _, rule := range rules {
			if rule.Src != nil {
				sources = append(sources, rule.Src.String())
			}
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(sources, []string{"10.10.0.2/32"}) {
		t.Errorf("rules by source for %v, want one for 10.10.0.2/32", sources)
	}
}

func TestBandwidthShapesBothWays(t *testing.T) {
	data := t.TempDir()
	p := newPod(t, data)
	wired := p.wire(t, bridge(t, data), config{
		"type": "bandwidth", "ingressRate": 8_000_000, "ingressBurst": 80_000, "egressRate": 16_000_000, "egressBurst": 80_000,
	})
	rates := map[string]uint64{} // bits a second, by kind of link
	links, err := netlink.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		disciplines, err := netlink.QdiscList(link)
		if err != nil {
			t.Fatal(err)
		}
		for _, discipline := range disciplines {
			if tbf, ok := discipline.(*netlink.Tbf); ok {
				rates[link.Type()] = tbf.Rate * 8
			}
		}
	}
	if rates["veth"] != 8_000_000 || rates["ifb"] != 16_000_000 {
		t.Errorf("shaped rates = %v with %+v, want veth:8000000 ifb:16000000", rates, wired.Interfaces)
	}
}

func TestDhcp(t *testing.T) {
	// The bridge, with a DHCP server in a pod of its own.
	data := t.TempDir()
	server := newPod(t, data)
	server.wire(t, bridge(t, data))
	var listener *server4.Server
	if err := server.Do(func() (err error) {
		listener, err = server4.NewServer("eth0", nil, func(conn net.PacketConn, peer net.Addr, request *dhcpv4.DHCPv4) {
			kind := dhcpv4.MessageTypeOffer
			if request.MessageType() == dhcpv4.MessageTypeRequest {
				kind = dhcpv4.MessageTypeAck
			}
			reply, err := dhcpv4.NewReplyFromRequest(request, dhcpv4.WithMessageType(kind), dhcpv4.WithYourIP(net.IPv4(10, 10, 0, 99)),
				dhcpv4.WithNetmask(net.CIDRMask(24, 32)), dhcpv4.WithServerIP(net.IPv4(10, 10, 0, 2)), dhcpv4.WithLeaseTime(3600),
				dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(10, 10, 0, 2))))
			if err == nil {
				conn.WriteTo(reply.ToBytes(), peer)
			}
		})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	go listener.Serve()
	defer listener.Close()

	// The plugin asks a daemon, which keeps the lease.
	socket := filepath.Join(data, "dhcp.sock")
	p := newPod(t, data)
	proc.Start(t, filepath.Join(p.plugins, "dhcp"), "daemon", "-socketpath="+socket)
	proc.Eventually(t, 10*time.Second, func() error { _, err := os.Stat(socket); return err })
	leased := bridge(t, data)
	leased["isGateway"], leased["ipam"] = false, config{"type": "dhcp", "daemonSocketPath": socket}
	p.wire(t, leased)
	p.requireAddress(t, "eth0", "10.10.0.99/24")
	requireReach(t, p.Network, server.Network, "10.10.0.2")
}

// Every plugin says what it is when it is run by a person, and which versions it speaks when a runtime asks.
func TestPrintedVersion(t *testing.T) {
	p := newPod(t, "")
	for _, name := range strings.Fields(os.Getenv("PLUGINS")) {
		about := exec.Command(filepath.Join(p.plugins, name))
		about.Env = []string{}
		out, _ := about.CombinedOutput()
		if want := fmt.Sprintf("CNI %s plugin %s\n", name, os.Getenv("UPSTREAM_VERSION")); !strings.HasPrefix(string(out), want) {
			t.Errorf("%s printed %q, want %q", name, out, want)
		}
		versions, err := p.call("VERSION", "", config{"type": name}, nil)
		if err != nil {
			t.Error(err)
		} else if !strings.Contains(string(versions), `"1.0.0"`) {
			t.Errorf("%s speaks %s, want 1.0.0 among them", name, versions)
		}
	}
}
