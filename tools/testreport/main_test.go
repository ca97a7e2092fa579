package main

import (
	"strings"
	"testing"
)

const events = `{"id":{"targetConfigured":{"label":"//a:lib"}},"configured":{"targetKind":"go_library rule"}}
{"id":{"targetConfigured":{"label":"//a:ok"}},"configured":{"targetKind":"go_test rule","testSize":"SMALL"}}
{"id":{"targetConfigured":{"label":"//a:bad"}},"configured":{"testSize":"SMALL"}}
{"id":{"targetConfigured":{"label":"//a:unbuilt"}},"configured":{"testSize":"LARGE"}}
{"id":{"testSummary":{"label":"//a:ok"}},"testSummary":{"overallStatus":"PASSED","totalRunDurationMillis":"1500"}}
{"id":{"testSummary":{"label":"//a:bad"}},"testSummary":{"overallStatus":"TIMEOUT","totalRunDurationMillis":"60000"}}
`

func TestReport(t *testing.T) {
	for _, tc := range []struct {
		name, events, last string
		ok                 bool
	}{
		{"one passes, one times out, one was not built", events, "1 passed, 2 failed", false},
		{"all pass", strings.Join(append(strings.Split(events, "\n")[:2], strings.Split(events, "\n")[4]), "\n"), "1 passed, 0 failed", true},
		{"no test", "", "0 passed, 0 failed", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tests, err := Read(strings.NewReader(tc.events))
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			if ok := Print(&out, tests); ok != tc.ok {
				t.Errorf("ok = %t, want %t", ok, tc.ok)
			}
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			if got := lines[len(lines)-1]; got != tc.last {
				t.Errorf("last line = %q, want %q", got, tc.last)
			}
		})
	}
}

func TestReadRefusesWhatIsNoEventFile(t *testing.T) {
	if _, err := Read(strings.NewReader("{")); err == nil {
		t.Error("a truncated file gave no error")
	}
}
