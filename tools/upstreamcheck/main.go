// Command upstreamcheck holds components to their upstream. The tests beside every
// component run it.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"kubefips.internal/tools/internal/component"
)

func main() {
	root := &cobra.Command{
		Use:           "upstreamcheck",
		Short:         "Compare components with their upstream",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(componentCommand(), binaryCommand())
	if err := root.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func componentCommand() *cobra.Command {
	var goCommand string
	c := &cobra.Command{
		Use:   "component DIR GO.MOD...",
		Short: "Compare a component's go.mod and upstream.bzl with the files of upstream's main modules",
		Long: `Compare the modules that a component selects, its Go version and its default
GODEBUG with what upstream's own files say: the go.mod of each of its main
modules and, beside it, the files that name its Go version. Differences in modules have to be explained in the component's README.md.`,
		Example: "  upstreamcheck component --go sdk/bin/go components/coredns upstream/go.mod",
		Args:    cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			local, err := component.LocalGo(goCommand)
			if err != nil {
				return err
			}
			return component.Check(cmd.Context(), args[0], args[1:], local)
		},
	}
	c.Flags().StringVar(&goCommand, "go", "", "go command of the SDK that compiles the component")
	cobra.CheckErr(c.MarkFlagRequired("go"))
	return c
}

func binaryCommand() *cobra.Command {
	var tags []string
	c := &cobra.Command{
		Use:     "binary DIR BINARY",
		Short:   "Compare the modules linked into a program with the component's go.mod and go.sum, and its build tags with gazelle's",
		Example: "  upstreamcheck binary --tags=seccomp components/runc runc",
		Args:    cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			return errors.Join(component.CheckTags(args[0], tags), component.CheckBinary(args[0], args[1]))
		},
	}
	c.Flags().StringSliceVar(&tags, "tags", nil, "build tags that the program is compiled with")
	return c
}
