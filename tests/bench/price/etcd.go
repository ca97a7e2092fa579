package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"time"
)

// startEtcd starts etcd with TLS and client certificates.
func startEtcd(ctx context.Context, program, dir string, c *credentials) (*server, error) {
	addresses, err := freeAddresses(2)
	if err != nil {
		return nil, err
	}
	client, peer := "https://"+addresses[0], "https://"+addresses[1]
	ready := func(s *server) error { return s.client().call(ctx, "Put", 0, []byte("ready"), nil) }
	return start(ctx, c, addresses[0], ready, program, "--name=price", "--data-dir="+filepath.Join(dir, "etcd"), "--log-level=fatal",
		"--listen-client-urls="+client, "--advertise-client-urls="+client,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=price="+peer,
		"--client-cert-auth", "--trusted-ca-file="+c.authority, "--cert-file="+c.CertFile, "--key-file="+c.KeyFile,
		"--peer-client-cert-auth", "--peer-trusted-ca-file="+c.authority, "--peer-cert-file="+c.CertFile, "--peer-key-file="+c.KeyFile)
}

// measureEtcd takes each figure of an etcd once.
func (s *side) measureEtcd(ctx context.Context, etcd *server, each time.Duration) error {
	if err := s.addMemory(ctx, "etcd", etcd); err != nil {
		return err
	}
	small, large := bytes.Repeat([]byte("x"), 256), bytes.Repeat([]byte("x"), 1<<20)
	for key, value := range map[string][]byte{"small": small, "large": large} {
		if err := etcd.client().call(ctx, "Put", 0, []byte(key), value); err != nil {
			return err
		}
	}
	call := func(method string, atLeast int, fields ...[]byte) func() work {
		return func() work {
			c := etcd.client()
			return func(ctx context.Context) error { return c.call(ctx, method, atLeast, fields...) }
		}
	}
	for _, w := range []struct {
		name string
		make func() work
	}{
		{"put of 256 B", call("Put", 0, []byte("put"), small)},
		{"get of 256 B", call("Range", len(small), []byte("small"))},
		{"get of 1 MB", call("Range", len(large), []byte("large"))},
		{"full TLS handshake, both certificates, P-256", func() work { return etcd.handshake([]tls.CurveID{tls.CurveP256}) }},
		{"the same with what the two sides prefer", func() work { return etcd.handshake(nil) }},
	} {
		if _, err := s.addRate(ctx, "etcd: "+w.name, etcd, each, w.make); err != nil {
			return err
		}
	}
	return nil
}

// client is a connection that speaks gRPC, of which a call needs no more than HTTP/2 with a frame and a trailer.
type client struct {
	http *http.Client
	url  string
}

func (s *server) client() *client {
	return &client{&http.Client{Transport: &http.Transport{TLSClientConfig: s.tls.Clone(), ForceAttemptHTTP2: true}}, "https://" + s.address + "/etcdserverpb.KV/"}
}

// call calls a method of KV with the first fields of its message, and wants an answer of that many bytes at least.
func (c *client) call(ctx context.Context, method string, atLeast int, fields ...[]byte) error {
	message := make([]byte, 5)
	for i, field := range fields {
		message = append(message, byte(i+1)<<3|2) // field i+1, bytes
		message = binary.AppendUvarint(message, uint64(len(field)))
		message = append(message, field...)
	}
	binary.BigEndian.PutUint32(message[1:], uint32(len(message)-5))
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+method, bytes.NewReader(message))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/grpc")
	request.Header.Set("TE", "trailers")
	response, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	n, err := io.Copy(io.Discard, response.Body)
	if err != nil {
		return err
	}
	status := response.Trailer.Get("Grpc-Status") + response.Header.Get("Grpc-Status")
	if status != "0" || n < int64(atLeast) {
		return fmt.Errorf("%s: status %q with %d bytes: %s%s", method, status, n, response.Trailer.Get("Grpc-Message"), response.Header.Get("Grpc-Message"))
	}
	return nil
}
