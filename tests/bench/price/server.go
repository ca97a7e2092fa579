package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
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

// credentials are what servers and clients, all of them administrators, prove themselves by.
type credentials struct {
	pki.Leaf
	authority string
	tls       *tls.Config // of clients
}

func newCredentials(dir string) (*credentials, error) {
	ca, err := pki.NewCA(dir)
	if err != nil {
		return nil, err
	}
	leaf, err := ca.Issue("price", pkix.Name{CommonName: "price", Organization: []string{"system:masters"}})
	if err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(leaf.CertFile, leaf.KeyFile)
	if err != nil {
		return nil, err
	}
	authority, err := os.ReadFile(ca.CertFile)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	return &credentials{leaf, ca.CertFile, &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}}, nil
}

// server is a running etcd or apiserver.
type server struct {
	*credentials
	address string
	cmd     *exec.Cmd
}

// start starts a server and waits until ready finds no fault with it.
func start(ctx context.Context, c *credentials, address string, ready func(*server) error, program string, args ...string) (*server, error) {
	s := &server{c, address, exec.CommandContext(ctx, program, args...)}
	var complaints bytes.Buffer
	s.cmd.Stderr = &complaints
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		err := ready(s)
		if err == nil {
			return s, nil
		}
		if ctx.Err() != nil || time.Now().After(end) {
			err = errors.Join(err, s.stop())
			said := complaints.Bytes()
			return nil, fmt.Errorf("%s does not answer: %w\n%s", program, err, said[max(0, len(said)-4000):])
		}
	}
}

func (s *server) stop() error {
	err := s.cmd.Process.Signal(syscall.SIGTERM)
	s.cmd.Wait() // it says that it was terminated
	return err
}

// freeAddresses returns addresses on loopback where nobody listens.
func freeAddresses(n int) ([]string, error) {
	var addresses []string
	for range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer listener.Close()
		addresses = append(addresses, listener.Addr().String())
	}
	return addresses, nil
}

// rate has all clients work for a while, and returns how often a second they were served and the CPU time of the server for each, in µs.
func (s *server) rate(ctx context.Context, each time.Duration, newWork func() work) (rate, cpu float64, err error) {
	working, end := context.WithCancelCause(ctx) // a call that was begun ends by itself, lest the server complain
	defer end(nil)
	var served atomic.Int64
	var counting atomic.Bool
	var running sync.WaitGroup
	for range clients {
		do := newWork()
		running.Go(func() {
			for working.Err() == nil {
				if err := do(ctx); err != nil {
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
func (s *server) handshake(curves []tls.CurveID) work {
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

// resident returns the resident memory in MB.
func (s *server) resident() (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(status), "VmRSS:")
	kilobytes, _, _ := strings.Cut(strings.TrimSpace(after), " ")
	n, err := strconv.ParseFloat(kilobytes, 64)
	return n * 1024 / 1e6, err
}

// cpu returns the processor time that the server has taken.
func (s *server) cpu() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
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
