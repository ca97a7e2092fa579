package component

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bazelbuild/buildtools/build"
)

const tagsDirective = "gazelle:build_tags "

// CheckTags reports build tags of a program that gazelle was not told in the component's segment of MODULE.bazel. What
// gazelle writes then lacks the files that need such a tag, and nothing fails: the program just does less than upstream's.
//
// A tag that starts with no_ may be missing: by convention it takes files away, which the compiler does by itself, and the
// programs of one component may differ in it.
func CheckTags(dir string, tags []string) error {
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
