package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"kubefips.internal/tools/fipscheck/checks"
	"kubefips.internal/tools/fipscheck/judge"
	"kubefips.internal/tools/fipscheck/measure"
	"kubefips.internal/tools/fipscheck/report"
)

func binaryCommand(o *options) *cobra.Command {
	c := &cobra.Command{
		Use:   "binary FILE...",
		Short: "Judge programs by checks B01 to B20",
		Example: `  fipscheck binary --mode boring /usr/bin/etcd
  fipscheck binary --policy policy.yaml --artifact etcd/etcd --output json ./etcd`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, names []string) error {
			if o.artifact != "" && len(names) > 1 {
				return errors.New("--artifact names one file; give one")
			}
			mode, err := judge.Mode(o.mode)
			if err != nil {
				return err
			}
			r := &report.Report{Artifacts: make([]report.Artifact, len(names))}
			err = each(len(names), func(i int) (err error) {
				r.Artifacts[i], err = o.program(names[i], mode)
				return err
			})
			if err != nil {
				return err
			}
			return o.finish(r)
		},
	}
	f := c.Flags()
	f.StringVar(&o.mode, "mode", "", "required mode: boring, native or none; default accepts each of them")
	f.StringVar(&o.artifact, "artifact", "", "the file's `name` in the policy; default is the path")
	f.StringVar(&o.release, "release", "", "the program's `version`, for the report")
	f.BoolVar(&o.probe, "probe", false, "B19: also start the program once with GODEBUG=fips140=on; it must be for this machine and is run as you")
	return c
}

// program judges one file of this machine.
func (o *options) program(name string, mode measure.Mode) (report.Artifact, error) {
	a, err := o.judge.Program(name, o.artifact, mode)
	a.Release = o.release
	if err == nil && o.probe {
		a.Findings = append(a.Findings, checks.Probe(name, a.Evidence))
	}
	return a, err
}
