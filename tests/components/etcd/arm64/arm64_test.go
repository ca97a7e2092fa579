// Package arm64_test holds etcd for the other platform to the same proof, and runs it in emulation.
package arm64_test

import (
	"debug/elf"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"kubefips.internal/tests/internal/certs"
	"kubefips.internal/tests/internal/proc"
	"kubefips.internal/tests/internal/tlsprobe"
)

// The module's object is another one for each architecture, and so is the hash that it was validated with.
func TestModule(t *testing.T) {
	etcd := proc.Runfile(t, os.Getenv("ETCD"))
	program, err := elf.Open(etcd)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	if program.Machine != elf.EM_AARCH64 {
		t.Errorf("machine %v, want %v", program.Machine, elf.EM_AARCH64)
	}
	proc.Run(t, proc.Runfile(t, os.Getenv("FIPSCHECK")), "binary", "--mode=boring", "--policy="+proc.Runfile(t, os.Getenv("POLICY")),
		"--artifact=etcd/etcd", "--release="+os.Getenv("UPSTREAM_VERSION"), etcd)
}

func TestPrintedVersion(t *testing.T) {
	out := proc.Run(t, proc.Runfile(t, os.Getenv("QEMU_ARM64")), proc.Runfile(t, os.Getenv("ETCD")), "--version")
	for _, want := range []string{
		"etcd Version: " + strings.TrimPrefix(os.Getenv("UPSTREAM_VERSION"), "v") + "\n",
		"Go OS/Arch: linux/arm64\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("it printed\n%s, want %q", out, want)
		}
	}
}

// The module's own tests run when a program starts; here it also makes and keeps connections.
func TestServesOverTLS(t *testing.T) {
	ca := certs.New(t)
	leaf := ca.Leaf(t, "etcd")
	client := fmt.Sprintf("127.0.0.1:%d", proc.FreePort(t))
	peer := fmt.Sprintf("http://127.0.0.1:%d", proc.FreePort(t))
	proc.Start(t, proc.Runfile(t, os.Getenv("QEMU_ARM64")), proc.Runfile(t, os.Getenv("ETCD")),
		"--name=test", "--data-dir="+t.TempDir(),
		"--listen-client-urls=https://"+client, "--advertise-client-urls=https://"+client,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=test="+peer,
		"--client-cert-auth", "--trusted-ca-file="+ca.CertFile, "--cert-file="+leaf.CertFile, "--key-file="+leaf.KeyFile)
	etcdctl := func(args ...string) (string, error) {
		return proc.Output(proc.Runfile(t, os.Getenv("ETCDCTL")), append([]string{
			"--endpoints=https://" + client, "--cacert=" + ca.CertFile, "--cert=" + leaf.CertFile, "--key=" + leaf.KeyFile,
		}, args...)...)
	}
	proc.Eventually(t, time.Minute, func() error {
		_, err := etcdctl("put", "key", "a value")
		return err
	})
	out, err := etcdctl("get", "key", "--print-value-only")
	if err != nil || strings.TrimSpace(out) != "a value" {
		t.Errorf("get key = %q, %v; want %q", out, err, "a value")
	}
	tlsprobe.CheckPolicy(t, client)
}
