package report

import (
	"encoding/json"
	"io"
	"net/url"
	"slices"
	"strings"

	"kubefips.internal/tools/fipscheck/checks"
)

// The part of SARIF 2.1.0 that is written here.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool    sarifTool     `json:"tool"`
		Results []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID               string       `json:"id"`
		Name             string       `json:"name"`
		ShortDescription sarifMessage `json:"shortDescription"`
		FullDescription  sarifMessage `json:"fullDescription"`
		Help             sarifMessage `json:"help"`
		Configuration    sarifConfig  `json:"defaultConfiguration"`
	}
	sarifConfig struct {
		Level string `json:"level"`
	}
	sarifMessage struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID       string             `json:"ruleId"`
		RuleIndex    int                `json:"ruleIndex"`
		Level        string             `json:"level"`
		Kind         string             `json:"kind"`
		Message      sarifMessage       `json:"message"`
		Locations    []sarifLocation    `json:"locations"`
		Suppressions []sarifSuppression `json:"suppressions,omitempty"`
	}
	sarifLocation struct {
		Physical sarifPhysical  `json:"physicalLocation"`
		Logical  []sarifLogical `json:"logicalLocations,omitempty"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifLogical struct {
		FullyQualifiedName string `json:"fullyQualifiedName"`
	}
	sarifSuppression struct {
		Kind          string `json:"kind"`
		Status        string `json:"status"`
		Justification string `json:"justification"`
	}
)

// SARIF writes what is not a plain pass in SARIF 2.1.0. Excused failures are
// there with a suppression.
func (r *Report) SARIF(w io.Writer) error {
	run := sarifRun{
		Tool:    sarifTool{sarifDriver{Name: r.Tool.Name, Version: r.Tool.Version}},
		Results: []sarifResult{},
	}
	for _, c := range checks.Catalogue {
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{
			ID: c.ID, Name: c.Title, ShortDescription: sarifMessage{c.Title}, FullDescription: sarifMessage{c.Proves},
			Help: sarifMessage{c.Fix}, Configuration: sarifConfig{level(c.Severity)},
		})
	}
	add := func(name, file string, l []checks.Finding) {
		for _, f := range l {
			if f.Status == checks.Pass || f.Status == checks.Skipped {
				continue
			}
			res := sarifResult{
				RuleID: f.Check, Level: level(f.Severity), Kind: "fail", Message: sarifMessage{name + ": " + f.Message},
				RuleIndex: slices.IndexFunc(checks.Catalogue, func(c checks.Check) bool { return c.ID == f.Check }),
				Locations: []sarifLocation{{Physical: sarifPhysical{sarifArtifact{uri(file)}}}},
			}
			if f.Subject != "" {
				res.Locations[0].Logical = []sarifLogical{{f.Subject}}
			}
			switch {
			case f.Status == checks.Note:
				res.Kind, res.Level = "informational", "none"
			case f.Status == checks.Warn && res.Level == "error":
				res.Level = "warning"
			}
			if e := f.Exception; e != nil {
				res.Suppressions = []sarifSuppression{{"external", "accepted", e.Reason + " (" + e.Owner + ", until " + e.Expires + ")"}}
			}
			run.Results = append(run.Results, res)
		}
	}
	add("policy", "policy", r.Findings)
	for _, a := range r.Artifacts {
		file := a.File
		if a.Parent != "" {
			file = a.Parent + a.File
		}
		add(a.Name, file, a.Findings)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(sarifLog{
		Schema:  "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
		Version: "2.1.0",
		Runs:    []sarifRun{run},
	})
}

func level(s checks.Severity) string {
	switch s {
	case checks.Block, checks.High:
		return "error"
	case checks.Med:
		return "warning"
	}
	return "note"
}

// uri makes a relative reference of a path.
func uri(file string) string {
	if file == "" {
		file = "-"
	}
	return (&url.URL{Path: strings.TrimLeft(file, "/")}).EscapedPath()
}
