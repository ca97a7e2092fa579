// Command bench times the build of components, beside plain `go build` of the same programs with the same Go SDK, C
// compiler, build tags and link flags, in one run:
//
//	go run ./tests/bench etcd
//	go run ./tests/bench set
//	go run ./tests/bench clone
//	go run ./tests/bench change kubernetes
//	go run ./tests/bench images
//	go run ./tests/bench shared
//	go run ./tests/bench fipscheck PATH...
//
// Cold means all but the set-up and the sources: no build cache on either side. Bazel's figures include the proof of each
// program, and the tool that makes it.
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func main() {
	var runs int
	var onlyCold bool
	cmd := &cobra.Command{
		Use:           "bench COMPONENT...",
		Short:         "Time the build of components beside plain go build",
		Example:       "  go run ./tests/bench --runs=3 etcd",
		Args:          cobra.MinimumNArgs(1),
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, components []string) error {
			return run(cmd.Context(), runs, onlyCold, components)
		},
	}
	cmd.AddCommand(changeCommand(), cloneCommand(), fipscheckCommand(), imagesCommand(), setCommand(), sharedCommand())
	cmd.Flags().IntVar(&runs, "runs", 3, "times that each figure is taken; the median is printed, and that of the runs' ratios")
	cmd.Flags().BoolVar(&onlyCold, "cold", false, "take the cold build and nothing else")
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

func run(ctx context.Context, runs int, onlyCold bool, components []string) error {
	b, err := newBench(ctx)
	if err != nil {
		return err
	}
	defer b.remove()
	for _, c := range components {
		b.rows = nil
		for i := range runs {
			fmt.Fprintf(os.Stderr, "%s: run %d of %d\n", c, i+1, runs)
			if err := b.component(ctx, c, i, onlyCold); err != nil {
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
		if len(r.bazel) == 0 {
			continue
		}
		plain, ratio := "", ""
		bazel := median(r.bazel).Seconds()
		if len(r.plain) > 0 {
			plain, ratio = fmt.Sprintf("%.1f", median(r.plain).Seconds()), r.ratio()
		}
		fmt.Printf("| %s | %s | %.1f | %s |\n", r.name, plain, bazel, ratio)
	}
	if b.sizes[0] > 0 {
		fmt.Printf("| size of the programs, MB | %.1f | %.1f | %.3f |\n", float64(b.sizes[0])/1e6, float64(b.sizes[1])/1e6, float64(b.sizes[1])/float64(b.sizes[0]))
	}
}

func median[T cmp.Ordered](l []T) T {
	l = slices.Sorted(slices.Values(l))
	return l[len(l)/2]
}

// ratio is the median of the runs' ratios, and what they range over: a machine may change its speed from one run to the next.
func (r *row) ratio() string {
	var ratios []float64
	for i := range min(len(r.plain), len(r.bazel)) { // a run may have failed between the two
		ratios = append(ratios, r.bazel[i].Seconds()/r.plain[i].Seconds())
	}
	return fmt.Sprintf("%.2f (%.2f to %.2f)", median(ratios), slices.Min(ratios), slices.Max(ratios))
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

// component takes each figure once. In every other run Bazel is the first to build cold, so that a machine that becomes faster or slower
// favours neither.
func (b *bench) component(ctx context.Context, component string, run int, onlyCold bool) error {
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
	sides := []func() error{
		func() error { return measure(&cold.plain, p.build) },
		func() error { return measure(&cold.bazel, build()) },
	}
	if err := errors.Join(sides[run%2](), sides[1-run%2]()); err != nil {
		return err
	}
	if err := b.measureSizes(ctx, p, t); err != nil || onlyCold {
		return err
	}
	null := b.row("nothing changed")
	if err := errors.Join(measure(&null.plain, p.build), measure(&null.bazel, build())); err != nil {
		return err
	}
	if err := b.changeRows(p, component, build); err != nil {
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
	mains     []string // labels of their main packages
	goVersion string
	tags      []string            // that any of them has
	tagged    map[string][]string // tags, separated by commas -> names of the programs that have these
}

// builds says whether a package is the main package of one of the programs.
func (t *target) builds(importPath string) bool {
	return slices.ContainsFunc(t.mains, func(main string) bool {
		repository, pkg, _ := strings.Cut(main, "//")
		pkg, _, _ = strings.Cut(pkg, ":")
		if pkg == "" {
			return strings.TrimLeft(repository, "@") == repositoryOf(importPath)
		}
		return strings.HasSuffix(importPath, "/"+pkg)
	})
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
	mains, err := b.output(ctx, "query", "labels(embed, labels(linked, set("+strings.Join(found.labels, " ")+")))")
	found.mains = strings.Fields(mains)
	return found, err
}

// remove stops the measured Bazel and deletes what it left, read-only folders too.
func (b *bench) remove() {
	exec.Command(filepath.Join(b.workspace, "tools", "bazel"), "--output_user_root="+filepath.Join(b.scratch, "bazel"), "shutdown").Run()
	exec.Command("chmod", "-R", "u+w", b.scratch).Run()
	os.RemoveAll(b.scratch)
}
