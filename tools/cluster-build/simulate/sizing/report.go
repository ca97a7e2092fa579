package sizing

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"
)

// A Report is a build on 1, 2, 4 and so on workers.
type Report struct {
	Build        *Build
	Costs        Costs
	CriticalPath time.Duration
	Results      []Result
}

// NewReport runs a build on 1 to most workers.
func NewReport(b *Build, most int, c Costs) (*Report, error) {
	r := &Report{Build: b, Costs: c}
	var err error
	if r.CriticalPath, err = b.CriticalPath(c); err != nil {
		return nil, err
	}
	for n := 1; n <= most; n *= 2 {
		result, err := b.Run(n, c)
		if err != nil {
			return nil, err
		}
		r.Results = append(r.Results, result)
	}
	return r, nil
}

// Table writes the report as Markdown.
func (r *Report) Table(w io.Writer) error {
	var s strings.Builder
	sources, made := r.Build.Bytes()
	fmt.Fprintf(&s, "%d actions of %s in all; critical path %s; %s of sources and tools, %s made.\n", len(r.Build.Actions), clock(r.Build.Work()), clock(r.CriticalPath), gib(sources), gib(made))
	if r.Build.Unknown > 0 {
		fmt.Fprintf(&s, "What %d more took is not known, and they are left out.\n", r.Build.Unknown)
	}
	fmt.Fprintf(&s, "Each action costs %v more than its execution", r.Costs.Action)
	if r.Costs.Bandwidth > 0 {
		fmt.Fprintf(&s, ", and what a worker does not have yet comes at %.0f MiB/s", r.Costs.Bandwidth/(1<<20))
	}
	s.WriteString(".\n\n| workers | build | times as fast | busy | fetched by workers |\n|--:|--:|--:|--:|--:|\n")
	for _, result := range r.Results {
		fmt.Fprintf(&s, "| %d | %s | %.1f | %.0f %% | %s |\n", result.Workers, clock(result.Length), r.Results[0].Length.Seconds()/result.Length.Seconds(), 100*result.Busy, gib(result.Fetched))
	}
	_, err := io.WriteString(w, s.String())
	return err
}

// Plot writes the report as SVG: length over workers, both axes logarithmic, and the critical path, below which nothing goes.
func (r *Report) Plot(w io.Writer) error {
	const width, height, left, right, top, bottom = 720.0, 400.0, 70.0, 20.0, 30.0, 50.0
	first, last := r.Results[0], r.Results[len(r.Results)-1]
	low := math.Floor(math.Log2(min(r.CriticalPath, last.Length).Seconds()))
	high := math.Ceil(math.Log2(first.Length.Seconds()))
	x := func(workers int) float64 {
		return left + (width-left-right)*math.Log2(float64(workers))/max(1, math.Log2(float64(last.Workers)))
	}
	y := func(d time.Duration) float64 {
		return top + (height-top-bottom)*(high-math.Log2(d.Seconds()))/max(1, high-low)
	}
	var s strings.Builder
	fmt.Fprintf(&s, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" font-family=\"sans-serif\" font-size=\"13\">\n", width, height)
	fmt.Fprintf(&s, "<rect width=\"%.0f\" height=\"%.0f\" fill=\"white\"/>\n", width, height)
	for exponent := low; exponent <= high; exponent++ {
		d := time.Duration(math.Exp2(exponent) * float64(time.Second))
		fmt.Fprintf(&s, "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1[3]f\" stroke=\"#ddd\"/>\n", left, width-right, y(d))
		fmt.Fprintf(&s, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", left-8, y(d)+4, clock(d))
	}
	var points []string
	for _, result := range r.Results {
		points = append(points, fmt.Sprintf("%.1f,%.1f", x(result.Workers), y(result.Length)))
		fmt.Fprintf(&s, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%d</text>\n", x(result.Workers), height-bottom+20, result.Workers)
		fmt.Fprintf(&s, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"#1f6feb\"/>\n", x(result.Workers), y(result.Length))
	}
	fmt.Fprintf(&s, "<polyline points=\"%s\" fill=\"none\" stroke=\"#1f6feb\" stroke-width=\"2\"/>\n", strings.Join(points, " "))
	fmt.Fprintf(&s, "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1[3]f\" stroke=\"#b35900\" stroke-dasharray=\"6 4\"/>\n", left, width-right, y(r.CriticalPath))
	fmt.Fprintf(&s, "<text x=\"%.1f\" y=\"%.1f\" fill=\"#b35900\">critical path %s</text>\n", left+6, y(r.CriticalPath)-6, clock(r.CriticalPath))
	fmt.Fprintf(&s, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">workers</text>\n", (left+width-right)/2, height-10)
	fmt.Fprintf(&s, "<text x=\"%.1f\" y=\"18\">time of the build, hours:minutes:seconds</text>\n</svg>\n", left)
	_, err := io.WriteString(w, s.String())
	return err
}

// clock is a duration as hours:minutes:seconds.
func clock(d time.Duration) string {
	s := int(math.Round(d.Seconds()))
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}

func gib(bytes int64) string { return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30)) }
