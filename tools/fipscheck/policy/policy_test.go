package policy_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"kubefips.internal/tools/fipscheck/checks"
	"kubefips.internal/tools/fipscheck/measure"
	"kubefips.internal/tools/fipscheck/policy"
)

const exception = `version: 1
exceptions:
  - check: B17
    artifacts: [etcd/etcd, "calico/*"]
    paths: [golang.org/x/crypto/bcrypt, golang.org/x/crypto/blowfish]
    owner: maintainers
    reason: password authentication is off
    expires: 2027-01-01
`

func load(t *testing.T, text string) *policy.Policy {
	t.Helper()
	p, err := policy.Read(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func day(s string) time.Time {
	d, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err)
	}
	return d
}

func fail(check, subject string) checks.Finding {
	c, _ := checks.Lookup(check)
	return checks.Finding{Check: check, Severity: c.Severity, Status: checks.Fail, Subject: subject}
}

func TestWrongPoliciesAreRefused(t *testing.T) {
	with := func(old, new string) string { return strings.Replace(exception, old, new, 1) }
	tests := []struct{ name, text, says string }{
		{"version", with("version: 1", "version: 2"), "version is 2"},
		{"unknown key", with("owner:", "owned:"), "owned"},
		{"unknown check", with("B17", "B99"), "no such check"},
		{"BLOCK", with("B17", "B03"), "no exception can excuse it"},
		{"MED", with("B17", "O6"), "nothing to excuse"},
		{"no owner", with("owner: maintainers", "owner: ''"), "owner and a reason"},
		{"no reason", with("reason: password authentication is off", "reason: ok"), "owner and a reason"},
		{"no expiry", with("    expires: 2027-01-01\n", ""), "expires must be a date"},
		{"wrong date", with("2027-01-01", "2027-13-01"), "expires must be a date"},
		{"no artifacts", with("[etcd/etcd, \"calico/*\"]", "[]"), "name the artifacts"},
		{"mode plain", "version: 1\nartifacts: {x: plain}\n", "none of boring"},
		{"certificate without owner", "version: 1\ncertificates: {\"4735\": {sunset: 2030-01-01, checked: 2026-01-01}}\n", "owner are all needed"},
		{"two documents", "version: 1\n---\nversion: 1\n", "more than one"},
		{"too large", "version: 1\n#" + strings.Repeat("x", 1<<20), "larger than"},
		{"empty", "", "EOF"},
	}
	for _, tt := range tests {
		if _, err := policy.Read(strings.NewReader(tt.text)); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.says)
		}
	}
}

func TestExceptionExcusesWhatItNames(t *testing.T) {
	tests := []struct {
		name     string
		artifact string
		finding  checks.Finding
		day      string
		want     checks.Status
	}{
		{"named", "etcd/etcd", fail("B17", "golang.org/x/crypto/bcrypt"), "2026-12-31", checks.Excepted},
		{"by glob", "calico/node", fail("B17", "golang.org/x/crypto/bcrypt"), "2026-12-31", checks.Excepted},
		{"last day is over", "etcd/etcd", fail("B17", "golang.org/x/crypto/bcrypt"), "2027-01-01", checks.Fail},
		{"other package", "etcd/etcd", fail("B17", "golang.org/x/crypto/bcrypt2"), "2026-12-31", checks.Fail},
		{"other check", "etcd/etcd", fail("B16", "golang.org/x/crypto/bcrypt"), "2026-12-31", checks.Fail},
		{"other artifact", "etcd/etcdctl", fail("B17", "golang.org/x/crypto/bcrypt"), "2026-12-31", checks.Fail},
	}
	for _, tt := range tests {
		got := load(t, exception).Apply(tt.artifact, []checks.Finding{tt.finding}, day(tt.day))
		if got[0].Status != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got[0].Status, tt.want)
		}
		if tt.name == "last day is over" && !strings.Contains(got[0].Message, "expired on 2027-01-01") {
			t.Errorf("%s: %q does not say so", tt.name, got[0].Message)
		}
	}
}

// Severities can change from finding to finding: what is BLOCK is never
// excused, whatever the policy's check says.
func TestBlockIsNeverExcused(t *testing.T) {
	f := fail("B17", "golang.org/x/crypto/bcrypt")
	f.Severity = checks.Block
	if got := load(t, exception).Apply("etcd/etcd", []checks.Finding{f}, day("2026-12-31")); got[0].Status != checks.Fail {
		t.Errorf("%s", got[0].Status)
	}
}

