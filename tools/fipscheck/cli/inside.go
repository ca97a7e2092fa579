package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"

	"kubefips.internal/tools/fipscheck/content"
	"kubefips.internal/tools/fipscheck/imagechecks"
	"kubefips.internal/tools/fipscheck/measure"
	"kubefips.internal/tools/fipscheck/report"
)

// inside judges the ELF files of an image or folder. Their names in the policy
// are those of their build-time verdicts, else "<parent>:<path>".
func (o *options) inside(parent string, entries []content.Entry, layer func(i int) (string, bool)) ([]report.Artifact, []imagechecks.Inner, error) {
	var artifacts []report.Artifact
	var inner []imagechecks.Inner
	for i, e := range entries {
		if e.Binary == nil {
			continue
		}
		built, verified := o.verdicts[e.Binary.SHA256]
		name := built.name
		if !verified {
			name = parent + ":" + e.Path
		}
		a, err := o.judge.Measured(e.Binary, e.Path, name, built.mode)
		if err != nil {
			return nil, nil, err
		}
		a.Parent = parent
		if layer != nil {
			a.Layer, a.Hidden = layer(i)
		}
		in := imagechecks.Inner{Path: e.Path, Binary: e.Binary, Verified: name}
		if !verified {
			in.Verified = ""
		}
		for _, f := range a.Findings {
			in.Failed = in.Failed || report.Failing(f)
		}
		artifacts, inner = append(artifacts, a), append(inner, in)
	}
	return artifacts, inner, nil
}

// verdict is what the build said of a program.
type verdict struct {
	name string
	mode measure.Mode
}

// loadVerdicts reads reports of `fipscheck binary`: which bytes passed under
// which name and as what.
func (o *options) loadVerdicts() error {
	if len(o.verdictFiles) == 0 {
		return nil
	}
	o.verdicts = map[string]verdict{}
	for _, name := range o.verdictFiles {
		r, err := readReport(name)
		if err != nil {
			return err
		}
		for _, a := range r.Artifacts {
			if a.Verdict == report.Passed && a.Evidence != nil {
				o.verdicts[a.Evidence.SHA256] = verdict{a.Name, a.Declared}
			}
		}
	}
	return nil
}

// maxReport bounds a report that is read back.
const maxReport = 256 << 20

func readReport(name string) (*report.Report, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var r report.Report
	if err := json.NewDecoder(io.LimitReader(f, maxReport)).Decode(&r); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if r.Schema != report.Schema {
		return nil, fmt.Errorf("%s: schema %q, this program reads %s", name, r.Schema, report.Schema)
	}
	return &r, nil
}

// each runs f for 0..n-1 on all processors and returns the first error in order.
func each(n int, f func(i int) error) error {
	errs := make([]error, n)
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for i := range next {
				errs[i] = f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
