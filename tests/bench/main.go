// Command bench times the build of components, beside plain `go build` of the same programs with the same Go SDK, C
// compiler, build tags and link flags, in one run:
//
//	go run ./tests/bench etcd
//	go run ./tests/bench set
//	go run ./tests/bench clone
//	go run ./tests/bench change kubernetes
//	go run ./tests/bench images
//	go run ./tests/bench fipscheck PATH...
//
// Cold means all but the set-up and the sources: no build cache on either side. Bazel's figures include the proof of each
// program, and the tool that makes it.
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
	"os/signal"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/modfile"
)

func main() {
	var runs int
	cmd := &cobra.Command{
		Use:           "bench COMPONENT...",
		Short:         "Time the build of components beside plain go build",
		Example:       "  go run ./tests/bench --runs=3 etcd",
		Args:          cobra.MinimumNArgs(1),
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, components []string) error {
			return run(cmd.Context(), runs, components)
		},
	}
	cmd.AddCommand(changeCommand(), cloneCommand(), fipscheckCommand(), imagesCommand(), setCommand())
	cmd.Flags().IntVar(&runs, "runs", 3, "times that each figure is taken; the median is printed")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := cmd.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is one run, in a folder that goes when it ends.
type bench struct {
	workspace string
	scratch   string
	bazelBase string // output base of the measured Bazel
	rows      []*row
	sizes     [2]int64 // of the programs, in bytes: go build's, Bazel's
}

// row is one line of the result.
type row struct {
	name         string
	plain, bazel []time.Duration
}

func run(ctx context.Context, runs int, components []string) error {
	b, err := newBench(ctx)
	if err != nil {
		return err
	}
	defer b.remove()
	for _, c := range components {
		b.rows = nil
		for i := range runs {
			fmt.Fprintf(os.Stderr, "%s: run %d of %d\n", c, i+1, runs)
			if err := b.component(ctx, c); err != nil {
				b.print(c, i+1) // what was taken stays true
				return fmt.Errorf("%s: %w", c, err)
			}
		}
		b.print(c, runs)
	}
	return nil
}

// newBench prepares a run: its C compiler, and its cache server. The caller removes it.
func newBench(ctx context.Context) (*bench, error) {
	workspace, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(workspace, "tools", "bazel")); err != nil {
		return nil, fmt.Errorf("start it in the root of the source tree: %w", err)
	}
	disk, err := diskCache()
	if err != nil {
		return nil, err
	}
	// Beside the output bases of others: tools/bazel's root shows them in one mount, so that files can be linked from the caches.
	scratch, err := os.MkdirTemp(filepath.Dir(disk), "bench-")
	if err != nil {
		return nil, err
	}
	b := &bench{workspace: workspace, scratch: scratch}
	if err = b.bazel(ctx, "build", "@clang_musl//:x86_64-linux-musl-clang", "//components/bazel-remote"); err == nil {
		b.bazelBase, err = b.output(ctx, "info", "output_base")
	}
	if err != nil {
		b.remove()
		return nil, err
	}
	return b, nil
}

// print writes a table in Markdown.
func (b *bench) print(component string, runs int) {
	load, _ := os.ReadFile("/proc/loadavg") // one more figure, if there is one
	fmt.Printf("\n%s, median of %d, in seconds; %s; %d cores; load %s\n", component, runs, time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), strings.TrimSpace(string(load)))
	fmt.Printf("| | go build | Bazel | ratio |\n|---|---:|---:|---:|\n")
	for _, r := range b.rows {
		plain, ratio := "", ""
		bazel := median(r.bazel).Seconds()
		if len(r.plain) > 0 {
			p := median(r.plain).Seconds()
			plain, ratio = fmt.Sprintf("%.1f", p), fmt.Sprintf("%.2f", bazel/p)
		}
		fmt.Printf("| %s | %s | %.1f | %s |\n", r.name, plain, bazel, ratio)
	}
	if b.sizes[0] > 0 {
		fmt.Printf("| size of the programs, MB | %.1f | %.1f | %.3f |\n", float64(b.sizes[0])/1e6, float64(b.sizes[1])/1e6, float64(b.sizes[1])/float64(b.sizes[0]))
	}
}

