// Package cli is the command line of oci.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"strings"

	"github.com/bazelbuild/rules_go/go/runfiles"
	"github.com/spf13/cobra"
)

// runfile marks, in the arguments that a rule writes, a path among the runfiles.
const runfile = "runfile:"

// Arguments returns the arguments of this call. A rule that makes an executable of this program puts them into a file
// beside it, <executable>.args.json: a list of strings. Those of the call itself follow.
func Arguments(osArgs []string) ([]string, error) {
	data, err := os.ReadFile(osArgs[0] + ".args.json")
	if errors.Is(err, fs.ErrNotExist) {
		return osArgs[1:], nil
	}
	if err != nil {
		return nil, err
	}
	var args []string
	if err := json.Unmarshal(data, &args); err != nil {
		return nil, fmt.Errorf("%s.args.json: %w", osArgs[0], err)
	}
	files, err := runfiles.New(runfiles.ProgramName(osArgs[0]))
	if err != nil {
		return nil, fmt.Errorf("looking for the runfiles of %s: %w", osArgs[0], err)
	}
	for i, arg := range args {
		if path, isRunfile := strings.CutPrefix(arg, runfile); isRunfile {
			if args[i], err = files.Rlocation(path); err != nil {
				return nil, fmt.Errorf("runfile %s: %w", path, err)
			}
		}
	}
	return append(args, osArgs[1:]...), nil
}

// A Command is the whole command line.
type Command struct{ root *cobra.Command }

// New returns the command line.
func New() Command {
	root := &cobra.Command{
		Use:           "oci",
		Short:         "Build, describe, push and load OCI images",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(layerCommand(), layersCommand(), imageCommand(), indexCommand(), layoutCommand(), digestCommand(), digestsCommand(),
		contentsCommand(), pushCommand(), pushAllCommand(), pullCommand(), loadCommand(), bundleCommand(), chartCommand(), chartLayoutCommand())
	return Command{root}
}

// Run runs the command that args name; an interrupt cancels it.
func (c Command) Run(args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	c.root.SetArgs(args)
	return c.root.ExecuteContext(ctx)
}

// writeFile writes what write produces to the file at path, and leaves none behind when that fails.
func writeFile(path string, write func(*os.File) error) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := errors.Join(write(file), file.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}
