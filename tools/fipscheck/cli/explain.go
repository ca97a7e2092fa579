package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"kubefips.internal/tools/fipscheck/checks"
)

func explainCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:     "explain [CHECK...]",
		Short:   "Say what a check proves, what it does not, and where that comes from",
		Example: `  fipscheck explain B03`,
		RunE: func(_ *cobra.Command, ids []string) error {
			if len(ids) == 0 {
				for _, c := range checks.Catalogue {
					fmt.Fprintf(o.output.Stdout, "%-3s  %-5s  %s\n", c.ID, c.Severity, c.Title)
				}
				return nil
			}
			for i, id := range ids {
				c, ok := checks.Lookup(strings.ToUpper(id))
				if !ok {
					return fmt.Errorf("there is no check %s; `fipscheck explain` lists them", id)
				}
				if i > 0 {
					fmt.Fprintln(o.output.Stdout)
				}
				fmt.Fprintf(o.output.Stdout, "%s (%s): %s\n\n", c.ID, c.Severity, c.Title)
				for _, p := range []struct{ name, text string }{
					{"Proves", c.Proves}, {"Does not prove", c.Not}, {"Source", c.Source}, {"Fix", c.Fix},
				} {
					fmt.Fprintf(o.output.Stdout, "%s:\n%s\n", p.name, wrap(p.text, 76, "  "))
				}
			}
			return nil
		},
	}
}

// wrap breaks a text into lines of at most width characters.
func wrap(text string, width int, indent string) string {
	var b strings.Builder
	n := 0
	for _, w := range strings.Fields(text) {
		if n > 0 && n+1+len(w) > width {
			b.WriteByte('\n')
			n = 0
		}
		if n == 0 {
			b.WriteString(indent)
			n = len(indent)
		} else {
			b.WriteByte(' ')
			n++
		}
		b.WriteString(w)
		n += len(w)
	}
	return b.String()
}
