package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"kubefips.internal/tools/fipscheck/checks"
	"kubefips.internal/tools/fipscheck/elfbin"
	"kubefips.internal/tools/fipscheck/measure"
	"kubefips.internal/tools/fipscheck/report"
)

func binaryCommand(o *options) *cobra.Command {
	c := &cobra.Command{
		Use:   "binary FILE...",
		Short: "Judge programs by checks B01 to B20",
		Example: `  fipscheck binary --mode boring /usr/bin/etcd
  fipscheck binary --policy policy.yaml --artifact etcd/etcd --output json ./etcd`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, files []string) error {
			if o.mode != "" && !slices.Contains(modes, measure.Mode(o.mode)) {
				return fmt.Errorf("--mode %s: want one of %v", o.mode, modes)
			}
			if o.artifact != "" && len(files) > 1 {
				return errors.New("--artifact names one file; give one")
			}
			r := &report.Report{}
			for _, name := range files {
				a, err := o.open(name)
				if err != nil {
					return err
				}
				r.Artifacts = append(r.Artifacts, *a)
			}
			return o.finish(r)
		},
	}
	c.Flags().StringVar(&o.mode, "mode", "", "required mode: boring, native or none; default accepts each of them")
	c.Flags().StringVar(&o.artifact, "artifact", "", "the file's `name` in the policy; default is the path")
	return c
}

// open judges one file of the machine.
func (o *options) open(name string) (*report.Artifact, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", name)
	}
	magic := make([]byte, len(elfbin.Magic))
	if _, err := f.ReadAt(magic, 0); err != nil && err != io.EOF || string(magic) != elfbin.Magic {
		return nil, fmt.Errorf("%s is no ELF file", name)
	}
	artifact := o.artifact
	if artifact == "" {
		artifact = name
	}
	return o.judge(artifact, name, f, st.Size())
}

// judge measures and judges one ELF file.
func (o *options) judge(artifact, file string, r io.ReaderAt, size int64) (*report.Artifact, error) {
	ctx, err := o.context(artifact)
	if err != nil {
		return nil, err
	}
	b, err := measure.File(r, size)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	a := &report.Artifact{
		Name: artifact, Kind: report.Binary, File: file, Digest: "sha256:" + b.SHA256, Platform: b.Platform,
		Declared: ctx.Declared, Evidence: b, Findings: checks.Binary(b, ctx),
	}
	if b.Kind == measure.Go || b.Kind == measure.Native {
		a.Measured = b.Mode()
	}
	if o.rules != nil {
		a.Findings = o.rules.Apply(artifact, a.Findings, o.day)
	}
	return a, nil
}

// snapshotZip hashes a snapshot's archive in the SDK that the user named.
func (o *options) snapshotZip(version string) string {
	if o.sdk == "" {
		return ""
	}
	f, err := os.Open(filepath.Join(o.sdk, "lib", "fips140", version+".zip"))
	if err != nil {
		return "missing (" + err.Error() + ")"
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "unreadable (" + err.Error() + ")"
	}
	return hex.EncodeToString(h.Sum(nil))
}
