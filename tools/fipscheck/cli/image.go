package cli

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"kubefips.internal/tools/fipscheck/content"
	"kubefips.internal/tools/fipscheck/image"
	"kubefips.internal/tools/fipscheck/imagechecks"
	"kubefips.internal/tools/fipscheck/report"
)

func imageCommand(o *options) *cobra.Command {
	c := &cobra.Command{
		Use:   "image REF...",
		Short: "Judge images, every layer of every platform, by all checks",
		Long: `image judges container images by checks O1 to O9, and each ELF file in any
layer by B01 to B20. REF is an OCI layout folder, an OCI or docker-save archive,
or an image in a registry by tag or digest. Credentials come from the docker
configuration; plain HTTP is used for loopback only.`,
		Example: `  fipscheck image ./layout
  fipscheck image --policy policy.yaml --artifact images/etcd --verdicts etcd.fips.json image.tar
  fipscheck image registry.example.com/etcd@sha256:...`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, refs []string) error {
			if o.artifact != "" && len(refs) > 1 {
				return errors.New("--artifact names one image; give one")
			}
			if err := o.loadVerdicts(); err != nil {
				return err
			}
			reader := &image.Reader{Limits: content.DefaultLimits}
			found := make([][]report.Artifact, len(refs))
			err := each(len(refs), func(i int) (err error) {
				found[i], err = o.image(reader, refs[i])
				return err
			})
			if err != nil {
				return err
			}
			r := &report.Report{}
			for _, l := range found {
				r.Artifacts = append(r.Artifacts, l...)
			}
			return o.finish(r)
		},
	}
	c.Flags().StringVar(&o.artifact, "artifact", "", "the image's `name` in the policy; default is REF")
	c.Flags().StringSliceVar(&o.verdictFiles, "verdicts", nil, "O9: JSON `reports` of the programs that were verified at build")
	return c
}

// image judges one reference: an artifact for each platform, followed by the
// ELF files in it.
func (o *options) image(reader *image.Reader, ref string) ([]report.Artifact, error) {
	manifests, err := reader.Read(ref)
	if err != nil {
		return nil, err
	}
	name := o.artifact
	if name == "" {
		name = ref
	}
	var all []report.Artifact
	for _, m := range manifests {
		var entries []content.Entry
		type place struct {
			layer  string
			hidden bool
		}
		var places []place
		for _, l := range m.Layers {
			for _, f := range l.Files {
				entries = append(entries, f.Entry)
				places = append(places, place{l.Digest, f.Hidden})
			}
		}
		artifacts, inner, err := o.inside(name, entries, func(i int) (string, bool) { return places[i].layer, places[i].hidden })
		if err != nil {
			return nil, err
		}
		a := report.Artifact{Name: name, Kind: report.Image, File: ref, Digest: m.Digest, Platform: m.Platform}
		if m.Platform != "attestation" {
			a.Findings = o.judge.Excuse(name, imagechecks.Image(m, inner, o.verdicts != nil))
		}
		all = append(append(all, a), artifacts...)
	}
	return all, nil
}

func treeCommand(o *options) *cobra.Command {
	c := &cobra.Command{
		Use:     "tree DIR...",
		Short:   "Judge every ELF file under a folder",
		Example: `  fipscheck tree /opt/product`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, dirs []string) error {
			if o.artifact != "" && len(dirs) > 1 {
				return errors.New("--artifact names one folder; give one")
			}
			if err := o.loadVerdicts(); err != nil {
				return err
			}
			r := &report.Report{}
			for _, dir := range dirs {
				name := o.artifact
				if name == "" {
					name = dir
				}
				var entries []content.Entry
				err := content.Dir(dir, content.DefaultLimits, func(e content.Entry) error {
					entries = append(entries, e)
					return nil
				})
				if err != nil {
					return err
				}
				artifacts, inner, err := o.inside(name, entries, nil)
				if err != nil {
					return err
				}
				r.Artifacts = append(r.Artifacts, report.Artifact{
					Name: name, Kind: report.Tree, File: dir,
					Findings: o.judge.Excuse(name, imagechecks.Tree(entries, inner, o.verdicts != nil)),
				})
				r.Artifacts = append(r.Artifacts, artifacts...)
			}
			return o.finish(r)
		},
	}
	c.Flags().StringVar(&o.artifact, "artifact", "", "the folder's `name` in the policy; default is DIR")
	c.Flags().StringSliceVar(&o.verdictFiles, "verdicts", nil, "O9: JSON `reports` of the programs that were verified at build")
	return c
}

func chartCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "chart FILE...",
		Short: "Judge Kubernetes manifests and Helm charts by O2, O3 and O8",
		Long: `chart judges Kubernetes manifests (YAML or JSON), chart folders and packaged
charts (.tgz). In templates the actions are taken out and what stands around
them is judged; for certainty judge the output of helm template as well.`,
		Example: `  fipscheck chart deployment.yaml charts/etcd
  helm template charts/etcd | fipscheck chart -`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, names []string) error {
			r := &report.Report{}
			for _, name := range names {
				err := manifests(name, cmd.InOrStdin(), func(file string, src []byte) error {
					l, err := imagechecks.Manifest(file, src)
					if err != nil {
						return err
					}
					r.Artifacts = append(r.Artifacts, report.Artifact{Name: file, Kind: report.Manifest, File: file, Findings: o.judge.Excuse(file, l)})
					return nil
				})
				if err != nil {
					return err
				}
			}
			return o.finish(r)
		},
	}
}

// Bounds of charts.
const (
	maxManifestFile  = 32 << 20
	maxManifestFiles = 10_000
)

// manifests calls yield for each YAML or JSON file that name leads to.
func manifests(name string, stdin io.Reader, yield func(file string, src []byte) error) error {
	if name == "-" {
		return readManifest("-", stdin, yield)
	}
	st, err := os.Stat(name)
	if err != nil {
		return err
	}
	n := 0
	count := func() error {
		if n++; n > maxManifestFiles {
			return fmt.Errorf("%s: more than %d manifests", name, maxManifestFiles)
		}
		return nil
	}
	switch {
	case st.IsDir():
		err = filepath.WalkDir(name, func(file string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() || !isManifest(file) {
				return err
			}
			if err := count(); err != nil {
				return err
			}
			f, err := os.Open(file)
			if err != nil {
				return err
			}
			defer f.Close()
			return readManifest(file, f, yield)
		})
	case strings.HasSuffix(name, ".tgz") || strings.HasSuffix(name, ".tar.gz"):
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		z, err := gzip.NewReader(bufio.NewReader(f))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		// A chart is small; what unpacks to more is no chart.
		tr := tar.NewReader(io.LimitReader(z, 16*maxManifestFile))
		for {
			h, err := tr.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if err := count(); err != nil {
				return err
			}
			if h.Typeflag == tar.TypeReg && isManifest(h.Name) {
				if err := readManifest(name+"!"+path.Clean("/"+h.Name), tr, yield); err != nil {
					return err
				}
			}
		}
	default:
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		return readManifest(name, f, yield)
	}
	if err == nil && n == 0 {
		return fmt.Errorf("%s holds no YAML or JSON file", name)
	}
	return err
}

func isManifest(name string) bool {
	switch path.Ext(name) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}

func readManifest(name string, r io.Reader, yield func(string, []byte) error) error {
	b, err := io.ReadAll(io.LimitReader(r, maxManifestFile+1))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if len(b) > maxManifestFile {
		return fmt.Errorf("%s: larger than %d bytes", name, maxManifestFile)
	}
	return yield(name, b)
}
