package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// objects are the ConfigMaps that are listed; each has a kilobyte of data.
const (
	objects    = 1000
	configMaps = "/api/v1/namespaces/default/configmaps"
)

// startApiserver starts an apiserver on an etcd, with TLS and client certificates.
func startApiserver(ctx context.Context, program string, c *credentials, etcd *server) (*server, error) {
	addresses, err := freeAddresses(1)
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(addresses[0])
	if err != nil {
		return nil, err
	}
	ready := func(s *server) error {
		_, err := s.ask(ctx, s.connection(), http.MethodGet, "/api/v1/namespaces/default", "")
		return err
	}
	return start(ctx, c, addresses[0], ready, program,
		"--etcd-servers=https://"+etcd.address, "--etcd-cafile="+c.authority, "--etcd-certfile="+c.CertFile, "--etcd-keyfile="+c.KeyFile,
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--secure-port="+port, "--endpoint-reconciler-type=none",
		"--tls-cert-file="+c.CertFile, "--tls-private-key-file="+c.KeyFile, "--client-ca-file="+c.authority,
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file="+c.CertFile,
		"--service-account-signing-key-file="+c.KeyFile, "--service-cluster-ip-range=10.96.0.0/16",
		"--authorization-mode=RBAC", "--disable-admission-plugins=ServiceAccount", "--profiling=false")
}

// measureApiserver takes each figure of an apiserver once.
func (s *side) measureApiserver(ctx context.Context, apiserver *server, each time.Duration) error {
	if err := s.addMemory(ctx, "kube-apiserver", apiserver); err != nil {
		return err
	}
	if err := apiserver.fill(ctx); err != nil {
		return err
	}
	var bytes int64
	for end := time.Now().Add(time.Minute); bytes < objects<<10; time.Sleep(50 * time.Millisecond) { // its memory follows etcd
		var err error
		if bytes, err = apiserver.list(ctx, apiserver.connection()); err != nil {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("the list of %d ConfigMaps has only %d bytes", objects, bytes)
		}
	}
	for _, w := range []struct {
		name string
		kept bool
	}{
		{"over connections that are kept", true},
		{"each over a new TLS connection", false},
	} {
		name := fmt.Sprintf("kube-apiserver: list of %d ConfigMaps, %s", objects, w.name)
		rate, err := s.addRate(ctx, name, apiserver, each, func() work {
			c := apiserver.connection()
			return func(ctx context.Context) error {
				n, err := apiserver.list(ctx, c)
				if err == nil && n < bytes {
					err = fmt.Errorf("a list of %d bytes, want %d", n, bytes)
				}
				if !w.kept {
					c.CloseIdleConnections()
				}
				return err
			}
		})
		if err != nil {
			return err
		}
		s.add(name+", MB per second", rate*float64(bytes)/1e6)
	}
	return nil
}

// connection is a client that has one connection, of HTTP/2. It does not ask for compression, which would take longer than TLS.
func (s *server) connection() *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: s.tls.Clone(), ForceAttemptHTTP2: true, DisableCompression: true}}
}

// fill makes the ConfigMaps.
func (s *server) fill(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(clients)
	c := s.connection()
	for i := range objects {
		group.Go(func() error {
			object := fmt.Sprintf(`{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "price-%04d"}, "data": {"x": %q}}`, i, strings.Repeat("x", 1<<10))
			_, err := s.ask(ctx, c, http.MethodPost, configMaps, object)
			return err
		})
	}
	return group.Wait()
}

// list asks for all ConfigMaps as controllers do, out of the apiserver's memory, and returns the size of the answer.
func (s *server) list(ctx context.Context, c *http.Client) (int64, error) {
	return s.ask(ctx, c, http.MethodGet, configMaps+"?resourceVersion=0", "")
}

// ask returns the size of the answer to a request.
func (s *server) ask(ctx context.Context, c *http.Client, method, path, body string) (int64, error) {
	request, err := http.NewRequestWithContext(ctx, method, "https://"+s.address+path, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := c.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if response.StatusCode/100 != 2 {
		why, _ := io.ReadAll(response.Body) // what there is of it
		return 0, fmt.Errorf("%s %s: %s: %s", method, path, response.Status, why)
	}
	return io.Copy(io.Discard, response.Body)
}
