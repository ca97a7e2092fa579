// Binary is fipscheck's command of that name and nothing else: each build of a
// program has it compiled first, and it needs a sixth of fipscheck's packages.
package main

import (
	"errors"
	"flag"
	"io"
	"os"

	"kubefips.internal/tools/fipscheck/judge"
	"kubefips.internal/tools/fipscheck/policy"
	"kubefips.internal/tools/fipscheck/report"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run executes the program and returns its exit code.
func run(args []string, stdout, stderr io.Writer) int {
	output := judge.Output{Stdout: stdout, Stderr: stderr}
	flags := flag.NewFlagSet("fipscheck binary", flag.ContinueOnError)
	flags.SetOutput(stderr)
	mode := flags.String("mode", "", "required mode: boring, native or none")
	rules := flags.String("policy", "", "policy `file`")
	artifact := flags.String("artifact", "", "the program's `name` in the policy")
	release := flags.String("release", "", "the program's `version`, for the report")
	flags.StringVar(&output.Format, "output", "text", "format of the report")
	flags.StringVar(&output.File, "output-file", "", "write the report to this `file`")
	if flags.Parse(args) != nil {
		return judge.Unusable // it has said why
	}
	return judge.Exit(verdict(flags.Args(), *mode, *rules, *artifact, *release, &output), stderr)
}

func verdict(programs []string, mode, rules, artifact, release string, output *judge.Output) error {
	if len(programs) != 1 || rules == "" {
		return errors.New("give --policy and one program")
	}
	required, err := judge.Mode(mode)
	if err != nil {
		return err
	}
	if err := output.Check(); err != nil {
		return err
	}
	var j judge.Judge
	if j.Day, err = judge.Day(""); err != nil {
		return err
	}
	if j.Policy, err = policy.Load(rules); err != nil {
		return err
	}
	a, err := j.Program(programs[0], artifact, required)
	if err != nil {
		return err
	}
	a.Release = release
	return j.Finish(&report.Report{Artifacts: []report.Artifact{a}}, output)
}
