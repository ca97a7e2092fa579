package component

import (
	"context"
	"encoding/json"
	"fmt"
	"go/build"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
)

// release is one of upstream's main modules at the wanted version.
type release struct {
	downloaded
	goMod    *modfile.File
	goModRaw []byte
	tools    []string // import paths of what the component names: main packages, and libraries of a patched one
}

func readRelease(d downloaded, tools []string) (release, error) {
	data, err := os.ReadFile(d.GoMod)
	if err != nil {
		return release{}, err
	}
	f, err := modfile.Parse(d.Path+"/go.mod", data, nil)
	if err != nil {
		return release{}, err
	}
	return release{downloaded: d, goMod: f, goModRaw: data, tools: tools}, nil
}

// checkTools reports programs that the release does not have, and programs whose
// default GODEBUG go.mod alone does not tell.
func (r release) checkTools() error {
	linux := build.Default
	linux.GOOS, linux.GOARCH, linux.CgoEnabled = "linux", "amd64", true
	for _, tool := range r.tools {
		pkg, err := linux.ImportDir(filepath.Join(r.Dir, strings.TrimPrefix(tool, r.Path)), 0)
		if err != nil {
			return fmt.Errorf("a tool line names %s, which %s %s does not have: %w", tool, r.Path, r.Version, err)
		}
		if len(pkg.GoFiles)+len(pkg.CgoFiles) == 0 {
			return fmt.Errorf("a tool line names %s, which in %s %s has tests only", tool, r.Path, r.Version)
		}
		for _, d := range pkg.Directives {
			if strings.HasPrefix(d.Text, "//go:debug ") {
				return fmt.Errorf("%s: %s: only go.mod's godebug lines are carried over into the program so far", d.Pos, d.Text)
			}
		}
	}
	return nil
}

// describe makes the table of a component from its releases, the first of which
// names it, and the Go versions that are locked, the newest first.
func describe(ctx context.Context, releases []release, goVersions []string) (Upstream, error) {
	main := releases[0]
	u := Upstream{Module: main.Path, Version: main.Version, Revision: main.Sum}
	switch {
	case main.Origin.Hash != "":
		u.Revision = main.Origin.Hash
	case module.IsPseudoVersion(main.Version):
		rev, err := module.PseudoVersionRev(main.Version)
		if err != nil {
			return u, err
		}
		u.Revision = rev
	}

	info, err := os.ReadFile(main.Info)
	if err != nil {
		return u, err
	}
	var stamp struct{ Time time.Time }
	if err := json.Unmarshal(info, &stamp); err != nil {
		return u, fmt.Errorf("%s: %w", main.Info, err)
	}
	u.Time = stamp.Time.UTC().Format(time.RFC3339)

	pin, err := FindGoPin(os.DirFS(main.Dir))
	if err != nil {
		return u, fmt.Errorf("%s %s: %w", main.Path, main.Version, err)
	}
	u.GoFrom = pin.File
	i := slices.IndexFunc(goVersions, pin.Matches)
	if i < 0 {
		return u, fmt.Errorf("%s %s is compiled by Go %s (its %s), which is not locked; lock it with `bazel run //tools/update -- go %s`", main.Path, main.Version, pin.Version, pin.File, pin.Version)
	}
	u.Go = goVersions[i]

	for i, r := range releases {
		if err := r.checkTools(); err != nil {
			return u, err
		}
		value, err := DefaultGODEBUG(ctx, DownloadedGo(u.Go), r.goModRaw)
		if err != nil {
			return u, err
		}
		if i > 0 && value != u.Godebug {
			return u, fmt.Errorf("%s and %s differ in their default GODEBUG, and %s has room for one: %q, %q", main.Path, r.Path, UpstreamFile, u.Godebug, value)
		}
		u.Godebug = value
	}
	return u, nil
}
