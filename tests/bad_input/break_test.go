package bad_input_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"kubefips.internal/tests/internal/clone"
)

// An edit breaks a file.
type edit struct {
	file string // in the tree
	find string // a regular expression with one group
	with string // in place of the group
}

// apply makes an edit, and returns the line that is wrong now and a function that restores the file.
func (e edit) apply(t *testing.T, c *clone.Clone) (line string, restore func()) {
	t.Helper()
	text := read(t, c, e.file)
	group := regexp.MustCompile(e.find).FindStringSubmatchIndex(text)
	if group == nil {
		t.Fatalf("%s has nothing like %s", e.file, e.find)
	}
	line = fmt.Sprintf("%s:%d", e.file, strings.Count(text[:group[2]], "\n")+1)
	write(t, c, e.file, text[:group[2]]+e.with+text[group[3]:])
	return line, func() { write(t, c, e.file, text) }
}

func read(t *testing.T, c *clone.Clone, file string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(c.Dir, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func write(t *testing.T, c *clone.Clone, file, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(c.Dir, file), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
