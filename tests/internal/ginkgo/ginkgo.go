// Package ginkgo holds suites of others to a list of what is left out: their reports are Ginkgo's.
package ginkgo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// Spec is a test in a report.
type Spec struct {
	ContainerHierarchyTexts []string
	LeafNodeType            string
	LeafNodeText            string
	State                   string
	RunTime                 time.Duration
	Failure                 struct{ Message string }

	CapturedGinkgoWriterOutput string
}

// Name is what the suite calls the test, which is what --ginkgo.focus and --ginkgo.skip match.
func (s Spec) Name() string {
	return strings.Join(append(slices.Clone(s.ContainerHierarchyTexts), s.LeafNodeText), " ")
}

// Read reads a report (--ginkgo.json-report). Of what runs before and after tests it returns the failures alone.
func Read(report string) ([]Spec, error) {
	content, err := os.ReadFile(report)
	if err != nil {
		return nil, err
	}
	var suites []struct{ SpecReports []Spec }
	if err := json.Unmarshal(content, &suites); err != nil {
		return nil, fmt.Errorf("%s: %w", report, err)
	}
	if len(suites) != 1 {
		return nil, fmt.Errorf("%s: %d suites, want one", report, len(suites))
	}
	specs := slices.DeleteFunc(suites[0].SpecReports, func(s Spec) bool { return s.LeafNodeType != "It" && s.State == "passed" })
	slices.SortFunc(specs, func(a, b Spec) int { return strings.Compare(a.Name(), b.Name()) })
	return specs, nil
}

// LeftOut reads left_out.yaml, a list of patterns on names and the reason of each, and returns name -> reason. A pattern that matches
// none of the names fails the test.
func LeftOut(t testing.TB, file string, names []string) map[string]string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var entries []struct{ Pattern, Reason string }
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(true)
	if err := decoder.Decode(&entries); err != nil {
		t.Fatalf("left_out.yaml: %v", err)
	}
	reasons := map[string]string{}
	for _, entry := range entries {
		pattern, err := regexp.Compile(entry.Pattern)
		if err != nil {
			t.Fatalf("left_out.yaml: %v", err)
		}
		found := false
		for _, name := range names {
			if pattern.MatchString(name) {
				reasons[name], found = entry.Reason, true
			}
		}
		if !found || entry.Reason == "" {
			t.Errorf("left_out.yaml: %q matches no test, or has no reason", entry.Pattern)
		}
	}
	return reasons
}

// Judge logs what became of each test, and fails for what has neither passed nor is left out for a reason.
func Judge(t testing.TB, suite string, names []string, specs []Spec, leftOut map[string]string) {
	t.Helper()
	passed := map[string]bool{}
	for _, s := range specs {
		switch reason, listed := leftOut[s.Name()]; {
		case s.State == "passed" && !listed:
			passed[s.Name()] = true
			t.Logf("passed   %5.1f s  %s", s.RunTime.Seconds(), s.Name())
		case s.State == "skipped" && listed: // below
		case s.State == "skipped":
			t.Errorf("skipped            %s: %s; left_out.yaml has to say why", s.Name(), s.Failure.Message)
		case listed:
			t.Errorf("%-8s %5.1f s  %s, which is left out: %s", s.State, s.RunTime.Seconds(), s.Name(), reason)
		default:
			output := s.CapturedGinkgoWriterOutput
			t.Errorf("%-8s %5.1f s  %s: %s\n%s", s.State, s.RunTime.Seconds(), s.Name(), s.Failure.Message, output[max(0, len(output)-5_000):])
		}
	}
	for _, name := range names {
		if reason, listed := leftOut[name]; listed {
			t.Logf("left out           %s: %s", name, reason)
		} else if !passed[name] {
			t.Errorf("not passed         %s", name)
		}
	}
	t.Logf("%s: %d tests, %d passed, %d left out", suite, len(names), len(passed), len(leftOut))
	if len(passed) == 0 {
		t.Error("no test has passed")
	}
}
