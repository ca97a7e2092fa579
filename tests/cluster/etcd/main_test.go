// Package etcd_test runs etcd in hosts of its own, which are network namespaces on a bridge, and breaks it.
package etcd_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"kubefips.internal/tests/internal/namespaces"
	"kubefips.internal/tests/internal/proc"
	"kubefips.internal/tools/pki"
)

func TestMain(m *testing.M) { namespaces.Main(m) }

// patience is how long whatever happens by itself may take, on a machine that has much else to do.
const patience = 2 * time.Minute

const bridge = "etcd0"

// writers is how many write at once.
const writers = 4

// A cluster is some members, with one authority for clients and peers.
type cluster struct {
	t       *testing.T
	ca      *pki.CA
	client  pki.Leaf
	http    *http.Client
	members []*member
}

// A member is one etcd on a host of its own.
type member struct {
	name, address, data string
	flags               []string

	network *namespaces.Network
	cert    pki.Leaf
	cmd     *exec.Cmd
	ended   chan struct{} // closed when cmd has ended
	log     *os.File
}

func (m *member) client() string { return "https://" + m.address + ":2379" }
func (m *member) peer() string   { return m.name + "=https://" + m.address + ":2380" }

// newCluster makes hosts and their bridge, and starts nothing.
func newCluster(t *testing.T, size int) *cluster {
	t.Helper()
	c := &cluster{t: t}
	var err error
	if c.ca, err = pki.NewCA(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	if c.client, err = c.ca.Issue("client", pkix.Name{CommonName: "client"}); err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(c.client.CertFile, c.client.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	authority, err := os.ReadFile(c.ca.CertFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	c.http = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: writers, TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}}}

	link := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridge}}
	if err := netlink.LinkAdd(link); err != nil {
		t.Fatalf("making the bridge: %v", err)
	}
	t.Cleanup(func() { netlink.LinkDel(link) })
	if err := setAddress(link, "10.91.0.1/24"); err != nil {
		t.Fatal(err)
	}
	for range size {
		c.addHost()
	}
	return c
}

func setAddress(link netlink.Link, address string) error {
	parsed, err := netlink.ParseAddr(address)
	if err == nil {
		err = netlink.AddrAdd(link, parsed)
	}
	if err == nil {
		err = netlink.LinkSetUp(link)
	}
	if err != nil {
		return fmt.Errorf("setting %s up with %s: %w", link.Attrs().Name, address, err)
	}
	return nil
}

// addHost makes a host for one more member.
func (c *cluster) addHost() *member {
	c.t.Helper()
	number := len(c.members) + 1
	m := &member{
		name:    fmt.Sprintf("member-%d", number),
		address: fmt.Sprintf("10.91.0.%d", 10+number),
		data:    filepath.Join(c.t.TempDir(), "data"),
		network: namespaces.NewNetwork(c.t),
	}
	var err error
	if m.cert, err = c.ca.Issue(m.name, pkix.Name{CommonName: m.name}, m.address); err != nil {
		c.t.Fatal(err)
	}
	if m.log, err = os.Create(filepath.Join(c.t.TempDir(), "log")); err != nil {
		c.t.Fatal(err)
	}
	namespace, err := os.Open(m.network.Path)
	if err != nil {
		c.t.Fatal(err)
	}
	defer namespace.Close()
	master, err := netlink.LinkByName(bridge)
	if err != nil {
		c.t.Fatal(err)
	}
	veth := &netlink.Veth{
		LinkAttrs:     netlink.LinkAttrs{Name: m.name, MasterIndex: master.Attrs().Index},
		PeerName:      "eth0",
		PeerNamespace: netlink.NsFd(namespace.Fd()),
	}
	if err := netlink.LinkAdd(veth); err != nil {
		c.t.Fatalf("connecting %s: %v", m.name, err)
	}
	c.t.Cleanup(func() { netlink.LinkDel(veth) })
	if err := netlink.LinkSetUp(veth); err != nil {
		c.t.Fatal(err)
	}
	if err := m.network.Do(func() error {
		loopback, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		link, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		return errors.Join(netlink.LinkSetUp(loopback), setAddress(link, m.address+"/24"))
	}); err != nil {
		c.t.Fatalf("connecting %s: %v", m.name, err)
	}
	c.t.Cleanup(func() {
		c.stop(m)
		if c.t.Failed() {
			log, _ := os.ReadFile(m.log.Name())
			c.t.Logf("%s:\n%s", m.name, log[max(0, len(log)-10_000):])
		}
		m.log.Close()
	})
	c.members = append(c.members, m)
	return m
}

