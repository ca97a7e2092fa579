package etcd_test

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"kubefips.internal/tests/internal/certs"
	"kubefips.internal/tests/internal/proc"
	"kubefips.internal/tests/internal/tlsprobe"
)

// server is a running etcd with TLS for clients and peers.
type server struct {
	address string // host:port of the client port
	etcdctl func(args ...string) (string, error)
}

func start(t *testing.T) server {
	t.Helper()
	ca := certs.New(t)
	leaf := ca.Leaf(t, "etcd")
	client := fmt.Sprintf("127.0.0.1:%d", proc.FreePort(t))
	peer := fmt.Sprintf("https://127.0.0.1:%d", proc.FreePort(t))
	proc.Start(t, proc.Runfile(t, os.Getenv("ETCD")),
		"--name=test", "--data-dir="+t.TempDir(),
		"--listen-client-urls=https://"+client, "--advertise-client-urls=https://"+client,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=test="+peer,
		"--client-cert-auth", "--trusted-ca-file="+ca.CertFile, "--cert-file="+leaf.CertFile, "--key-file="+leaf.KeyFile,
		"--peer-client-cert-auth", "--peer-trusted-ca-file="+ca.CertFile, "--peer-cert-file="+leaf.CertFile, "--peer-key-file="+leaf.KeyFile)

	etcdctl := proc.Runfile(t, os.Getenv("ETCDCTL"))
	s := server{address: client, etcdctl: func(args ...string) (string, error) {
		return proc.Output(etcdctl, append([]string{
			"--endpoints=https://" + client, "--cacert=" + ca.CertFile, "--cert=" + leaf.CertFile, "--key=" + leaf.KeyFile,
		}, args...)...)
	}}
	proc.Eventually(t, 30*time.Second, func() error {
		_, err := s.etcdctl("endpoint", "health")
		return err
	})
	return s
}

func TestWritesAndReadsOverTLS(t *testing.T) {
	s := start(t)
	if _, err := s.etcdctl("put", "key", "a value"); err != nil {
		t.Fatal(err)
	}
	out, err := s.etcdctl("get", "key", "--print-value-only")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(out); got != "a value" {
		t.Errorf("get key = %q, want %q", got, "a value")
	}
}

func TestSnapshotIsReadByEtcdutl(t *testing.T) {
	s := start(t)
	if _, err := s.etcdctl("put", "key", "a value"); err != nil {
		t.Fatal(err)
	}
	file := t.TempDir() + "/snapshot.db"
	if _, err := s.etcdctl("snapshot", "save", file); err != nil {
		t.Fatal(err)
	}
	status := proc.Run(t, proc.Runfile(t, os.Getenv("ETCDUTL")), "snapshot", "status", file, "--write-out=json")
	if !strings.Contains(status, `"totalKey":`) {
		t.Errorf("snapshot status = %s, want a totalKey", status)
	}
}

func TestTLSPolicy(t *testing.T) {
	s := start(t)
	tlsprobe.CheckPolicy(t, s.address)
}

// Without a client certificate there is no answer at all.
func TestRefusesClientWithoutCertificate(t *testing.T) {
	s := start(t)
	if out, err := proc.Output(proc.Runfile(t, os.Getenv("ETCDCTL")), "--endpoints=https://"+s.address,
		"--insecure-skip-tls-verify", "--dial-timeout=2s", "--command-timeout=2s", "get", "key"); err == nil {
		t.Errorf("etcdctl without a certificate was answered: %s", out)
	}
	if _, err := net.DialTimeout("tcp", s.address, time.Second); err != nil {
		t.Errorf("etcd has gone: %v", err)
	}
}

func TestPrintedVersion(t *testing.T) {
	version := strings.TrimPrefix(os.Getenv("UPSTREAM_VERSION"), "v")
	for _, program := range []struct {
		env, arg string
		want     []string
	}{
		{"ETCD", "--version", []string{
			"etcd Version: " + version + "\n",
			"Git SHA: " + os.Getenv("UPSTREAM_REVISION") + "\n",
			"Go Version: go" + os.Getenv("UPSTREAM_GO"),
		}},
		// These print neither commit nor Go version.
		{"ETCDCTL", "version", []string{"etcdctl version: " + version + "\n"}},
		{"ETCDUTL", "version", []string{"etcdutl version: " + version + "\n"}},
	} {
		out := proc.Run(t, proc.Runfile(t, os.Getenv(program.env)), program.arg)
		for _, want := range program.want {
			if !strings.Contains(out, want) {
				t.Errorf("%s %s lacks %q:\n%s", program.env, program.arg, want, out)
			}
		}
	}
}
