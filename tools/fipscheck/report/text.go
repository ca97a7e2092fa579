package report

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"

	"kubefips.internal/tools/fipscheck/checks"
	"kubefips.internal/tools/fipscheck/measure"
)

// Text writes the report for people: one line for each artifact, and under it
// what is not a plain pass. With all, passes and checks that do not apply too.
func (r *Report) Text(w io.Writer, color, all bool) error {
	b := bufio.NewWriter(w)
	paint := func(code, s string) string {
		if !color {
			return s
		}
		return "\x1b[" + code + "m" + s + "\x1b[0m"
	}
	mark := map[checks.Status]string{
		checks.Pass: paint("32", "pass"), checks.Fail: paint("31;1", "FAIL"), checks.Warn: paint("33", "warn"),
		checks.Excepted: paint("36", "exc."), checks.Note: "info", checks.Skipped: paint("2", "n/a "),
	}
	width := 0
	for _, a := range r.Artifacts {
		width = max(width, len(a.Name))
	}
	findings := func(l []checks.Finding) {
		for i, f := range l {
			if !all && (f.Status == checks.Pass || f.Status == checks.Skipped || f.Status == checks.Note) {
				continue
			}
			fmt.Fprintf(b, "      %s %-3s %-5s %s\n", mark[f.Status], f.Check, f.Severity, printable(f.Message))
			if f.Exception != nil {
				fmt.Fprintf(b, "               %s: %s (until %s)\n", f.Exception.Owner, strings.Join(strings.Fields(f.Exception.Reason), " "), f.Exception.Expires)
			}
			if last := i+1 == len(l) || l[i+1].Check != f.Check; last && hasFailure(l, f.Check) {
				if c, ok := checks.Lookup(f.Check); ok {
					fmt.Fprintf(b, "               fix: %s\n", c.Fix)
				}
			}
		}
	}
	failed := 0
	for _, a := range r.Artifacts {
		v := paint("32;1", "PASS")
		if a.Verdict == Failed {
			failed++
			v = paint("31;1", "FAIL")
		}
		fmt.Fprintf(b, "%s  %-*s  %s\n", v, width, printable(a.Name), headline(a))
		findings(a.Findings)
	}
	if len(r.Findings) > 0 {
		fmt.Fprintln(b, "policy")
		findings(r.Findings)
	}
	if len(r.Artifacts) > 1 || len(r.Findings) > 0 {
		fmt.Fprintf(b, "%d artifacts, %d failed\n", len(r.Artifacts), failed)
	}
	return b.Flush()
}

// headline says in one line what was measured.
func headline(a Artifact) string {
	var s []string
	add := func(v string) {
		if v != "" {
			s = append(s, v)
		}
	}
	add(string(a.Measured))
	if a.Evidence != nil {
		for _, m := range a.Evidence.Modules {
			add(m.Module.Version)
		}
		if a.Measured == measure.GoFIPS {
			add(strings.Join(a.Evidence.Snapshots, ","))
		}
		add(a.Evidence.GoVersion)
	}
	add(a.Platform)
	if a.Hidden {
		add("hidden by a later layer")
	}
	return printable(strings.Join(s, "  "))
}

// printable keeps control characters of untrusted input off the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}

func hasFailure(l []checks.Finding, id string) bool {
	return slices.ContainsFunc(l, func(f checks.Finding) bool { return f.Check == id && Failing(f) })
}
