package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// notPlain are the components that plain go build cannot make from their go.mod, and why.
var notPlain = map[string]string{
	"bazel-remote": "has a C library that was compiled for glibc",
	"buildbarn":    "needs a patch",
	"calico":       "needs C libraries",
	"cri-tools":    "has critest, which needs a patch",
	"distribution": "needs a patch",
	"runc":         "needs a C library",
}

func setCommand() *cobra.Command {
	var plot string
	cmd := &cobra.Command{
		Use:   "set [COMPONENT...]",
		Short: "Time the cold build of components, each by plain go build, and all as one build by Bazel",
		Long: "Time the cold build of components, each by plain go build, and all as one build by Bazel.\n\n" +
			"Without a component: all that plain go build can make.",
		Example: "  go run ./tests/bench set --plot=docs/benchmarks.svg",
		RunE: func(cmd *cobra.Command, components []string) error {
			b, err := newBench(cmd.Context())
			if err != nil {
				return err
			}
			defer b.remove()
			result, err := b.set(cmd.Context(), components)
			result.write(cmd.OutOrStdout()) // what was taken stays true
			if err != nil || plot == "" {
				return err
			}
			file, err := os.Create(plot)
			if err != nil {
				return err
			}
			return errors.Join(result.plot(file), file.Close())
		},
	}
	cmd.Flags().StringVar(&plot, "plot", "", "also write a plot to this file, as SVG")
	return cmd
}

// setResult is the time of cold builds.
type setResult struct {
	fetch      time.Duration // of sources and BUILD files, with the analysis, by Bazel
	components []setRow
	bazel      time.Duration // of all, as one build; 0 when not taken
}

type setRow struct {
	component string
	plain     time.Duration
	sizes     [2]int64 // of the programs, in bytes: go build's, Bazel's; 0 when not taken
}

// set times every component once. Its result is never nil.
func (b *bench) set(ctx context.Context, components []string) (*setResult, error) {
	result := &setResult{}
	if len(components) == 0 {
		dirs, err := filepath.Glob(filepath.Join(b.workspace, "components", "*", "go.mod"))
		if err != nil {
			return result, err
		}
		for _, d := range dirs {
			if c := filepath.Base(filepath.Dir(d)); notPlain[c] == "" {
				components = append(components, c)
			}
		}
	}
	progress := func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, "%s  %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
	}
	var labels []string
	targets := map[string]*target{}
	for _, c := range components {
		if notPlain[c] != "" {
			return result, fmt.Errorf("%s %s: plain go build cannot make it", c, notPlain[c])
		}
		t, err := b.targetOf(ctx, c)
		if err != nil {
			return result, err
		}
		targets[c] = t
		labels = append(labels, t.labels...)
	}
	progress("fetching and analysing")
	var fetch []time.Duration
	if err := measure(&fetch, func() error { return b.bazel(ctx, "build", append([]string{"--nobuild"}, labels...)...) }); err != nil {
		return result, err
	}
	result.fetch = fetch[0]

	var built []string // the labels of what go build could make
	var failed []error
	for _, c := range components {
		progress("%s, by go build", c)
		row, err := b.plainRow(ctx, c, targets[c])
		if err != nil { // the others are still worth their time
			progress("%v", err)
			failed = append(failed, fmt.Errorf("%s: %w", c, err))
			continue
		}
		result.components = append(result.components, row)
		built = append(built, targets[c].labels...)
	}

	progress("all, by Bazel")
	if err := b.bazel(ctx, "clean"); err != nil {
		return result, errors.Join(append(failed, err)...)
	}
	var took []time.Duration
	if err := measure(&took, func() error { return b.bazel(ctx, "build", append([]string{"--disk_cache="}, built...)...) }); err != nil {
		return result, errors.Join(append(failed, err)...)
	}
	result.bazel = took[0]
	for i := range result.components {
		row := &result.components[i]
		if row.sizes[0] == 0 {
			continue
		}
		var err error
		if row.sizes[1], err = b.size(ctx, targets[row.component]); err != nil {
			return result, errors.Join(append(failed, err)...)
		}
	}
	return result, errors.Join(failed...)
}

