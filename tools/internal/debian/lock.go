// Package debian reads and writes the locks under toolchains/debian, and
// fetches and unpacks the packages that they name. It never runs a maintainer
// script and trusts nothing but the sha256 of the lock; reading an archive's
// signed index is the job of package archive.
package debian

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"regexp"
	"strings"
)

// Generated is the value of every lock's "generated" field.
const Generated = "by `bazel run //tools/update -- debian` from sets.yaml; do not edit"

// LockSuffix is what a set's name is followed by in its lock's file name.
const LockSuffix = ".lock.json"

// Definition is one set of toolchains/debian/sets.yaml.
type Definition struct {
	// Why says, for people, what the set is for.
	Why string `json:"-" yaml:"why"`
	// Suites are "<archive>/<suite>"; the highest version among them is taken.
	Suites []string `json:"suites" yaml:"suites"`
	// Architectures are Debian's names; empty for a set of sources.
	Architectures []string `json:"architectures,omitempty" yaml:"architectures"`
	// Closure adds everything that the packages depend on.
	Closure bool `json:"closure,omitempty" yaml:"closure"`
	// Packages are names of binary packages.
	Packages []string `json:"packages,omitempty" yaml:"packages"`
	// Exclude are names that the closure leaves out, with what only they need.
	Exclude []string `json:"exclude,omitempty" yaml:"exclude"`
	// Sources are names of source packages.
	Sources []string `json:"sources,omitempty" yaml:"sources"`
}

// Lock is one toolchains/debian/<set>.lock.json.
type Lock struct {
	Generated string     `json:"generated"`
	Set       Definition `json:"set"`
	Releases  []Release  `json:"releases"`
	Packages  []Package  `json:"packages"`
	Sources   []Source   `json:"sources"`
}

// Release is a state of a suite whose signature was verified when the lock was
// written.
type Release struct {
	Archive string `json:"archive"`
	Suite   string `json:"suite"`
	// Date is the release file's own, as the archive writes it.
	Date string `json:"date"`
	// SignedBy are the fingerprints of the keys with a good signature.
	SignedBy []string `json:"signed_by"`
}

// File is a file of an archive.
type File struct {
	// Archive is "debian" or "debian-security".
	Archive string `json:"archive"`
	// Path is relative to the archive's base.
	Path   string `json:"path"`
	SHA256 string `json:"sha256"`
	// Size is in bytes.
	Size int64 `json:"size"`
}

// Package is a locked binary package.
type Package struct {
	Name         string `json:"name"`
	Version      string `json:"version"`
	Architecture string `json:"architecture"`
	File
}

// Source is a locked source package: its upstream and Debian tarballs.
type Source struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Files   []File `json:"files"`
}

var hexSHA256 = regexp.MustCompile(`^[0-9a-f]{64}$`)

// ReadLock reads and checks a lock. Errors name the file and the entry.
func ReadLock(name string) (*Lock, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var l Lock
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&l); err != nil {
		return nil, fmt.Errorf("%s: not a lock: %w; write it again with `bazel run //tools/update -- debian`", name, err)
	}
	for _, p := range l.Packages {
		if err := p.check(); err != nil {
			return nil, fmt.Errorf("%s: package %s: %w", name, p.Name, err)
		}
	}
	for _, s := range l.Sources {
		for _, f := range s.Files {
			if err := f.check(); err != nil {
				return nil, fmt.Errorf("%s: source %s: %w", name, s.Name, err)
			}
		}
	}
	return &l, nil
}

func (f File) check() error {
	switch {
	case f.Archive == "":
		return fmt.Errorf("no archive")
	case f.Path == "" || path.Clean("/"+f.Path) != "/"+f.Path:
		return fmt.Errorf("path %q is not a plain relative path", f.Path)
	case !hexSHA256.MatchString(f.SHA256):
		return fmt.Errorf("sha256 %q is not 64 hexadecimal digits", f.SHA256)
	case f.Size <= 0:
		return fmt.Errorf("size %d is not positive", f.Size)
	}
	return nil
}

// Encode returns the lock as it is committed.
func (l *Lock) Encode() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(l); err != nil {
		return nil, err
	}
	// Generated files say so in their first line.
	return []byte("{" + strings.TrimLeft(strings.TrimPrefix(b.String(), "{"), "\n ")), nil
}
