package runc_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kubefips.internal/tests/internal/container/guest"
	"kubefips.internal/tests/internal/namespaces"
	"kubefips.internal/tests/internal/proc"
)

func TestMain(m *testing.M) { namespaces.Main(m) }

// bundle makes an OCI bundle whose root file system has nothing but the guest program, and whose configuration is runc's
// own template, changed by edit.
func bundle(t *testing.T, edit func(config map[string]any)) string {
	t.Helper()
	dir := t.TempDir()
	program, err := os.ReadFile(proc.Runfile(t, os.Getenv("GUEST")))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "rootfs"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "rootfs", "guest"), program, 0o755); err != nil {
		t.Fatal(err)
	}
	runc(t, "spec", "--rootless", "--bundle", dir) // the other template has groups that a user namespace may lack
	file := filepath.Join(dir, "config.json")
	template, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	config := map[string]any{}
	if err := json.Unmarshal(template, &config); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	process := config["process"].(map[string]any)
	process["terminal"] = false
	process["args"] = []string{"/guest", "report"}
	edit(config)
	content, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func runc(t *testing.T, args ...string) string {
	t.Helper()
	return proc.Run(t, proc.Runfile(t, os.Getenv("RUNC")), args...)
}

func TestRunsContainerInNamespacesOfItsOwn(t *testing.T) {
	dir := bundle(t, func(config map[string]any) { config["hostname"] = "inside" })
	r := guest.Parse(t, runc(t, "run", "--bundle", dir, "c1"))
	if r.PID != 1 || r.Hostname != "inside" {
		t.Errorf("the process is %d on %q, want 1 on inside", r.PID, r.Hostname)
	}
	if slices.ContainsFunc(r.Addresses, func(a string) bool { return !strings.HasPrefix(a, "127.") && a != "::1/128" }) {
		t.Errorf("addresses %v in a network namespace of its own", r.Addresses)
	}
}

// Without libseccomp inside, runc refuses every container that has a profile.
func TestAppliesSeccompProfile(t *testing.T) {
	dir := bundle(t, func(config map[string]any) {
		config["linux"].(map[string]any)["seccomp"] = map[string]any{
			"defaultAction": "SCMP_ACT_ALLOW",
			"syscalls":      []any{map[string]any{"names": []string{"kexec_load"}, "action": "SCMP_ACT_ERRNO", "errnoRet": 28}},
		}
	})
	r := guest.Parse(t, runc(t, "run", "--bundle", dir, "c2"))
	if !r.SeccompFilter || r.KexecRefusal != "no space left on device" {
		t.Errorf("seccomp filter = %t, kexec_load: %s; want the profile's ENOSPC", r.SeccompFilter, r.KexecRefusal)
	}
}

func TestLifeCycle(t *testing.T) {
	dir := bundle(t, func(config map[string]any) { config["process"].(map[string]any)["args"] = []string{"/guest", "wait"} })
	// Without pipes, which the container would keep open.
	if err := exec.Command(proc.Runfile(t, os.Getenv("RUNC")), "run", "--detach", "--bundle", dir, "c3").Run(); err != nil {
		t.Fatalf("runc run --detach: %v", err)
	}
	if state := runc(t, "state", "c3"); !strings.Contains(state, `"status": "running"`) {
		t.Errorf("state = %s, want running", state)
	}
	if r := guest.Parse(t, runc(t, "exec", "c3", "/guest", "report")); r.PID == 1 {
		t.Error("the process of exec is process 1")
	}
	runc(t, "delete", "--force", "c3")
	if list := runc(t, "list", "--quiet"); list != "" {
		t.Errorf("after delete there is still %s", list)
	}
}

func TestPrintedVersion(t *testing.T) {
	out := runc(t, "--version")
	for _, want := range []string{
		"runc version " + strings.TrimPrefix(os.Getenv("UPSTREAM_VERSION"), "v") + "\n",
		"commit: " + os.Getenv("UPSTREAM_REVISION") + "\n",
		"go: go" + os.Getenv("UPSTREAM_GO"),
		"libseccomp: ",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("runc --version lacks %q:\n%s", want, out)
		}
	}
}
