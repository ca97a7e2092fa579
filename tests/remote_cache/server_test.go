package remote_cache_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"kubefips.internal/tests/internal/proc"
	"kubefips.internal/tools/pki"
)

// server is a running bazel-remote on loopback, that lets everyone read and, with TLS, only some write.
type server struct {
	dir, http, grpc string
	url             string // of http
	ca              *pki.CA
	client          *http.Client // has a certificate
	process         *exec.Cmd
}

const user, password = "ci", "correct-horse"

type options struct {
	plain      bool   // without TLS, so that everyone may write
	byPassword bool   // writers have a user's name and a password, in place of a certificate
	disk       string // size of its disk, as mount knows it; no disk of its own when empty
}

func startServer(t *testing.T, o options) *server {
	t.Helper()
	dir := t.TempDir()
	ca, err := pki.NewCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{
		dir:  filepath.Join(dir, "data"),
		http: fmt.Sprintf("127.0.0.1:%d", proc.FreePort(t)),
		grpc: fmt.Sprintf("127.0.0.1:%d", proc.FreePort(t)),
		ca:   ca,
	}
	s.url = "https://" + s.http
	if o.plain {
		s.url = "http://" + s.http
	}
	leaf := s.issue(t, "server")
	cert, err := tls.LoadX509KeyPair(leaf.CertFile, leaf.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(ca.CertFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	s.client = &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{cert}}}}

	args := []string{"--dir=" + s.dir, "--max_size=5", "--http_address=" + s.http, "--grpc_address=" + s.grpc,
		// A flipped bit then reaches Bazel; compressed files fail to unpack in the server already.
		"--storage_mode=uncompressed"}
	if !o.plain {
		args = append(args, "--allow_unauthenticated_reads", "--tls_cert_file="+leaf.CertFile, "--tls_key_file="+leaf.KeyFile)
	}
	switch {
	case o.byPassword:
		hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		passwords := filepath.Join(dir, "htpasswd")
		if err := os.WriteFile(passwords, fmt.Appendf(nil, "%s:%s\n", user, hash), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--htpasswd_file="+passwords)
	case !o.plain:
		args = append(args, "--tls_ca_file="+ca.CertFile)
	}
	var log bytes.Buffer
	s.process = exec.Command(proc.Runfile(t, os.Getenv("BAZEL_REMOTE")), args...)
	if o.disk != "" {
		script := `mkdir "$1" && mount -t tmpfs -o size="$0" tmpfs "$1" && shift && exec "$@"`
		s.process = exec.Command("/bin/sh", append([]string{"-c", script, o.disk, s.dir, s.process.Path}, args...)...)
		s.process.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
			UidMappings: []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}},
		}
	}
	s.process.Stdout, s.process.Stderr = &log, &log
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.kill()
		if b := log.Bytes(); t.Failed() {
			t.Logf("the end of bazel-remote's log:\n%s", b[max(0, len(b)-4000):])
		}
	})
	if o.disk != "" {
		s.dir = fmt.Sprintf("/proc/%d/root%s", s.process.Process.Pid, s.dir) // only the server has mounted it
	}
	proc.Eventually(t, time.Minute, func() error {
		_, err := s.do(http.MethodGet, "/status", nil)
		return err
	})
	return s
}

func (s *server) kill() {
	s.process.Process.Signal(syscall.SIGCONT)
	s.process.Process.Kill()
	s.process.Wait()
}

func (s *server) issue(t *testing.T, name string) pki.Leaf {
	t.Helper()
	leaf, err := s.ca.Issue(name, pkix.Name{CommonName: name})
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

// flags are Bazel's for a client without a certificate.
func (s *server) flags() []string {
	return []string{"--remote_cache=" + s.url, "--tls_certificate=" + s.ca.CertFile}
}

// flagsOf are Bazel's for a client with a certificate.
func (s *server) flagsOf(leaf pki.Leaf) []string {
	return append(s.flags(), "--tls_client_certificate="+leaf.CertFile, "--tls_client_key="+leaf.KeyFile)
}

func (s *server) do(method, path string, body []byte) ([]byte, error) {
	req, err := http.NewRequest(method, s.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, got)
	}
	return got, err
}

// files is the number of files that the server keeps.
func (s *server) files(t *testing.T) int {
	t.Helper()
	body, err := s.do(http.MethodGet, "/status", nil)
	if err != nil {
		t.Fatal(err)
	}
	var status struct{ NumFiles int }
	if err := json.Unmarshal(body, &status); err != nil {
		t.Fatalf("/status: %v: %s", err, body)
	}
	return status.NumFiles
}

// checkBlobs looks at what the server keeps: each file is what its name says, and whole.
func (s *server) checkBlobs(t *testing.T) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(filepath.Join(s.dir, "cas.v2"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		n++
		content, err := os.ReadFile(path)
		if sum, _, _ := strings.Cut(d.Name(), "-"); err == nil && fmt.Sprintf("%x", sha256.Sum256(content)) != sum {
			t.Errorf("%s has %d bytes that are others", path, len(content))
		}
		return err
	})
	if err != nil || n == 0 {
		t.Errorf("looking at %d blobs: %v", n, err)
	}
}

// slowly returns an address at which the server answers, but all that is said, by either side, comes late.
func slowly(t *testing.T, address string, late time.Duration) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	hand := func(to, from net.Conn) {
		defer to.Close()
		for buffer := make([]byte, 1<<20); ; {
			n, err := from.Read(buffer)
			time.Sleep(late)
			if n > 0 {
				if _, err := to.Write(buffer[:n]); err != nil {
					return
				}
			}
			if err != nil {
				return
			}
		}
	}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", address)
			if err != nil {
				client.Close()
				continue
			}
			go hand(server, client)
			go hand(client, server)
		}
	}()
	return l.Addr().String()
}
