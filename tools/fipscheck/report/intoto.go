package report

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"kubefips.internal/tools/fipscheck/boring"
	"kubefips.internal/tools/fipscheck/checks"
	"kubefips.internal/tools/fipscheck/native"
)

// PredicateType names the evidence in an in-toto statement. Its form is the
// JSON report of Schema, with the tables that the verdicts rest on.
const PredicateType = "https://kubefips.internal/fipscheck/evidence/v1"

type statement struct {
	Type          string    `json:"_type"`
	Subject       []subject `json:"subject"`
	PredicateType string    `json:"predicateType"`
	Predicate     predicate `json:"predicate"`
}

type subject struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"`
}

type predicate struct {
	Tool         Tool                          `json:"tool"`
	Date         string                        `json:"date"`
	Verdict      string                        `json:"verdict"`
	Checks       []checks.Check                `json:"checks"`
	Modules      []boring.Module               `json:"boringModules"`
	Certificates map[string]boring.Certificate `json:"boringCertificates"`
	Snapshots    map[string]native.Snapshot    `json:"nativeSnapshots"`
	Findings     []checks.Finding              `json:"findings,omitempty"`
	Artifacts    []Artifact                    `json:"artifacts"`
}

// InToto writes an unsigned in-toto statement, version 1: what was judged is
// the subject, by digest, and the evidence is the predicate.
func (r *Report) InToto(w io.Writer) error {
	s := statement{
		Type: "https://in-toto.io/Statement/v1", PredicateType: PredicateType,
		Predicate: predicate{
			Tool: r.Tool, Date: r.Date, Verdict: r.Verdict, Checks: checks.Catalogue, Modules: boring.Modules,
			Certificates: boring.Certificates, Snapshots: native.Snapshots, Findings: r.Findings, Artifacts: r.Artifacts,
		},
	}
	for _, a := range r.Artifacts {
		alg, hex, ok := strings.Cut(a.Digest, ":")
		if !ok {
			continue // manifests and folders have no digest of their own
		}
		sub := subject{Name: a.Name, Digest: map[string]string{alg: hex}}
		if !slices.ContainsFunc(s.Subject, func(o subject) bool { return o.Name == sub.Name && o.Digest[alg] == hex }) {
			s.Subject = append(s.Subject, sub)
		}
	}
	if len(s.Subject) == 0 {
		return fmt.Errorf("an in-toto statement needs something with a digest: judge a binary or an image")
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(s)
}
