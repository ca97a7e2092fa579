package containerd_1_7_test

import (
	"os"
	"strings"
	"testing"

	"kubefips.internal/tests/internal/container"
	"kubefips.internal/tests/internal/container/guest"
	"kubefips.internal/tests/internal/namespaces"
	"kubefips.internal/tests/internal/proc"
)

func TestMain(m *testing.M) { namespaces.Main(m) }

const config = `version = 4
root = "/run/test/root"
state = "/run/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
`

// The containerd of this distribution, which has no such shim of its own any more, still drives it.
func TestRuncV1ShimRunsContainer(t *testing.T) {
	container.StartContainerd(t, config, map[string]string{"containerd-shim-runc-v1": os.Getenv("SHIM_RUNC_V1")})
	r := guest.Parse(t, container.Ctr(t, "run", "--rm", "--runtime=io.containerd.runc.v1", "--hostname=by-v1", "--seccomp",
		container.Reference, "c1", container.Guest, "report"))
	if r.PID != 1 || r.Hostname != "by-v1" {
		t.Errorf("the process is %d on %q, want 1 on by-v1", r.PID, r.Hostname)
	}
	if !r.SeccompFilter {
		t.Error("the default seccomp profile is not on")
	}
}

func TestPrintedVersion(t *testing.T) {
	want := "Version:  " + os.Getenv("UPSTREAM_VERSION") + "\n  Revision: " + os.Getenv("UPSTREAM_REVISION") + "\n  Go version: go" + os.Getenv("UPSTREAM_GO")
	for _, program := range []string{"SHIM", "SHIM_RUNC_V1"} {
		if out := proc.Run(t, proc.Runfile(t, os.Getenv(program)), "-v"); !strings.Contains(out, want) {
			t.Errorf("%s -v printed %q, want %q", program, out, want)
		}
	}
}
