// Package hermetic_test reads what an action has seen: not the host's C compiler, no network, no variable of the caller, no
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

func TestActions(t *testing.T) {
	content, err := os.ReadFile(proc.Runfile(t, os.Getenv("SEEN")))
	if err != nil {
		t.Fatal(err)
	}
	var seen struct {
		Environment, Links []string
		Network, Paths     map[string]string
	}
	if err := json.Unmarshal(content, &seen); err != nil {
		t.Fatal(err)
	}
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
		t.Errorf("the action has not looked: %s", content)
	}
}
