// Package main keeps the table of programs in the README.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"kubefips.internal/tools/fipscheck/checks"
	"kubefips.internal/tools/fipscheck/measure"
	"kubefips.internal/tools/fipscheck/report"
)

// The table stands between these lines.
const (
	begin = "<!-- Written by `tools/bazel run //tools/readme`; do not edit. -->"
	end   = "<!-- End of what //tools/readme writes. -->"
)

// update returns the README with another table in it.
func update(readme, t []byte) ([]byte, error) {
	before, rest, ok := bytes.Cut(readme, []byte(begin+"\n"))
	if !ok {
		return nil, fmt.Errorf("the README has no line %q", begin)
	}
	_, after, ok := bytes.Cut(rest, []byte(end+"\n"))
	if !ok {
		return nil, fmt.Errorf("the README has no line %q", end)
	}
	return bytes.Join([][]byte{before, []byte(begin + "\n\n"), t, []byte("\n" + end + "\n"), after}, nil), nil
}

// table lists the programs of a report, a component's first one with its name.
func table(reportJSON []byte) ([]byte, error) {
	var r report.Report
	if err := json.Unmarshal(reportJSON, &r); err != nil {
		return nil, fmt.Errorf("reading the report: %w", err)
	}
	if r.Schema != report.Schema {
		return nil, fmt.Errorf("the report has schema %q, want %s", r.Schema, report.Schema)
	}
	var b bytes.Buffer
	b.WriteString("| component | program | version | Go | cryptography | verdict | MB |\n|---|---|---|---|---|---|--:|\n")
	rows, last := 0, ""
	for _, a := range r.Artifacts {
		component, program, ok := strings.Cut(a.Name, "/")
		if a.Kind != report.Binary || a.Parent != "" || !ok || a.Evidence == nil {
			continue
		}
		link := ""
		if component != last {
			link, last = component, component
			if !strings.HasPrefix(a.Evidence.Main, "kubefips.internal/") { // not a program of this tree
				link = fmt.Sprintf("[%s](components/%[1]s)", component)
			}
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", link, program, a.Release, goVersion(a.Evidence), cryptography(a), verdict(a), megabytes(a.Evidence.Size))
		rows++
	}
	if rows == 0 {
		return nil, errors.New("the report has no programs")
	}
	return b.Bytes(), nil
}

func megabytes(size int64) string {
	if size < 50_000 {
		return "<0.1"
	}
	return fmt.Sprintf("%.1f", float64(size)/1e6)
}

// goVersion is the release alone: go1.26.10 X:boringcrypto, as the go command
// writes it, and go1.26.10-X:boringcrypto, as rules_go does.
func goVersion(b *measure.Binary) string {
	v := strings.TrimPrefix(b.GoVersion, "go")
	if i := strings.IndexAny(v, " -"); i >= 0 {
		v = v[:i]
	}
	return v
}

// cryptography is what was measured.
func cryptography(a report.Artifact) string {
	switch {
	case a.Measured == measure.None:
		return "none"
	case len(a.Evidence.Modules) == 1:
		return a.Evidence.Modules[0].Module.Version
	}
	return string(a.Measured)
}

// verdict tells how many findings were excused.
func verdict(a report.Artifact) string {
	n := 0
	for _, f := range a.Findings {
		if f.Status == checks.Excepted {
			n++
		}
	}
	if n == 0 {
		return a.Verdict
	}
	return fmt.Sprintf("%s, %d excepted", a.Verdict, n)
}
