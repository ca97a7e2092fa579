package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"kubefips.internal/tools/oci/contents"
	"kubefips.internal/tools/oci/image"
	"kubefips.internal/tools/oci/layer"
	"kubefips.internal/tools/oci/layout"
)

func layerCommand() *cobra.Command {
	var spec, output string
	command := &cobra.Command{
		Use:     "layer",
		Short:   "Write one reproducible layer",
		Example: "  oci layer --spec layer.json --output layer.tar.gz",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			data, err := os.ReadFile(spec)
			if err != nil {
				return err
			}
			var parsed layer.Spec
			if err := json.Unmarshal(data, &parsed); err != nil {
				return fmt.Errorf("%s: %w", spec, err)
			}
			return writeFile(output, func(file *os.File) error { return layer.Write(parsed, file) })
		},
	}
	command.Flags().StringVar(&spec, "spec", "", "JSON `file` that says what the layer holds")
	command.Flags().StringVar(&output, "output", "", "the layer, a tar archive")
	return required(command, "spec", "output")
}

func layersCommand() *cobra.Command {
	var output string
	command := &cobra.Command{
		Use:     "layers LAYER...",
		Short:   "Fail when two layers hold different things at one path",
		Example: "  oci layers --output checked base.tar.gz app.tar.gz",
		RunE: func(_ *cobra.Command, layers []string) error {
			tree := contents.Tree{}
			for _, path := range layers {
				if err := addLayer(tree, path); err != nil {
					return err
				}
			}
			return os.WriteFile(output, nil, 0o644)
		},
	}
	command.Flags().StringVar(&output, "output", "", "empty `file` that says: checked")
	return required(command, "output")
}

func addLayer(tree contents.Tree, path string) error {
	packed, err := os.Open(path)
	if err != nil {
		return err
	}
	defer packed.Close()
	archive, _, err := layer.Unpack(packed)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return errors.Join(tree.Add(path, archive), archive.Close())
}

// A textFlag is the content of the file that its value names.
type textFlag struct{ text *image.Text }

func (textFlag) String() string { return "" }
func (textFlag) Type() string   { return "file" }

func (f textFlag) Set(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	content := string(data)
	*f.text = &content
	return nil
}

func imageCommand() *cobra.Command {
	var spec image.Spec
	var output string
	var layers, owners []string
	command := &cobra.Command{
		Use:   "image",
		Short: "Write the OCI layout of an image",
		Example: "  oci image --os linux --architecture amd64 --layer app.tar.gz --owner @@//images/app:layer \\\n" +
			"    --entrypoint entrypoint.txt --output layout",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if len(layers) != len(owners) {
				return fmt.Errorf("%d layers, but %d owners: give --layer and --owner in pairs", len(layers), len(owners))
			}
			for i := range layers {
				spec.Layers = append(spec.Layers, image.Layer{Path: layers[i], Owner: owners[i]})
			}
			return image.Build(spec, output)
		},
	}
	flags := command.Flags()
	flags.StringVar(&spec.Base, "base", "", "layout of the image underneath")
	flags.StringVar(&spec.OS, "os", "", "operating system, for an image without a base")
	flags.StringVar(&spec.Architecture, "architecture", "", "GOARCH, for an image without a base")
	flags.StringVar(&spec.Variant, "variant", "", "variant of the architecture, as in v8")
	flags.StringArrayVar(&layers, "layer", nil, "a tar archive; repeat, the lowest first")
	flags.StringArrayVar(&owners, "owner", nil, "label of the target that made the layer; one for each --layer")
	flags.StringVar(&spec.User, "user", "", "user and group that the program runs as")
	flags.StringVar(&spec.WorkingDir, "workdir", "", "folder that the program starts in")
	for _, text := range []struct {
		name, usage string
		text        *image.Text
	}{
		{"created", "time of creation", &spec.Created},
		{"entrypoint", "one argument a line", &spec.Entrypoint},
		{"cmd", "one argument a line", &spec.Cmd},
		{"exposed-ports", "ports, separated by commas", &spec.ExposedPorts},
		{"volumes", "paths, separated by commas", &spec.Volumes},
		{"env", "NAME=value a line", &spec.Env},
		{"labels", "key=value a line", &spec.Labels},
		{"annotations", "key=value a line, for the manifest", &spec.Annotations},
	} {
		flags.Var(textFlag{text.text}, text.name, text.usage)
	}
	flags.StringVar(&output, "output", "", "folder for the layout")
	return required(command, "output")
}

func indexCommand() *cobra.Command {
	var images []string
	var annotations image.Text
	var output string
	command := &cobra.Command{
		Use:     "index",
		Short:   "Write the OCI layout of an index over images",
		Example: "  oci index --image amd64 --image arm64 --output layout",
		Args:    cobra.NoArgs,
		RunE:    func(*cobra.Command, []string) error { return image.BuildIndex(images, annotations, output) },
	}
	command.Flags().StringArrayVar(&images, "image", nil, "layout of one image; repeat")
	command.Flags().Var(textFlag{&annotations}, "annotations", "key=value a line")
	command.Flags().StringVar(&output, "output", "", "folder for the layout")
	return required(command, "image", "output")
}

func layoutCommand() *cobra.Command {
	var output string
	command := &cobra.Command{
		Use:     "layout MANIFEST BLOB...",
		Short:   "Write the OCI layout of an image whose manifest, config and layers are files",
		Example: "  oci layout --output layout manifest.json config.json layer.tar.gz",
		Args:    cobra.MinimumNArgs(2),
		RunE:    func(_ *cobra.Command, files []string) error { return layout.Assemble(files[0], files[1:], output) },
	}
	command.Flags().StringVar(&output, "output", "", "folder for the layout")
	return required(command, "output")
}

func required(command *cobra.Command, flags ...string) *cobra.Command {
	for _, flag := range flags {
		if err := command.MarkFlagRequired(flag); err != nil {
			panic(err) // names a flag that the line above did not define
		}
	}
	return command
}
