package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func changeCommand() *cobra.Command {
	var runs int
	cmd := &cobra.Command{
		Use:     "change COMPONENT",
		Short:   "Time from one changed line of a component's source to the new digest of its image",
		Long:    "Time from one changed line of a component's source to the new digest of its image, where all else is there.",
		Example: "  go run ./tests/bench change kubernetes",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := newBench(cmd.Context())
			if err != nil {
				return err
			}
			defer b.remove()
			return b.change(cmd.Context(), args[0], runs)
		},
	}
	cmd.Flags().IntVar(&runs, "runs", 3, "times that each figure is taken; the median is printed")
	return cmd
}

func (b *bench) change(ctx context.Context, component string, runs int) error {
	if !b.hasImage(component) {
		return fmt.Errorf("there is no images/%s", component)
	}
	t, err := b.targetOf(ctx, component)
	if err != nil {
		return err
	}
	p, err := b.newPlain(ctx, component, t)
	if err != nil {
		return err
	}
	if err := b.bazel(ctx, "build", bringAll, imageDigest(component)); err != nil {
		return err
	}
	build := func() error {
		return b.bazel(ctx, "build", "--disk_cache=", lookAtSources, imageDigest(component))
	}
	for _, change := range changes {
		src, err := change.pick(p)
		if err != nil {
			return err
		}
		var took []time.Duration
		for range runs {
			if err := build(); err != nil { // as it was
				return err
			}
			undo, err := b.changeLine(p, src)
			if err != nil {
				return err
			}
			if err := errors.Join(measure(&took, build), undo()); err != nil {
				return err
			}
		}
		fmt.Printf("%s (%s), to %s: median of %d: %.1f s\n", change.row, src.ImportPath, imageDigest(component), runs, median(took).Seconds())
	}
	return nil
}

// bringAll gives the output base what it would otherwise leave in the disk cache until it is needed.
const bringAll = "--remote_download_outputs=all"

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

// changeRows times what follows from one line of source.
func (b *bench) changeRows(p *plain, component string, build func(...string) func() error) error {
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
