package judge

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"kubefips.internal/tools/fipscheck/report"
)

// Exit codes of programs that judge.
const (
	OK       = 0
	Refused  = 1 // an artifact failed a check
	Unusable = 2 // wrong usage, or input that cannot be read
)

// ErrRefused is the outcome of a run whose report says why.
var ErrRefused = errors.New("refused")

// Exit returns the code for the outcome of a run, after saying of an unusable input what is wrong with it.
func Exit(err error, stderr io.Writer) int {
	switch {
	case err == nil:
		return OK
	case errors.Is(err, ErrRefused):
		return Refused
	default:
		fmt.Fprintln(stderr, "fipscheck:", err)
		return Unusable
	}
}

// Formats of reports.
var Formats = []string{"text", "json", "sarif", "in-toto", "html"}

// Output is where a report goes, and as what.
type Output struct {
	// Format is one of Formats.
	Format string
	// File takes the report in place of Stdout, and what was refused is also said on Stderr.
	File string
	// All shows passed checks and those that do not apply, in text.
	All bool

	Stdout, Stderr io.Writer
}

// Check says whether there is such an output.
func (o *Output) Check() error {
	if !slices.Contains(Formats, o.Format) {
		return fmt.Errorf("--output %s: want one of %s", o.Format, strings.Join(Formats, ", "))
	}
	return nil
}

// Finish judges the report and writes it; it is ErrRefused unless all passed.
func (j *Judge) Finish(r *report.Report, o *Output) error {
	r.Schema, r.Tool, r.Date = report.Schema, report.Tool{Name: "fipscheck", Version: Version()}, j.Day.Format(time.DateOnly)
	r.Judge()
	if o.File == "" {
		if err := o.write(o.Stdout, r); err != nil {
			return err
		}
	} else if err := o.writeFile(r); err != nil {
		return err
	}
	if r.Verdict == report.Passed {
		return nil
	}
	if o.File != "" {
		if err := r.Text(o.Stderr, terminal(o.Stderr), false); err != nil {
			return err
		}
	}
	if j.Policy != nil {
		if _, err := io.WriteString(o.Stderr, j.Policy.Proposal()); err != nil {
			return err
		}
	}
	return ErrRefused
}

func (o *Output) writeFile(r *report.Report) error {
	f, err := os.Create(o.File)
	if err != nil {
		return err
	}
	if err := o.write(f, r); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

func (o *Output) write(w io.Writer, r *report.Report) error {
	switch o.Format {
	case "json":
		return r.JSON(w)
	case "sarif":
		return r.SARIF(w)
	case "in-toto":
		return r.InToto(w)
	case "html":
		return r.HTML(w)
	default:
		return r.Text(w, terminal(w), o.All)
	}
}

func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}

// Version is that of this module, as built.
func Version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
