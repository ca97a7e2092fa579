package component

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
)

// Difference is a module that a component selects otherwise than its upstream does.
type Difference struct {
	Module   string // import path
	Upstream string // what upstream's go.mod selects: a version, another module, a folder; or "none"
	Here     string // what the component's go.mod selects
}

// Differences compares the modules that a component's go.mod selects with the go.mod
// files of upstream's main modules. Since Go 1.17 such a file lists every module that
// the programs need, so what is listed is what is selected.
func Differences(here *modfile.File, upstream []*modfile.File, main, version string) []Difference {
	var all []Difference
	for _, r := range here.Require {
		if slices.ContainsFunc(upstream, func(up *modfile.File) bool { return up.Module.Mod.Path == r.Mod.Path }) {
			continue
		}
		got := selection(here, r.Mod)
		known := false
		for _, up := range upstream {
			i := slices.IndexFunc(up.Require, func(q *modfile.Require) bool { return q.Mod.Path == r.Mod.Path })
			if i < 0 {
				continue
			}
			known = true
			want := selection(up, up.Require[i].Mod)
			if modfile.IsDirectoryPath(want) && got == publishedAs(r.Mod.Path, main, version) {
				continue // the published copy of a folder in upstream's repository
			}
			d := Difference{Module: r.Mod.Path, Upstream: want, Here: got}
			if got != want && !slices.Contains(all, d) {
				all = append(all, d)
			}
		}
		if !known {
			all = append(all, Difference{Module: r.Mod.Path, Upstream: "none", Here: got})
		}
	}
	return all
}

// selected is what a go.mod makes of a module that it requires: a folder has no version.
func selected(f *modfile.File, m module.Version) module.Version {
	for _, r := range f.Replace {
		if r.Old.Path == m.Path && (r.Old.Version == "" || r.Old.Version == m.Version) {
			return r.New
		}
	}
	return m
}

// selection says what a go.mod makes of a module that it requires.
func selection(f *modfile.File, m module.Version) string {
	switch s := selected(f, m); s.Path {
	case m.Path:
		return s.Version
	default:
		return strings.TrimSpace(s.Path + " " + s.Version)
	}
}

// Explained is a row of the table of differences in a component's README. Its module
// and versions may be patterns of path.Match.
type Explained struct {
	Difference
	Why string
}

// explainedHead starts the table.
const explainedHead = "| Module | Upstream | Here | Why |"

// ReadExplained reads the table of differences from a README; it may be missing.
func ReadExplained(readme []byte) ([]Explained, error) {
	var rows []Explained
	inside := false
	for line := range bytes.Lines(readme) {
		text := strings.TrimSpace(string(line))
		switch {
		case text == explainedHead:
			inside = true
		case !inside || strings.HasPrefix(text, "|-") || strings.HasPrefix(text, "| -"):
		case !strings.HasPrefix(text, "|"):
			inside = false
		default:
			cells := strings.Split(strings.Trim(text, "|"), "|")
			if len(cells) != 4 {
				return nil, fmt.Errorf("%d cells in place of 4: %s", len(cells), text)
			}
			for i := range cells {
				cells[i] = strings.Trim(strings.TrimSpace(cells[i]), "`")
			}
			row := Explained{Difference{Module: cells[0], Upstream: cells[1], Here: cells[2]}, cells[3]}
			if row.Why == "" {
				return nil, fmt.Errorf("no reason in column Why: %s", text)
			}
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// unexplained returns a message for each difference without a row, and for each row
// without a difference.
func unexplained(differences []Difference, rows []Explained) []string {
	var messages []string
	used := make([]bool, len(rows))
	for _, d := range differences {
		found := false
		for i, row := range rows {
			if match(row.Module, d.Module) && match(row.Upstream, d.Upstream) && match(row.Here, d.Here) {
				found, used[i] = true, true
			}
		}
		if !found {
			messages = append(messages, fmt.Sprintf("%s: upstream selects %s, go.mod here %s; take upstream's, or say why in a table headed %q", d.Module, d.Upstream, d.Here, explainedHead))
		}
	}
	for i, row := range rows {
		if !used[i] {
			messages = append(messages, fmt.Sprintf("the row on %s, upstream %s, here %s, describes no difference; delete it", row.Module, row.Upstream, row.Here))
		}
	}
	return messages
}

func match(pattern, s string) bool {
	ok, err := path.Match(pattern, s)
	return err == nil && ok
}