func (b *bench) plainRow(ctx context.Context, component string, t *target) (setRow, error) {
	row := setRow{component: component}
	p, err := b.newPlain(ctx, component, t)
	if err != nil {
		return row, err
	}
	var took []time.Duration
	if err := measure(&took, p.build); err != nil {
		return row, err
	}
	row.plain = took[0]
	row.sizes[0], err = p.size(t)
	return row, err
}

// plain is the sum of what go build took.
func (r *setResult) plain() time.Duration {
	var sum time.Duration
	for _, c := range r.components {
		sum += c.plain
	}
	return sum
}

// write prints a table in Markdown.
func (r *setResult) write(w io.Writer) error {
	var s strings.Builder
	fmt.Fprintf(&s, "Cold builds, in seconds; %s; %d cores; sources, BUILD files and analysis before: %.0f s\n\n", time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), r.fetch.Seconds())
	s.WriteString("| | go build | Bazel | ratio | size of the programs, MB | beside go build's |\n|---|--:|--:|--:|--:|--:|\n")
	var sizes [2]int64
	line := func(name string, plain time.Duration, bazel, ratio string, sizes [2]int64) {
		size, beside := "", ""
		if sizes[0] > 0 && sizes[1] > 0 {
			size, beside = fmt.Sprintf("%.1f", float64(sizes[1])/1e6), fmt.Sprintf("%.3f", float64(sizes[1])/float64(sizes[0]))
		}
		fmt.Fprintf(&s, "| %s | %.1f | %s | %s | %s | %s |\n", name, plain.Seconds(), bazel, ratio, size, beside)
	}
	for _, c := range r.components {
		line(c.component, c.plain, "", "", c.sizes)
		sizes[0] += c.sizes[0]
		sizes[1] += c.sizes[1]
	}
	bazel, ratio := "", ""
	if r.bazel > 0 {
		bazel, ratio = fmt.Sprintf("%.1f", r.bazel.Seconds()), fmt.Sprintf("%.2f", r.bazel.Seconds()/r.plain().Seconds())
	}
	line("all: go build's sum, Bazel's one build", r.plain(), bazel, ratio, sizes)
	_, err := io.WriteString(w, s.String())
	return err
}

// plot draws the sum of go build's times beside Bazel's one build, as bars of the components' parts.
func (r *setResult) plot(w io.Writer) error {
	const width, left, right, bar = 900.0, 130.0, 70.0, 26.0
	longest := max(r.plain(), r.bazel)
	scale := func(d time.Duration) float64 { return (width - left - right) * d.Seconds() / longest.Seconds() }
	var s strings.Builder
	fmt.Fprintf(&s, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f 146\" font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"%.0[1]f\" height=\"146\" fill=\"white\"/>\n", width)
	fmt.Fprintf(&s, "<text x=\"%.0f\" y=\"24\">cold builds, minutes; go build one component after the other, Bazel all in one build</text>\n", left)
	row := func(i int, name string, total time.Duration, parts []setRow) {
		y := 44 + float64(i)*44
		x := left
		fmt.Fprintf(&s, "<text x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", left-8, y+18, name)
		for j, p := range parts {
			wide := scale(p.plain)
			fmt.Fprintf(&s, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.0f\" fill=\"%s\"><title>%s: %.0f s</title></rect>\n", x, y, wide, bar, []string{"#8b949e", "#b1bac4"}[j%2], p.component, p.plain.Seconds())
			if wide > 8*float64(len(p.component)) {
				fmt.Fprintf(&s, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n", x+wide/2, y+18, p.component)
			}
			x += wide
		}
		if len(parts) == 0 {
			fmt.Fprintf(&s, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.0f\" fill=\"#1f6feb\"/>\n", left, y, scale(total), bar)
		}
		fmt.Fprintf(&s, "<text x=\"%.1f\" y=\"%.1f\">%.1f</text>\n", left+scale(total)+6, y+18, total.Minutes())
	}
	row(0, "go build", r.plain(), r.components)
	row(1, "Bazel", r.bazel, nil)
	s.WriteString("</svg>\n")
	_, err := io.WriteString(w, s.String())
	return err
}
