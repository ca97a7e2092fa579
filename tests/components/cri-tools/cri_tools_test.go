// Package cri_tools_test asks crictl and critest what they are; //tests/components/containerd and //tests/cluster/critest let them work.
package cri_tools_test

import (
	"os"
	"strings"
	"testing"

	"kubefips.internal/tests/internal/proc"
)

// Neither prints a commit or a Go version.
func TestPrintedVersion(t *testing.T) {
	for _, program := range []struct{ env, flag, want string }{
		{"CRICTL", "--version", "crictl version "},
		{"CRITEST", "-version", "critest version: "},
	} {
		want := program.want + os.Getenv("UPSTREAM_VERSION") + "\n"
		if out := proc.Run(t, proc.Runfile(t, os.Getenv(program.env)), program.flag); !strings.HasPrefix(out, want) {
			t.Errorf("%s %s printed %q, want %q", program.env, program.flag, out, want)
		}
	}
}
