package cli_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
	"github.com/xeipuuv/gojsonschema"

	"kubefips.internal/tools/fipscheck/checks"
	"kubefips.internal/tools/fipscheck/internal/fixture"
	"kubefips.internal/tools/fipscheck/judge"
	"kubefips.internal/tools/fipscheck/report"
)

// mixed are runs whose reports have findings of every kind.
func mixed(t *testing.T) map[string][]string {
	pol := tlsPolicy(t, "artifacts:\n  \"*\": boring\n")
	native := fixture.Build(t, fixture.Program{Source: "nopolicy", GOFIPS140: "v1.0.0-c2097c7c"})
	return map[string][]string{
		"binaries": {"binary", "--probe", "--policy", pol, fixture.Build(t, boringTLS()), native,
			fixture.Build(t, fixture.Program{Source: "nopolicy"}), fixture.PackUPX(t)},
		"image": {"image", oneLayer(t, v1.Config{Labels: map[string]string{"a": "FIPS certified"}},
			file{name: "bin/sh", data: []byte("#!")}, file{name: "bin/a b\x01", data: program(t)}, file{name: "x.zip", data: []byte("PK\x03\x04")})},
		"chart": {"chart", write(t, "m.yaml", "env:\n- name: GODEBUG\n  value: fips140=off\n")},
	}
}

func TestJSONFollowsItsSchema(t *testing.T) {
	schema, err := gojsonschema.NewSchema(gojsonschema.NewBytesLoader(report.JSONSchema))
	if err != nil {
		t.Fatal(err)
	}
	for name, args := range mixed(t) {
		_, out, stderr := run(append(args, "--output", "json")...)
		res, err := schema.Validate(gojsonschema.NewStringLoader(out))
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, stderr)
		}
		for _, e := range res.Errors() {
			t.Errorf("%s: %s", name, e)
		}
	}
	res, err := schema.Validate(gojsonschema.NewStringLoader(`{"schema":"fipscheck.report/v1"}`))
	if err != nil || res.Valid() {
		t.Errorf("the schema accepts an empty report: %v", err)
	}
}

func TestSARIFFollowsTheStandard(t *testing.T) {
	for name, args := range mixed(t) {
		_, out, stderr := run(append(args, "--output", "sarif")...)
		// Properties that the standard does not have would be lost on reading.
		d := json.NewDecoder(strings.NewReader(out))
		d.DisallowUnknownFields()
		if err := d.Decode(&sarif.Report{}); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, stderr)
		}
		log, err := sarif.FromString(out)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		// The library writes these three itself, empty, before it validates.
		lang := "en-US"
		log.Runs[0].Language, log.Runs[0].Tool.Driver.Language, log.Runs[0].NewlineSequences = lang, lang, []string{"\n"}
		if err := log.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := len(log.Runs[0].Tool.Driver.Rules); got != len(checks.Catalogue) {
			t.Errorf("%s: %d rules", name, got)
		}
		if name != "binaries" {
			continue
		}
		suppressed := 0
		for _, r := range log.Runs[0].Results {
			suppressed += len(r.Suppressions)
		}
		if suppressed == 0 {
			t.Error("excepted findings are not suppressed")
		}
	}
}

func TestInTotoStatement(t *testing.T) {
	good := fixture.Build(t, boringTLS())
	_, out, _ := run("binary", "--output", "in-toto", good)
	var s struct {
		Type          string `json:"_type"`
		PredicateType string `json:"predicateType"`
		Subject       []struct {
			Name   string
			Digest map[string]string
		}
		Predicate struct {
			Checks        []checks.Check
			BoringModules []any `json:"boringModules"`
			Artifacts     []report.Artifact
		}
	}
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		t.Fatal(err)
	}
	if s.Type != "https://in-toto.io/Statement/v1" || s.PredicateType != report.PredicateType || len(s.Subject) != 1 {
		t.Fatalf("%+v", s)
	}
	if want := s.Predicate.Artifacts[0].Evidence.SHA256; s.Subject[0].Digest["sha256"] != want || len(want) != 64 {
		t.Errorf("subject %v, measured %s", s.Subject[0], want)
	}
	if len(s.Predicate.Checks) != len(checks.Catalogue) || len(s.Predicate.BoringModules) == 0 {
		t.Error("the tables are not in the evidence")
	}
	if code, _, _ := run("chart", "--output", "in-toto", write(t, "m.yaml", "a: 1\n")); code != judge.Unusable {
		t.Errorf("a statement without subject: exit code %d", code)
	}
}