func median(d []time.Duration) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return d[len(d)/2]
}

// row returns the line of a name.
func (b *bench) row(name string) *row {
	for _, r := range b.rows {
		if r.name == name {
			return r
		}
	}
	r := &row{name: name}
	b.rows = append(b.rows, r)
	return r
}

func measure(into *[]time.Duration, do func() error) error {
	start := time.Now()
	err := do()
	*into = append(*into, time.Since(start))
	return err
}

// component takes each figure once.
func (b *bench) component(ctx context.Context, component string) error {
	all := "//components/" + component + ":all"
	if len(b.rows) == 0 { // they are fetched once
		if err := measure(&b.row("fetching sources, BUILD files, analysis").bazel, func() error { return b.bazel(ctx, "build", "--nobuild", all) }); err != nil {
			return err
		}
	}
	t, err := b.targetOf(ctx, component)
	if err != nil {
		return err
	}
	p, err := b.newPlain(ctx, component, t)
	if err != nil {
		return err
	}
	disk := filepath.Join(b.scratch, "disk")
	if err := os.RemoveAll(disk); err != nil {
		return err
	}
	build := func(args ...string) func() error {
		return func() error {
			return b.bazel(ctx, "build", append(append([]string{"--disk_cache=" + disk}, t.labels...), args...)...)
		}
	}
	clean := func() error { return b.bazel(ctx, "clean") }

	if err := clean(); err != nil {
		return err
	}
	cold := b.row("cold build")
	if err := errors.Join(measure(&cold.plain, p.build), measure(&cold.bazel, build())); err != nil {
		return err
	}
	if err := b.measureSizes(ctx, p, t); err != nil {
		return err
	}
	null := b.row("nothing changed")
	if err := errors.Join(measure(&null.plain, p.build), measure(&null.bazel, build())); err != nil {
		return err
	}
	if err := b.changed(p, component, build); err != nil {
		return err
	}
	if err := errors.Join(build()(), clean()); err != nil {
		return err
	}
	if err := measure(&b.row("all in the disk cache").bazel, build()); err != nil {
		return err
	}
	if b.hasImage(component) {
		if err := b.image(component, build); err != nil {
			return err
		}
	}
	return b.remote(ctx, t)
}

