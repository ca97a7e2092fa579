// Package registry serves an OCI registry over TLS on the loopback interface for tests.
package registry

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"
	"time"

	"kubefips.internal/tests/internal/proc"
)

// Serve starts an empty registry, which is `crane registry serve` behind a TLS front of the test's own, and returns its
// name: localhost:port. It ends with the test.
func Serve(t testing.TB, crane string, config *tls.Config) string {
	t.Helper()
	backend := fmt.Sprintf("127.0.0.1:%d", proc.FreePort(t))
	proc.Start(t, crane, "registry", "serve", "--address="+backend)
	proc.Eventually(t, 10*time.Second, func() error {
		conn, err := net.Dial("tcp", backend)
		if err == nil {
			conn.Close()
		}
		return err
	})
	front := httptest.NewUnstartedServer(httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: backend}))
	front.TLS = config
	front.StartTLS()
	t.Cleanup(front.Close)
	_, port, err := net.SplitHostPort(front.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return "localhost:" + port
}