func TestHTMLNeedsNothingElse(t *testing.T) {
	for name, args := range mixed(t) {
		_, out, stderr := run(append(args, "--output", "html")...)
		for _, c := range checks.Catalogue {
			if !strings.Contains(out, `id="`+c.ID+`"`) {
				t.Errorf("%s: %s is not explained\n%s", name, c.ID, stderr)
			}
		}
		for _, outside := range []string{"src=", "@import", "url(", `href="http`, "<link rel=\"stylesheet"} {
			if strings.Contains(out, outside) {
				t.Errorf("%s: the page has %s", name, outside)
			}
		}
		if strings.Contains(out, "ZgotmplZ") {
			t.Errorf("%s: the template refused a value", name)
		}
	}
}

// Untrusted names neither close an element nor move the terminal's cursor.
func TestOutputIsEscaped(t *testing.T) {
	evil := "<script>alert(1)</script>\x1b[2J"
	ref := oneLayer(t, v1.Config{}, file{name: evil, data: plain(t)})
	if _, out, _ := run("image", "--output", "html", ref); strings.Contains(out, "<script>alert") {
		t.Error("HTML: not escaped")
	}
	if _, out, _ := run("image", ref); strings.Contains(out, "\x1b") {
		t.Error("text: control characters")
	}
}

func TestTextIsOneLineForEachArtifact(t *testing.T) {
	good := fixture.Build(t, boringTLS())
	code, out, _ := run("binary", "--policy", tlsPolicy(t, ""), "--mode", "boring", "--artifact", "demo/tls", good)
	if code != judge.OK || !strings.HasPrefix(out, "PASS  demo/tls  boring  fips-20220613") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	if !strings.Contains(out, "tests: crypto/tls links them in its tables (until 2099-01-01)") {
		t.Errorf("the exception's owner, reason and end are not shown:\n%s", out)
	}
	if _, out, _ = run("binary", "--all", good); !strings.Contains(out, "HMAC 2a218ae6") && !strings.Contains(out, "HMAC 9094627e") {
		t.Errorf("--all does not show the evidence:\n%s", out)
	}
}

func TestUsageErrors(t *testing.T) {
	good := fixture.Build(t, fixture.Program{Source: "hello"})
	text := write(t, "notes", "no program\n")
	for _, args := range [][]string{
		{"binary"},
		{"binary", text},
		{"binary", "no-such-file"},
		{"binary", t.TempDir()},
		{"binary", "--mode", "plain", good},
		{"binary", "--output", "pdf", good},
		{"binary", "--policy", text, good},
		{"binary", "--date", "soon", good},
		{"binary", "--artifact", "x", good, good},
		{"image", text},
		{"image", t.TempDir()},
		{"image", "--verdicts", text, t.TempDir()},
		{"tree", "no-such-folder"},
		{"chart", "no-such-file"},
		{"chart", t.TempDir()},
		{"explain", "B99"},
		{"nonsense"},
	} {
		if code, _, stderr := run(args...); code != judge.Unusable || stderr == "" {
			t.Errorf("%v: exit code %d, %q", args, code, stderr)
		}
	}
}

func TestPolicyDecidesModes(t *testing.T) {
	good := fixture.Build(t, fixture.Program{Source: "hash", Boring: true, Cgo: true})
	policy := write(t, "policy.yaml", "version: 1\nartifacts: {a/none: none, a/boring: boring}\n")
	for artifact, want := range map[string]int{"a/boring": judge.OK, "a/none": judge.Refused, "a/unknown": judge.Refused} {
		if code, out, stderr := run("binary", "--policy", policy, "--artifact", artifact, good); code != want {
			t.Errorf("%s: exit code %d, want %d\n%s%s", artifact, code, want, out, stderr)
		}
	}
	if code, _, stderr := run("binary", "--policy", policy, "--artifact", "a/none", "--mode", "boring", good); code != judge.Unusable || !strings.Contains(stderr, "declares it as none") {
		t.Errorf("contradiction: exit code %d, %s", code, stderr)
	}
}

func TestSunset(t *testing.T) {
	good := fixture.Build(t, fixture.Program{Source: "hash", Boring: true, Cgo: true})
	policy := tlsPolicy(t, "")
	for date, want := range map[string]int{"2030-12-31": judge.OK, "2031-01-01": judge.Refused} {
		if code, out, _ := run("binary", "--policy", policy, "--mode", "boring", "--date", date, good); code != want {
			t.Errorf("%s: exit code %d, want %d\n%s", date, code, want, out)
		}
	}
	if _, out, _ := run("binary", good); !strings.Contains(out, "warn B20") {
		t.Errorf("an unknown date is no warning:\n%s", out)
	}
	t.Setenv("SOURCE_DATE_EPOCH", "1924992000") // 2031-01-01
	if code, _, _ := run("binary", "--policy", policy, "--mode", "boring", good); code != judge.Refused {
		t.Errorf("SOURCE_DATE_EPOCH is not the day of the verdict: exit code %d", code)
	}
}