// start starts a member in a cluster that is "new" or "existing"; once it has data, both are the same.
func (c *cluster) start(m *member, state string, peers ...*member) {
	c.t.Helper()
	var all []string
	for _, p := range peers {
		all = append(all, p.peer())
	}
	args := append([]string{"--name=" + m.name, "--data-dir=" + m.data,
		"--listen-client-urls=" + m.client() + ",https://127.0.0.1:2379", "--advertise-client-urls=" + m.client(),
		"--listen-peer-urls=https://" + m.address + ":2380", "--initial-advertise-peer-urls=https://" + m.address + ":2380",
		"--initial-cluster=" + strings.Join(all, ","), "--initial-cluster-state=" + state,
		"--client-cert-auth", "--trusted-ca-file=" + c.ca.CertFile, "--cert-file=" + m.cert.CertFile, "--key-file=" + m.cert.KeyFile,
		"--peer-client-cert-auth", "--peer-trusted-ca-file=" + c.ca.CertFile, "--peer-cert-file=" + m.cert.CertFile, "--peer-key-file=" + m.cert.KeyFile,
	}, m.flags...)
	cmd := exec.Command(proc.Runfile(c.t, os.Getenv("ETCD")), args...)
	cmd.Stdout, cmd.Stderr = m.log, m.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := m.network.Do(cmd.Start); err != nil {
		c.t.Fatalf("starting %s: %v", m.name, err)
	}
	m.cmd, m.ended = cmd, make(chan struct{})
	go func() {
		cmd.Wait()
		close(m.ended)
	}()
}

// stop ends a member by SIGKILL, unless it has ended.
func (c *cluster) stop(m *member) {
	if m.cmd != nil {
		m.cmd.Process.Kill()
		<-m.ended
	}
}

// etcdctl asks the given members.
func (c *cluster) etcdctl(members []*member, args ...string) (string, error) {
	var endpoints []string
	for _, m := range members {
		endpoints = append(endpoints, m.client())
	}
	return proc.Output(proc.Runfile(c.t, os.Getenv("ETCDCTL")), append([]string{"--endpoints=" + strings.Join(endpoints, ","),
		"--cacert=" + c.ca.CertFile, "--cert=" + c.client.CertFile, "--key=" + c.client.KeyFile, "--command-timeout=20s"}, args...)...)
}

// must is etcdctl, whose failure ends the test.
func (c *cluster) must(members []*member, args ...string) string {
	c.t.Helper()
	out, err := c.etcdctl(members, args...)
	if err != nil {
		c.t.Fatal(err)
	}
	return out
}

// requireHealthy waits until each of the members answers.
func (c *cluster) requireHealthy(members ...*member) {
	c.t.Helper()
	start := time.Now()
	proc.Eventually(c.t, patience, func() error {
		_, err := c.etcdctl(members, "endpoint", "health")
		return err
	})
	c.t.Logf("%d members healthy after %.1f s", len(members), time.Since(start).Seconds())
}

// call calls a method of etcd's JSON gateway.
func (c *cluster) call(ctx context.Context, m *member, method string, request, response any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	post, err := http.NewRequestWithContext(ctx, http.MethodPost, m.client()+"/v3/"+method, bytes.NewReader(body))
	if err != nil {
		return err
	}
	answer, err := c.http.Do(post)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if body, err = io.ReadAll(answer.Body); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s of %s: %s: %s", method, m.name, answer.Status, body)
	}
	return json.Unmarshal(body, response)
}

