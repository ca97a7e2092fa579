// Package policy reads the file in which people decide what each artifact has
// to be and which failures may be shipped, by whom, why and until when.
package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"kubefips.internal/tools/fipscheck/checks"
	"kubefips.internal/tools/fipscheck/measure"
)

// maxSize bounds a policy file in bytes.
const maxSize = 1 << 20

// Policy is a policy file.
type Policy struct {
	// Version of the format; 1.
	Version int `yaml:"version"`
	// Certificates has what a person read at the CMVP, by certificate number.
	Certificates map[string]Certificate `yaml:"certificates"`
	// Artifacts declares modes. A name may contain * for any run of
	// characters; the most specific (longest) name that matches decides.
	Artifacts map[string]measure.Mode `yaml:"artifacts"`
	// Exceptions excuse failures of checks with severity HIGH.
	Exceptions []checks.Exception `yaml:"exceptions"`

	file  string
	used  []use
	lines []lines
	open  []open
}

type use struct{ artifacts, paths []bool }

// open is a failure that could be excused and is not.
type open struct{ artifact, check, subject string }

// Certificate is what was read at the CMVP.
type Certificate struct {
	Sunset string `yaml:"sunset"`
	// Checked is the day on which Owner looked.
	Checked string `yaml:"checked"`
	Owner   string `yaml:"owner"`
}

// Load reads and validates a policy file.
func Load(file string) (*Policy, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p, err := Read(f)
	if err != nil {
		return nil, fmt.Errorf("policy %s: %w", file, err)
	}
	p.file = file
	return p, nil
}

// Read reads and validates a policy. All that is wrong is reported at once.
func Read(r io.Reader) (*Policy, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxSize+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxSize {
		return nil, fmt.Errorf("larger than %d bytes", maxSize)
	}
	var p Policy
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(&p); err != nil {
		return nil, err
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one YAML document")
	}
	if err := p.validate(); err != nil {
		return nil, err
	}
	if p.lines, err = linesOf(b, p.Exceptions); err != nil {
		return nil, err
	}
	for _, e := range p.Exceptions {
		p.used = append(p.used, use{make([]bool, len(e.Artifacts)), make([]bool, len(e.Paths))})
	}
	return &p, nil
}

// File is where it was loaded from.
func (p *Policy) File() string { return p.file }

func (p *Policy) validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if p.Version != 1 {
		bad("version is %d; this program reads version 1", p.Version)
	}
	for n, c := range p.Certificates {
		if !date(c.Sunset) || !date(c.Checked) || c.Owner == "" {
			bad("certificate %s: sunset and checked (YYYY-MM-DD) and owner are all needed", n)
		}
	}
	for name, m := range p.Artifacts {
		if m != measure.Boring && m != measure.GoFIPS && m != measure.None {
			bad("artifact %s: mode %q is none of boring, native, none", name, m)
		}
	}
	for i, e := range p.Exceptions {
		at := fmt.Sprintf("exception %d (%s)", i+1, e.Check)
		c, ok := checks.Lookup(e.Check)
		switch {
		case !ok:
			bad("%s: there is no such check", at)
		case c.Severity == checks.Block:
			bad("%s: severity BLOCK; no exception can excuse it", at)
		case c.Severity != checks.High:
			bad("%s: severity %s does not fail, so there is nothing to excuse", at, c.Severity)
		}
		if len(e.Artifacts) == 0 || slices.Contains(e.Artifacts, "") {
			bad("%s: name the artifacts it is for", at)
		}
		if slices.Contains(e.Paths, "") {
			bad("%s: an empty path", at)
		}
		if strings.TrimSpace(e.Owner) == "" || len(strings.TrimSpace(e.Reason)) < 10 {
			bad("%s: owner and a reason that someone else can judge are needed", at)
		}
		if !date(e.Expires) {
			bad("%s: expires must be a date (YYYY-MM-DD)", at)
		}
	}
	return errors.Join(errs...)
}

func date(s string) bool {
	_, err := time.Parse(time.DateOnly, s)
	return err == nil
}

// Declared returns the mode that an artifact has to have; ok is false when the
// policy does not know the artifact.
func (p *Policy) Declared(artifact string) (mode measure.Mode, ok bool) {
	best := ""
	for name, m := range p.Artifacts {
		if glob(name, artifact) && (!ok || len(name) > len(best) || len(name) == len(best) && name < best) {
			best, mode, ok = name, m, true
		}
	}
	return mode, ok
}

