package cni_plugins_test

import (
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kubefips.internal/tests/components/nftables"
	"kubefips.internal/tests/internal/namespaces"
)

const nodePlugins = "/opt/cni/bin"

// node is the root of a file system with plugins and, from the images' layer, the programs that portmap and firewall call.
type node string

func newNode(t *testing.T, plugins ...string) node {
	t.Helper()
	root := nftables.Unpack(t)
	for _, name := range plugins {
		content, err := os.ReadFile(filepath.Join(pluginsDir(t), name))
		if err == nil {
			err = os.MkdirAll(filepath.Join(root, nodePlugins), 0o755)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(root, nodePlugins, name), content, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"/dev", "/proc"} {
		target := filepath.Join(root, dir)
		err := os.Mkdir(target, 0o755)
		if err == nil {
			err = unix.Mount(dir, target, "", unix.MS_BIND|unix.MS_REC, "")
		}
		if err != nil {
			t.Fatalf("mounting %s on %s: %v", dir, target, err)
		}
		t.Cleanup(func() {
			if err := unix.Unmount(target, unix.MNT_DETACH); err != nil {
				t.Error(err)
			}
		})
	}
	return node(root)
}

// pod makes a pod whose network the node's plugins wire.
func (n node) pod(t *testing.T) pod {
	t.Helper()
	return newPodOn(t, string(n), nodePlugins, "")
}

// run runs one of the node's network programs and returns what it printed.
func (n node) run(t *testing.T, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command("/usr/sbin/"+program, args...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: string(n)}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// ptp links the node to a pod with that address, and lets the node forward to and from it.
func ptp(address string) config {
	return config{"type": "ptp", "ipam": config{"type": "static", "addresses": []config{{"address": address + "/24", "gateway": "10.20.0.1"}}}}
}

// serve answers every connection to an address in the pod by name.
func (p pod) serve(t *testing.T, address, name string) {
	t.Helper()
	var listener net.Listener
	if err := p.Do(func() (err error) { listener, err = net.Listen("tcp4", address); return err }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			io.WriteString(conn, name)
			conn.Close()
		}
	}()
}

// answer returns what is said to one who connects from a namespace (nil: the node's) to an address, and waits for a second.
func answer(from *namespaces.Network, address string) (string, error) {
	var said []byte
	err := do(from, func() error {
		conn, err := net.DialTimeout("tcp4", address, time.Second)
		if err != nil {
			return err
		}
		defer conn.Close()
		said, err = io.ReadAll(conn)
		return err
	})
	return string(said), err
}

func TestPortmapForwardsPortOfNode(t *testing.T) {
	for backend, rules := range map[string][]string{
		"iptables": {"iptables", "--table=nat", "--list-rules"},
		"nftables": {"nft", "list", "ruleset"},
	} {
		t.Run(backend, func(t *testing.T) {
			n := newNode(t, "ptp", "static", "portmap")
			server, client := n.pod(t), n.pod(t)
			client.wire(t, ptp("10.20.0.8"))
			const rule = "10.20.0.7:80"
			t.Run("mapped", func(t *testing.T) {
				server.wire(t, ptp("10.20.0.7"), config{
					"type": "portmap", "backend": backend, "capabilities": config{"portMappings": true},
					"runtimeConfig": config{"portMappings": []config{{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}}},
				})
				server.serve(t, "10.20.0.7:80", "server")
				for _, address := range []string{"127.0.0.1:8080", "10.20.0.1:8080"} {
					if said, err := answer(nil, address); err != nil || said != "server" {
						t.Errorf("asked by the node, %s answers %q, %v", address, said, err)
					}
				}
				if said, err := answer(client.Network, "10.20.0.1:8080"); err != nil || said != "server" {
					t.Errorf("asked by another pod, the node answers %q, %v", said, err)
				}
				if out := n.run(t, rules[0], rules[1:]...); !strings.Contains(out, rule) {
					t.Errorf("the rules lack %s:\n%s", rule, out)
				}
			})
			if said, err := answer(nil, "127.0.0.1:8080"); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("after DEL, the node's port answers %q, %v, want %v", said, err, syscall.ECONNREFUSED)
			}
			if out := n.run(t, rules[0], rules[1:]...); strings.Contains(out, rule) {
				t.Errorf("after DEL there is still a rule with %s:\n%s", rule, out)
			}
		})
	}
}

// The plugin knows iptables and firewalld; the node's iptables makes rules of nftables.
func TestFirewallLetsPodThrough(t *testing.T) {
	n := newNode(t, "ptp", "static", "firewall")
	n.run(t, "iptables", "--policy", "FORWARD", "DROP")
	t.Cleanup(func() { n.run(t, "iptables", "--policy", "FORWARD", "ACCEPT") })
	server, client := n.pod(t), n.pod(t)
	server.wire(t, ptp("10.20.0.7"))
	server.serve(t, "10.20.0.7:80", "server")
	refused := func(when string) {
		if said, err := answer(client.Network, "10.20.0.7:80"); !os.IsTimeout(err) {
			t.Errorf("%s, the other pod answers %q, %v, want no answer", when, said, err)
		}
		if out := n.run(t, "iptables", "--list-rules"); strings.Contains(out, "10.20.0.8") {
			t.Errorf("%s there are rules for the pod:\n%s", when, out)
		}
	}
	wired, err := client.call("ADD", "eth0", ptp("10.20.0.8"), nil)
	if err != nil {
		t.Fatal(err)
	}
	refused("before ADD")
	firewall := config{"type": "firewall", "backend": "iptables"}
	if _, err := client.call("ADD", "eth0", firewall, wired); err != nil {
		t.Fatal(err)
	}
	if said, err := answer(client.Network, "10.20.0.7:80"); err != nil || said != "server" {
		t.Errorf("the other pod answers %q, %v", said, err)
	}
	rules := n.run(t, "iptables", "--list-rules")
	for _, want := range []string{
		"-A CNI-FORWARD -s 10.20.0.8/32 -j ACCEPT",
		"-A CNI-FORWARD -d 10.20.0.8/32 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
	} {
		if !strings.Contains(rules, want) {
			t.Errorf("the rules lack %q:\n%s", want, rules)
		}
	}
	_, failed := client.call("DEL", "eth0", firewall, wired)
	refused("after DEL")
	_, err = client.call("DEL", "eth0", ptp("10.20.0.8"), nil)
	if err := errors.Join(failed, err); err != nil {
		t.Error(err)
	}
}
