package cli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"kubefips.internal/tools/fipscheck/report"
)

func mergeCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "merge REPORT...",
		Short: "Put JSON reports together into one",
		Long: `merge puts JSON reports together into one, for one page on a whole distribution.
The verdicts stay what they are. With --policy, exceptions that excused nothing
in any of the reports are refused.`,
		Example: `  fipscheck merge --policy policy.yaml --output html --output-file report.html *.fips.json`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, names []string) error {
			r := &report.Report{}
			for _, name := range names {
				one, err := readReport(name)
				if err != nil {
					return err
				}
				r.Findings = append(r.Findings, one.Findings...)
				for _, a := range one.Artifacts {
					if !slices.ContainsFunc(r.Artifacts, func(b report.Artifact) bool {
						return a.Name == b.Name && a.Digest == b.Digest && a.Parent == b.Parent && a.File == b.File && a.Platform == b.Platform
					}) {
						r.Artifacts = append(r.Artifacts, a)
					}
				}
			}
			if o.judge.Policy != nil {
				var judged []string
				for _, a := range r.Artifacts {
					o.judge.Policy.Replay(a.Name, a.Findings)
					judged = append(judged, a.Name)
				}
				r.Findings = append(r.Findings, o.judge.Policy.Unused(judged)...)
			}
			slices.SortStableFunc(r.Artifacts, byName)
			return o.finish(r)
		},
	}
}

// byName sorts programs before what contains them, then by name, and keeps
// the files of an image behind it.
func byName(a, b report.Artifact) int {
	key := func(a report.Artifact) string {
		switch {
		case a.Parent != "":
			return "2" + a.Parent + "\x01"
		case a.Kind == report.Binary:
			return "1" + a.Name
		}
		return "2" + a.Name
	}
	return strings.Compare(key(a), key(b))
}