// Sunset returns the sunset date recorded for a certificate.
func (p *Policy) Sunset(number string) (string, bool) {
	c, ok := p.Certificates[number]
	return c.Sunset, ok
}

// Apply excuses failures of an artifact, in place, and appends a failure for
// each exception that names the artifact and has expired or excused nothing.
func (p *Policy) Apply(artifact string, findings []checks.Finding, day time.Time) []checks.Finding {
	today := day.Format(time.DateOnly)
	var extra []checks.Finding
	for i := range p.Exceptions {
		e := &p.Exceptions[i]
		named := slices.IndexFunc(e.Artifacts, func(a string) bool { return glob(a, artifact) })
		if named < 0 {
			continue
		}
		applied := false
		for k := range findings {
			f := &findings[k]
			if f.Check != e.Check || f.Status != checks.Fail || f.Severity == checks.Block {
				continue
			}
			path := -1
			if len(e.Paths) > 0 {
				if path = slices.IndexFunc(e.Paths, func(g string) bool { return glob(g, f.Subject) }); path < 0 {
					continue
				}
			}
			applied = true
			p.used[i].artifacts[named] = true
			if path >= 0 {
				p.used[i].paths[path] = true
			}
			if e.Expires <= today {
				f.Message += fmt.Sprintf("; the exception of %s expired on %s", e.Owner, e.Expires)
				continue
			}
			f.Status, f.Exception = checks.Excepted, e
		}
		if !applied && e.Artifacts[named] == artifact {
			what := "the name"
			if len(e.Artifacts) == 1 {
				what = "the exception"
			}
			extra = append(extra, checks.Finding{
				Check: e.Check, Severity: checks.High, Status: checks.Fail, Subject: strings.Join(e.Paths, " "),
				Message: fmt.Sprintf("%s: an exception names %s and excuses nothing there: remove %s", p.at(p.lines[i].artifacts[named]), artifact, what),
			})
		}
	}
	p.undecided(artifact, findings)
	return append(findings, extra...)
}

// Replay records what excused findings of an earlier run used, so that Unused
// can be asked about several runs together.
func (p *Policy) Replay(artifact string, findings []checks.Finding) {
	for i, e := range p.Exceptions {
		for _, f := range findings {
			if f.Status != checks.Excepted || f.Check != e.Check {
				continue
			}
			a := slices.IndexFunc(e.Artifacts, func(g string) bool { return glob(g, artifact) })
			g := slices.IndexFunc(e.Paths, func(g string) bool { return glob(g, f.Subject) })
			if a < 0 || g < 0 && len(e.Paths) > 0 {
				continue
			}
			p.used[i].artifacts[a] = true
			if g >= 0 {
				p.used[i].paths[g] = true
			}
		}
	}
}

// Unused returns a failure for each line that excused nothing in the artifacts
// that were judged. An exception for artifacts that were not all judged says
// nothing yet about its paths.
func (p *Policy) Unused(judged []string) []checks.Finding {
	var l []checks.Finding
	for i, e := range p.Exceptions {
		idle := func(line int, what string) {
			l = append(l, checks.Finding{
				Check: e.Check, Severity: checks.High, Status: checks.Fail,
				Message: fmt.Sprintf("%s: %s excuses nothing: remove it", p.at(line), what),
			})
		}
		all, used := true, false
		var names []int
		for k, u := range p.used[i].artifacts {
			known := slices.ContainsFunc(judged, func(a string) bool { return glob(e.Artifacts[k], a) })
			all, used = all && known, used || u
			if known && !u {
				names = append(names, k)
			}
		}
		if all && !used {
			idle(p.lines[i].start, fmt.Sprintf("the exception from %s for %s", e.Check, strings.Join(e.Artifacts, ", ")))
			continue
		}
		for _, k := range names {
			idle(p.lines[i].artifacts[k], "artifact "+e.Artifacts[k])
		}
		for k, u := range p.used[i].paths {
			if all && !u {
				idle(p.lines[i].paths[k], "path "+e.Paths[k])
			}
		}
	}
	return l
}

// glob matches s with a pattern in which * stands for any run of characters.
func glob(pattern, s string) bool {
	if !strings.Contains(pattern, "*") {
		return pattern == s
	}
	quoted := strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, `.*`)
	return regexp.MustCompile(`(?s)^` + quoted + `$`).MatchString(s)
}
