package component

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"

	"golang.org/x/mod/modfile"
)

// GoPin is upstream's choice of the Go version that compiles its releases.
type GoPin struct {
	File    string // in the module, as in .go-version
	Version string // as in 1.26.10, or 1.26 for "the newest 1.26 of the day"
}

// Matches reports whether a full Go version satisfies the pin.
func (p GoPin) Matches(version string) bool {
	if p.series() {
		return strings.HasPrefix(version, p.Version+".")
	}
	return version == p.Version
}

// series reports whether the pin names a series in place of one version.
func (p GoPin) series() bool { return strings.Count(p.Version, ".") == 1 }

// pinFiles are the places where projects say by which Go they build a release,
// the most telling first: the release's own recipe before what tests use.
var pinFiles = []struct {
	file string
	re   *regexp.Regexp
}{
	{".go-version", regexp.MustCompile(`^(1\.\d+(?:\.\d+)?)\s*$`)},
	{".github/go-version", regexp.MustCompile(`^(1\.\d+(?:\.\d+)?)\s*$`)},
	{".github/env", regexp.MustCompile(`(?m)^GOLANG_VERSION=(1\.\d+(?:\.\d+)?)$`)},
	{".github/workflows/release/Dockerfile", regexp.MustCompile(`(?m)^ARG GO_VERSION=(1\.\d+(?:\.\d+)?)$`)},
	{".github/workflows/release.yml", regexp.MustCompile(`(?m)^\s+GO_VERSION:\s*["']?(1\.\d+(?:\.\d+)?)["']?\s*$`)},
	{"metadata.mk", regexp.MustCompile(`(?m)^GO_BUILD_VER=(1\.\d+(?:\.\d+)?)-`)},
	{"Dockerfile", regexp.MustCompile(`(?m)^(?:ARG GO_VERSION=|FROM golang:)(1\.\d+(?:\.\d+)?)\b`)},
	// A project that Bazel builds names it in MODULE.bazel too, which gazelle deletes from the repositories that it writes.
	{".bazelci/buildkite-install-go.sh", regexp.MustCompile(`(?m)^pkg=go(1\.\d+(?:\.\d+)?)\.linux-amd64`)},
}

// GoPinFiles are the names of all files that FindGoPin looks at.
func GoPinFiles() []string {
	names := []string{"go.mod"}
	for _, p := range pinFiles {
		names = append(names, p.file)
	}
	return names
}

// FindGoPin reads upstream's Go version from the files of its module. Where no
// file of the build names one, it is the toolchain line of go.mod, else the go line.
func FindGoPin(module fs.FS) (GoPin, error) {
	for _, p := range pinFiles {
		data, err := fs.ReadFile(module, p.file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return GoPin{}, err
		}
		if m := p.re.FindSubmatch(data); m != nil {
			return GoPin{File: p.file, Version: string(m[1])}, nil
		}
	}
	data, err := fs.ReadFile(module, "go.mod")
	if err != nil {
		return GoPin{}, err
	}
	f, err := modfile.Parse("go.mod", data, nil)
	if err != nil {
		return GoPin{}, err
	}
	if f.Toolchain != nil && f.Toolchain.Name != "default" {
		return GoPin{File: "go.mod", Version: strings.TrimPrefix(f.Toolchain.Name, "go")}, nil
	}
	if f.Go == nil {
		return GoPin{}, fmt.Errorf("go.mod: no go line, and no file of the build names a Go version (looked at %s)", strings.Join(GoPinFiles(), ", "))
	}
	return GoPin{File: "go.mod", Version: f.Go.Version}, nil
}
