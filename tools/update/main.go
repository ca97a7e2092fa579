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
		Use:           "update",
		Short:         "Rewrite the locks of this repository from their sources",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(debianCommand())
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
