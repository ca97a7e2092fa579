package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kubefips.internal/tools/fipscheck/cli"
	"kubefips.internal/tools/fipscheck/internal/fixture"
	"kubefips.internal/tools/fipscheck/judge"
)

func TestMain(m *testing.M) { fixture.Main(m) }

// The build's program says, byte for byte, what fipscheck says.
func TestSameAsFipscheck(t *testing.T) {
	rules := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(rules, []byte("version: 1\nartifacts: {hello: none, tls: boring}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	hello := fixture.Build(t, fixture.Program{Source: "hello"})
	tls := fixture.Build(t, fixture.Program{Source: "tls", Boring: true, Cgo: true})
	plain := fixture.Build(t, fixture.Program{Source: "nopolicy"})
	for _, tt := range []struct {
		name string
		args []string
		code int
		says string // a part of what it says, anywhere
	}{
		{"passed", []string{"--mode=none", "--artifact=hello", "--release=v1.2.3", hello}, judge.OK, ""},
		{"passed, in JSON", []string{"--output=json", "--artifact=hello", "--release=v1.2.3", hello}, judge.OK, ""},
		{"refused", []string{"--artifact=tls", tls}, judge.Refused, ""}, // no exception for what crypto/tls links
		{"refused, plain Go", []string{"--mode=boring", "--artifact=tls", plain}, judge.Refused, "measured plain"},
		{"refused, plain Go, in JSON", []string{"--output=json", "--artifact=tls", plain}, judge.Refused, "measured plain"},
		{"refused, in SARIF", []string{"--output=sarif", "--artifact=tls", tls}, judge.Refused, ""},
		{"no mode in the policy", []string{hello}, judge.Refused, ""},
		{"another mode than the policy's", []string{"--mode=boring", "--artifact=hello", hello}, judge.Unusable, ""},
		{"unknown mode", []string{"--mode=fips", hello}, judge.Unusable, ""},
		{"unknown format", []string{"--output=xml", hello}, judge.Unusable, ""},
		{"no program", []string{rules}, judge.Unusable, ""},
		{"no file", []string{hello + ".missing"}, judge.Unusable, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			args := append([]string{"--policy=" + rules}, tt.args...)
			for _, args := range [][]string{args, append([]string{"--output-file=" + filepath.Join(t.TempDir(), "report")}, args...)} {
				got := outcome(run, args)
				if got.code != tt.code {
					t.Errorf("exit code %d, want %d:\n%s", got.code, tt.code, got.stderr)
				}
				if !strings.Contains(got.stdout+got.stderr+got.report, tt.says) {
					t.Errorf("does not say %q: %+v", tt.says, got)
				}
				if want := outcome(cli.Run, append([]string{"binary"}, args...)); got != want {
					t.Errorf("%+v\n, and fipscheck binary %+v", got, want)
				}
			}
		})
	}
}

// said is all that a program says, and what it leaves in a file.
type said struct {
	code                   int
	stdout, stderr, report string
}

func outcome(program func(args []string, stdout, stderr io.Writer) int, args []string) said {
	var stdout, stderr bytes.Buffer
	code := program(args, &stdout, &stderr)
	var report []byte
	for _, a := range args {
		if file, ok := strings.CutPrefix(a, "--output-file="); ok {
			report, _ = os.ReadFile(file) // there is none of what could not be judged
			os.Remove(file)
		}
	}
	return said{code, stdout.String(), stderr.String(), string(report)}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{nil, {"a"}, {"--policy=p"}, {"--policy=p", "a", "b"}, {"--unknown"}} {
		var stdout, stderr bytes.Buffer
		if code := run(args, &stdout, &stderr); code != judge.Unusable || stderr.Len() == 0 {
			t.Errorf("%q: exit code %d, said %q", args, code, &stderr)
		}
	}
}
