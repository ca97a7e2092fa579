// Package modules makes Bazel modules of the rulesets that are published as Go
// modules, for machines without the Bazel Central Registry.
package modules

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/bluekeyes/go-gitdiff/gitdiff"
	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
	"golang.org/x/mod/zip"
)

// recipe changes when what Build makes of the same modules does.
const recipe = "1"

// layout says where each Go module goes, a nested one after its parent.
var layout = []struct{ path, dir string }{
	{"github.com/bazelbuild/rules_go", "rules_go"},
	{"github.com/bazelbuild/bazel-gazelle", "gazelle"},
	{"github.com/bazel-contrib/bazel-gazelle/v2", "gazelle/v2"},
}

// gazelleSources is gazelle's list of its own files, relative to its folder.
const gazelleSources = "internal/go_repository_tools_srcs.bzl"

// Modules are the rulesets pinned by a go.mod and a go.sum.
type Modules struct {
	// Dir holds go.mod, go.sum and the patches: patches/<number>-<folder in
	// layout>-<what>.patch, which MODULE.bazel names for those who have the
	// registry.
	Dir string
	// Go is the go command.
	Go string
}

// Name returns the modules' name in the cache; it depends on their content.
func (m *Modules) Name() (string, error) {
	sum := sha256.New()
	fmt.Fprintln(sum, recipe)
	files := []string{"go.mod", "go.sum"}
	for _, l := range layout {
		patches, err := m.patches(l.dir)
		if err != nil {
			return "", err
		}
		files = append(files, patches...)
	}
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(m.Dir, f))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "%s %d\n%s", f, len(data), data)
	}
	return fmt.Sprintf("modules-%.12x", sum.Sum(nil)), nil
}

// patches returns what changes a module, in its order and relative to Dir.
func (m *Modules) patches(dir string) ([]string, error) {
	return fs.Glob(os.DirFS(m.Dir), "patches/[0-9]*-"+dir+"-*.patch")
}

// Overrides returns the folder of each Bazel module in a tree that Build made.
func Overrides(dir string) map[string]string {
	return map[string]string{
		"rules_go": filepath.Join(dir, "rules_go"),
		"gazelle":  filepath.Join(dir, "gazelle"),
	}
}

// Build fetches the Go modules, checks them against go.sum and writes the
// Bazel modules to dir.
func (m *Modules) Build(ctx context.Context, dir string) error {
	sums, err := readSums(filepath.Join(m.Dir, "go.sum"))
	if err != nil {
		return err
	}
	downloads, err := m.download(ctx)
	if err != nil {
		return err
	}
	for _, l := range layout {
		d, ok := downloads[l.path]
		if !ok {
			return fmt.Errorf("%s does not require %s", filepath.Join(m.Dir, "go.mod"), l.path)
		}
		mod := module.Version{Path: l.path, Version: d.Version}
		if err := unzip(mod, d.Zip, sums[mod], filepath.Join(dir, l.dir)); err != nil {
			return fmt.Errorf("%s: %w", mod, err)
		}
		patches, err := m.patches(l.dir)
		if err != nil {
			return err
		}
		for _, p := range patches {
			if err := patch(filepath.Join(dir, l.dir), filepath.Join(m.Dir, p)); err != nil {
				return fmt.Errorf("%s: %w", mod, err)
			}
		}
	}
	return m.listGazelleSources(ctx, filepath.Join(dir, "gazelle"))
}

// download is what `go mod download -json` says of a module.
type download struct {
	Path, Version, Zip, Error string
}

func (m *Modules) download(ctx context.Context) (map[string]download, error) {
	out, runErr := m.run(ctx, m.Dir, "mod", "download", "-json")
	found := map[string]download{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var d download
		err := dec.Decode(&d)
		if err == io.EOF {
			break
		} else if err != nil {
			return nil, errors.Join(fmt.Errorf("reading the answer of go mod download: %w", err), runErr)
		}
		if d.Error != "" {
			return nil, fmt.Errorf("fetching %s %s: %s; GOPROXY must name a proxy that has it", d.Path, d.Version, strings.TrimSpace(d.Error))
		}
		found[d.Path] = d
	}
	return found, runErr
}

// run calls the go command as if nobody had configured it, but for where
// modules come from and are kept.
func (m *Modules) run(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, m.Go, args...)
	cmd.Dir = dir
	// go.sum is the authority, and Build checks it.
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off", "GOSUMDB=off")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("go %s in %s: %w\n%s", strings.Join(args, " "), dir, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}

// unzip checks the very bytes that it unpacks.
func unzip(mod module.Version, file, want, dir string) error {
	if want == "" {
		return errors.New("not in go.sum; run `go mod tidy` beside it")
	}
	got, err := dirhash.HashZip(file, dirhash.Hash1)
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("%s has hash %s, go.sum says %s; remove it if it was damaged (go clean -modcache), else find out who changed it", file, got, want)
	}
	if err := zip.Unzip(dir, mod, file); err != nil {
		return err
	}
	// Module zips keep no modes. Scripts are run, and the owner must be able to
	// remove everything again.
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() || strings.HasSuffix(path, ".sh") {
			return os.Chmod(path, 0o755)
		}
		return os.Chmod(path, 0o644)
	})
}

// patch changes files in dir.
func patch(dir, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	files, _, err := gitdiff.Parse(f)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for _, change := range files {
		target := filepath.Join(dir, change.NewName)
		var old []byte
		if !change.IsNew {
			if old, err = os.ReadFile(target); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		var patched bytes.Buffer
		if err := gitdiff.Apply(&patched, bytes.NewReader(old), change); err != nil {
			return fmt.Errorf("%s no longer applies to %s; make it again for this version: %w", name, change.NewName, err)
		}
		if err := os.WriteFile(target, patched.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// listGazelleSources writes gazelle's list of its own files again, by gazelle's
// own program: a file of the repository that the Go module does not carry would
// fail its self-check.
func (m *Modules) listGazelleSources(ctx context.Context, dir string) error {
	_, err := m.run(ctx, dir, "run", "internal/list_repository_tools_srcs.go", "-dir", dir, "-generate", gazelleSources)
	return err
}

// readSums reads a go.sum: the hash of each module's content.
func readSums(name string) (map[module.Version]string, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	sums := map[module.Version]string{}
	for _, line := range strings.Split(string(data), "\n") {
		if f := strings.Fields(line); len(f) == 3 && !strings.HasSuffix(f[1], "/go.mod") {
			sums[module.Version{Path: f[0], Version: f[1]}] = f[2]
		}
	}
	return sums, nil
}
