package component

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	goversion "go/version"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
)

// Update moves the component in dir to a version of its upstream: it writes go.mod,
// go.sum and upstream.bzl, or nothing.
//
// The new go.mod selects for every needed module what upstream's own go.mod selects.
// Lines of the present go.mod that carry a comment are decisions of this tree and
// stay; all others are upstream's and are written anew. Hashes in the present go.sum
// are pins: a module that has another one now ends the update. goVersions are the
// locked Go versions, the newest first. What a person should know is said on out.
func Update(ctx context.Context, out io.Writer, dir, version string, goVersions []string) error {
	name := filepath.Base(dir)
	modFile := filepath.Join(dir, "go.mod")
	old, err := readGoMod(modFile)
	if err != nil {
		return err
	}
	// All is done in a copy: there the go command checks what it downloads with go.sum,
	// and finds replaced modules that live in the component's folder.
	tmp, err := os.MkdirTemp("", "update-"+name)
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := os.CopyFS(tmp, os.DirFS(dir)); err != nil {
		return err
	}

	releases, err := findReleases(ctx, tmp, old, version)
	if err != nil {
		return fmt.Errorf("%s: %w", modFile, err)
	}
	u, err := describe(ctx, releases, goVersions)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	composed, err := compose(ctx, out, tmp, old, releases)
	if err != nil {
		return fmt.Errorf("%s: %w", modFile, err)
	}
	if err := os.WriteFile(filepath.Join(tmp, "go.mod"), composed, 0o644); err != nil {
		return err
	}
	if err := tidy(ctx, tmp, composed); err != nil {
		return fmt.Errorf("%s %s: %w", name, u.Version, err)
	}
	if err := checkSums(ctx, out, filepath.Join(dir, "go.sum"), filepath.Join(tmp, "go.sum")); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(tmp, UpstreamFile), u.Encode(name), 0o644); err != nil {
		return err
	}
	selected, err := readGoMod(filepath.Join(tmp, "go.mod"))
	if err != nil {
		return err
	}
	var upstream []*modfile.File
	for _, r := range releases {
		upstream = append(upstream, r.goMod)
	}
	for _, d := range Differences(selected, upstream, u.Module, u.Version) {
		fmt.Fprintf(out, "differs, the README has to say why: %s, upstream %s, here %s\n", d.Module, d.Upstream, d.Here)
	}
	fmt.Fprintf(out, "%s %s (%s, %s), Go %s from its %s\n", name, u.Version, u.Time, u.Revision, u.Go, u.GoFrom)
	return install(out, tmp, dir, "go.mod", "go.sum", UpstreamFile)
}

func readGoMod(file string) (*modfile.File, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return modfile.Parse(file, data, nil)
}

