// Command update rewrites the repository's generated locks.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/spf13/cobra"
)

func main() {
	if err := useSDK(); err != nil {
		fmt.Fprintln(os.Stderr, "update:", err)
		os.Exit(1)
	}
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

// useSDK puts the go command that `bazel run` hands over by $GO before the machine's,
// which may have none.
func useSDK() error {
	goCommand := os.Getenv("GO")
	if goCommand == "" {
		return nil
	}
	goCommand, err := filepath.Abs(goCommand)
	if err != nil {
		return err
	}
	return errors.Join(
		os.Setenv("PATH", filepath.Dir(goCommand)+string(filepath.ListSeparator)+os.Getenv("PATH")),
		os.Unsetenv("GOROOT"),
	)
}

// workspace returns the source tree's root: where `bazel run` was called, else
// the working directory.
func workspace() string {
	if dir := os.Getenv("BUILD_WORKSPACE_DIRECTORY"); dir != "" {
		return dir
	}
	return "."
}
