// Command readme writes the table of programs in README.md from the report on
// the distribution, and that of images in images/README.md from their digests:
//
//	tools/bazel run //tools/readme
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	if err := run(os.Getenv("BUILD_WORKSPACE_DIRECTORY"), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "readme:", err)
		os.Exit(1)
	}
}

// run writes the READMEs of the workspace. Among the files are the report and the digests.
func run(workspace string, files []string) error {
	if workspace == "" {
		return errors.New("start it by `tools/bazel run //tools/readme`")
	}
	for _, each := range readmes {
		name := filepath.Join(workspace, each.name)
		old, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		updated, err := each.update(old, files)
		if err != nil {
			return fmt.Errorf("%s: %w", each.name, err)
		}
		if each.source == "fips_report.json" {
			if err := complete(workspace, updated); err != nil {
				return err
			}
		}
		if bytes.Equal(old, updated) {
			continue
		}
		if err := os.WriteFile(name, updated, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// A readme has one table, which is written from a built file.
type readme struct {
	name, source string
	table        func([]byte) ([]byte, error)
}

var readmes = []readme{
	{"README.md", "fips_report.json", table},
	{"images/README.md", "digests.json", imageTable},
}

// update returns the text with the table of what was built; the source is among the files.
func (r readme) update(old []byte, files []string) ([]byte, error) {
	for _, file := range files {
		if filepath.Base(file) != r.source {
			continue
		}
		built, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		t, err := r.table(built)
		if err != nil {
			return nil, err
		}
		return update(old, t)
	}
	return nil, fmt.Errorf("no %s among %q", r.source, files)
}

// complete refuses a table that lacks a component which builds programs.
func complete(workspace string, readme []byte) error {
	builds, err := filepath.Glob(filepath.Join(workspace, "components", "*", "BUILD.bazel"))
	if err != nil {
		return err
	}
	var missing []string
	for _, file := range builds {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		component := filepath.Base(filepath.Dir(file))
		if bytes.Contains(text, []byte("fips_go_binary(")) && !bytes.Contains(readme, fmt.Appendf(nil, "| [%s](", component)) {
			missing = append(missing, component)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("the report has no program of %s: put them into an image, or name them in `binaries` of images/BUILD.bazel", strings.Join(missing, ", "))
	}
	return nil
}