func TestUnusedExceptionFails(t *testing.T) {
	p := load(t, exception)
	got := p.Apply("etcd/etcd", nil, day("2026-12-31"))
	if len(got) != 1 || got[0].Status != checks.Fail || !strings.Contains(got[0].Message, "excuses nothing") {
		t.Errorf("named and idle: %v", got)
	}
	if want := "policy:4: an exception names etcd/etcd"; !strings.Contains(got[0].Message, want) {
		t.Errorf("%q does not say %q", got[0].Message, want)
	}
	if got := p.Apply("calico/node", nil, day("2026-12-31")); len(got) != 0 {
		t.Errorf("a glob is judged when all is known: %v", got)
	}
	p.Apply("etcd/etcd", []checks.Finding{fail("B17", "golang.org/x/crypto/bcrypt")}, day("2026-12-31"))
	if got := p.Unused([]string{"etcd/etcd"}); len(got) != 0 {
		t.Errorf("judged before all artifacts are known: %v", got)
	}
	unused := p.Unused([]string{"etcd/etcd", "calico/node"})
	var said []string
	for _, f := range unused {
		said = append(said, f.Message)
	}
	if want := []string{"policy:4: artifact calico/* excuses nothing: remove it", "policy:5: path golang.org/x/crypto/blowfish excuses nothing: remove it"}; !slices.Equal(said, want) {
		t.Errorf("unused: %q", said)
	}
	idle := load(t, exception).Unused([]string{"etcd/etcd", "calico/node"})
	if len(idle) != 1 || idle[0].Message != "policy:3: the exception from B17 for etcd/etcd, calico/* excuses nothing: remove it" {
		t.Errorf("idle: %v", idle)
	}
}

// What nobody decided yet is answered with the lines that a decision needs;
// they are refused until a person has filled them in.
func TestProposal(t *testing.T) {
	blocked := fail("B17", "crypto/dsa")
	p := load(t, exception)
	p.Apply("etcd/etcd", []checks.Finding{fail("B17", "crypto/dsa"), fail("B17", "golang.org/x/crypto/bcrypt"), fail("B14", "")}, day("2026-12-31"))
	p.Apply("aaa/aaa", []checks.Finding{fail("B17", "golang.org/x/crypto/ssh"), fail("B17", "crypto/dsa")}, day("2026-12-31"))
	p.Apply("plain/plain", []checks.Finding{blocked, fail("B02", "")}, day("2026-12-31"))
	got := p.Proposal()
	for _, want := range []string{
		"to ship aaa/aaa all the same, decide it and add before line 3:\n  - check: B17\n    artifacts: [aaa/aaa]\n    paths:\n      - golang.org/x/crypto/ssh\n      - crypto/dsa\n    owner:",
		"to ship etcd/etcd all the same, decide it and add at the end:\n  - check: B14\n    artifacts: [etcd/etcd]\n    owner:",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("not said: %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "plain/plain") || strings.Contains(got, "bcrypt") {
		t.Errorf("proposes what no exception can excuse, or what has one:\n%s", got)
	}
	_, lines, _ := strings.Cut(got, ":\n")
	entry, _, _ := strings.Cut(lines, "\n:")
	if _, err := policy.Read(strings.NewReader("version: 1\nexceptions:\n" + entry)); err == nil || !strings.Contains(err.Error(), "owner and a reason") {
		t.Errorf("as proposed: %v", err)
	}
	if got := load(t, exception).Proposal(); got != "" {
		t.Errorf("nothing was refused: %q", got)
	}
}

func TestDeclared(t *testing.T) {
	p := load(t, "version: 1\nartifacts:\n  \"*\": boring\n  \"cni-plugins/*\": boring\n  cni-plugins/loopback: none\n")
	for name, want := range map[string]measure.Mode{"etcd/etcd": measure.Boring, "cni-plugins/bridge": measure.Boring, "cni-plugins/loopback": measure.None} {
		if got, ok := p.Declared(name); !ok || got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if _, ok := load(t, exception).Declared("etcd/etcd"); ok {
		t.Error("a policy without artifacts declares something")
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(exception))
	f.Add([]byte("version: 1\nartifacts: {a: &a boring, b: *a}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := policy.Read(strings.NewReader(string(b)))
		if err != nil {
			return
		}
		// What was accepted never excuses a BLOCK and never without an end.
		for _, e := range p.Exceptions {
			if c, ok := checks.Lookup(e.Check); !ok || c.Severity != checks.High || e.Owner == "" || e.Expires == "" {
				t.Errorf("accepted %+v", e)
			}
		}
		p.Apply("etcd/etcd", []checks.Finding{fail("B17", "x")}, day("2026-12-31"))
		p.Unused([]string{"etcd/etcd"})
	})
}
