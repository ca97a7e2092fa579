// Package commandlines looks through all that Bazel would run for what only one machine or one moment has: paths, names, times.
package commandlines

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Arguments are those of `bazel aquery` whose output Check reads.
func Arguments(targets ...string) []string {
	return []string{"--output=text", "--noinclude_artifacts", "--include_param_files", "deps(set(" + strings.Join(targets, " ") + "))"}
}

// absolute finds paths from the root; not labels (//x), URLs, or the rest of a relative path.
var absolute = regexp.MustCompile(`(?:^|[\s"'=:;,(<>|@[]|-[IL])(/[A-Za-z][^\s"'=:;,()<>|\]]*)`)

// known are paths that are the same everywhere: the PATH of Bazel and of rules_go, the shell of a genrule, and what the C compiler
// takes its folder for.
var known = []string{"/bin", "/bin/bash", "/proc/self/cwd", "/usr/bin", "/usr/local/bin"}

// header finds what a part of an action's description begins with.
var header = regexp.MustCompile(`^  ([A-Z][A-Za-z ]*)(?: \(.*\))?:`)

// run are the parts that are run. Another, what is written into a template, may have a path of an image.
var run = []string{"Command Line", "Environment", "Params File Content"}

var (
	day     = regexp.MustCompile(`\b20\d\d-[01]\d-[0-3]\d`)
	seconds = regexp.MustCompile(`\b\d{10}\b`) // since 1970

	release = regexp.MustCompile(`"time": "(20\d\d-\d\d-\d\d)`) // in upstream.bzl
)

// week is how old a time may be that a build has read from the clock; older ones are names, as in Azure's import paths.
const week = 7 * 24 * time.Hour

// Check reads what Bazel prints of the actions of a source tree, and returns what is wrong with them, each once: a path of this
// machine, one of names, a time that is not an upstream release's.
func Check(aquery io.Reader, tree string, names ...string) ([]string, error) {
	releases, err := releaseDays(tree)
	if err != nil {
		return nil, err
	}
	names = append(names, tree)
	var wrong []string
	told := map[string]bool{}
	actions, mnemonic, part := 0, "", ""
	for r := bufio.NewReader(aquery); ; {
		line, err := r.ReadString('\n')
		if m := header.FindStringSubmatch(line); m != nil {
			part = m[1]
		}
		line = strings.TrimSpace(line)
		switch {
		case part == "Mnemonic":
			actions, mnemonic, part = actions+1, strings.TrimPrefix(line, "Mnemonic: "), ""
		case slices.Contains(run, part):
			for _, w := range wrongIn(line, names, releases) {
				if key := mnemonic + ": " + w; !told[key] {
					told[key] = true
					wrong = append(wrong, fmt.Sprintf("%s: %q in %.200q", mnemonic, w, line))
				}
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	if actions < 100 {
		return nil, fmt.Errorf("bazel aquery printed %d actions, want hundreds", actions)
	}
	return wrong, nil
}

func wrongIn(line string, names, releases []string) []string {
	var wrong []string
	for _, name := range names {
		if strings.Contains(line, name) {
			wrong = append(wrong, name)
		}
	}
	for _, m := range absolute.FindAllStringSubmatch(line, -1) {
		if !slices.Contains(known, m[1]) {
			wrong = append(wrong, m[1])
		}
	}
	for _, d := range day.FindAllString(line, -1) {
		if at, err := time.Parse(time.DateOnly, d); err == nil && recent(at) && !slices.Contains(releases, d) {
			wrong = append(wrong, d)
		}
	}
	for _, s := range seconds.FindAllString(line, -1) {
		if n, err := strconv.ParseInt(s, 10, 64); err == nil && recent(time.Unix(n, 0)) {
			wrong = append(wrong, s)
		}
	}
	return wrong
}

func recent(at time.Time) bool { return time.Since(at).Abs() < week }

// releaseDays are the days of upstream's releases, with which programs are stamped.
func releaseDays(tree string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(tree, "components", "*", "upstream.bzl"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s has no components/*/upstream.bzl; name the root of the source tree", tree)
	}
	var days []string
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if m := release.FindSubmatch(content); m != nil {
			days = append(days, string(m[1]))
		}
	}
	return days, nil
}
