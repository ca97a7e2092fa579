package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"kubefips.internal/tools/internal/debian"
	"kubefips.internal/tools/internal/debian/archive"
)

func debianCommand() *cobra.Command {
	var keyring string
	var allowExpired bool
	c := &cobra.Command{
		Use:   "debian [SET...]",
		Short: "Lock Debian packages again (all sets, or those named)",
		Long: `Resolve the sets of toolchains/debian/sets.yaml in Debian's archives and write
toolchains/debian/<set>.lock.json. The archives are those of $` + debian.MirrorEnv + `, else of the
machine's apt configuration; what they serve is taken only with a good signature
by a key of Debian's.`,
		Example: "  bazel run //tools/update -- debian bazel_root",
		RunE: func(cmd *cobra.Command, args []string) error {
			mirrors, err := debian.FindMirrors("/etc/apt")
			if err != nil {
				return err
			}
			keys, err := archive.ReadKeyring(keyring)
			if err != nil {
				return err
			}
			r := &archive.Reader{Fetcher: &debian.Fetcher{Mirrors: mirrors}, Keys: keys, AllowExpired: allowExpired}
			return lockDebian(cmd, r, filepath.Join(workspace(), "toolchains", "debian"), args)
		},
	}
	c.Flags().StringVar(&keyring, "keyring", archive.Keyring, "public keys of Debian's archives")
	c.Flags().BoolVar(&allowExpired, "allow-expired", false, "accept suites past their Valid-Until, from a frozen mirror or a snapshot")
	return c
}

// lockDebian writes the locks of the named sets, all when there are none.
func lockDebian(cmd *cobra.Command, r *archive.Reader, dir string, names []string) error {
	file := filepath.Join(dir, "sets.yaml")
	sets, err := archive.ReadSets(file)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(sets))
	}
	for _, name := range names {
		def, ok := sets[name]
		if !ok {
			return fmt.Errorf("%s has no set %q; it has %s", file, name, strings.Join(slices.Sorted(maps.Keys(sets)), ", "))
		}
		lock, err := r.Lock(cmd.Context(), def)
		if err != nil {
			return fmt.Errorf("%s: set %s: %w", file, name, err)
		}
		data, err := lock.Encode()
		if err != nil {
			return err
		}
		if err := writeIfChanged(cmd.OutOrStdout(), filepath.Join(dir, name+debian.LockSuffix), data); err != nil {
			return err
		}
	}
	return nil
}

// writeIfChanged replaces a file at once and reports what it did.
func writeIfChanged(out io.Writer, name string, data []byte) error {
	if old, err := os.ReadFile(name); err == nil && bytes.Equal(old, data) {
		fmt.Fprintln(out, name, "is up to date")
		return nil
	}
	tmp := name + ".tmp"
	if err := os.WriteFile(tmp, data, 0o644); err != nil {
		return err
	}
	fmt.Fprintln(out, "wrote", name)
	return os.Rename(tmp, name)
}