// measureSizes adds up what both sides built.
func (b *bench) measureSizes(ctx context.Context, p *plain, t *target) (err error) {
	b.sizes = [2]int64{}
	if b.sizes[0], err = p.size(t); err != nil || b.sizes[0] == 0 {
		return err
	}
	b.sizes[1], err = b.size(ctx, t)
	return err
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

// size adds up the programs that Bazel has built, in bytes.
func (b *bench) size(ctx context.Context, t *target) (sum int64, err error) {
	root, err := b.output(ctx, "info", "execution_root")
	if err != nil {
		return 0, err
	}
	listed, err := b.output(ctx, "cquery", "--output=files", "set("+strings.Join(t.labels, " ")+")")
	if err != nil {
		return 0, err
	}
	for file := range strings.Lines(listed) {
		if err := addSize(&sum, filepath.Join(root, strings.TrimSpace(file))); err != nil {
			return 0, err
		}
	}
	return sum, nil
}

func addSize(sum *int64, file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	*sum += info.Size()
	return nil
}

// lookAtSources makes Bazel look for changes in fetched sources, which it does not by itself.
const lookAtSources = "--experimental_check_external_repository_files"

// changes are places where a line of source is changed.
var changes = []struct {
	row  string
	pick func(*plain) (*source, error)
}{
	{"one line changed in a main package", (*plain).mainPackage},
	{"one line changed in the package that most import", (*plain).deepPackage},
}

// changed times what follows from one line of source.
func (b *bench) changed(p *plain, component string, build func(...string) func() error) error {
	if b.hasImage(component) {
		if err := build(imageDigest(component))(); err != nil {
			return err
		}
	}
	for _, change := range changes {
		src, err := change.pick(p)
		if err != nil {
			return err
		}
		undo, err := b.changeLine(p, src)
		if err != nil {
			return err
		}
		line := b.row(change.row)
		steps := []error{measure(&line.plain, p.build), measure(&line.bazel, build(lookAtSources))}
		if b.hasImage(component) {
			// The time is that of the image alone: its programs have just been built.
			steps = append(steps, measure(&b.row(change.row+": the image, then").bazel, build(lookAtSources, imageDigest(component))))
		}
		if err := errors.Join(append(steps, undo(), build(lookAtSources)())...); err != nil {
			return err
		}
	}
	return nil
}

func imageDigest(component string) string { return "//images/" + component + ":image.digest" }

func (b *bench) hasImage(component string) bool {
	_, err := os.Stat(filepath.Join(b.workspace, "images", component))
	return err == nil
}

// image times the image after one line of its BUILD file has changed.
func (b *bench) image(component string, build func(...string) func() error) error {
	target := imageDigest(component)
	if err := build(target)(); err != nil { // out of the disk cache
		return err
	}
	file := filepath.Join(b.workspace, "images", component, "BUILD.bazel")
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	changed := bytes.Replace(content, []byte("fips_image(\n"), []byte(fmt.Sprintf("fips_image(\n    cmd = [\"bench-%d\"],\n", time.Now().UnixNano())), 1)
	if bytes.Contains(content, []byte("cmd = ")) {
		return nil // it would be there twice
	}
	if err := os.WriteFile(file, changed, 0o644); err != nil {
		return err
	}
	return errors.Join(measure(&b.row("one line changed in an image").bazel, build(target)), os.WriteFile(file, content, 0o644))
}

// remote times a fresh clone elsewhere, with an output base of its own, that has all in a remote cache on loopback.
func (b *bench) remote(ctx context.Context, t *target) error {
	address, stop, err := b.serveCache(ctx, filepath.Join(b.scratch, "remote"))
	if err != nil {
		return err
	}
	defer stop()
	flags := append([]string{"--disk_cache=", "--remote_cache=http://" + address}, t.labels...)
	if err := errors.Join(b.bazel(ctx, "clean"), b.bazel(ctx, "build", flags...)); err != nil {
		return err
	}
	elsewhere, err := b.clone(ctx)
	if err != nil {
		return err
	}
	defer elsewhere.remove()
	return measure(&b.row("fresh clone, new output base, all in a remote cache (fetching included)").bazel, func() error {
		return elsewhere.bazel(ctx, "build", flags...)
	})
}

// bazel runs Bazel with an output base of its own.
func (b *bench) bazel(ctx context.Context, command string, args ...string) error {
	_, err := b.run(ctx, command, args...)
	return err
}

// run is bazel, and returns all that it printed.
func (b *bench) run(ctx context.Context, command string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(b.workspace, "tools", "bazel"), append([]string{"--output_user_root=" + filepath.Join(b.scratch, "bazel"), command, "--noshow_progress"}, args...)...)
	cmd.Dir = b.workspace
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("bazel %s: %w\n%s", command, err, out)
	}
	return string(out), nil
}

// output returns what a Bazel command prints.
func (b *bench) output(ctx context.Context, command string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(b.workspace, "tools", "bazel"), append([]string{"--output_user_root=" + filepath.Join(b.scratch, "bazel"), command}, args...)...)
	cmd.Dir = b.workspace
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("bazel %s: %w\n%s", command, err, &stderr)
	}
	return strings.TrimSpace(string(out)), nil
}

