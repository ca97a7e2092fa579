package cli

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"kubefips.internal/tools/oci/bundle"
	"kubefips.internal/tools/oci/registry"
)

func pushCommand() *cobra.Command {
	var layout, repositoryFile, tagsFile string
	var options registry.Options
	command := &cobra.Command{
		Use:     "push",
		Short:   "Push what a layout holds to a registry, by digest, then tag it",
		Example: "  oci push --layout bazel-bin/images/etcd/image --repository registry.example/team/etcd --tag v3.7.3",
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if options.Repository == "" {
				lines, err := readLines(repositoryFile)
				if err != nil {
					return err
				}
				if len(lines) != 1 {
					return fmt.Errorf("no repository to push to: give one with --repository")
				}
				options.Repository = lines[0]
			}
			tags, err := readLines(tagsFile)
			if err != nil {
				return err
			}
			options.Tags = append(options.Tags, tags...)
			return registry.Push(command.Context(), layout, options, command.OutOrStdout())
		},
	}
	flags := command.Flags()
	flags.StringVar(&layout, "layout", "", "folder of the OCI layout")
	flags.StringVarP(&options.Repository, "repository", "r", "", "repository, with neither tag nor digest")
	flags.StringVar(&repositoryFile, "repository-file", "", "`file` with the repository, when --repository is not given")
	flags.StringArrayVarP(&options.Tags, "tag", "t", nil, "tag; repeat for more")
	flags.StringVar(&tagsFile, "tags-file", "", "`file` with one tag a line")
	flags.BoolVar(&options.Insecure, "insecure", false, "allow plain HTTP")
	return required(command, "layout")
}

func pushAllCommand() *cobra.Command {
	var below string
	var options registry.Options
	command := &cobra.Command{
		Use:   "push-all NAME LAYOUT...",
		Short: "Push images by digest, and tag each with its version when all of them are there",
		Example: "  oci push-all --registry registry.example/team etcd bazel-bin/images/etcd/image \\\n" +
			"    coredns bazel-bin/images/coredns/image",
		Args: pairs,
		RunE: func(command *cobra.Command, named []string) error {
			summaries, err := summarize(named)
			if err != nil {
				return err
			}
			options.Pushed = registry.Pushed{}
			// First without tags: a release is tagged as a whole or not at all.
			for _, tagged := range []bool{false, true} {
				for i, summary := range summaries {
					each, out := options, io.Discard
					each.Repository = below + "/" + summary.Name
					if tagged {
						each.Tags, out = []string{summary.Version}, command.OutOrStdout()
					}
					if err := registry.Push(command.Context(), named[2*i+1], each, out); err != nil {
						return err
					}
				}
			}
			return nil
		},
	}
	command.Flags().StringVar(&below, "registry", "", "registry and path to push below")
	command.Flags().BoolVar(&options.Insecure, "insecure", false, "allow plain HTTP")
	return required(command, "registry")
}

func bundleCommand() *cobra.Command {
	var registry, output string
	command := &cobra.Command{
		Use:     "bundle NAME LAYOUT...",
		Short:   "Write images into one archive that `ctr images import` takes",
		Example: "  oci bundle --registry registry.example/team --output bundle.tar etcd bazel-bin/images/etcd/image",
		Args:    pairs,
		RunE: func(_ *cobra.Command, named []string) error {
			summaries, err := summarize(named)
			if err != nil {
				return err
			}
			var images []bundle.Image
			for i, summary := range summaries {
				images = append(images, bundle.Image{Summary: summary, Layout: named[2*i+1]})
			}
			return writeFile(output, func(file *os.File) error { return bundle.Write(images, registry, file) })
		},
	}
	command.Flags().StringVar(&registry, "registry", "", "registry and path that the images are named below")
	command.Flags().StringVar(&output, "output", "", "the archive")
	return required(command, "registry", "output")
}

func pullCommand() *cobra.Command {
	var options registry.Options
	var output string
	command := &cobra.Command{
		Use:     "pull REPOSITORY@DIGEST",
		Short:   "Pull an image or index by digest into an OCI layout",
		Example: "  oci pull registry.example/team/etcd@sha256:... --output layout",
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			return registry.Pull(command.Context(), args[0], output, options)
		},
	}
	command.Flags().BoolVar(&options.Insecure, "insecure", false, "allow plain HTTP")
	command.Flags().StringVar(&output, "output", "", "folder for the layout")
	return required(command, "output")
}

func loadCommand() *cobra.Command {
	var layout, tagsFile, loader, output string
	command := &cobra.Command{
		Use:     "load",
		Short:   "Load an image into a container engine",
		Example: "  oci load --layout bazel-bin/images/etcd/image --tags-file tags.txt --loader podman",
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			tags, err := readLines(tagsFile)
			if err != nil {
				return err
			}
			if output != "" {
				return writeFile(output, func(file *os.File) error { return registry.WriteArchive(layout, tags, file) })
			}
			engine, err := findLoader(loader)
			if err != nil {
				return err
			}
			load := exec.CommandContext(command.Context(), engine, "load")
			load.Stdout, load.Stderr = command.OutOrStdout(), command.ErrOrStderr()
			archive, err := load.StdinPipe()
			if err != nil {
				return err
			}
			if err := load.Start(); err != nil {
				return fmt.Errorf("%s load: %w", engine, err)
			}
			written := registry.WriteArchive(layout, tags, archive)
			archive.Close()
			if err := load.Wait(); err != nil {
				return fmt.Errorf("%s load: %w", engine, err)
			}
			return written
		},
	}
	flags := command.Flags()
	flags.StringVar(&layout, "layout", "", "folder of the OCI layout")
	flags.StringVar(&tagsFile, "tags-file", "", "`file` with one repository:tag a line")
	flags.StringVar(&loader, "loader", "", "program that takes `load` and the archive on standard input")
	flags.StringVar(&output, "output", "", "write the archive to this `file` and load nothing")
	return required(command, "layout", "tags-file")
}

func findLoader(loader string) (string, error) {
	engines := []string{"docker", "podman", "nerdctl"}
	if loader != "" {
		engines = []string{loader}
	}
	for _, engine := range engines {
		if path, err := exec.LookPath(engine); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("no container engine found (%s): install one, or name one with --loader", strings.Join(engines, ", "))
}

// readLines returns the lines of a file that are not empty; none when no file is named.
func readLines(path string) ([]string, error) {
	if path == "" {
		return nil, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return strings.Fields(string(data)), nil
}
