package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
)

// plain is go build of the programs among the tools that a component's go.mod names.
type plain struct {
	dir     string
	env     []string
	builds  [][]string // go commands, one for each set of tags
	tool    string     // the first program's package
	tags    string     // the flag
	modFile string     // the component's go.mod with that copy in it
	out     string     // folder of the programs
	module  string     // copy of the first program's module, in which a line is changed
	ctx     context.Context
}

// newPlain prepares a build with an empty build cache.
func (b *bench) newPlain(ctx context.Context, component string, t *target) (*plain, error) {
	p := &plain{dir: filepath.Join(b.workspace, "components", component), module: filepath.Join(b.scratch, "module"), ctx: ctx}
	data, err := os.ReadFile(filepath.Join(p.dir, "go.mod"))
	if err != nil {
		return nil, err
	}
	mod, err := modfile.Parse("go.mod", data, nil)
	if err != nil {
		return nil, err
	}
	if len(mod.Tool) == 0 {
		return nil, fmt.Errorf("%s has no tool line", filepath.Join(p.dir, "go.mod"))
	}
	p.tool = mod.Tool[0].Path
	cache := filepath.Join(b.scratch, "gocache")
	p.out = filepath.Join(b.scratch, "out")
	for _, d := range []string{p.out, cache} {
		if err := os.RemoveAll(d); err != nil {
			return nil, err
		}
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, err
		}
	}
	p.env = append(os.Environ(), "GOTOOLCHAIN=go"+t.goVersion, "GOEXPERIMENT=boringcrypto", "CGO_ENABLED=1", "GOCACHE="+cache, "GOFLAGS=", "GOWORK=off",
		"CC="+filepath.Join(b.bazelBase, "external", "_main~debian~clang_musl", "x86_64-linux-musl-clang"))
	p.modFile = filepath.Join(b.scratch, "go.mod")
	p.tags = "-tags=" + strings.Join(t.tags, ",")
	for _, tags := range slices.Sorted(maps.Keys(t.tagged)) {
		args := []string{"build", "-mod=mod", "-trimpath", "-gcflags=all=-dwarf=false", "-tags=" + tags, "-modfile=" + p.modFile,
			"-ldflags=-s -w -linkmode=external -extldflags=-static", "-o", p.out + string(filepath.Separator)}
		for _, tool := range mod.Tool {
			if t.builds(tool.Path) && (len(t.tagged) == 1 || slices.Contains(t.tagged[tags], path.Base(tool.Path))) {
				args = append(args, tool.Path)
			}
		}
		p.builds = append(p.builds, args)
	}
	if _, err := p.goCommand("mod", "download"); err != nil {
		return nil, err
	}
	return p, p.copyModule(mod)
}

// copyModule has the first program's module taken from a folder that may be changed; the go command refuses changes to its cache.
func (p *plain) copyModule(mod *modfile.File) error {
	listed, err := p.goCommand("list", "-mod=mod", "-f={{.Module.Path}} {{.Module.Dir}}", p.tool)
	if err != nil {
		return err
	}
	module, dir, _ := strings.Cut(strings.TrimSpace(listed), " ")
	if err := os.RemoveAll(p.module); err != nil {
		return err
	}
	if err := os.CopyFS(p.module, os.DirFS(dir)); err != nil {
		return err
	}
	if err := mod.AddReplace(module, "", p.module, ""); err != nil {
		return err
	}
	data, err := mod.Format()
	if err != nil {
		return err
	}
	sums, err := os.ReadFile(filepath.Join(p.dir, "go.sum"))
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(p.modFile, data, 0o644), os.WriteFile(strings.TrimSuffix(p.modFile, ".mod")+".sum", sums, 0o644))
}

func (p *plain) goCommand(args ...string) (string, error) {
	cmd := exec.CommandContext(p.ctx, "go", args...)
	cmd.Dir, cmd.Env = p.dir, p.env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return string(out), nil
}

func (p *plain) build() error {
	for _, args := range p.builds {
		if _, err := p.goCommand(args...); err != nil {
			return err
		}
	}
	return nil
}

// source is a package that a benchmark changes, as go list describes it.
type source struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
	Module     struct{ Path, Dir string }
}

// mainPackage is the first program's.
func (p *plain) mainPackage() (*source, error) {
	listed, err := p.list()
	if err != nil {
		return nil, err
	}
	return listed[len(listed)-1], nil
}

// deepPackage is, of the first program's module, the package that most of that module's packages import, others between them or not.
func (p *plain) deepPackage() (*source, error) {
	listed, err := p.list()
	if err != nil {
		return nil, err
	}
	var deepest *source
	importers := map[string]map[string]bool{} // package -> packages of the module that need it
	module := listed[len(listed)-1].Module.Path
	for _, pkg := range slices.Backward(listed) { // importers first
		if pkg.Module.Path != module {
			continue
		}
		for _, imported := range pkg.Imports {
			if importers[imported] == nil {
				importers[imported] = map[string]bool{}
			}
			importers[imported][pkg.ImportPath] = true
			maps.Copy(importers[imported], importers[pkg.ImportPath])
		}
		if len(pkg.GoFiles) > 0 && (deepest == nil || len(importers[pkg.ImportPath]) > len(importers[deepest.ImportPath])) {
			deepest = pkg
		}
	}
	return deepest, nil
}

// list returns the packages of the first program, each after those that it imports.
func (p *plain) list() ([]*source, error) {
	out, err := p.goCommand("list", "-mod=mod", "-modfile="+p.modFile, "-deps", "-json=ImportPath,Dir,GoFiles,Imports,Module", p.tags, p.tool)
	if err != nil {
		return nil, err
	}
	var listed []*source
	for decoder := json.NewDecoder(strings.NewReader(out)); decoder.More(); {
		pkg := &source{}
		if err := decoder.Decode(pkg); err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		listed = append(listed, pkg)
	}
	return listed, nil
}

// size adds up the programs, in bytes. It is 0 where there are fewer than Bazel's, which makes two of one main package.
func (p *plain) size(t *target) (sum int64, err error) {
	files, err := filepath.Glob(filepath.Join(p.out, "*"))
	if err != nil || len(files) != len(t.labels) {
		return 0, err
	}
	for _, file := range files {
		if err := addSize(&sum, file); err != nil {
			return 0, err
		}
	}
	return sum, nil
}
