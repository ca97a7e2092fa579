// Package hermetic_test reads what an action has seen: nothing of the host's /usr, no network, no variable of the caller, no
// file that it has not declared. //tests/remote_execution builds where there is nothing of a host at all.
package hermetic_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"kubefips.internal/tests/internal/proc"
)

// environment is what Bazel gives to a genrule, and what its shell adds.
var environment = []string{"PATH", "PWD", "SHLVL", "TMPDIR", "_"}

// seen is what tests/hermetic/probe has written.
type seen struct {
	Environment, Links, Packages []string
	Network, Paths               map[string]string
	Private                      bool
}

// read decodes a data dependency that a variable names.
func read(t *testing.T, variable string, into any) {
	t.Helper()
	content, err := os.ReadFile(proc.Runfile(t, os.Getenv(variable)))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, into); err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
}

// The sandbox shows /usr as Bazel's server has it, so it is the one of every action. In the root of tools/bazelroot it is that of
// the lock's packages, and nothing of the host's is there to be read.
func TestUsrIsOfTheLock(t *testing.T) {
	var seen seen
	read(t, "SEEN", &seen)
	if !seen.Private {
		t.Skip("Bazel is the machine's own, so /usr is, too; without BAZEL_REAL and without a bazel on PATH, tools/bazel makes a root of its own")
	}
	var lock struct{ Packages []struct{ Name string } }
	read(t, "LOCK", &lock)
	var want []string
	for _, p := range lock.Packages {
		want = append(want, p.Name)
	}
	for _, p := range seen.Packages {
		if !slices.Contains(want, p) {
			t.Errorf("an action can read files of %s, which toolchains/debian/bazel_root.lock.json does not name", p)
		}
	}
	for _, p := range want {
		if !slices.Contains(seen.Packages, p) {
			t.Errorf("/usr has nothing of %s, which toolchains/debian/bazel_root.lock.json names: it is another one", p)
		}
	}
}

func TestActions(t *testing.T) {
	var seen seen
	read(t, "SEEN", &seen)
	for path, what := range seen.Paths {
		if what != "" {
			t.Errorf("an action can read %s: %s; see --sandbox_block_path in .bazelrc", path, what)
		}
	}
	for address, err := range seen.Network {
		if !strings.HasSuffix(err, "network is unreachable") {
			t.Errorf("an action that calls %s gets %q; see --sandbox_default_allow_network in .bazelrc", address, err)
		}
	}
	if !slices.Equal(seen.Links, []string{"lo"}) {
		t.Errorf("an action has the network links %q, want loopback alone", seen.Links)
	}
	for _, variable := range seen.Environment {
		name, value, _ := strings.Cut(variable, "=")
		if !slices.Contains(environment, name) {
			t.Errorf("an action has the variable %s; see --incompatible_strict_action_env in .bazelrc", variable)
		}
		if want := "/bin:/usr/bin:/usr/local/bin"; name == "PATH" && value != want {
			t.Errorf("an action's PATH is %s, want %s", value, want)
		}
	}
	if len(seen.Paths) < 5 || len(seen.Network) < 2 || len(seen.Environment) == 0 {
		t.Errorf("the action has not looked: %+v", seen)
	}
}
