package main

import (
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"kubefips.internal/tools/internal/gosdk"
)

func goCommand() *cobra.Command {
	var certificate string
	c := &cobra.Command{
		Use:   "go VERSION...",
		Short: "Lock Go SDKs",
		Long: `Write Go SDKs into ` + gosdk.LockFile + ` and register them in
` + gosdk.ModuleFile + `. The go command fetches them from the Go
module proxy and checks them with the checksum database; their BoringCrypto
objects have to be those of an SDK that is locked already, or --certificate
says which certificate a person has looked up for them.`,
		Example: "  bazel run //tools/update -- go 1.26.10",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			root := workspace()
			lock, err := gosdk.Read(root)
			if err != nil {
				return err
			}
			for _, v := range args {
				if err := lock.Add(cmd.Context(), v, certificate); err != nil {
					return err
				}
			}
			segment, err := os.ReadFile(filepath.Join(root, gosdk.ModuleFile))
			if err != nil {
				return err
			}
			segment, err = lock.ListVersions(segment)
			if err != nil {
				return err
			}
			if err := writeIfChanged(cmd.OutOrStdout(), filepath.Join(root, gosdk.LockFile), lock.Encode()); err != nil {
				return err
			}
			return writeIfChanged(cmd.OutOrStdout(), filepath.Join(root, gosdk.ModuleFile), segment)
		},
	}
	c.Flags().StringVar(&certificate, "certificate", "", "CMVP certificate number of BoringCrypto objects that no locked SDK has")
	return c
}
