package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"kubefips.internal/tools/oci/contents"
	"kubefips.internal/tools/oci/layout"
)

func digestCommand() *cobra.Command {
	var dir, output string
	command := &cobra.Command{
		Use:     "digest",
		Short:   "Write the digest of what a layout holds",
		Example: "  oci digest --layout bazel-bin/images/etcd/image --output digest",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			opened, err := layout.Open(dir)
			if err != nil {
				return err
			}
			return os.WriteFile(output, []byte(opened.Digest()+"\n"), 0o644)
		},
	}
	command.Flags().StringVar(&dir, "layout", "", "folder of the OCI layout")
	command.Flags().StringVar(&output, "output", "", "`file` for the digest")
	return required(command, "layout", "output")
}

func digestsCommand() *cobra.Command {
	var output string
	command := &cobra.Command{
		Use:     "digests NAME LAYOUT...",
		Short:   "Write name, digest, size, platform and version of images and charts as JSON",
		Example: "  oci digests --output digests.json etcd bazel-bin/images/etcd/image",
		Args:    pairs,
		RunE: func(_ *cobra.Command, named []string) error {
			summaries, err := summarize(named)
			if err != nil {
				return err
			}
			return writeFile(output, func(file *os.File) error { return contents.Split(summaries).Write(file) })
		},
	}
	command.Flags().StringVar(&output, "output", "", "`file` for the JSON")
	return required(command, "output")
}

// pairs wants names and layouts in turn.
func pairs(_ *cobra.Command, args []string) error {
	if len(args) == 0 || len(args)%2 != 0 {
		return fmt.Errorf("%d arguments: give a name and a layout for each image or chart", len(args))
	}
	return nil
}

func summarize(named []string) ([]contents.Summary, error) {
	var summaries []contents.Summary
	for i := 0; i < len(named); i += 2 {
		opened, err := layout.OpenImage(named[i+1])
		if err != nil {
			return nil, err
		}
		summary, err := contents.Summarize(named[i], opened)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", named[i], err)
		}
		summaries = append(summaries, summary)
	}
	return summaries, nil
}

func contentsCommand() *cobra.Command {
	var dir, golden, digest string
	var update bool
	command := &cobra.Command{
		Use:     "contents",
		Short:   "Compare an image's configuration and paths with a golden file",
		Example: "  oci contents --layout bazel-bin/images/etcd/image --golden images/etcd/contents.txt",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			opened, err := layout.OpenImage(dir)
			if err != nil {
				return err
			}
			got, err := contents.Describe(opened)
			if err != nil {
				return err
			}
			if update {
				return os.WriteFile(filepath.Join(os.Getenv("BUILD_WORKSPACE_DIRECTORY"), golden), []byte(got), 0o644)
			}
			return errors.Join(compareContents(got, golden), compareDigest(dir, digest))
		},
	}
	command.Flags().StringVar(&dir, "layout", "", "folder of the OCI layout")
	command.Flags().StringVar(&golden, "golden", "", "`file` with what the image has to hold, and nothing else")
	command.Flags().StringVar(&digest, "digest", "", "`file` that has to hold the image's digest")
	command.Flags().BoolVar(&update, "update", false, "write the golden file instead")
	return required(command, "layout", "golden", "digest")
}

func compareContents(got, golden string) error {
	data, err := os.ReadFile(golden)
	if err != nil {
		return err
	}
	if want := string(data); got != want {
		return fmt.Errorf("the image is not what %s says:\n%sIf that is meant: bazel run this test with `-- --update`, and review the change",
			golden, contents.Diff(want, got))
	}
	return nil
}

func compareDigest(dir, file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	opened, err := layout.Open(dir)
	if err != nil {
		return err
	}
	if want := strings.TrimSpace(string(data)); want != opened.Digest() {
		return fmt.Errorf("%s says %s, the image's manifest has %s", file, want, opened.Digest())
	}
	return nil
}
