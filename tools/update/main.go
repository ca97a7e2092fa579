// Command update rewrites the repository's generated locks.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/spf13/cobra"
)

func main() {
	root := &cobra.Command{
		Use:   "update COMPONENT VERSION",
		Short: "Rewrite the locks of this repository from their sources",
		Long: `Move a component to another version of its upstream: write its go.mod, go.sum and
upstream.bzl. Every module that it needs gets the version that upstream's own
go.mod selects; lines of the component's go.mod that carry a comment are
decisions of this repository and stay. Nothing is written when a module is
missing or has another hash than the one in go.sum.

Modules that the checksum database does not know are trusted on first use when
GONOSUMDB names them; each is reported.`,
		Example:       "  bazel run //tools/update -- etcd v3.7.3\n  bazel run //tools/update -- go 1.26.10\n  bazel run //tools/update -- debian",
		Args:          cobra.ExactArgs(2),
		RunE:          updateComponent,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(debianCommand(), goCommand())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "update:", err)
		os.Exit(1)
	}
}

// workspace returns the source tree's root: where `bazel run` was called, else
// the working directory.
func workspace() string {
	if dir := os.Getenv("BUILD_WORKSPACE_DIRECTORY"); dir != "" {
		return dir
	}
	return "."
}
