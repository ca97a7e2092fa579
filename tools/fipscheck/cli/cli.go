// Package cli is fipscheck's command line.
package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"kubefips.internal/tools/fipscheck/measure"
	"kubefips.internal/tools/fipscheck/policy"
	"kubefips.internal/tools/fipscheck/report"
)

// Exit codes.
const (
	OK       = 0
	Refused  = 1 // an artifact failed a check
	Unusable = 2 // wrong usage, or input that cannot be read
)

// errRefused is the outcome of a run whose report says why.
var errRefused = errors.New("refused")

// Run executes the program and returns its exit code.
func Run(args []string, stdout, stderr io.Writer) int {
	root := command(stdout, stderr)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	switch err := root.Execute(); {
	case err == nil:
		return OK
	case errors.Is(err, errRefused):
		return Refused
	default:
		fmt.Fprintln(stderr, "fipscheck:", err)
		return Unusable
	}
}

// options are the flags of all judging commands.
type options struct {
	mode     string
	output   string
	file     string
	all      bool
	policy   string
	artifact string
	release  string
	date     string
	sdk      string
	probe    bool

	stdout, stderr io.Writer
	rules          *policy.Policy
	mu             sync.Mutex // guards the rules' record of what was used
	day            time.Time
	// verdicts has what the build said of programs, by SHA-256.
	verdictFiles []string
	verdicts     map[string]verdict
}

func command(stdout, stderr io.Writer) *cobra.Command {
	o := &options{stdout: stdout, stderr: stderr}
	root := &cobra.Command{
		Use:   "fipscheck",
		Short: "Decide from the artifact alone which cryptographic module it uses",
		Long: `fipscheck decides from an artifact alone, stripped and static or not, whether
its cryptography comes from a validated module, and says why.

Exit codes: 0 all passed, 1 something was refused, 2 unusable input.`,
		Version:       version(),
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			return o.prepare()
		},
	}
	f := root.PersistentFlags()
	f.StringVarP(&o.output, "output", "o", "text", strings.Join(formats, ", "))
	f.StringVar(&o.file, "output-file", "", "write the report to this `file`; what was refused is also said on standard error")
	f.BoolVarP(&o.all, "all", "a", false, "text: show passed checks and those that do not apply")
	f.StringVar(&o.policy, "policy", "", "policy `file`: declared modes, exceptions, certificate dates")
	f.StringVar(&o.date, "date", "", "day (YYYY-MM-DD) for expiry and sunset; default SOURCE_DATE_EPOCH, else today")
	f.StringVar(&o.sdk, "sdk", "", "Go distribution `directory` whose snapshot archives are hashed (B11)")
	root.AddCommand(binaryCommand(o), imageCommand(o), treeCommand(o), chartCommand(o), mergeCommand(o), explainCommand(o))
	return root
}

// modes are the values of --mode.
var modes = []measure.Mode{measure.Boring, measure.GoFIPS, measure.None}

func (o *options) prepare() error {
	if !slices.Contains(formats, o.output) {
		return fmt.Errorf("--output %s: want one of %s", o.output, strings.Join(formats, ", "))
	}
	if o.mode != "" && !slices.Contains(modes, measure.Mode(o.mode)) {
		return fmt.Errorf("--mode %s: want one of %v", o.mode, modes)
	}
	var err error
	if o.policy != "" {
		if o.rules, err = policy.Load(o.policy); err != nil {
			return err
		}
	}
	switch epoch := os.Getenv("SOURCE_DATE_EPOCH"); {
	case o.date != "":
		if o.day, err = time.Parse(time.DateOnly, o.date); err != nil {
			return fmt.Errorf("--date: %w", err)
		}
	case epoch != "":
		s, err := strconv.ParseInt(epoch, 10, 64)
		if err != nil {
			return fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
		}
		o.day = time.Unix(s, 0).UTC()
	default:
		o.day = time.Now().UTC()
	}
	return nil
}

// finish judges the report, writes it and turns the verdict into an error.
func (o *options) finish(r *report.Report) error {
	r.Schema, r.Tool, r.Date = report.Schema, report.Tool{Name: "fipscheck", Version: version()}, o.day.Format(time.DateOnly)
	r.Judge()
	if o.file == "" {
		if err := o.write(o.stdout, r); err != nil {
			return err
		}
	} else if err := o.writeFile(r); err != nil {
		return err
	}
	if r.Verdict == report.Passed {
		return nil
	}
	if o.file != "" {
		if err := r.Text(o.stderr, terminal(o.stderr), false); err != nil {
			return err
		}
	}
	if o.rules != nil {
		if _, err := io.WriteString(o.stderr, o.rules.Proposal()); err != nil {
			return err
		}
	}
	return errRefused
}

func (o *options) writeFile(r *report.Report) error {
	f, err := os.Create(o.file)
	if err != nil {
		return err
	}
	if err := o.write(f, r); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// formats are the values of --output.
var formats = []string{"text", "json", "sarif", "in-toto", "html"}

func (o *options) write(w io.Writer, r *report.Report) error {
	switch o.output {
	case "json":
		return r.JSON(w)
	case "sarif":
		return r.SARIF(w)
	case "in-toto":
		return r.InToto(w)
	case "html":
		return r.HTML(w)
	default:
		return r.Text(w, terminal(w), o.all)
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

func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
