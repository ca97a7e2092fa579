package policy

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"kubefips.internal/tools/fipscheck/checks"
)

// lines says where an exception stands in the file: its first line, and that
// of each artifact and path.
type lines struct {
	start            int
	artifacts, paths []int
}

// linesOf reads a policy once more, for the places of its exceptions.
func linesOf(b []byte, exceptions []checks.Exception) ([]lines, error) {
	var doc struct {
		Exceptions []struct {
			Check     yaml.Node
			Artifacts []yaml.Node
			Paths     []yaml.Node
		}
	}
	if err := yaml.Unmarshal(b, &doc); err != nil {
		return nil, err
	}
	of := func(nodes []yaml.Node) []int {
		var l []int
		for _, n := range nodes {
			l = append(l, n.Line)
		}
		return l
	}
	var all []lines
	for i, e := range doc.Exceptions {
		l := lines{e.Check.Line, of(e.Artifacts), of(e.Paths)}
		if i >= len(exceptions) || len(l.artifacts) != len(exceptions[i].Artifacts) || len(l.paths) != len(exceptions[i].Paths) {
			break
		}
		all = append(all, l)
	}
	if len(all) != len(exceptions) {
		return nil, fmt.Errorf("exception %d: write artifacts and paths as plain lists", len(all)+1)
	}
	return all, nil
}

// at is a place in the file, as compilers write it.
func (p *Policy) at(line int) string {
	file := p.file
	if file == "" {
		file = "policy"
	}
	return fmt.Sprintf("%s:%d", file, line)
}

// undecided remembers what an exception could still be written for.
func (p *Policy) undecided(artifact string, findings []checks.Finding) {
	var l []open
	for _, f := range findings {
		if f.Status != checks.Fail {
			continue
		}
		if f.Severity == checks.Block {
			return // no exception lets this artifact pass
		}
		o := open{artifact, f.Check, f.Subject}
		if f.Severity == checks.High && !p.expired(o) && !slices.Contains(p.open, o) {
			l = append(l, o)
		}
	}
	p.open = append(p.open, l...)
}

// expired says whether there is an exception already, so that another one
// would not be the answer.
func (p *Policy) expired(o open) bool {
	is := func(globs []string, s string) bool {
		return slices.ContainsFunc(globs, func(g string) bool { return glob(g, s) })
	}
	return slices.ContainsFunc(p.Exceptions, func(e checks.Exception) bool {
		return e.Check == o.check && is(e.Artifacts, o.artifact) && (len(e.Paths) == 0 || is(e.Paths, o.subject))
	})
}

// Proposal says which lines the file would need, and where, for what was
// refused; empty when no exception could help. Owner, reason and end are left
// to people, and a policy without them is not accepted.
func (p *Policy) Proposal() string {
	slices.SortStableFunc(p.open, func(a, b open) int {
		return strings.Compare(a.artifact+"\x00"+a.check, b.artifact+"\x00"+b.check)
	})
	var b strings.Builder
	for i := 0; i < len(p.open); {
		o, where := p.open[i], "at the end"
		for k, e := range p.Exceptions {
			if e.Artifacts[0] > o.artifact {
				where = fmt.Sprintf("before line %d", p.lines[k].start)
				break
			}
		}
		fmt.Fprintf(&b, "%s: to ship %s all the same, decide it and add %s:\n", p.file, o.artifact, where)
		fmt.Fprintf(&b, "  - check: %s\n    artifacts: [%s]\n", o.check, scalar(o.artifact))
		if o.subject != "" {
			fmt.Fprintf(&b, "    paths:\n")
		}
		for ; i < len(p.open) && p.open[i].artifact == o.artifact && p.open[i].check == o.check; i++ {
			if s := p.open[i].subject; s != "" {
				fmt.Fprintf(&b, "      - %s\n", scalar(s))
			}
		}
		b.WriteString("    owner: # who answers for it\n    reason: # why it is not reached, or how it is switched off\n    expires: # YYYY-MM-DD\n")
	}
	return b.String()
}

// scalar writes a name as YAML on one line.
func scalar(s string) string {
	b, err := yaml.Marshal(s)
	if err != nil || strings.Count(string(b), "\n") != 1 {
		return fmt.Sprintf("%q", s)
	}
	return strings.TrimSpace(string(b))
}
