package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"kubefips.internal/tools/internal/component"
	"kubefips.internal/tools/internal/gosdk"
)

// updateComponent moves the component args[0] to version args[1].
func updateComponent(cmd *cobra.Command, args []string) error {
	root := workspace()
	dir := filepath.Join(root, "components", args[0])
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
		return fmt.Errorf("%s is no component: %w", args[0], err)
	}
	lock, err := gosdk.Read(root)
	if err != nil {
		return err
	}
	return component.Update(cmd.Context(), cmd.OutOrStdout(), dir, args[1], lock.Versions())
}
