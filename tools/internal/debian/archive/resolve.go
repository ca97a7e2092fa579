package archive

import (
	"fmt"
	"slices"
	"strings"

	version "github.com/knqyf263/go-deb-version"

	"kubefips.internal/tools/internal/debian"
)

// universe is every binary package of some suites for one architecture.
type universe struct {
	packages map[string]candidate
	// providers are the names of the packages that provide a virtual one.
	providers map[string][]provider
}

type candidate struct {
	debian.Package
	version version.Version
	// depends is Pre-Depends and Depends: all of the outer, one of the inner.
	depends [][]relation
}

type provider struct {
	name string
	// version is empty for an unversioned Provides.
	version string
}

// relation is a package name with an optional bound on its version.
type relation struct {
	name, op, version string
}

func newUniverse() *universe {
	return &universe{packages: map[string]candidate{}, providers: map[string][]provider{}}
}

// add takes a paragraph of a Packages index; the highest version stays.
func (u *universe) add(archive string, p map[string]string) error {
	v, err := version.NewVersion(p["Version"])
	if err != nil {
		return fmt.Errorf("package %s: %w", p["Package"], err)
	}
	if old, ok := u.packages[p["Package"]]; ok && !v.GreaterThan(old.version) {
		return nil
	}
	file, err := fileOf(archive, p["Filename"], p["SHA256"], p["Size"])
	if err != nil {
		return fmt.Errorf("package %s: %w", p["Package"], err)
	}
	c := candidate{version: v, Package: debian.Package{
		Name: p["Package"], Version: p["Version"], Architecture: p["Architecture"], File: file,
	}}
	for _, f := range []string{"Pre-Depends", "Depends"} {
		c.depends = append(c.depends, parseRelations(p[f])...)
	}
	for _, alternatives := range parseRelations(p["Provides"]) {
		r := alternatives[0]
		u.providers[r.name] = append(u.providers[r.name], provider{c.Name, r.version})
	}
	u.packages[c.Name] = c
	return nil
}

// parseRelations reads a field such as "a (>= 1) | b, c:any".
func parseRelations(field string) [][]relation {
	var all [][]relation
	for _, clause := range strings.Split(field, ",") {
		var alternatives []relation
		for _, s := range strings.Split(clause, "|") {
			name, bound, _ := strings.Cut(s, "(")
			name, _, _ = strings.Cut(strings.TrimSpace(name), ":")
			if name == "" {
				continue
			}
			r := relation{name: name}
			if f := strings.Fields(strings.TrimRight(strings.TrimSpace(bound), ")")); len(f) == 2 {
				r.op, r.version = f[0], f[1]
			}
			alternatives = append(alternatives, r)
		}
		if len(alternatives) > 0 {
			all = append(all, alternatives)
		}
	}
	return all
}

// allows tells whether a version is within the relation's bound.
func (r relation) allows(have string) bool {
	if r.op == "" {
		return true
	}
	h, err1 := version.NewVersion(have)
	w, err2 := version.NewVersion(r.version)
	if err1 != nil || err2 != nil {
		return false
	}
	switch r.op {
	case "=":
		return h.Equal(w)
	case ">=":
		return !h.LessThan(w)
	case "<=":
		return !h.GreaterThan(w)
	case ">>":
		return h.GreaterThan(w)
	case "<<":
		return h.LessThan(w)
	}
	return false
}

// resolve returns the named packages, with all that they depend on if closure,
// but not what excluded names, sorted by name.
func (u *universe) resolve(names []string, closure bool, excluded []string) ([]debian.Package, error) {
	chosen := map[string]bool{}
	for _, n := range names {
		if _, ok := u.packages[n]; !ok {
			return nil, fmt.Errorf("package %s is in none of the suites", n)
		}
		chosen[n] = true
	}
	used := map[string]bool{}
	for queue := slices.Clone(names); closure && len(queue) > 0; queue = queue[1:] {
		from := u.packages[queue[0]]
		for _, alternatives := range from.depends {
			n, err := u.choose(alternatives, chosen, excluded)
			if err != nil {
				return nil, fmt.Errorf("package %s: %w", from.Name, err)
			}
			if slices.Contains(excluded, n) {
				used[n] = true
			} else if !chosen[n] {
				chosen[n] = true
				queue = append(queue, n)
			}
		}
	}
	for _, n := range excluded {
		if !used[n] {
			return nil, fmt.Errorf("excluded package %s is not in the closure; drop it from the list", n)
		}
	}
	var result []debian.Package
	for n := range chosen {
		result = append(result, u.packages[n].Package)
	}
	slices.SortFunc(result, func(a, b debian.Package) int { return strings.Compare(a.Name, b.Name) })
	return result, nil
}

// choose returns the package that satisfies one of the alternatives: one
// already chosen or excluded, else the first real one, else the first provider.
func (u *universe) choose(alternatives []relation, chosen map[string]bool, excluded []string) (string, error) {
	var fit []string
	for _, r := range alternatives {
		if p, ok := u.packages[r.name]; ok && r.allows(p.Version) {
			fit = append(fit, r.name)
		}
		for _, p := range u.providers[r.name] {
			if _, ok := u.packages[p.name]; ok && (r.op == "" || (p.version != "" && r.allows(p.version))) {
				fit = append(fit, p.name)
			}
		}
	}
	for _, n := range fit {
		if chosen[n] || slices.Contains(excluded, n) {
			return n, nil
		}
	}
	if len(fit) == 0 {
		return "", fmt.Errorf("nothing in the suites satisfies %v", alternatives)
	}
	return fit[0], nil
}
