package clone

import (
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"kubefips.internal/tests/internal/clone/commandlines"
)

// CheckCommandLines looks through all that Bazel would run for targets: no path of this machine, no name or home of its
// users, no name of its own, no time.
func (c *Clone) CheckCommandLines(t *testing.T, targets ...string) {
	t.Helper()
	out, _, err := c.Bazel("aquery", append([]string{"--disk_cache="}, commandlines.Arguments(targets...)...)...)
	if err != nil {
		t.Fatal(err)
	}
	first, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	wrong, err := commandlines.Check(strings.NewReader(out), c.Dir, filepath.Dir(c.Dir), User, Host, "/tmp/", "/home/", first.HomeDir+"/")
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range wrong {
		t.Error(w)
	}
}
