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
	"buildbarn": "needs a patch",
	"calico":    "needs C libraries",
	"cri-tools": "critest needs a patch",
	"runc":      "needs a C library",
}

func setCommand() *cobra.Command {
	var plot string
	var alone bool
	cmd := &cobra.Command{
		Use:   "set [COMPONENT...]",
		Short: "Time the cold build of components, each by plain go build, and all as one build by Bazel",
		Long: "Time the cold build of components, each by plain go build, and all as one build by Bazel.\n\n" +
			"Without a component: all of them. What plain go build cannot make is built, and timed, by Bazel alone.",
		Example: "  go run ./tests/bench set --alone --plot=docs/benchmarks.svg",
		RunE: func(cmd *cobra.Command, components []string) error {
			b, err := newBench(cmd.Context())
			if err != nil {
				return err
			}
			defer b.remove()
			result, err := b.set(cmd.Context(), components, alone)
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
	cmd.Flags().BoolVar(&alone, "alone", false, "also build each component by itself by Bazel")
	return cmd
}

// setResult is the time of cold builds.
type setResult struct {
	fetch      time.Duration // of sources and BUILD files, with the analysis, by Bazel
	components []setRow
	comparable time.Duration // of what both sides build, as one build by Bazel
	all        time.Duration // of everything, as one build by Bazel; 0 when that is the same
}

type setRow struct {
	component    string
	plain, alone time.Duration // 0: not taken
	sizes        [2]int64      // of the programs, in bytes: go build's, Bazel's
}

// set times every component once. Its result is never nil.
func (b *bench) set(ctx context.Context, components []string, alone bool) (*setResult, error) {
	result := &setResult{}
	if len(components) == 0 {
		dirs, err := filepath.Glob(filepath.Join(b.workspace, "components", "*", "go.mod"))
		if err != nil {
			return result, err
		}
		for _, d := range dirs {
			components = append(components, filepath.Base(filepath.Dir(d)))
		}
	}
	var all []string
	for _, c := range components {
		all = append(all, "//components/"+c+":all")
	}
	progress := func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, "%s  %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
	}
	progress("fetching and analysing")
	var fetch []time.Duration
	if err := measure(&fetch, func() error { return b.bazel(ctx, "build", append([]string{"--nobuild"}, all...)...) }); err != nil {
		return result, err
	}
	result.fetch = fetch[0]

	cold := func(labels []string) (time.Duration, error) {
		if err := b.bazel(ctx, "clean"); err != nil {
			return 0, err
		}
		var took []time.Duration
		err := measure(&took, func() error { return b.bazel(ctx, "build", append([]string{"--disk_cache="}, labels...)...) })
		return took[0], err
	}
	var comparable, rest []string
	for _, c := range components {
		row := setRow{component: c}
		t, err := b.targetOf(ctx, c)
		if err != nil {
			return result, err
		}
		if notPlain[c] == "" {
			comparable = append(comparable, t.labels...)
			progress("%s, by go build", c)
			p, err := b.newPlain(ctx, c, t)
			if err != nil {
				return result, fmt.Errorf("%s: %w", c, err)
			}
			var took []time.Duration
			if err := measure(&took, p.build); err != nil {
				return result, fmt.Errorf("%s: %w", c, err)
			}
			row.plain = took[0]
			if alone {
				progress("%s, by Bazel", c)
				if row.alone, err = cold(t.labels); err != nil {
					return result, err
				}
				if err := b.measureSizes(ctx, p, t); err != nil {
					return result, err
				}
				row.sizes = b.sizes
			}
		} else {
			rest = append(rest, t.labels...)
			if alone {
				progress("%s, by Bazel", c)
				if row.alone, err = cold(t.labels); err != nil {
					return result, err
				}
			}
		}
		result.components = append(result.components, row)
	}
	var err error
	if len(comparable) > 0 {
		progress("what both sides build, as one build")
		if result.comparable, err = cold(comparable); err != nil {
			return result, err
		}
	}
	if len(rest) > 0 {
		progress("everything, as one build")
		result.all, err = cold(append(comparable, rest...))
	}
	return result, err
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
	s.WriteString("| | go build | Bazel | ratio | size |\n|---|--:|--:|--:|--:|\n")
	line := func(name, reason string, plain, bazel time.Duration, sizes [2]int64) {
		cells := []string{reason, "", "", ""}
		if plain > 0 {
			cells[0] = fmt.Sprintf("%.1f", plain.Seconds())
		}
		if bazel > 0 {
			cells[1] = fmt.Sprintf("%.1f", bazel.Seconds())
		}
		if plain > 0 && bazel > 0 {
			cells[2] = fmt.Sprintf("%.2f", bazel.Seconds()/plain.Seconds())
		}
		if sizes[0] > 0 {
			cells[3] = fmt.Sprintf("%.3f", float64(sizes[1])/float64(sizes[0]))
		}
		fmt.Fprintf(&s, "| %s | %s |\n", name, strings.Join(cells, " | "))
	}
	for _, c := range r.components {
		line(c.component, notPlain[c.component], c.plain, c.alone, c.sizes)
	}
	line("what both build: go build's sum, Bazel's one build", "", r.plain(), r.comparable, [2]int64{})
	line("everything, as one build", "", 0, r.all, [2]int64{})
	_, err := io.WriteString(w, s.String())
	return err
}

// plot draws the sum of go build's times beside Bazel's one build, as bars of the components' parts.
func (r *setResult) plot(w io.Writer) error {
	const width, left, right, bar = 900.0, 130.0, 70.0, 26.0
	longest := max(r.plain(), r.comparable, r.all)
	scale := func(d time.Duration) float64 { return (width - left - right) * d.Seconds() / longest.Seconds() }
	var s strings.Builder
	fmt.Fprintf(&s, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f 190\" font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"%[1].0f\" height=\"190\" fill=\"white\"/>\n", width)
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
	var compared []setRow
	for _, c := range r.components {
		if c.plain > 0 {
			compared = append(compared, c)
		}
	}
	row(0, "go build", r.plain(), compared)
	row(1, "Bazel", r.comparable, nil)
	if r.all > 0 {
		row(2, "Bazel, all", r.all, nil)
	}
	s.WriteString("</svg>\n")
	_, err := io.WriteString(w, s.String())
	return err
}
