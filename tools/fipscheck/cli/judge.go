package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"kubefips.internal/tools/fipscheck/checks"
	"kubefips.internal/tools/fipscheck/content"
	"kubefips.internal/tools/fipscheck/measure"
	"kubefips.internal/tools/fipscheck/report"
)

// context is what a verdict on the named artifact depends on. declared is
// false when there is a policy that says nothing of the artifact's mode.
// mode is what was asked for; empty when nothing was.
func (o *options) context(artifact string, mode measure.Mode) (ctx checks.Context, declared bool, err error) {
	ctx = checks.Context{Declared: mode, Date: o.day, SnapshotZip: o.snapshotZip}
	if o.rules == nil {
		return ctx, true, nil
	}
	ctx.Sunset = o.rules.Sunset
	m, ok := o.rules.Declared(artifact)
	if ok && mode != "" && m != mode {
		return ctx, false, fmt.Errorf("%s was asked to be %s, but policy %s declares it as %s", artifact, mode, o.policy, m)
	}
	if ok {
		ctx.Declared = m
	}
	return ctx, ok || mode != "", nil
}

// judge gives the verdict on one measured file.
func (o *options) judge(artifact, file string, mode measure.Mode, b *measure.Binary) (report.Artifact, error) {
	ctx, declared, err := o.context(artifact, mode)
	if err != nil {
		return report.Artifact{}, err
	}
	a := report.Artifact{
		Name: artifact, Kind: report.Binary, File: file, Digest: "sha256:" + b.SHA256, Platform: b.Platform,
		Declared: ctx.Declared, Evidence: b, Findings: checks.Binary(b, ctx),
	}
	if b.Kind == measure.Go || b.Kind == measure.Native {
		a.Measured = b.Mode()
		if !declared {
			c, _ := checks.Lookup("B02")
			a.Findings = append(a.Findings, checks.Finding{
				Check: c.ID, Severity: c.Severity, Status: checks.Fail,
				Message: fmt.Sprintf("policy %s declares no mode for %s: add it under artifacts", o.policy, artifact),
			})
		}
	}
	a.Findings = o.excuse(artifact, a.Findings)
	return a, nil
}

func (o *options) excuse(artifact string, l []checks.Finding) []checks.Finding {
	if o.rules == nil {
		return l
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.rules.Apply(artifact, l, o.day)
}

// probe adds B19.
func (o *options) addProbe(a *report.Artifact, file string) {
	if o.probe {
		a.Findings = append(a.Findings, checks.Probe(file, a.Evidence))
	}
}

// inside judges the ELF files of an image or folder. Their names in the policy
// are those of their build-time verdicts, else "<parent>:<path>".
func (o *options) inside(parent string, entries []content.Entry, layer func(i int) (string, bool)) ([]report.Artifact, []checks.Inner, error) {
	var artifacts []report.Artifact
	var inner []checks.Inner
	for i, e := range entries {
		if e.Binary == nil {
			continue
		}
		built, verified := o.verdicts[e.Binary.SHA256]
		name := built.name
		if !verified {
			name = parent + ":" + e.Path
		}
		a, err := o.judge(name, e.Path, built.mode, e.Binary)
		if err != nil {
			return nil, nil, err
		}
		a.Parent = parent
		if layer != nil {
			a.Layer, a.Hidden = layer(i)
		}
		in := checks.Inner{Path: e.Path, Binary: e.Binary, Verified: name}
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
