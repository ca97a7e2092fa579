package sizing

import (
	"fmt"
	"slices"
	"strings"
)

// Only returns the part of a build that some targets need: patterns are Bazel's, //folder/... and the like.
func (b *Build) Only(patterns ...string) (*Build, error) {
	wanted := make([]bool, len(b.Actions))
	for _, pattern := range patterns {
		folder, ok := strings.CutSuffix(pattern, "/...")
		if !ok || !strings.HasPrefix(pattern, "//") {
			return nil, fmt.Errorf("%q is not a pattern like //folder/...", pattern)
		}
		found := false
		for i, a := range b.Actions {
			if rest, ok := strings.CutPrefix(a.Label, folder); ok && (strings.HasPrefix(rest, "/") || strings.HasPrefix(rest, ":")) {
				wanted[i], found = true, true
			}
		}
		if !found {
			return nil, fmt.Errorf("no action of %s is in the log", pattern)
		}
	}
	for i := len(b.Actions) - 1; i >= 0; i-- { // makers come before who needs them
		if wanted[i] {
			for _, need := range b.Actions[i].Needs {
				wanted[need] = true
			}
		}
	}
	only := &Build{Blobs: b.Blobs, Unknown: b.Unknown}
	numbers := map[int32]int32{}
	for i, a := range b.Actions {
		if !wanted[i] {
			continue
		}
		numbers[int32(i)] = int32(len(only.Actions))
		a.Needs = slices.Clone(a.Needs)
		for k, need := range a.Needs {
			a.Needs[k] = numbers[need]
		}
		only.Actions = append(only.Actions, a)
	}
	return only, nil
}
