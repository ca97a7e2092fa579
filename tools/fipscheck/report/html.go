package report

import (
	_ "embed"
	"html/template"
	"io"
	"maps"
	"slices"
	"strings"

	"kubefips.internal/tools/fipscheck/boring"
	"kubefips.internal/tools/fipscheck/checks"
)

//go:embed page.html
var pageSource string

var page = template.Must(template.New("page").Parse(pageSource))

// cell is one check on one artifact in the matrix.
type cell struct {
	Check, Class, Mark, Title string
}

type row struct {
	Artifact
	ID    int
	Label string
	// Again is for a program of this report inside an image: its findings
	// stand under the program.
	Again bool
	Cells []cell
	Lines []checks.Finding
}

// linked is one package outside the module and where it is linked.
type linked struct {
	Component string
	Packages  []linkedPackage
}

type linkedPackage struct {
	Path, What string
	Severity   checks.Severity
	Where      []string
	// Decision is the reason of the exception; empty while nobody decided.
	Decision, Owner, Expires string
}

type excused struct {
	*checks.Exception
	Uses []string
}

type pageData struct {
	*Report
	Checks []checks.Check
	// Programs, Others (images, folders, manifests) and Inner (files in them)
	// are all artifacts.
	Programs, Others, Inner  int
	FailedN, Excused, Warned int
	Rows                     []row
	Linked                   []linked
	Exceptions               []excused
	Modules                  []boring.Module
	CertificateTable         map[string]boring.Certificate
}

type sign struct {
	status      checks.Status
	class, mark string
}

// marks are the matrix's signs from bad to good.
var marks = []sign{
	{checks.Fail, "fail", "✗"},
	{checks.Excepted, "exc", "e"},
	{checks.Warn, "warn", "!"},
	{checks.Pass, "pass", "✓"},
	{checks.Note, "info", "i"},
	{checks.Skipped, "na", "·"},
}

// HTML writes one page that needs nothing else.
func (r *Report) HTML(w io.Writer) error {
	d := pageData{Report: r, Checks: checks.Catalogue, Modules: boring.Modules, CertificateTable: boring.Certificates}
	components := map[string]map[string]*linkedPackage{}
	uses := map[string]*excused{}
	programs := map[string]int{}
	for i, a := range r.Artifacts {
		if a.Kind == Binary && a.Parent == "" && a.Digest != "" {
			programs[a.Name+a.Digest] = i
		}
	}
	for i, a := range r.Artifacts {
		switch {
		case a.Parent != "":
			d.Inner++
		case a.Kind == Binary:
			d.Programs++
		default:
			d.Others++
		}
		if a.Verdict == Failed {
			d.FailedN++
		}
		rw := row{Artifact: a, ID: i, Label: a.Name}
		if program, ok := programs[a.Name+a.Digest]; ok && a.Parent != "" {
			rw.ID, rw.Again = program, true
		}
		for _, c := range checks.Catalogue {
			rw.Cells = append(rw.Cells, cellFor(c, a.Findings))
		}
		for _, f := range a.Findings {
			if rw.Again {
				break
			}
			switch f.Status {
			case checks.Excepted:
				d.Excused++
			case checks.Warn:
				d.Warned++
			}
			if f.Status != checks.Skipped {
				rw.Lines = append(rw.Lines, f)
			}
			if e := f.Exception; e != nil {
				key := e.Check + e.Owner + e.Expires + e.Reason
				if uses[key] == nil {
					uses[key] = &excused{Exception: e}
				}
				use := a.Name
				if f.Subject != "" {
					use += " " + f.Subject
				}
				if !slices.Contains(uses[key].Uses, use) {
					uses[key].Uses = append(uses[key].Uses, use)
				}
			}
			if f.Check == "B17" && f.Subject != "" {
				addLinked(components, a.Name, f)
			}
		}
		d.Rows = append(d.Rows, rw)
	}
	for _, c := range slices.Sorted(maps.Keys(components)) {
		l := linked{Component: c}
		for _, p := range slices.Sorted(maps.Keys(components[c])) {
			l.Packages = append(l.Packages, *components[c][p])
		}
		d.Linked = append(d.Linked, l)
	}
	for _, k := range slices.Sorted(maps.Keys(uses)) {
		d.Exceptions = append(d.Exceptions, *uses[k])
	}
	return page.Execute(w, d)
}

// cellFor shows the worst finding of a check and how many there are.
func cellFor(c checks.Check, l []checks.Finding) cell {
	out := cell{Check: c.ID, Class: "none", Title: c.ID + ": not judged"}
	best := len(marks)
	var messages []string
	for _, f := range l {
		if f.Check != c.ID {
			continue
		}
		k := slices.IndexFunc(marks, func(s sign) bool { return s.status == f.Status })
		if k >= 0 && k < best {
			best, messages = k, nil
		}
		if k == best {
			messages = append(messages, f.Message)
		}
	}
	if best < len(marks) {
		out.Class, out.Mark = marks[best].class, marks[best].mark
		out.Title = c.ID + " " + c.Title + ": " + strings.Join(messages[:min(len(messages), 6)], "; ")
	}
	return out
}

// addLinked files a package under the component: the part of the artifact's
// name before the program's.
func addLinked(components map[string]map[string]*linkedPackage, artifact string, f checks.Finding) {
	component := artifact
	if i := strings.LastIndexByte(artifact, '/'); i > 0 {
		component = artifact[:i]
	}
	if components[component] == nil {
		components[component] = map[string]*linkedPackage{}
	}
	p := components[component][f.Subject]
	if p == nil {
		p = &linkedPackage{Path: f.Subject, Severity: f.Severity}
		if i := strings.LastIndexByte(f.Message, '('); i >= 0 {
			p.What = strings.Trim(f.Message[i:], "()")
		}
		components[component][f.Subject] = p
	}
	if !slices.Contains(p.Where, artifact) {
		p.Where = append(p.Where, artifact)
	}
	if e := f.Exception; e != nil {
		p.Decision, p.Owner, p.Expires = e.Reason, e.Owner, e.Expires
	}
}
