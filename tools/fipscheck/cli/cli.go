// Package cli is fipscheck's command line.
package cli

import (
	"io"
	"strings"

	"github.com/spf13/cobra"

	"kubefips.internal/tools/fipscheck/judge"
	"kubefips.internal/tools/fipscheck/policy"
	"kubefips.internal/tools/fipscheck/report"
)

// Run executes the program and returns its exit code.
func Run(args []string, stdout, stderr io.Writer) int {
	root := command(stdout, stderr)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return judge.Exit(root.Execute(), stderr)
}

// options are the flags of all judging commands.
type options struct {
	judge  judge.Judge
	output judge.Output

	mode     string
	policy   string
	artifact string
	release  string
	date     string
	probe    bool
	// verdicts has what the build said of programs, by SHA-256.
	verdictFiles []string
	verdicts     map[string]verdict
}

func command(stdout, stderr io.Writer) *cobra.Command {
	o := &options{output: judge.Output{Stdout: stdout, Stderr: stderr}}
	root := &cobra.Command{
		Use:   "fipscheck",
		Short: "Decide from the artifact alone which cryptographic module it uses",
		Long: `fipscheck decides from an artifact alone, stripped and static or not, whether
its cryptography comes from a validated module, and says why.

Exit codes: 0 all passed, 1 something was refused, 2 unusable input.`,
		Version:       judge.Version(),
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			return o.prepare()
		},
	}
	f := root.PersistentFlags()
	f.StringVarP(&o.output.Format, "output", "o", "text", strings.Join(judge.Formats, ", "))
	f.StringVar(&o.output.File, "output-file", "", "write the report to this `file`; what was refused is also said on standard error")
	f.BoolVarP(&o.output.All, "all", "a", false, "text: show passed checks and those that do not apply")
	f.StringVar(&o.policy, "policy", "", "policy `file`: declared modes, exceptions, certificate dates")
	f.StringVar(&o.date, "date", "", "day (YYYY-MM-DD) for expiry and sunset; default SOURCE_DATE_EPOCH, else today")
	f.StringVar(&o.judge.SDK, "sdk", "", "Go distribution `directory` whose snapshot archives are hashed (B11)")
	root.AddCommand(binaryCommand(o), imageCommand(o), treeCommand(o), chartCommand(o), mergeCommand(o), explainCommand(o))
	return root
}

func (o *options) prepare() error {
	if err := o.output.Check(); err != nil {
		return err
	}
	var err error
	if o.policy != "" {
		if o.judge.Policy, err = policy.Load(o.policy); err != nil {
			return err
		}
	}
	o.judge.Day, err = judge.Day(o.date)
	return err
}

// finish judges the report, writes it and turns the verdict into an error.
func (o *options) finish(r *report.Report) error { return o.judge.Finish(r, &o.output) }
