package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/mod/modfile"
)

func sharedCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "shared",
		Short: "Count the packages that components compile, and how many of them are the same",
		Long: "Count the packages that components compile, and how many of them are the same: of one version of a module, of the same files, by the same Go version, " +
			"importing packages that are the same, too.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := newBench(cmd.Context())
			if err != nil {
				return err
			}
			defer b.remove()
			return b.shared(cmd.Context())
		},
	}
}

// compilations are packages, each compiled once, and their sources.
type compilations struct {
	packages int
	bytes    int64 // of Go
}

func (c *compilations) add(p *compiled) {
	c.packages++
	c.bytes += p.bytes()
}

func (c compilations) String() string {
	return fmt.Sprintf("%d packages, %.0f MB of Go", c.packages, float64(c.bytes)/1e6)
}

func (b *bench) shared(ctx context.Context) error {
	dirs, err := filepath.Glob(filepath.Join(b.workspace, "components", "*", "go.mod"))
	if err != nil {
		return err
	}
	var all, different compilations
	again := map[string]*compilations{} // Go version -> what is compiled more than once, but for the first time
	seen := map[string]bool{}
	for _, dir := range dirs {
		component := filepath.Base(filepath.Dir(dir))
		t, err := b.targetOf(ctx, component)
		if err != nil {
			return err
		}
		listed, err := listCompiled(ctx, filepath.Dir(dir), t)
		if err != nil {
			return fmt.Errorf("%s: %w", component, err)
		}
		if len(listed) == 0 {
			fmt.Printf("%s: not counted, since none of its go.mod's tool lines is known as a main package of its programs\n", component)
			continue
		}
		here := compilations{}
		for key, p := range listed {
			here.add(p)
			all.add(p)
			if !seen[key] {
				seen[key] = true
				different.add(p)
				continue
			}
			if again[t.goVersion] == nil {
				again[t.goVersion] = &compilations{}
			}
			again[t.goVersion].add(p)
		}
		fmt.Printf("%s, Go %s: %v\n", component, t.goVersion, here)
	}
	fmt.Printf("all: %v; different: %v\n", all, different)
	for _, version := range slices.SortedFunc(maps.Keys(again), func(x, y string) int { return cmp.Compare(again[y].packages, again[x].packages) }) {
		fmt.Printf("the same again, by Go %s: %v\n", version, *again[version])
	}
	return nil
}

// compiled is a package, as go list describes it.
type compiled struct {
	Dir, ImportPath                         string
	Standard                                bool
	GoFiles, CgoFiles, CFiles, SFiles       []string
	HFiles, SysoFiles, EmbedFiles, CXXFiles []string
	Imports                                 []string
	Module                                  *struct{ Path, Version string }
}

func (p *compiled) bytes() (sum int64) {
	for _, file := range slices.Concat(p.GoFiles, p.CgoFiles) {
		if info, err := os.Stat(filepath.Join(p.Dir, file)); err == nil {
			sum += info.Size()
		}
	}
	return sum
}

// listCompiled returns what the programs of a component are compiled from, but for the standard library, by all that determines what comes out.
func listCompiled(ctx context.Context, dir string, t *target) (map[string]*compiled, error) {
	data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return nil, err
	}
	mod, err := modfile.Parse("go.mod", data, nil)
	if err != nil {
		return nil, err
	}
	var mains []string
	for _, tool := range mod.Tool {
		if t.builds(tool.Path) {
			mains = append(mains, tool.Path)
		}
	}
	found := map[string]*compiled{}
	for tags := range t.tagged {
		list := exec.CommandContext(ctx, "go", append([]string{"list", "-e", "-deps", "-tags=" + tags,
			"-json=Dir,ImportPath,Standard,GoFiles,CgoFiles,CFiles,SFiles,HFiles,SysoFiles,EmbedFiles,CXXFiles,Imports,Module"}, mains...)...)
		list.Dir, list.Stderr = dir, os.Stderr
		list.Env = append(os.Environ(), "GOTOOLCHAIN=go"+t.goVersion, "GOEXPERIMENT=boringcrypto", "CGO_ENABLED=1", "GOFLAGS=", "GOWORK=off")
		out, err := list.Output()
		if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		keys := map[string]string{}
		for decoder := json.NewDecoder(strings.NewReader(string(out))); decoder.More(); { // each after those that it imports
			p := &compiled{}
			if err := decoder.Decode(p); err != nil {
				return nil, fmt.Errorf("go list: %w", err)
			}
			if p.Standard || p.Module == nil {
				continue
			}
			key := []string{t.goVersion, p.ImportPath, p.Module.Path, p.Module.Version}
			key = append(key, slices.Concat(p.GoFiles, p.CgoFiles, p.CFiles, p.SFiles, p.HFiles, p.SysoFiles, p.EmbedFiles, p.CXXFiles)...)
			for _, imported := range p.Imports {
				key = append(key, keys[imported])
			}
			keys[p.ImportPath] = fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(key, "\n"))))
			found[keys[p.ImportPath]] = p
		}
	}
	return found, nil
}
