package clone

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// absolute finds paths from the root; not labels (//x), URLs, or the rest of a relative path.
var absolute = regexp.MustCompile(`(^|[\s"'=:;,(<>|@])(/[A-Za-z][^\s"'=:;,()<>|]*)`)

// date finds a day, and seconds since 1970.
var date = regexp.MustCompile(`\b20\d\d-[01]\d-[0-3]\d\b|\b1[5-9]\d{8}\b|\b2[0-3]\d{8}\b`)

// known are paths that are the same everywhere: the PATH of Bazel and of rules_go, the shell of a genrule, and what the C compiler
// takes its folder for.
var known = []string{"/bin", "/bin/bash", "/proc/self/cwd", "/usr/bin", "/usr/local/bin"}

// CheckCommandLines looks through all that Bazel would run for targets: no path of this machine, no name of its user
// or of itself, no time.
func (c *Clone) CheckCommandLines(t *testing.T, targets ...string) {
	t.Helper()
	out, _, err := c.Bazel("aquery", "--disk_cache=", "--output=jsonproto", "--include_param_files", "deps(set("+strings.Join(targets, " ")+"))")
	if err != nil {
		t.Fatal(err)
	}
	var graph struct {
		Actions []struct {
			Mnemonic             string
			Arguments            []string
			EnvironmentVariables []struct{ Key, Value string }
			ParamFiles           []struct{ Arguments []string }
		}
	}
	if err := json.Unmarshal([]byte(out), &graph); err != nil {
		t.Fatal(err)
	}
	if len(graph.Actions) < 100 {
		t.Fatalf("only %d actions", len(graph.Actions))
	}
	here := []string{c.Dir, filepath.Dir(c.Dir), User, Host, "/tmp/", "/home/", "/root/"}
	found := map[string]bool{}
	for _, action := range graph.Actions {
		words := action.Arguments
		for _, v := range action.EnvironmentVariables {
			words = append(words, v.Key+"="+v.Value)
		}
		for _, file := range action.ParamFiles {
			words = append(words, file.Arguments...)
		}
		for _, word := range words {
			var wrong []string
			for _, h := range here {
				if strings.Contains(word, h) {
					wrong = append(wrong, h)
				}
			}
			for _, m := range absolute.FindAllStringSubmatch(word, -1) {
				if !slices.Contains(known, m[2]) {
					wrong = append(wrong, m[2])
				}
			}
			wrong = append(wrong, date.FindAllString(word, -1)...)
			for _, w := range wrong {
				if key := action.Mnemonic + " " + w; !found[key] {
					found[key] = true
					t.Errorf("%s: %q in %q", action.Mnemonic, w, word)
				}
			}
		}
	}
}
