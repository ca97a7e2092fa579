package main_test

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/bazelbuild/rules_go/go/runfiles"
)

// printed is what `go list -f '{{context.ReleaseTags}} {{context.ToolTags}}'` says of each version, as far as there are files for it, and one
// of our own tags. All are compiled through the builder that the newest version made.
var printed = []string{
	"go1.24.5 X:boringcrypto amd64.v1 go1.24 goexperiment.boringcrypto goexperiment.swissmap netgo",
	"go1.26.10-X:boringcrypto amd64.v1 go1.24 go1.25 go1.26 goexperiment.boringcrypto goexperiment.greenteagc netgo",
}

func TestEachVersionHasItsOwnConstraints(t *testing.T) {
	var got []string
	for _, location := range strings.Fields(os.Getenv("PROGRAMS")) {
		program, err := runfiles.Rlocation(location)
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(program).Output()
		if err != nil {
			t.Fatalf("%s: %v", location, err)
		}
		got = append(got, strings.TrimSpace(string(out)))
	}
	if !slices.Equal(got, printed) {
		t.Errorf("built by each Go version, the program printed\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(printed, "\n\t"))
	}
}
