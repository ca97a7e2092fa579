package contents

import (
	"fmt"
	"slices"
	"strings"
)

// Diff lists the lines that only one of the two descriptions has.
func Diff(want, got string) string {
	wanted, found := strings.Split(want, "\n"), strings.Split(got, "\n")
	var text strings.Builder
	for _, line := range wanted {
		if !slices.Contains(found, line) {
			fmt.Fprintf(&text, "  missing: %s\n", line)
		}
	}
	for _, line := range found {
		if !slices.Contains(wanted, line) {
			fmt.Fprintf(&text, "  not expected: %s\n", line)
		}
	}
	if text.Len() == 0 {
		return "  the same lines in another order\n"
	}
	return text.String()
}
