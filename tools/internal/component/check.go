package component

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
)

// Check compares the component in dir with upstream's main modules, given by their
// go.mod files, in folders of what else upstream says: the modules it selects, the Go version, the default GODEBUG as
// goCommand computes it, and the build tags. The error holds all that is wrong.
func Check(ctx context.Context, dir string, goMods []string, goCommand GoCommand) error {
	u, err := ReadUpstream(dir)
	if err != nil {
		return err
	}
	modFile, readmeFile := filepath.Join(dir, "go.mod"), filepath.Join(dir, "README.md")
	here, err := readGoMod(modFile)
	if err != nil {
		return err
	}
	readme, err := os.ReadFile(readmeFile)
	if err != nil {
		return err
	}
	explained, err := ReadExplained(readme)
	if err != nil {
		return fmt.Errorf("%s: %w", readmeFile, err)
	}

	var problems []error
	report := func(file, format string, args ...any) {
		problems = append(problems, fmt.Errorf("%s: %w", file, fmt.Errorf(format, args...)))
	}
	table := filepath.Join(dir, UpstreamFile)
	if text, err := os.ReadFile(table); err != nil {
		return err
	} else if !bytes.Equal(text, u.Encode(filepath.Base(dir))) {
		report(table, "was edited by hand; write it with `bazel run //tools/update -- %s %s`", filepath.Base(dir), u.Version)
	}

	var upstream []*modfile.File
	var tagLines strings.Builder
	for _, file := range goMods {
		f, err := readGoMod(file)
		if err != nil {
			return err
		}
		upstream = append(upstream, f)
		path := f.Module.Mod.Path
		i := slices.IndexFunc(here.Require, func(r *modfile.Require) bool { return r.Mod.Path == path })
		if i < 0 || here.Require[i].Mod.Version != u.Version {
			report(modFile, "does not require %s %s, the version in %s", path, u.Version, UpstreamFile)
		}
		if path == u.Module {
			checkGo(report, table, u, filepath.Dir(file))
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		godebug, err := DefaultGODEBUG(ctx, goCommand, data)
		if err != nil {
			return err
		}
		if godebug != u.Godebug {
			report(table, "godebug is %q, but the go command of Go %s links %q into the programs of %s", u.Godebug, u.Go, godebug, path)
		}
		lines, err := os.ReadFile(filepath.Join(filepath.Dir(file), TagsFile))
		if err != nil {
			return err
		}
		tagLines.Write(lines)
	}
	for _, t := range here.Tool {
		if !slices.ContainsFunc(upstream, func(up *modfile.File) bool {
			return inModule(t.Path, up.Module.Mod.Path)
		}) {
			report(modFile, "the program %s belongs to none of the modules that the component's segment of MODULE.bazel gives to upstream.component", t.Path)
		}
	}
	if !slices.ContainsFunc(upstream, func(up *modfile.File) bool { return up.Module.Mod.Path == u.Module }) {
		report(table, "%s is none of the modules that the component's segment of MODULE.bazel gives to upstream.component", u.Module)
	}
	for _, message := range unexplained(Differences(here, upstream, u.Module, u.Version), explained) {
		report(readmeFile, "%s", message)
	}
	for _, message := range unknownTags(readTags(readme), tagLines.String()) {
		report(readmeFile, "%s", message)
	}
	return errors.Join(problems...)
}

func checkGo(report func(file, format string, args ...any), table string, u Upstream, folder string) {
	pin, err := FindGoPin(os.DirFS(folder))
	switch {
	case err != nil:
		report(table, "upstream's Go version: %w", err)
	case pin.File != u.GoFrom || !pin.Matches(u.Go):
		report(table, "Go %s from %s, but upstream's %s says %s", u.Go, u.GoFrom, pin.File, pin.Version)
	}
}

// inModule reports whether a module of that path can hold a package.
func inModule(pkg, module string) bool {
	return pkg == module || strings.HasPrefix(pkg, module+"/")
}

// CheckBinary compares the modules in the build information of a linked program with
// the go.mod and go.sum in dir, and its Go version and default GODEBUG with upstream.bzl.
// The error holds all that is wrong.
func CheckBinary(dir, binary string) error {
	u, err := ReadUpstream(dir)
	if err != nil {
		return err
	}
	modFile, sumFile := filepath.Join(dir, "go.mod"), filepath.Join(dir, "go.sum")
	here, err := readGoMod(modFile)
	if err != nil {
		return err
	}
	sums, err := readSums(sumFile)
	if err != nil {
		return err
	}
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return err
	}

	var problems []error
	report := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("%s: %w", binary, fmt.Errorf(format, args...)))
	}
	// As in "go1.26.10-X:boringcrypto" or "go1.24.9 X:boringcrypto".
	if v, _, _ := strings.Cut(strings.ReplaceAll(info.GoVersion, " ", "-"), "-"); v != "go"+u.Go {
		report("compiled by %s, upstream's version is Go %s", info.GoVersion, u.Go)
	}
	if info.Main.Version != u.Version {
		report("its main module is %s %s, upstream's version is %s", info.Main.Path, info.Main.Version, u.Version)
	}
	if linked, err := hasGODEBUG(binary, u.Godebug); err != nil {
		return fmt.Errorf("%s: %w", binary, err)
	} else if !linked {
		report("its default GODEBUG is not %q, as in %s; rules/defs.bzl links it as runtime.godebugDefault", u.Godebug, UpstreamFile)
	}
	if !inModule(info.Path, info.Main.Path) || !slices.ContainsFunc(here.Tool, func(t *modfile.Tool) bool { return inModule(t.Path, info.Main.Path) }) {
		report("its main package is %s of the module %s, which no tool line of %s names", info.Path, info.Main.Path, modFile)
	}
	for _, dep := range append([]*debug.Module{&info.Main}, info.Deps...) {
		i := slices.IndexFunc(here.Require, func(r *modfile.Require) bool { return r.Mod.Path == dep.Path })
		if i < 0 {
			report("linked with %s %s, which %s does not require", dep.Path, dep.Version, modFile)
			continue
		}
		want := selected(here, here.Require[i].Mod)
		if want.Version == "" {
			continue // a folder of this tree
		}
		linked := dep
		if dep.Replace != nil {
			linked = dep.Replace // as the go command writes it; rules_go writes what it replaced a module by
		}
		if linked.Version != want.Version {
			report("linked with %s %s, but %s selects %s", dep.Path, linked.Version, modFile, want)
		}
		if dep == &info.Main && dep.Sum == "" {
			continue // rules_go leaves it out
		}
		if sum := sums[want.Path+" "+want.Version]; linked.Sum == "" || linked.Sum != sum {
			report("%s %s has the hash %q, but %s has %q", dep.Path, linked.Version, linked.Sum, sumFile, sum)
		}
	}
	return errors.Join(problems...)
}
