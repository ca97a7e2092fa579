// Command readme writes the table of programs in README.md from the report on
// the distribution:
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

// run writes the README of the workspace. Among the files is the report.
func run(workspace string, files []string) error {
	if workspace == "" {
		return errors.New("start it by `tools/bazel run //tools/readme`")
	}
	reportJSON, err := readReport(files)
	if err != nil {
		return err
	}
	name := filepath.Join(workspace, "README.md")
	old, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	updated, err := update(old, reportJSON)
	if err != nil {
		return err
	}
	if err := complete(workspace, updated); err != nil {
		return err
	}
	if bytes.Equal(old, updated) {
		return nil
	}
	return os.WriteFile(name, updated, 0o644)
}

// readReport finds the JSON report among the files of //:fips_report.
func readReport(files []string) ([]byte, error) {
	for _, f := range files {
		if strings.HasSuffix(f, ".json") && !strings.HasSuffix(f, ".intoto.json") {
			return os.ReadFile(f)
		}
	}
	return nil, fmt.Errorf("no JSON report among %q", files)
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
