package component

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/bazelbuild/buildtools/build"
)

const tagsDirective = "gazelle:build_tags "

// TagsFile has, beside upstream's go.mod, the lines of its module that name build tags: its //go:build lines, and what its
// build files say of tags.
const TagsFile = "build_tags.txt"

// tagsHead starts the row of a component's README that names the build tags of its programs.
const tagsHead = "| Build tags |"

// CheckTags reports build tags of a program that the component's README does not name, for Check to compare with upstream,
// and those that gazelle was not told.
func CheckTags(dir string, tags []string) error {
	readme := filepath.Join(dir, "README.md")
	data, err := os.ReadFile(readme)
	if err != nil {
		return err
	}
	var problems []error
	named := readTags(data)
	for _, tag := range tags {
		if !slices.ContainsFunc(named, func(n namedTag) bool { return n.name == tag }) {
			problems = append(problems, fmt.Errorf("%s: the row %q does not name `%s`, which a program is compiled with; name it there", readme, tagsHead, tag))
		}
	}
	return errors.Join(append(problems, checkGazelleTags(dir, tags))...)
}

// checkGazelleTags reports build tags of a program that gazelle was not told in the component's segment of MODULE.bazel. What
// gazelle writes then lacks the files that need such a tag, and nothing fails: the program just does less than upstream's.
//
// A tag that starts with no_ may be missing: by convention it takes files away, which the compiler does by itself, and the
// programs of one component may differ in it.
func checkGazelleTags(dir string, tags []string) error {
	segment := filepath.Join(dir, filepath.Base(dir)+".MODULE.bazel")
	data, err := os.ReadFile(segment)
	if err != nil {
		return err
	}
	file, err := build.ParseModule(segment, data)
	if err != nil {
		return err
	}
	var told []string
	build.Walk(file, func(e build.Expr, _ []build.Expr) {
		if s, ok := e.(*build.StringExpr); ok {
			if list, ok := strings.CutPrefix(s.Value, tagsDirective); ok {
				told = append(told, strings.Split(list, ",")...)
			}
		}
	})
	missing := slices.DeleteFunc(slices.Clone(tags), func(tag string) bool {
		return strings.HasPrefix(tag, "no_") || slices.Contains(told, tag)
	})
	if len(missing) > 0 {
		return fmt.Errorf("%s: gazelle does not know the build tag %s, so files that need it are left out; tell it in directives: %q",
			segment, strings.Join(missing, ", "), tagsDirective+strings.Join(slices.Compact(slices.Sorted(slices.Values(append(told, missing...)))), ","))
	}
	return nil
}

// namedTag is a build tag that a README names.
type namedTag struct {
	name string
	ours bool // with a reason why, not upstream's
}

var (
	quoted  = regexp.MustCompile("`([^`]+)`")
	oursWhy = regexp.MustCompile(`, ours: \S`)
)

// readTags returns the build tags that a README names. Those of which it says "ours: " and a reason stand between semicolons.
func readTags(readme []byte) []namedTag {
	var tags []namedTag
	for line := range strings.Lines(string(readme)) {
		row, ok := strings.CutPrefix(line, tagsHead)
		if !ok {
			continue
		}
		for part := range strings.SplitSeq(row, ";") {
			for _, tag := range quoted.FindAllStringSubmatch(part, -1) {
				tags = append(tags, namedTag{name: tag[1], ours: oursWhy.MatchString(part)})
			}
		}
	}
	return tags
}

// unknownTags returns a message for each tag that no line of upstream's modules names and that is not explained as ours.
func unknownTags(tags []namedTag, lines string) []string {
	words := strings.FieldsFunc(lines, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' && r != '.' // what a tag is made of
	})
	var messages []string
	for _, tag := range tags {
		if !tag.ours && !slices.Contains(words, tag.name) {
			messages = append(messages, fmt.Sprintf("upstream does not know the build tag %s: no //go:build line and no build file of its modules names it; delete it from gotags and the row %q, or say there \"`%[1]s`, ours: <reason>\"", tag.name, tagsHead))
		}
	}
	return messages
}