// findReleases downloads the modules that hold the programs which go.mod names.
func findReleases(ctx context.Context, dir string, old *modfile.File, version string) ([]release, error) {
	if len(old.Tool) == 0 {
		return nil, errors.New("no tool line names a program of upstream")
	}
	tools := map[string][]string{} // by module path
	found := map[string]downloaded{}
	for _, t := range old.Tool {
		d, err := findModule(ctx, dir, old, found, t.Path, version)
		if err != nil {
			return nil, err
		}
		tools[d.Path] = append(tools[d.Path], t.Path)
	}
	first := found[slices.Sorted(maps.Keys(found))[0]].Path
	if u, err := ReadUpstream(dir); err == nil && tools[u.Module] != nil {
		first = u.Module
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var releases []release
	for _, path := range slices.Sorted(maps.Keys(tools)) {
		r, err := readRelease(found[path], tools[path])
		if err != nil {
			return nil, err
		}
		if path == first {
			releases = slices.Insert(releases, 0, r)
		} else {
			releases = append(releases, r)
		}
	}
	return releases, nil
}

// findModule downloads the module that holds a package: the one that go.mod
// requires, else the longest prefix of the package's path that is a module.
func findModule(ctx context.Context, dir string, old *modfile.File, found map[string]downloaded, pkg, version string) (downloaded, error) {
	longest := ""
	for _, r := range old.Require {
		if inModule(pkg, r.Mod.Path) && len(r.Mod.Path) > len(longest) {
			longest = r.Mod.Path
		}
	}
	candidates := []string{longest}
	if longest == "" {
		candidates = nil
		for p := pkg; strings.Contains(p, "/"); p = p[:strings.LastIndexByte(p, '/')] {
			candidates = append(candidates, p)
		}
	}
	var errs error
	for _, path := range candidates {
		if d, ok := found[path]; ok {
			return d, nil
		}
		d, err := download(ctx, dir, path, version)
		if err == nil {
			found[path] = d
			return d, nil
		}
		errs = errors.Join(errs, err)
	}
	return downloaded{}, fmt.Errorf("no module for the program %s at %s: %w", pkg, version, errs)
}

// compose returns the new go.mod, before the go command drops what is not needed.
func compose(ctx context.Context, out io.Writer, dir string, old *modfile.File, releases []release) ([]byte, error) {
	goVersion := ""
	requires := map[string]string{} // by path
	replaces := map[module.Version]module.Version{}
	excludes := map[module.Version]bool{}
	folders := map[string]string{} // modules that upstream takes from folders of its own repository
	for _, r := range releases {
		if r.goMod.Go != nil && (goVersion == "" || goversion.Compare("go"+r.goMod.Go.Version, "go"+goVersion) > 0) {
			goVersion = r.goMod.Go.Version
		}
		for _, q := range r.goMod.Require {
			if have, ok := requires[q.Mod.Path]; !ok || semver.Compare(q.Mod.Version, have) > 0 {
				requires[q.Mod.Path] = q.Mod.Version
			}
		}
		for _, p := range r.goMod.Replace {
			if p.New.Version == "" {
				folders[p.Old.Path] = p.New.Path
				continue
			}
			if other, ok := replaces[p.Old]; ok && other != p.New {
				return nil, fmt.Errorf("upstream's modules replace %s by %s and by %s: they cannot share one go.mod", p.Old, other, p.New)
			}
			replaces[p.Old] = p.New
		}
		for _, e := range r.goMod.Exclude {
			excludes[e.Mod] = true
		}
	}
	for _, r := range releases {
		requires[r.Path] = r.Version
	}
	if goVersion == "" {
		return nil, fmt.Errorf("%s %s: its go.mod has no go line", releases[0].Path, releases[0].Version)
	}

	// What this tree decided stays as it stands, in place of what upstream says.
	blocks := map[string][]string{}
	var kept []string
	keep := func(verb string, line *modfile.Line) bool {
		text, ours := decision(line)
		if ours {
			blocks[verb] = append(blocks[verb], text)
			kept = append(kept, verb+" "+text)
		}
		return ours
	}
	for _, q := range old.Require {
		if keep("require", q.Syntax) {
			delete(requires, q.Mod.Path)
		}
	}
	for _, p := range old.Replace {
		if keep("replace", p.Syntax) {
			delete(folders, p.Old.Path)
			maps.DeleteFunc(replaces, func(o, _ module.Version) bool { return o.Path == p.Old.Path })
		}
	}
	for _, e := range old.Exclude {
		if keep("exclude", e.Syntax) {
			delete(excludes, e.Mod)
			if requires[e.Mod.Path] == e.Mod.Version {
				delete(requires, e.Mod.Path)
			}
		}
	}
	for _, line := range kept {
		fmt.Fprintf(out, "kept for its comment: %s\n", line)
	}

	for _, path := range slices.Sorted(maps.Keys(folders)) {
		version := publishedAs(path, releases[0].Path, releases[0].Version)
		if required, ok := requires[path]; !ok || required == version {
			continue
		}
		d, err := download(ctx, dir, path, version)
		if err != nil {
			return nil, fmt.Errorf("upstream takes %s from its own folder %s; add a replace or exclude line with a comment that says why: %w", path, folders[path], err)
		}
		replaces[module.Version{Path: path}] = module.Version{Path: path, Version: d.Version}
	}

	for _, t := range old.Tool {
		blocks["tool"] = append(blocks["tool"], t.Path)
	}
	for path, version := range requires {
		blocks["require"] = append(blocks["require"], path+" "+version+" // indirect")
	}
	for o, n := range replaces {
		blocks["replace"] = append(blocks["replace"], strings.TrimSpace(o.Path+" "+o.Version)+" => "+n.Path+" "+n.Version)
	}
	for e := range excludes {
		blocks["exclude"] = append(blocks["exclude"], e.Path+" "+e.Version)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "module %s\n\ngo %s\n", old.Module.Mod.Path, goVersion)
	for _, verb := range []string{"tool", "require", "replace", "exclude"} {
		slices.Sort(blocks[verb])
		if lines := blocks[verb]; len(lines) == 1 {
			fmt.Fprintf(&text, "\n%s %s\n", verb, lines[0])
		} else if len(lines) > 1 {
			fmt.Fprintf(&text, "\n%s (\n\t%s\n)\n", verb, strings.Join(lines, "\n\t"))
		}
	}
	return []byte(text.String()), nil
}

// decision returns a line of go.mod without its verb, and whether it is a decision of
// this tree: whether it has a comment besides the go command's own "indirect".
func decision(line *modfile.Line) (string, bool) {
	tokens := line.Token
	if !line.InBlock {
		tokens = tokens[1:]
	}
	ours := false
	text := strings.Join(tokens, " ")
	for _, c := range line.Suffix {
		text += " " + c.Token
		ours = ours || strings.TrimSpace(strings.TrimPrefix(c.Token, "//")) != "indirect"
	}
	return text, ours
}

// publishedAs is the version that goes with a release of main: its own for a module
// nested in main's repository, else Kubernetes' habit of publishing its v1.37.2
// together with v0.37.2 of its libraries.
func publishedAs(path, main, version string) string {
	prefix, _, _ := module.SplitPathVersion(main)
	if rest, ok := strings.CutPrefix(version, "v1."); ok && !strings.HasPrefix(path, prefix+"/") {
		return "v0." + rest
	}
	return version
}

// tidy reduces the composed go.mod in dir to the modules that the programs need, and
// makes its go.sum.
func tidy(ctx context.Context, dir string, composed []byte) error {
	allowed, err := modfile.Parse("go.mod", composed, nil)
	if err != nil {
		return err
	}
	for range 3 {
		before, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err != nil {
			return err
		}
		// Modules that only upstream's tests need may be missing: those errors do not count.
		if _, err := goRun(ctx, dir, "mod", "tidy", "-e"); err != nil {
			return err
		}
		if err := drop(dir, allowed); err != nil {
			return err
		}
		after, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err != nil {
			return err
		}
		if bytes.Equal(before, after) {
			break
		}
	}
	// Those that a program needs do.
	for _, arch := range []string{"amd64", "arm64"} {
		if err := loads(ctx, dir, arch); err != nil {
			return err
		}
	}
	return nil
}

// drop removes from go.mod and go.sum in dir the modules that the go command found by
// itself: it takes the newest version of what only tests import.
func drop(dir string, allowed *modfile.File) error {
	modFile, sumFile := filepath.Join(dir, "go.mod"), filepath.Join(dir, "go.sum")
	f, err := readGoMod(modFile)
	if err != nil {
		return err
	}
	dropped := map[string]bool{}
	for _, r := range slices.Clone(f.Require) {
		if slices.ContainsFunc(allowed.Require, func(a *modfile.Require) bool { return a.Mod.Path == r.Mod.Path }) {
			continue
		}
		dropped[r.Mod.Path] = true
		if err := f.DropRequire(r.Mod.Path); err != nil {
			return err
		}
	}
	if len(dropped) == 0 {
		return nil
	}
	f.Cleanup()
	text, err := f.Format()
	if err != nil {
		return err
	}
	if err := os.WriteFile(modFile, text, 0o644); err != nil {
		return err
	}
	sums, err := os.ReadFile(sumFile)
	if err != nil {
		return err
	}
	var keep []byte
	for line := range bytes.Lines(sums) {
		path, _, _ := bytes.Cut(line, []byte(" "))
		if !dropped[string(path)] {
			keep = append(keep, line...)
		}
	}
	return os.WriteFile(sumFile, keep, 0o644)
}

// checkSums compares two go.sum files: what both know has to be equal. It says which
// of the new hashes the checksum database was not asked about.
func checkSums(ctx context.Context, out io.Writer, before, after string) error {
	old, err := readSums(before)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	now, err := readSums(after)
	if err != nil {
		return err
	}
	env, err := goRun(ctx, os.TempDir(), "env", "GOSUMDB", "GONOSUMDB")
	if err != nil {
		return err
	}
	db, patterns, _ := strings.Cut(string(env), "\n")
	for _, key := range slices.Sorted(maps.Keys(now)) {
		pin, pinned := old[key]
		if pinned && pin != now[key] {
			return fmt.Errorf("%s pins %s for %s, but it is %s now; find out which is right before you touch the pin", before, pin, key, now[key])
		}
		path, _, _ := strings.Cut(key, " ")
		if !pinned && (db == "off" || module.MatchPrefixPatterns(strings.TrimSpace(patterns), path)) {
			fmt.Fprintf(out, "trusted on first use, unknown to the checksum database: %s %s\n", key, now[key])
		}
	}
	return nil
}

// readSums reads a go.sum file: "path version" to hash.
func readSums(file string) (map[string]string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	sums := map[string]string{}
	for line := range bytes.Lines(data) {
		if fields := strings.Fields(string(line)); len(fields) == 3 {
			sums[fields[0]+" "+fields[1]] = fields[2]
		}
	}
	return sums, nil
}

// install moves the named files from one folder into another: all of them, or none.
func install(out io.Writer, from, to string, names ...string) error {
	var changed []string
	for _, name := range names {
		now, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			return err
		}
		if old, err := os.ReadFile(filepath.Join(to, name)); err == nil && bytes.Equal(old, now) {
			fmt.Fprintln(out, filepath.Join(to, name), "is up to date")
			continue
		}
		if err := os.WriteFile(filepath.Join(to, name+".tmp"), now, 0o644); err != nil {
			return errors.Join(err, os.Remove(filepath.Join(to, name+".tmp")))
		}
		changed = append(changed, filepath.Join(to, name))
	}
	for _, file := range changed {
		if err := os.Rename(file+".tmp", file); err != nil {
			return err
		}
		fmt.Fprintln(out, "wrote", file)
	}
	return nil
}