// put returns nil when the member has acknowledged that the key has the value.
func (c *cluster) put(ctx context.Context, m *member, key, value string) error {
	encode := base64.StdEncoding.EncodeToString
	return c.call(ctx, m, "kv/put", map[string]string{"key": encode([]byte(key)), "value": encode([]byte(value))}, &struct{}{})
}

// all returns all keys below a prefix and their values.
func (c *cluster) all(m *member, prefix string) map[string]string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var response struct{ Kvs []struct{ Key, Value []byte } }
	end := prefix[:len(prefix)-1] + string(prefix[len(prefix)-1]+1)
	if err := c.call(ctx, m, "kv/range", map[string][]byte{"key": []byte(prefix), "range_end": []byte(end)}, &response); err != nil {
		c.t.Fatal(err)
	}
	found := map[string]string{}
	for _, kv := range response.Kvs {
		found[string(kv.Key)] = string(kv.Value)
	}
	return found
}

// load is writers at work.
type load struct {
	cluster *cluster
	stop    func() map[string]string

	mu      sync.Mutex
	members []*member // who is asked
	acked   map[string]string
	refused int
}

// ask says whom the writers ask from now on.
func (l *load) ask(members []*member) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.members = members
}

// write starts writers, which ask another member when one does not acknowledge. What stop returns was acknowledged.
func (c *cluster) write(members []*member) *load {
	l := &load{cluster: c, members: members, acked: map[string]string{}}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for w := range writers {
		running.Go(func() {
			asked := w
			for n := 0; ctx.Err() == nil; n++ {
				l.mu.Lock()
				m := l.members[asked%len(l.members)]
				l.mu.Unlock()
				key, value := fmt.Sprintf("load/%d/%06d", w, n), fmt.Sprintf("value %d of writer %d", n, w)
				one, done := context.WithTimeout(ctx, 3*time.Second)
				err := c.put(one, m, key, value)
				done()
				l.mu.Lock()
				if err == nil {
					l.acked[key] = value
				} else if ctx.Err() == nil {
					l.refused++
					asked++
				}
				l.mu.Unlock()
			}
		})
	}
	l.stop = func() map[string]string {
		cancel()
		running.Wait()
		c.t.Logf("%d writes were acknowledged, %d were not", len(l.acked), l.refused)
		return l.acked
	}
	c.t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return l
}

// requireProgress waits until some more writes are acknowledged.
func (l *load) requireProgress() {
	l.cluster.t.Helper()
	count := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.acked)
	}
	before, start := count(), time.Now()
	proc.Eventually(l.cluster.t, patience, func() error {
		if more := count() - before; more < 100 {
			return fmt.Errorf("%d writes were acknowledged, want 100 more", more)
		}
		return nil
	})
	l.cluster.t.Logf("100 more writes were acknowledged within %.1f s", time.Since(start).Seconds())
}

// requireAll shows that a member has all that was acknowledged.
func (c *cluster) requireAll(m *member, acked map[string]string) {
	c.t.Helper()
	found := c.all(m, "load/")
	lost := 0
	for key, value := range acked {
		if found[key] != value {
			lost++
			c.t.Logf("%s: %s is %.40q, acknowledged was %.40q", m.name, key, found[key], value)
		}
	}
	if lost > 0 || len(acked) == 0 {
		c.t.Errorf("%s has lost %d of %d acknowledged writes", m.name, lost, len(acked))
	}
}

// leader returns the member that leads.
func (c *cluster) leader() *member {
	c.t.Helper()
	var led *member
	proc.Eventually(c.t, patience, func() error {
		for _, m := range c.members {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			var status struct {
				Header struct {
					MemberID string `json:"member_id"`
				}
				Leader string
			}
			err := c.call(ctx, m, "maintenance/status", struct{}{}, &status)
			cancel()
			if err != nil {
				continue // it may be the one that was lost
			}
			if status.Leader != "" && status.Leader == status.Header.MemberID {
				led = m
				return nil
			}
		}
		return errors.New("no member says that it leads")
	})
	return led
}
