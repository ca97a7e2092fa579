// Command format writes Starlark files as buildifier does and Go files as gofmt does.
//
//	bazel run //tools/format             rewrites what is not formatted
//	bazel run //tools/format -- --check  lists it, and exits 1 if there is any
package main

import (
	"bytes"
	"fmt"
	"go/format"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/bazelbuild/buildtools/build"
	"github.com/spf13/cobra"
)

func main() {
	var check bool
	cmd := &cobra.Command{
		Use:           "format [--check]",
		Short:         "Format the Starlark and Go files that git knows",
		Example:       "  bazel run //tools/format -- --check",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(*cobra.Command, []string) error {
			return run(os.Getenv("BUILD_WORKSPACE_DIRECTORY"), check)
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "change nothing; fail when a file is not formatted")
	if err := cmd.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "format:", err)
		os.Exit(1)
	}
}

// run formats the git work tree at root, or with check only lists the files that are off.
func run(root string, check bool) error {
	list := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		return fmt.Errorf("listing the files of %q: %w", root, err)
	}
	var off []string
	for _, name := range strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		file := filepath.Join(root, name)
		source, err := os.ReadFile(file)
		if os.IsNotExist(err) {
			continue // deleted, not yet committed
		}
		if err != nil {
			return err
		}
		formatted, err := Source(name, source)
		if err != nil {
			return err
		}
		if bytes.Equal(source, formatted) {
			continue
		}
		off = append(off, name)
		if !check {
			if err := os.WriteFile(file, formatted, 0o644); err != nil {
				return err
			}
		}
	}
	for _, name := range off {
		fmt.Println(name)
	}
	if check && len(off) > 0 {
		return fmt.Errorf("%d files are not formatted; run `tools/bazel run //tools/format`", len(off))
	}
	return nil
}

// Source returns the formatted form of a file, and files of other kinds as they are. name selects the formatter.
func Source(name string, source []byte) ([]byte, error) {
	switch base := filepath.Base(name); {
	case strings.HasSuffix(base, ".go"):
		formatted, err := format.Source(source)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return formatted, nil
	case strings.HasSuffix(base, ".bzl"), strings.HasSuffix(base, ".bazel"), base == "WORKSPACE":
		file, err := build.Parse(name, source)
		if err != nil {
			return nil, err
		}
		return build.Format(file), nil
	default:
		return source, nil
	}
}
