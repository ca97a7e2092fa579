// Command testreport counts the tests of one Bazel invocation from its build event file.
//
//	bazel test //... --build_event_json_file=events.json
//	bazel run //tools/testreport -- events.json
//
// It prints the slowest tests and, as its last line, "N passed, N failed". A test that was not run (its build failed)
// counts as failed. Exit status: 0 when all passed, 1 when one failed or none ran, 2 when the file cannot be read.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"time"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: testreport EVENTS.json")
		os.Exit(2)
	}
	file := os.Args[1]
	if !filepath.IsAbs(file) {
		file = filepath.Join(os.Getenv("BUILD_WORKING_DIRECTORY"), file)
	}
	events, err := os.Open(file)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
		os.Exit(2)
	}
	defer events.Close()
	tests, err := Read(events)
	if err != nil {
		fmt.Fprintf(os.Stderr, "testreport: %s: %v\n", file, err)
		os.Exit(2)
	}
	if !Print(os.Stdout, tests) {
		os.Exit(1)
	}
}

// A Test is one test target's outcome.
type Test struct {
	Label    string
	Status   string // PASSED, FAILED, TIMEOUT, ... as in Bazel's build event protocol; NO_STATUS when it was not run
	Duration time.Duration
	Cached   bool
}

// Read returns the test targets of a build event file in JSON, one event a line.
func Read(r io.Reader) ([]Test, error) {
	tests := map[string]*Test{}
	test := func(label string) *Test {
		if tests[label] == nil {
			tests[label] = &Test{Label: label, Status: "NO_STATUS"}
		}
		return tests[label]
	}
	decoder := json.NewDecoder(r)
	for {
		var event struct {
			ID struct {
				TestSummary      *struct{ Label string }
				TargetConfigured *struct{ Label string }
			}
			Configured *struct{ TestSize string }
			Summary    *struct {
				OverallStatus      string
				TotalRunDurationMs int64 `json:"totalRunDurationMillis,string"`
				TotalNumCached     int
			} `json:"testSummary"`
		}
		if err := decoder.Decode(&event); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("reading a build event: %w", err)
		}
		if event.ID.TargetConfigured != nil && event.Configured != nil && event.Configured.TestSize != "" {
			test(event.ID.TargetConfigured.Label)
		}
		if event.ID.TestSummary != nil && event.Summary != nil {
			t := test(event.ID.TestSummary.Label)
			t.Status = event.Summary.OverallStatus
			t.Duration = time.Duration(event.Summary.TotalRunDurationMs) * time.Millisecond
			t.Cached = event.Summary.TotalNumCached > 0
		}
	}
	list := make([]Test, 0, len(tests))
	for _, t := range tests {
		list = append(list, *t)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Label < list[j].Label })
	return list, nil
}

// slowest is how many tests Print lists.
const slowest = 10

// Print writes the slowest tests, the failed ones, and the count; it returns whether tests ran and all passed.
func Print(w io.Writer, tests []Test) bool {
	byTime := append([]Test(nil), tests...)
	sort.SliceStable(byTime, func(i, j int) bool { return byTime[i].Duration > byTime[j].Duration })
	fmt.Fprintln(w, "Slowest tests:")
	for _, t := range byTime[:min(slowest, len(byTime))] {
		cached := ""
		if t.Cached {
			cached = " (cached)"
		}
		fmt.Fprintf(w, "%8.1fs  %s%s\n", t.Duration.Seconds(), t.Label, cached)
	}
	passed, failed := 0, 0
	for _, t := range tests {
		if t.Status == "PASSED" {
			passed++
			continue
		}
		failed++
		fmt.Fprintf(w, "%s: %s\n", t.Status, t.Label)
	}
	fmt.Fprintf(w, "%d passed, %d failed\n", passed, failed)
	return failed == 0 && passed > 0
}
