package cluster_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"

	"golang.org/x/sys/unix"

	"kubefips.internal/tests/internal/tlsprobe"
)

// A listener is a TCP port that some process in the cluster listens on.
type listener struct {
	namespace string // of the network, as the kernel names it
	pid       int    // of a process in it
	process   string
	address   netip.AddrPort
}

// listeners returns all TCP ports in all network namespaces below the rack, whoever made them.
func listeners() ([]listener, error) {
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return nil, err
	}
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	namespaces := map[string]int{} // -> the first process in it; others may be probes, which end soon
	owners := map[string]string{}  // socket -> name of a process
	for _, dir := range processes {
		namespace, err := os.Readlink(dir + "/ns/net")
		if err != nil || namespace == own {
			continue // it has ended, or is the rack's
		}
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			return nil, err
		}
		if first, known := namespaces[namespace]; !known || pid < first {
			namespaces[namespace] = pid
		}
		name, _ := os.ReadFile(dir + "/comm")
		files, _ := filepath.Glob(dir + "/fd/*")
		for _, file := range files {
			if target, err := os.Readlink(file); err == nil {
				owners[target] = strings.TrimSpace(string(name))
			}
		}
	}
	var all []listener
	for namespace, pid := range namespaces {
		for _, table := range []string{"tcp", "tcp6"} {
			content, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
			if errors.Is(err, os.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, err
			}
			for line := range strings.Lines(string(content)) {
				fields := strings.Fields(line)
				const listen = "0A"
				if len(fields) < 10 || fields[3] != listen {
					continue
				}
				address, err := parseAddress(fields[1])
				if err != nil {
					return nil, err
				}
				all = append(all, listener{namespace: namespace, pid: pid, process: owners["socket:["+fields[9]+"]"], address: address})
			}
		}
	}
	slices.SortFunc(all, func(a, b listener) int {
		if order := strings.Compare(a.process, b.process); order != 0 {
			return order
		}
		if order := strings.Compare(a.namespace, b.namespace); order != 0 {
			return order
		}
		return a.address.Compare(b.address)
	})
	return all, nil
}

// parseAddress reads an address as the kernel's tables have it: words in the machine's order, which is little endian here.
func parseAddress(s string) (netip.AddrPort, error) {
	address, port, _ := strings.Cut(s, ":")
	bytes, err := hex.DecodeString(address)
	if err != nil {
		return netip.AddrPort{}, err
	}
	for word := range slices.Chunk(bytes, 4) {
		slices.Reverse(word)
	}
	number, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, err
	}
	ip, ok := netip.AddrFromSlice(bytes)
	if !ok {
		return netip.AddrPort{}, fmt.Errorf("%q is no address", s)
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(number)), nil
}

// dialable is where a client in the listener's namespace reaches it.
func (l listener) dialable() string {
	ip := l.address.Addr()
	if ip.IsUnspecified() {
		ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return netip.AddrPortFrom(ip, l.address.Port()).String()
}

// within calls f in the network namespace of a process.
func within(pid int, f func()) error {
	file, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return err
	}
	defer file.Close()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET)
		if err == nil {
			f()
		}
		done <- err
	}()
	return <-done
}

// Every port of every component either refuses TLS altogether, or keeps to the policy. Those of the control plane, of the kubelets and
// of others, counted by process and port, have to be among them.
func (s *suite) testTLS(t *testing.T, others map[string]int) {
	all, err := listeners()
	if err != nil {
		t.Fatal(err)
	}
	required := map[string]int{"etcd:2379": 2, "etcd:2380": 1, "kube-apiserver:6443": 1, "kube-controller:10257": 1, "kube-scheduler:10259": 1, "kubelet:10250": 2}
	maps.Copy(required, others)
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "process\taddress\tkey")
	for i := range tlsprobe.Offers(false) {
		fmt.Fprintf(w, "\t%d", i+1)
	}
	fmt.Fprintln(w)
	for _, l := range all {
		fmt.Fprintf(w, "%s\t%s", l.process, l.address)
		if err := within(l.pid, func() { l.probe(t, required, w) }); err != nil {
			t.Errorf("the namespace of %s: %v", l.process, err)
		}
		fmt.Fprintln(w)
	}
	w.Flush()
	for i, offer := range tlsprobe.Offers(false) {
		policy := "refused"
		if offer.Approved {
			policy = "accepted"
		}
		fmt.Fprintf(&table, "%2d: %s; by the policy %s\n", i+1, offer.Name, policy)
	}
	t.Logf("all listening TCP ports; + accepted, - refused:\n%s", &table)
	for port, missing := range required {
		if missing > 0 {
			t.Errorf("%d TLS port(s) %s were not found", missing, port)
		}
	}
}

// key returns the kind of the server's key, which decides what it can be offered in TLS 1.2; 0 when it cannot be told.
func (l listener) key() x509.PublicKeyAlgorithm {
	dialer := net.Dialer{Timeout: tlsprobe.Timeout}
	conn, err := tls.DialWithDialer(&dialer, "tcp", l.dialable(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		return x509.UnknownPublicKeyAlgorithm
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].PublicKeyAlgorithm
}

// probe makes all offers to a port, and ticks it off what is required.
func (l listener) probe(t *testing.T, required map[string]int, w *tabwriter.Writer) {
	if _, err := tlsprobe.Probe(l.dialable(), "localhost", tlsprobe.Offers(false)[0]); err != nil {
		fmt.Fprint(w, "\tno TLS")
		return
	}
	required[fmt.Sprintf("%s:%d", l.process, l.address.Port())]--
	key := l.key()
	fmt.Fprintf(w, "\t%v", key)
	if l.process == "kube-apiserver" && key != x509.RSA {
		t.Errorf("the key of %s is %v, want RSA: both kinds have to be offered to", l.process, key)
	}
	for _, offer := range tlsprobe.Offers(key == x509.RSA) {
		accepted, err := tlsprobe.Probe(l.dialable(), "localhost", offer)
		switch {
		case err != nil:
			fmt.Fprint(w, "\t?")
			t.Errorf("%s at %s: %v", l.process, l.address, err)
		case accepted:
			fmt.Fprint(w, "\t+")
		default:
			fmt.Fprint(w, "\t-")
		}
		if err == nil && accepted != offer.Approved {
			t.Errorf("%s at %s: accepted = %t for %q", l.process, l.address, accepted, offer.Name)
		}
	}
}
