// Package arm64_test holds etcd for the other platform to the same proof, and runs it there.
package arm64_test

import (
	"debug/elf"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/bazelbuild/rules_go/go/runfiles"
)

func TestEtcdOnArm64(t *testing.T) {
	etcd := rlocation(t, "ETCD")
	program, err := elf.Open(etcd)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	if program.Machine != elf.EM_AARCH64 {
		t.Errorf("machine %v, want %v", program.Machine, elf.EM_AARCH64)
	}

	// The module's object is another one for each architecture, and so is the hash that it was validated with.
	fipscheck := exec.Command(rlocation(t, "FIPSCHECK"), "binary", "--mode=boring", "--policy="+rlocation(t, "POLICY"), "--artifact=etcd/etcd", "--release="+os.Getenv("UPSTREAM_VERSION"), etcd)
	if out, err := fipscheck.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}

	out, err := exec.Command(rlocation(t, "QEMU_ARM64"), etcd, "--version").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		"etcd Version: " + strings.TrimPrefix(os.Getenv("UPSTREAM_VERSION"), "v") + "\n",
		"Go OS/Arch: linux/arm64\n",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("it printed\n%s, want %q", out, want)
		}
	}
}

// rlocation is the file that a variable of the environment names.
func rlocation(t *testing.T, variable string) string {
	t.Helper()
	file, err := runfiles.Rlocation(os.Getenv(variable))
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return file
}
