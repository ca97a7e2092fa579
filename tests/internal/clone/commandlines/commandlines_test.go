package commandlines_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kubefips.internal/tests/internal/clone/commandlines"
)

const action = `action 'Compiling Go package example'
  Mnemonic: GoCompilePkg
  Target: @@gazelle~~go_deps~org_example//x:x
  Configuration: k8-opt-ST-1770000000ab
  Execution platform: //toolchains/platforms:linux_amd64
  ActionKey: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
  Environment: [CGO_ENABLED=1, PATH=/bin:/usr/bin:/usr/local/bin, PWD=/proc/self/cwd]
  ExecutionInfo: {supports-path-mapping: '1'}
  Command Line: (exec bazel-out/k8-opt/bin/builder \
    -arc 'example.org/x=https://example.org/x=bazel-out/x.a' \
    %s \
    '-X main.version=v1.2.3-0.20260101000000-abcdef123456')
# Configuration: 9f86d081
  Params File Content (bazel-out/x.params):
    %s
  Substitutions: [
    {entrypoint: /usr/local/bin/x}
  ]
`

func TestCheck(t *testing.T) {
	now := time.Now().UTC()
	tree := sourceTree(t, now.AddDate(0, 0, -2))
	for word, want := range map[string]string{ // "" when nothing is wrong
		"//components/x:x":           "",
		"external/x/usr/include/y.h": "",
		"/bin/bash":                  "",
		"sdk/2019-06-01/compute":     "",
		"1234567890":                 "",
		now.AddDate(0, 0, -2).Format("-X=" + time.RFC3339): "",
		"-I/usr/include":                       "/usr/include",
		"--sysroot=/opt/x":                     "/opt/x",
		"'cp /etc/passwd x'":                   "/etc/passwd",
		"$(/usr/bin/date)":                     "/usr/bin/date",
		"x" + tree + "/y":                      tree,
		"by-a-builder":                         "a-builder",
		now.Format("-X=" + time.RFC3339):       now.Format(time.DateOnly),
		fmt.Sprint("SOURCE_DATE=", now.Unix()): fmt.Sprint(now.Unix()),
	} {
		for i, place := range [][2]any{{word, "x"}, {"x", word}} {
			t.Run(fmt.Sprint(word, "_", i), func(t *testing.T) {
				text := strings.Repeat(fmt.Sprintf(action, "x", "x"), 100) + fmt.Sprintf(action, place[:]...)
				got, err := commandlines.Check(strings.NewReader(text), tree, "a-builder")
				if err != nil {
					t.Fatal(err)
				}
				if want == "" && len(got) > 0 || want != "" && (len(got) != 1 || !strings.HasPrefix(got[0], fmt.Sprintf("GoCompilePkg: %q in ", want))) {
					t.Errorf("Check = %q, want %q", got, want)
				}
			})
		}
	}
}

func TestNothingToCheck(t *testing.T) {
	for tree, want := range map[string]string{t.TempDir(): "upstream.bzl", sourceTree(t, time.Now()): "printed 1 actions"} {
		if _, err := commandlines.Check(strings.NewReader(action), tree); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Check = %v, want %q", err, want)
		}
	}
}

// sourceTree returns a folder with one component, released at a time.
func sourceTree(t *testing.T, at time.Time) string {
	t.Helper()
	tree := t.TempDir()
	dir := filepath.Join(tree, "components", "x")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	upstream := fmt.Sprintf("UPSTREAM = {\n    \"time\": %q,\n}\n", at.Format(time.RFC3339))
	if err := os.WriteFile(filepath.Join(dir, "upstream.bzl"), []byte(upstream), 0o600); err != nil {
		t.Fatal(err)
	}
	return tree
}
