package fips_test

import (
	"testing"

	"kubefips.internal/tools/fipscheck/policy"
)

// People find a component's decisions together.
func TestExceptionsAreSortedByTheirFirstArtifact(t *testing.T) {
	p, err := policy.Load("policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range p.Exceptions[1:] {
		if before := p.Exceptions[i].Artifacts[0]; e.Artifacts[0] < before {
			t.Errorf("policy.yaml: an exception for %s stands after one for %s: move it up", e.Artifacts[0], before)
		}
	}
}
