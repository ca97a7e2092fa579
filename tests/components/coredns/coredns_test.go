package coredns_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"kubefips.internal/tests/internal/certs"
	"kubefips.internal/tests/internal/proc"
	"kubefips.internal/tests/internal/tlsprobe"
)

const (
	name    = "service.example.test."
	address = "192.0.2.7" // RFC 5737, for documentation
)

// server is a running CoreDNS that knows one name.
type server struct {
	dns, dot, doh string // host:port: plain, over TLS, over HTTPS
	forwarder     string // plain; asks dot
	ca            *x509.CertPool
}

const configuration = `
(zone) {
	bind 127.0.0.1
	hosts {
		$ADDRESS $NAME
	}
	errors
}
.:$DNS {
	import zone
}
tls://.:$DOT {
	import zone
	tls $CERT $KEY
}
https://.:$DOH {
	import zone
	tls $CERT $KEY
}
.:$FORWARDER {
	bind 127.0.0.1
	errors
	forward . tls://127.0.0.1:$DOT {
		tls $CA
		tls_servername localhost
	}
}
`

func start(t *testing.T) server {
	t.Helper()
	dir := t.TempDir()
	ca := certs.New(t)
	leaf := ca.Leaf(t, "dns")
	s := server{ca: ca.Roots}

	placeholders := map[string]string{"NAME": name, "ADDRESS": address, "CA": ca.CertFile, "CERT": leaf.CertFile, "KEY": leaf.KeyFile}
	for placeholder, address := range map[string]*string{"DNS": &s.dns, "DOT": &s.dot, "DOH": &s.doh, "FORWARDER": &s.forwarder} {
		port := strconv.Itoa(proc.FreePort(t))
		placeholders[placeholder] = port
		*address = net.JoinHostPort("127.0.0.1", port)
	}
	corefile := filepath.Join(dir, "Corefile")
	if err := os.WriteFile(corefile, []byte(os.Expand(configuration, func(key string) string { return placeholders[key] })), 0o600); err != nil {
		t.Fatal(err)
	}
	proc.Start(t, proc.Runfile(t, os.Getenv("COREDNS")), "-conf="+corefile)
	proc.Eventually(t, 10*time.Second, func() error {
		_, err := lookup(udp(s.dns))
		return err
	})
	return s
}

type dialer func(ctx context.Context) (net.Conn, error)

func udp(address string) dialer {
	return func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", address)
	}
}

// lookup asks the server for the name: over UDP, or over a stream when dial's connection is one (RFC 7858 frames as TCP does).
func lookup(dial dialer) ([]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }}
	return resolver.LookupHost(ctx, name)
}

func TestAnswers(t *testing.T) {
	s := start(t)
	for transport, dial := range map[string]dialer{
		"UDP": udp(s.dns),
		"TLS": func(ctx context.Context) (net.Conn, error) {
			return (&tls.Dialer{Config: &tls.Config{RootCAs: s.ca}}).DialContext(ctx, "tcp", s.dot)
		},
		"UDP, forwarded over TLS": udp(s.forwarder),
	} {
		got, err := lookup(dial)
		if err != nil {
			t.Errorf("%s: %v", transport, err)
		} else if want := []string{address}; !slices.Equal(got, want) {
			t.Errorf("%s: %s = %v, want %v", transport, name, got, want)
		}
	}
}

func TestTLSPolicy(t *testing.T) {
	s := start(t)
	for _, address := range []string{s.dot, s.doh} {
		tlsprobe.CheckPolicy(t, address)
	}
}

func TestPrintedVersion(t *testing.T) {
	out := proc.Run(t, proc.Runfile(t, os.Getenv("COREDNS")), "-version")
	for _, want := range []string{
		"CoreDNS-" + strings.TrimPrefix(os.Getenv("UPSTREAM_VERSION"), "v"),
		"go" + os.Getenv("UPSTREAM_GO") + "-X:boringcrypto, " + os.Getenv("UPSTREAM_REVISION"),
	} {
		if !strings.Contains(out, want) {
			t.Errorf("coredns -version lacks %q:\n%s", want, out)
		}
	}
}
