// Package starlarkfile reads the generated tables of this tree: Starlark files
// that Bazel loads and that hold one value of strings and dictionaries.
package starlarkfile

import (
	"encoding/json"
	"fmt"
	"os"

	starjson "go.starlark.net/lib/json"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// Read evaluates the file and decodes its global variable name into v, as
// encoding/json would.
func Read(file, name string, v any) error {
	src, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	thread := &starlark.Thread{Name: file}
	globals, err := starlark.ExecFileOptions(&syntax.FileOptions{}, thread, file, src, nil)
	if err != nil {
		return fmt.Errorf("reading %s: %w", file, err)
	}
	value, ok := globals[name]
	if !ok {
		return fmt.Errorf("%s: no variable %s", file, name)
	}
	encoded, err := starlark.Call(thread, starjson.Module.Members["encode"], starlark.Tuple{value}, nil)
	if err != nil {
		return fmt.Errorf("%s: %s: %w", file, name, err)
	}
	s, _ := starlark.AsString(encoded)
	if err := json.Unmarshal([]byte(s), v); err != nil {
		return fmt.Errorf("%s: %s: %w", file, name, err)
	}
	return nil
}