func TestSnapshotArchive(t *testing.T) {
	native := fixture.Build(t, fixture.Program{Source: "nopolicy", GOFIPS140: "v1.0.0-c2097c7c"})
	sdk, err := fixture.SDK("")
	if err != nil {
		t.Fatal(err)
	}
	if code, out, _ := run("binary", "--policy", tlsPolicy(t, ""), "--mode", "native", "--sdk", sdk, "--all", native); code != judge.OK || !strings.Contains(out, "in the SDK has the pinned") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if code, out, _ := run("binary", "--mode", "native", "--sdk", t.TempDir(), native); code != judge.Refused || !strings.Contains(out, "FAIL B11") {
		t.Errorf("SDK without the archive: exit code %d\n%s", code, out)
	}
}

func TestProbe(t *testing.T) {
	for _, tt := range []struct {
		p    fixture.Program
		says string
	}{
		{fixture.Program{Source: "hash", Boring: true, Cgo: true}, "refuses GODEBUG=fips140=on"},
		{fixture.Program{Source: "hash", Boring: true}, "runs with GODEBUG=fips140=on, as measured: plain"},
		{fixture.Program{Source: "hello"}, "nothing"},
	} {
		_, r := judged(t, "binary", "--probe", fixture.Build(t, tt.p))
		for _, f := range r.Artifacts[0].Findings {
			if f.Check == "B19" && f.Status == checks.Warn || f.Check == "B19" && tt.says != "nothing" && !strings.Contains(f.Message, tt.says) {
				t.Errorf("%+v: %s %s", tt.p, f.Status, f.Message)
			}
		}
	}
}

func TestExplain(t *testing.T) {
	_, list, _ := run("explain")
	for _, c := range checks.Catalogue {
		if !strings.Contains(list, c.ID) {
			t.Errorf("%s is not listed", c.ID)
		}
		code, out, _ := run("explain", strings.ToLower(c.ID))
		for _, text := range []string{c.Proves, c.Not, c.Source, c.Fix} {
			if text == "" || !strings.Contains(strings.Join(strings.Fields(out), " "), text) {
				t.Errorf("%s: exit code %d, %q is not said", c.ID, code, text)
			}
		}
	}
}

// merge keeps verdicts and refuses what no report needed.
func TestMerge(t *testing.T) {
	dir := t.TempDir()
	policy := tlsPolicy(t, "")
	reports := map[string]fixture.Program{"a/tls": boringTLS(), "b/hash": {Source: "hash", Boring: true, Cgo: true}}
	var files []string
	for name, p := range reports {
		file := filepath.Join(dir, strings.ReplaceAll(name, "/", "_")+".json")
		if code, _, stderr := run("binary", "--policy", policy, "--mode", "boring", "--artifact", name, "--output", "json", "--output-file", file, fixture.Build(t, p)); code != judge.OK {
			t.Fatalf("%s: exit code %d, %s", name, code, stderr)
		}
		files = append(files, file)
	}
	merge := func(args ...string) (int, *report.Report) {
		return judged(t, append([]string{"merge", "--policy", policy}, args...)...)
	}
	if code, r := merge(append(files, files...)...); code != judge.OK || len(r.Artifacts) != 2 || r.Artifacts[0].Name != "a/tls" {
		t.Errorf("exit code %d, %d artifacts, %v", code, len(r.Artifacts), r.Findings)
	}
	if code, r := merge(filepath.Join(dir, "b_hash.json")); code != judge.Refused || len(r.Findings) != 1 || !strings.Contains(r.Findings[0].Message, "excuses nothing") {
		t.Errorf("idle exception: exit code %d, %v", code, r.Findings)
	}
	bad := filepath.Join(dir, "bad.json")
	run("binary", "--mode", "boring", "--output", "json", "--output-file", bad, fixture.Build(t, fixture.Program{Source: "hash"}))
	if code, r := merge(append(files, bad)...); code != judge.Refused || len(r.Artifacts) != 3 {
		t.Errorf("a refused program: exit code %d", code)
	}
	if code, _, _ := run("merge", write(t, "x.json", "{}")); code != judge.Unusable {
		t.Errorf("no report: exit code %d", code)
	}
}
