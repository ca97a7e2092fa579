// Package releases holds fipscheck to Go releases old and new: those that
// FIPSCHECK_SDKS offers, and the default one.
package releases

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kubefips.internal/tools/fipscheck/cli"
	"kubefips.internal/tools/fipscheck/internal/fixture"
	"kubefips.internal/tools/fipscheck/report"
)

func TestMain(m *testing.M) { fixture.Main(m) }

const policy = `version: 1
exceptions:
  - check: B17
    artifacts: ["*"]
    paths: [crypto/des, crypto/rc4, crypto/ed25519]
    owner: tests
    reason: crypto/tls links them in its tables
    expires: 2099-01-01
`

// failing judges a program and lists the checks that refuse it.
func failing(t *testing.T, mode string, p fixture.Program) []string {
	t.Helper()
	rules := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(rules, []byte(policy), 0o644); err != nil {
		t.Fatal(err)
	}
	var out, stderr bytes.Buffer
	cli.Run([]string{"binary", "--policy", rules, "--mode", mode, "--output", "json", fixture.Build(t, p)}, &out, &stderr)
	var r report.Report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("%v: %s", err, &stderr)
	}
	var ids []string
	for _, f := range r.Artifacts[0].Findings {
		if report.Failing(f) && !slices.Contains(ids, f.Check) {
			ids = append(ids, f.Check)
			t.Logf("%s %s", f.Check, f.Message)
		}
	}
	return ids
}

// What is boring passes or, with a Historical module, fails for that reason
// alone; a fallback is measured as plain; hello world has no cryptography.
func TestGoReleases(t *testing.T) {
	releases := fixture.Releases()
	for i, version := range releases {
		t.Run("go"+version, func(t *testing.T) {
			var historical []string
			if strings.HasPrefix(version, "1.21.") || strings.HasPrefix(version, "1.22.") || strings.HasPrefix(version, "1.23.") {
				historical = []string{"B15"}
			}
			boring := []fixture.Program{
				{Source: "hash", SDK: version, Boring: true, Cgo: true},
				{Source: "hash", SDK: version, Boring: true, Cgo: true, Symbols: true},
			}
			if version != "" && (i == 1 || i == len(releases)-1) { // oldest and newest
				boring = append(boring, fixture.Program{Source: "hash", SDK: version, Boring: true, Cgo: true, PIE: true})
			}
			for _, p := range boring {
				if got := failing(t, "boring", p); !slices.Equal(got, historical) {
					t.Errorf("%+v: refused by %v, want %v", p, got, historical)
				}
			}
			if got := failing(t, "boring", fixture.Program{Source: "hash", SDK: version, Boring: true}); len(got) == 0 || got[0] != "B02" {
				t.Errorf("fallback: refused by %v", got)
			}
			if got := failing(t, "none", fixture.Program{Source: "hello", SDK: version, Boring: true}); len(got) != 0 {
				t.Errorf("no cryptography: refused by %v", got)
			}
		})
	}
}
