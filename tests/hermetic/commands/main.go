// Command commands looks through the command lines of all that is shipped, and of what that needs: none may have a path of this
// machine, or a time.
//
//	tools/bazel run //tests/hermetic/commands
//
// It asks the Bazel that started it, for which all is analysed after a build of //... . Exit status: 0 when there is none, else 1.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/spf13/cobra"

	"kubefips.internal/tests/internal/clone/commandlines"
)

func main() {
	cmd := &cobra.Command{
		Use:           "commands [TARGET...]",
		Short:         "Look through the command lines of targets, of all components and images when none is named",
		Example:       "  tools/bazel run //tests/hermetic/commands\n  tools/bazel run //tests/hermetic/commands -- //images/etcd:image",
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(_ *cobra.Command, targets []string) error {
			if len(targets) == 0 {
				targets = []string{"//components/...", "//images/..."}
			}
			return run(os.Getenv("BUILD_WORKSPACE_DIRECTORY"), targets)
		},
	}
	if err := cmd.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "commands:", err)
		os.Exit(1)
	}
}

func run(tree string, targets []string) error {
	if tree == "" {
		return errors.New("start it by `tools/bazel run //tests/hermetic/commands`")
	}
	aquery := exec.Command(filepath.Join(tree, "tools", "bazel"), append([]string{"aquery", "--noshow_progress"}, commandlines.Arguments(targets...)...)...)
	aquery.Dir, aquery.Stderr = tree, os.Stderr
	out, err := aquery.StdoutPipe()
	if err != nil {
		return err
	}
	if err := aquery.Start(); err != nil {
		return fmt.Errorf("starting Bazel: %w", err)
	}
	wrong, err := commandlines.Check(out, tree)
	out.Close() // or Bazel would wait for who reads what is left
	if err := errors.Join(err, aquery.Wait()); err != nil {
		return fmt.Errorf("bazel aquery: %w", err)
	}
	for _, w := range wrong {
		fmt.Println(w)
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%d command lines are not the same everywhere; give what they name as an input, or by a path in the execution root", len(wrong))
	}
	return nil
}
