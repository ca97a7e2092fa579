package cli

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"kubefips.internal/tools/oci/chart"
	"kubefips.internal/tools/oci/contents"
)

func chartCommand() *cobra.Command {
	var name, root, digests, output string
	var elsewhere map[string]string
	var values chart.Values
	command := &cobra.Command{
		Use:     "chart FILE...",
		Short:   "Pack a Helm chart, with the digests of its images",
		Example: "  oci chart --name etcd --root charts/etcd --digests digests.json --output etcd.tgz charts/etcd/Chart.yaml ...",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, sources []string) error {
			images, err := readDigests(digests)
			if err != nil {
				return err
			}
			values.Images = images
			files := map[string]string{}
			maps.Copy(files, elsewhere)
			for _, source := range sources {
				inside, found := strings.CutPrefix(source, root+"/")
				if !found {
					return fmt.Errorf("%s is not in the chart's folder %s", source, root)
				}
				files[inside] = source
			}
			return writeFile(output, func(file *os.File) error { return chart.Pack(name, files, values, file) })
		},
	}
	flags := command.Flags()
	flags.StringVar(&name, "name", "", "name of the chart, as in its Chart.yaml")
	flags.StringVar(&root, "root", "", "folder of the chart")
	flags.StringToStringVar(&elsewhere, "file", nil, "path in the chart=`file` that stands elsewhere; repeat for more")
	flags.StringVar(&digests, "digests", "", "JSON `file` that `oci digests` wrote")
	flags.StringVar(&values.Registry, "registry", "", "registry and path that the images are pushed below")
	flags.StringVar(&output, "output", "", "the archive, .tgz")
	return required(command, "name", "root", "digests", "registry", "output")
}

func chartLayoutCommand() *cobra.Command {
	var output string
	command := &cobra.Command{
		Use:     "chart-layout CHART.tgz",
		Short:   "Write a packed chart as the OCI layout of what `helm push` sends",
		Example: "  oci chart-layout --output layout bazel-bin/charts/coredns/chart.tgz",
		Args:    cobra.ExactArgs(1),
		RunE:    func(_ *cobra.Command, args []string) error { return chart.WriteLayout(args[0], output) },
	}
	command.Flags().StringVar(&output, "output", "", "folder for the layout")
	return required(command, "output")
}

func readDigests(path string) ([]contents.Summary, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var all contents.Digests
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return all.Images, nil
}