// target is what a component's fips_go_binary targets say.
type target struct {
	labels    []string
	goVersion string
	tags      []string            // that any of them has
	tagged    map[string][]string // tags, separated by commas -> names of the programs that have these
}

// targetOf reads the Go version and build tags of a component's programs.
func (b *bench) targetOf(ctx context.Context, component string) (*target, error) {
	out, err := b.output(ctx, "query", "--output=streamed_jsonproto", "kind('^fips_go_binary', //components/"+component+":all)")
	if err != nil {
		return nil, err
	}
	found := &target{tagged: map[string][]string{}}
	for decoder := json.NewDecoder(strings.NewReader(out)); decoder.More(); {
		var t struct {
			Rule struct {
				Name      string
				Attribute []struct {
					Name            string
					StringValue     string
					StringListValue []string
				}
			}
		}
		if err := decoder.Decode(&t); err != nil {
			return nil, fmt.Errorf("bazel query: %w", err)
		}
		found.labels = append(found.labels, t.Rule.Name)
		tags := []string{"netgo", "osusergo"}
		for _, a := range t.Rule.Attribute {
			switch a.Name {
			case "go":
				found.goVersion = a.StringValue
			case "gotags":
				tags = append(tags, a.StringListValue...)
			}
		}
		slices.Sort(tags)
		found.tags = append(found.tags, tags...)
		_, name, _ := strings.Cut(t.Rule.Name, ":")
		key := strings.Join(tags, ",")
		found.tagged[key] = append(found.tagged[key], name)
	}
	if found.goVersion == "" {
		return nil, fmt.Errorf("//components/%s has no fips_go_binary", component)
	}
	slices.Sort(found.tags)
	found.tags = slices.Compact(found.tags)
	return found, nil
}

// plain is go build of the tools that a component's go.mod names.
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
			if len(t.tagged) == 1 || slices.Contains(t.tagged[tags], path.Base(tool.Path)) {
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

// changeLine adds a line to a file of a package, for both sides.
func (b *bench) changeLine(p *plain, pkg *source) (undo func() error, err error) {
	file := filepath.Join(pkg.Dir, pkg.GoFiles[0])
	rel, err := filepath.Rel(pkg.Module.Dir, file)
	if err != nil {
		return nil, err
	}
	repositories, err := filepath.Glob(filepath.Join(b.bazelBase, "external", "*~"+repositoryOf(pkg.Module.Path), rel))
	if err != nil || len(repositories) != 1 {
		return nil, fmt.Errorf("%s is in %q of Bazel's repositories, %v", rel, repositories, err)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	// Kept by the linker: a line that changes no program would be done with after one compilation.
	changed := fmt.Appendf(content, "\nvar benchmark = %q\n\nfunc init() {\n\tif benchmark == \"\" {\n\t\tpanic(benchmark)\n\t}\n}\n", time.Now())
	// Bazel's is a new file: the old one is shared with other output bases.
	write := func(content []byte) error {
		return errors.Join(os.WriteFile(file, content, 0o644), os.Remove(repositories[0]), os.WriteFile(repositories[0], content, 0o644))
	}
	return func() error { return write(content) }, write(changed)
}

// repositoryOf is gazelle's name for a module's repository: the host's parts backwards, then the path's.
func repositoryOf(module string) string {
	host, rest, _ := strings.Cut(strings.ToLower(module), "/")
	parts := strings.Split(host, ".")
	slices.Reverse(parts)
	return strings.NewReplacer("-", "_", ".", "_", "/", "_").Replace(strings.Join(parts, "_") + "/" + rest)
}

// remove stops the measured Bazel and deletes what it left, read-only folders too.
func (b *bench) remove() {
	exec.Command(filepath.Join(b.workspace, "tools", "bazel"), "--output_user_root="+filepath.Join(b.scratch, "bazel"), "shutdown").Run()
	exec.Command("chmod", "-R", "u+w", b.scratch).Run()
	os.RemoveAll(b.scratch)
}
