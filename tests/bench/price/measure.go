package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"kubefips.internal/tools/pki"
)

// clients is how many ask at once, each over a connection of its own.
const clients = 16

// A side is one etcd and its figures, in the order in which they were taken first.
type side struct {
	name, program string
	figures       []*figure
}

type figure struct {
	name   string
	values []float64
}

func (s *side) add(name string, value float64) {
	for _, f := range s.figures {
		if f.name == name {
			f.values = append(f.values, value)
			return
		}
	}
	s.figures = append(s.figures, &figure{name, []float64{value}})
}

// server is a running etcd.
type server struct {
	address string
	pid     int
	tls     *tls.Config // of its clients
}

// measure takes each figure once, of an etcd with an empty data directory.
func (s *side) measure(ctx context.Context, dir string, each time.Duration) (err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	server, stop, err := s.start(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()

	select { // memory at rest: after etcd's own start
	case <-time.After(3 * time.Second):
	case <-ctx.Done():
		return ctx.Err()
	}
	resident, err := server.resident()
	if err != nil {
		return err
	}
	s.add("memory at rest (RSS), MB", resident)

	small, large := bytes.Repeat([]byte("x"), 256), bytes.Repeat([]byte("x"), 1<<20)
	for _, prepare := range []struct {
		key   string
		value []byte
	}{{"small", small}, {"large", large}} {
		if err := server.client().call(ctx, "Put", 0, []byte(prepare.key), prepare.value); err != nil {
			return err
		}
	}
	for _, work := range []struct {
		name string
		make func() func(ctx context.Context) error
	}{
		{"put of 256 B", func() func(context.Context) error {
			c := server.client()
			return func(ctx context.Context) error { return c.call(ctx, "Put", 0, []byte("put"), small) }
		}},
		{"get of 256 B", func() func(context.Context) error {
			c := server.client()
			return func(ctx context.Context) error { return c.call(ctx, "Range", len(small), []byte("small")) }
		}},
		{"get of 1 MB", func() func(context.Context) error {
			c := server.client()
			return func(ctx context.Context) error { return c.call(ctx, "Range", len(large), []byte("large")) }
		}},
		{"full TLS handshake, both certificates, P-256", func() func(context.Context) error {
			return server.handshake([]tls.CurveID{tls.CurveP256})
		}},
		{"the same with what the two sides prefer", func() func(context.Context) error {
			return server.handshake(nil)
		}},
	} {
		rate, cpu, err := server.rate(ctx, each, work.make)
		if err != nil {
			return fmt.Errorf("%s: %w", work.name, err)
		}
		s.add(work.name+", per second", rate)
		s.add(work.name+", µs of etcd's CPU", cpu)
	}
	return nil
}

// start starts etcd with TLS and client certificates and waits until it answers.
func (s *side) start(ctx context.Context, dir string) (*server, func() error, error) {
	ca, err := pki.NewCA(dir)
	if err != nil {
		return nil, nil, err
	}
	leaf, err := ca.Issue("etcd", pkix.Name{CommonName: "etcd"})
	if err != nil {
		return nil, nil, err
	}
	pair, err := tls.LoadX509KeyPair(leaf.CertFile, leaf.KeyFile)
	if err != nil {
		return nil, nil, err
	}
	authority, err := os.ReadFile(ca.CertFile)
	if err != nil {
		return nil, nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	var ports [2]string
	for i := range ports {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, nil, err
		}
		defer listener.Close()
		ports[i] = listener.Addr().String()
		listener.Close()
	}
	client, peer := "https://"+ports[0], "https://"+ports[1]
	cmd := exec.CommandContext(ctx, s.program, "--name=price", "--data-dir="+filepath.Join(dir, "etcd"), "--log-level=fatal",
		"--listen-client-urls="+client, "--advertise-client-urls="+client,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=price="+peer,
		"--client-cert-auth", "--trusted-ca-file="+ca.CertFile, "--cert-file="+leaf.CertFile, "--key-file="+leaf.KeyFile,
		"--peer-client-cert-auth", "--peer-trusted-ca-file="+ca.CertFile, "--peer-cert-file="+leaf.CertFile, "--peer-key-file="+leaf.KeyFile)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	found := &server{address: ports[0], pid: cmd.Process.Pid, tls: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}}
	stop := func() error {
		err := cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait() // it says that it was terminated
		return err
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		err := found.client().call(ctx, "Put", 0, []byte("ready"), nil)
		if err == nil {
			return found, stop, nil
		}
		if time.Now().After(end) {
			return nil, nil, fmt.Errorf("etcd does not answer: %w\n%s", errors.Join(err, stop()), complaints.Bytes())
		}
	}
}

// rate has all clients work for a while, and returns how often a second they were served and the CPU time of etcd for each, in µs.
func (s *server) rate(ctx context.Context, each time.Duration, newWork func() func(context.Context) error) (rate, cpu float64, err error) {
	working, end := context.WithCancelCause(ctx) // a call that was begun ends by itself, lest etcd complain
	defer end(nil)
	var served atomic.Int64
	var counting atomic.Bool
	var running sync.WaitGroup
	for range clients {
		work := newWork()
		running.Go(func() {
			for working.Err() == nil {
				if err := work(ctx); err != nil {
					end(err)
					return
				}
				if counting.Load() {
					served.Add(1)
				}
			}
		})
	}
	wait := func(d time.Duration) {
		select {
		case <-time.After(d):
		case <-working.Done():
		}
	}
	wait(each / 5) // connections are made, and the heap has grown
	before, err := s.cpu()
	start := time.Now()
	counting.Store(true)
	wait(each)
	elapsed, n := time.Since(start), float64(served.Load())
	after, err2 := s.cpu()
	early := context.Cause(working)
	end(nil)
	running.Wait()
	if err := errors.Join(err, err2, early); err != nil {
		return 0, 0, err
	}
	if n == 0 {
		return 0, 0, errors.New("nothing was served")
	}
	return n / elapsed.Seconds(), float64((after - before).Microseconds()) / n, nil
}

// handshake returns what makes a connection and ends it.
func (s *server) handshake(curves []tls.CurveID) func(context.Context) error {
	config := s.tls.Clone()
	config.CurvePreferences = curves
	dialer := &tls.Dialer{Config: config}
	return func(ctx context.Context) error {
		conn, err := dialer.DialContext(ctx, "tcp", s.address)
		if err != nil {
			return err
		}
		return conn.Close()
	}
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

// resident returns the resident memory in MB.
func (s *server) resident() (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid))
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(status), "VmRSS:")
	kilobytes, _, _ := strings.Cut(strings.TrimSpace(after), " ")
	n, err := strconv.ParseFloat(kilobytes, 64)
	return n * 1024 / 1e6, err
}

// cpu returns the processor time that etcd has taken.
func (s *server) cpu() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.pid))
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	const user, system = 14 - 3, 15 - 3 // proc(5) counts from 1, and two fields are before
	var ticks int64
	for _, field := range []int{user, system} {
		n, err := strconv.ParseInt(strings.Fields(after)[field], 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100, nil // USER_HZ
}
