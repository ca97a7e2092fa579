// Package guest is what a process in a test's container tells of itself.
package guest

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

// A Report is what a process in a container sees.
type Report struct {
	PID           int
	Hostname      string
	Addresses     []string // of all interfaces, with masks
	SeccompFilter bool     // a seccomp filter is on
	KexecRefusal  string   // how the kernel refused kexec_load: no profile of a container runtime lets it through
}

// Look returns the report of this process.
func Look() (Report, error) {
	var r Report
	hostname, err := os.Hostname()
	if err != nil {
		return r, err
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return r, err
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return r, fmt.Errorf("listing the addresses of all interfaces: %w", err)
	}
	r = Report{PID: os.Getpid(), Hostname: hostname, SeccompFilter: strings.Contains(string(status), "\nSeccomp:\t2\n")}
	for _, address := range addresses {
		r.Addresses = append(r.Addresses, address.String())
	}
	if _, _, errno := syscall.Syscall(syscall.SYS_KEXEC_LOAD, 0, 0, 0); errno != 0 {
		r.KexecRefusal = errno.Error()
	}
	return r, nil
}

// Parse reads the JSON that the guest program printed.
func Parse(t testing.TB, output string) Report {
	t.Helper()
	var r Report
	if err := json.Unmarshal([]byte(output), &r); err != nil {
		t.Fatalf("the guest printed %q: %v", output, err)
	}
	return r
}
