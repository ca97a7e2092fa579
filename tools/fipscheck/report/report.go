// Package report holds verdicts and writes them for people and for programs.
package report

import (
	_ "embed"
	"encoding/json"
	"io"

	"kubefips.internal/tools/fipscheck/checks"
	"kubefips.internal/tools/fipscheck/measure"
)

// Schema names the format of the JSON report. A change that could break a
// reader changes the number.
const Schema = "fipscheck.report/v1"

// JSONSchema describes the JSON report in JSON Schema, draft 7.
//
//go:embed report.schema.json
var JSONSchema []byte

// Report is the outcome of one run.
type Report struct {
	Schema string `json:"schema"`
	Tool   Tool   `json:"tool"`
	// Date is the day (YYYY-MM-DD) for which expiry and sunset were judged.
	Date    string `json:"date"`
	Verdict string `json:"verdict"`
	// Findings are about the run as a whole, such as unused exceptions.
	Findings  []checks.Finding `json:"findings,omitempty"`
	Artifacts []Artifact       `json:"artifacts"`
}

// Tool is this program.
type Tool struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Kinds of artifact.
const (
	Binary   = "binary"
	Image    = "image"
	Tree     = "tree"
	Manifest = "manifest"
)

// Artifact is one thing that was judged.
type Artifact struct {
	// Name is what the policy calls it.
	Name string `json:"name"`
	Kind string `json:"kind"`
	// Release is the version that the build calls it by; a claim.
	Release string `json:"release,omitempty"`
	// Parent is the name of the image that the artifact is in.
	Parent string `json:"parent,omitempty"`
	// File is where it was read: a path, or a path in the image.
	File string `json:"file,omitempty"`
	// Layer is the digest of the layer, Hidden whether a later one covers the file.
	Layer  string `json:"layer,omitempty"`
	Hidden bool   `json:"hidden,omitempty"`
	// Digest is "sha256:" and the hash of the bytes that were judged.
	Digest   string           `json:"digest,omitempty"`
	Platform string           `json:"platform,omitempty"`
	Declared measure.Mode     `json:"declared,omitempty"`
	Measured measure.Mode     `json:"measured,omitempty"`
	Verdict  string           `json:"verdict"`
	Evidence *measure.Binary  `json:"evidence,omitempty"`
	Findings []checks.Finding `json:"findings"`
}

// Verdicts.
const (
	Passed = "pass"
	Failed = "fail"
)

// Failing says whether a finding makes its artifact fail.
func Failing(f checks.Finding) bool {
	return f.Status == checks.Fail && (f.Severity == checks.Block || f.Severity == checks.High)
}

// Judge sets the verdicts of all artifacts and of the report.
func (r *Report) Judge() {
	r.Verdict = verdict(r.Findings)
	for i := range r.Artifacts {
		a := &r.Artifacts[i]
		if a.Verdict = verdict(a.Findings); a.Verdict == Failed {
			r.Verdict = Failed
		}
	}
}

func verdict(l []checks.Finding) string {
	for _, f := range l {
		if Failing(f) {
			return Failed
		}
	}
	return Passed
}

// JSON writes the report in the documented schema.
func (r *Report) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}
