// Package judge gives the verdict on a program, and writes reports. It reads
// no image and no registry, so what judges programs only compiles without
// what those need.
package judge

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"kubefips.internal/tools/fipscheck/checks"
	"kubefips.internal/tools/fipscheck/elfbin"
	"kubefips.internal/tools/fipscheck/measure"
	"kubefips.internal/tools/fipscheck/policy"
	"kubefips.internal/tools/fipscheck/report"
)

// Judge is what verdicts depend on beside the artifact. Its methods may be
// called from several goroutines.
type Judge struct {
	// Day is the one for expiry and sunset.
	Day time.Time
	// Policy may be nil: nothing is declared, and nothing excused.
	Policy *policy.Policy
	// SDK is the folder of a Go distribution whose snapshot archives are
	// hashed (B11); without it they are not.
	SDK string

	mu sync.Mutex // guards the policy's record of what was used
}

// Day reads a day (YYYY-MM-DD); where there is none, it is that of
// SOURCE_DATE_EPOCH, else today's.
func Day(date string) (time.Time, error) {
	if date != "" {
		day, err := time.Parse(time.DateOnly, date)
		if err != nil {
			return day, fmt.Errorf("--date: %w", err)
		}
		return day, nil
	}
	if epoch := os.Getenv("SOURCE_DATE_EPOCH"); epoch != "" {
		s, err := strconv.ParseInt(epoch, 10, 64)
		if err != nil {
			return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
		}
		return time.Unix(s, 0).UTC(), nil
	}
	return time.Now().UTC(), nil
}

var modes = []measure.Mode{measure.Boring, measure.GoFIPS, measure.None}

// Mode reads the mode that programs have to have; an empty one accepts each.
func Mode(s string) (measure.Mode, error) {
	if m := measure.Mode(s); s == "" || slices.Contains(modes, m) {
		return m, nil
	}
	return "", fmt.Errorf("--mode %s: want one of %v", s, modes)
}

// Program judges a file of this machine. Artifact is what the policy calls
// it; if that is empty, it is the file's name.
func (j *Judge) Program(file, artifact string, mode measure.Mode) (report.Artifact, error) {
	f, err := os.Open(file)
	if err != nil {
		return report.Artifact{}, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return report.Artifact{}, err
	}
	if !st.Mode().IsRegular() {
		return report.Artifact{}, fmt.Errorf("%s is no regular file", file)
	}
	magic := make([]byte, len(elfbin.Magic))
	if _, err := f.ReadAt(magic, 0); err != nil && err != io.EOF || string(magic) != elfbin.Magic {
		return report.Artifact{}, fmt.Errorf("%s is no ELF file", file)
	}
	b, err := measure.File(f, st.Size())
	if err != nil {
		return report.Artifact{}, fmt.Errorf("%s: %w", file, err)
	}
	if artifact == "" {
		artifact = file
	}
	return j.Measured(b, file, artifact, mode)
}

// Measured judges a file that was measured.
func (j *Judge) Measured(b *measure.Binary, file, artifact string, mode measure.Mode) (report.Artifact, error) {
	ctx, declared, err := j.context(artifact, mode)
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
				Message: fmt.Sprintf("policy %s declares no mode for %s: add it under artifacts", j.Policy.File(), artifact),
			})
		}
	}
	a.Findings = j.Excuse(artifact, a.Findings)
	return a, nil
}

// context is what a verdict on the named artifact depends on. declared is
// false when there is a policy that says nothing of the artifact's mode.
// mode is what was asked for; empty when nothing was.
func (j *Judge) context(artifact string, mode measure.Mode) (ctx checks.Context, declared bool, err error) {
	ctx = checks.Context{Declared: mode, Date: j.Day, SnapshotZip: j.snapshotZip}
	if j.Policy == nil {
		return ctx, true, nil
	}
	ctx.Sunset = j.Policy.Sunset
	m, ok := j.Policy.Declared(artifact)
	if ok && mode != "" && m != mode {
		return ctx, false, fmt.Errorf("%s was asked to be %s, but policy %s declares it as %s", artifact, mode, j.Policy.File(), m)
	}
	if ok {
		ctx.Declared = m
	}
	return ctx, ok || mode != "", nil
}

// Excuse applies the policy's exceptions to what was found of an artifact.
func (j *Judge) Excuse(artifact string, l []checks.Finding) []checks.Finding {
	if j.Policy == nil {
		return l
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.Policy.Apply(artifact, l, j.Day)
}

// snapshotZip hashes a snapshot's archive in the SDK that the user named.
func (j *Judge) snapshotZip(version string) string {
	if j.SDK == "" {
		return ""
	}
	f, err := os.Open(filepath.Join(j.SDK, "lib", "fips140", version+".zip"))
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
