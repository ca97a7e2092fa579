// Package nftables_test runs nft as images have it, with nothing else in sight, in a network namespace of its own.
//
// What it asks of nft is what kube-proxy, flannel and Calico ask, by sigs.k8s.io/knftables: transactions on standard input, and
// JSON about what is there.
package nftables_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"kubefips.internal/tests/components/nftables"
	"kubefips.internal/tests/internal/namespaces"
)

func TestMain(m *testing.M) { namespaces.Main(m) }

// image is the root of a file system.
type image string

// nft runs nft in the image and returns its standard output.
func (i image) nft(stdin string, arguments ...string) (string, error) {
	cmd := exec.Command("/usr/sbin/nft", arguments...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: string(i)}
	cmd.Stdin = strings.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("nft %s: %w\n%s", strings.Join(arguments, " "), err, &stderr)
	}
	return string(out), err
}

// must is nft, whose failure ends the test.
func (i image) must(t *testing.T, stdin string, arguments ...string) string {
	t.Helper()
	out, err := i.nft(stdin, arguments...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// list returns the objects of the kind that `nft --json list` tells of.
func (i image) list(t *testing.T, kind string, arguments ...string) []map[string]any {
	t.Helper()
	var out struct{ Nftables []map[string]map[string]any }
	if err := json.Unmarshal([]byte(i.must(t, "", append([]string{"--json", "list"}, arguments...)...)), &out); err != nil {
		t.Fatal(err)
	}
	var found []map[string]any
	for _, object := range out.Nftables {
		if object[kind] != nil {
			found = append(found, object[kind])
		}
	}
	return found
}

// services has in small what kube-proxy's table is made of; %d is a port that it closes.
const services = `
add table ip smoke { comment "rules for the test" ; }
add chain ip smoke output { type filter hook output priority 0 ; }
add chain ip smoke service { comment "of one service" ; }
add set ip smoke closed { type inet_service ; comment "ports" ; }
add map ip smoke services { type ipv4_addr . inet_proto . inet_service : verdict ; }
add element ip smoke closed { %d comment "the test's" }
add element ip smoke services { 10.96.0.1 . tcp . 443 : goto service }
add rule ip smoke output ip daddr . meta l4proto . th dport vmap @services comment "to services"
add rule ip smoke output tcp dport @closed reject with tcp reset
add rule ip smoke service numgen random mod 2 vmap { 0 : accept , 1 : drop }
`

func TestNft(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	connect := func() error {
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err == nil {
			conn.Close()
		}
		return err
	}
	transaction := fmt.Sprintf(services, listener.Addr().(*net.TCPAddr).Port)

	i := image(nftables.Unpack(t))
	if out := i.must(t, "", "--version"); !strings.HasPrefix(out, "nftables v1.") || strings.HasPrefix(out, "nftables v1.0.0 ") {
		t.Errorf("version %q, want 1.0.1 or later, as kube-proxy does", out)
	}
	i.must(t, transaction, "--check", "--file", "-")
	if tables := i.list(t, "table", "tables"); len(tables) != 0 {
		t.Errorf("a check made tables: %v", tables)
	}
	i.must(t, transaction, "--file", "-")
	if err := connect(); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("connecting to a port that the set closes: %v, want %v", err, syscall.ECONNREFUSED)
	}
	want := []any{[]any{map[string]any{"concat": []any{"10.96.0.1", "tcp", 443.}}, map[string]any{"goto": map[string]any{"target": "service"}}}}
	if maps := i.list(t, "map", "map", "ip", "smoke", "services"); len(maps) != 1 || !reflect.DeepEqual(maps[0]["elem"], want) {
		t.Errorf("the map of services is %v, want elements %v", maps, want)
	}
	if rules := i.list(t, "rule", "chain", "ip", "smoke", "output"); len(rules) != 2 || rules[0]["comment"] != "to services" {
		t.Errorf("the chain has the rules %v", rules)
	}

	// All of a transaction or nothing; and the error is the one by which callers tell that something is not there.
	_, err = i.nft("flush set ip smoke closed\nadd rule ip smoke output goto nowhere\n", "--file", "-")
	if err == nil || !strings.Contains(err.Error(), "No such file or directory") {
		t.Errorf("a rule that goes to no chain: %v", err)
	}
	if err := connect(); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("connecting after a transaction that failed: %v, want %v", err, syscall.ECONNREFUSED)
	}
	i.must(t, "flush set ip smoke closed\n", "--file", "-")
	if err := connect(); err != nil {
		t.Errorf("connecting to a port that was opened again: %v", err)
	}
	i.must(t, "delete table ip smoke\n", "--file", "-")
	if tables := i.list(t, "table", "tables"); len(tables) != 0 {
		t.Errorf("there are tables after the only one was deleted: %v", tables)
	}
}

// Without libedit the interactive mode reads nothing; it has to end, not to crash.
func TestInteractiveModeEnds(t *testing.T) {
	image(nftables.Unpack(t)).must(t, "list ruleset\n", "--interactive")
}
