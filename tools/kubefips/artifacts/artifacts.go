// Package artifacts finds what //tools/kubefips/artifacts has as data: all that a cluster is made of.
package artifacts

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/bazelbuild/rules_go/go/runfiles"

	"kubefips.internal/tools/kubefips/cluster"
)

// locations has name=runfile of each, separated by spaces; the linker sets it.
var locations string

// Find returns the artifacts, which are runfiles of this program.
func Find() (cluster.Artifacts, error) {
	a := cluster.Artifacts{Images: map[string]string{}, Charts: map[string]string{}}
	if locations == "" {
		return a, errors.New("this program has no images and charts; start it by Bazel, which builds them before")
	}
	for location := range strings.FieldsSeq(locations) {
		name, runfile, _ := strings.Cut(location, "=")
		file, err := runfiles.Rlocation(runfile)
		if err == nil {
			_, err = os.Stat(file)
		}
		if err != nil {
			return a, fmt.Errorf("%s: %w", name, err)
		}
		switch kind, base, _ := strings.Cut(name, "/"); kind {
		case "image":
			a.Images[base] = file
		case "chart":
			a.Charts[base] = file
		default:
			a.Helm = file
		}
	}
	return a, nil
}
