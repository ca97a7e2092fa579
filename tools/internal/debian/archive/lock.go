package archive

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	version "github.com/knqyf263/go-deb-version"

	"kubefips.internal/tools/internal/debian"
)

// Lock resolves a set in the archive's present state.
func (r *Reader) Lock(ctx context.Context, def debian.Definition) (*debian.Lock, error) {
	l := &debian.Lock{Generated: debian.Generated, Set: def, Packages: []debian.Package{}, Sources: []debian.Source{}}
	var suites []*suite
	for _, name := range def.Suites {
		s, err := r.open(ctx, name)
		if err != nil {
			return nil, err
		}
		suites = append(suites, s)
		l.Releases = append(l.Releases, s.Release)
	}
	for _, arch := range def.Architectures {
		u := newUniverse()
		for _, s := range suites {
			ps, err := r.index(ctx, s, "main/binary-"+arch+"/Packages.xz")
			if err != nil {
				return nil, err
			}
			for _, p := range ps {
				if err := u.add(s.Archive, p); err != nil {
					return nil, fmt.Errorf("%s/%s: %w", s.Archive, s.Suite, err)
				}
			}
		}
		packages, err := u.resolve(def.Packages, def.Closure, def.Exclude)
		if err != nil {
			return nil, fmt.Errorf("architecture %s: %w", arch, err)
		}
		for _, p := range packages {
			// A package for all architectures is locked once.
			if !slices.Contains(l.Packages, p) {
				l.Packages = append(l.Packages, p)
			}
		}
	}
	sources, err := r.sources(ctx, suites, def.Sources)
	if err != nil {
		return nil, err
	}
	l.Sources = append(l.Sources, sources...)
	return l, nil
}

// sources finds the highest version of each source package.
func (r *Reader) sources(ctx context.Context, suites []*suite, names []string) ([]debian.Source, error) {
	if len(names) == 0 {
		return nil, nil
	}
	found := map[string]debian.Source{}
	for _, s := range suites {
		ps, err := r.index(ctx, s, "main/source/Sources.xz")
		if err != nil {
			return nil, err
		}
		for _, p := range ps {
			name := p["Package"]
			if !slices.Contains(names, name) {
				continue
			}
			newer, err := newerThan(p["Version"], found[name].Version)
			if err != nil {
				return nil, fmt.Errorf("source %s: %w", name, err)
			}
			if !newer {
				continue
			}
			src := debian.Source{Name: name, Version: p["Version"]}
			for _, line := range strings.Split(p["Checksums-Sha256"], "\n") {
				f := strings.Fields(line)
				// Signatures and the .dsc are not needed: the index is signed.
				if len(f) != 3 || !strings.Contains(f[2], ".tar.") || strings.HasSuffix(f[2], ".asc") {
					continue
				}
				file, err := fileOf(s.Archive, path.Join(p["Directory"], f[2]), f[0], f[1])
				if err != nil {
					return nil, fmt.Errorf("source %s: %w", name, err)
				}
				src.Files = append(src.Files, file)
			}
			found[name] = src
		}
	}
	var all []debian.Source
	for _, n := range names {
		if _, ok := found[n]; !ok {
			return nil, fmt.Errorf("source package %s is in none of the suites", n)
		}
		all = append(all, found[n])
	}
	return all, nil
}

func newerThan(a, b string) (bool, error) {
	if b == "" {
		return true, nil
	}
	va, err := version.NewVersion(a)
	if err != nil {
		return false, err
	}
	vb, err := version.NewVersion(b)
	return va.GreaterThan(vb), err
}

func fileOf(archive, path, sha256, size string) (debian.File, error) {
	n, err := strconv.ParseInt(size, 10, 64)
	if err != nil {
		return debian.File{}, fmt.Errorf("size of %s: %w", path, err)
	}
	return debian.File{Archive: archive, Path: path, SHA256: sha256, Size: n}, nil
}
