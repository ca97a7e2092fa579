// Package bad_input_test breaks one file after the other in a copy of the tree: Bazel has to say which, and, when all are restored,
// to find nothing of it left. What fails by settings or by a rule's attributes is in //tests/starlark.
package bad_input_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"kubefips.internal/tests/internal/clone"
)

func TestMain(m *testing.M) { clone.Main(m) }

const (
	goSum   = "components/crane/go.sum"
	patch   = "components/runc/patches/0001-libseccomp-for-runc.patch"
	sdkLock = "toolchains/go/sdks.lock.bzl"
	cLock   = "toolchains/debian/cc_amd64.lock.json"

	noModule  = "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	noVersion = "v0.22.999"
)

var noHash = strings.Repeat("0", 64)

// A badInput is a build that must fail.
type badInput struct {
	name   string
	edits  []edit
	flags  []string
	target string
	says   []string // LINE is where the first edit is
}

func badInputs(goVersion, truncating string) []badInput {
	sdk, entry := "@boring_sdk_"+goVersion+"//:ROOT", `"`+regexp.QuoteMeta(goVersion)+`": \{(?s:.*?)`
	return []badInput{
		{
			name:   "the hash of a Go SDK",
			edits:  []edit{{sdkLock, entry + `"sha256": "(\w+)"`, noHash}},
			target: sdk,
			says:   []string{"LINE: Go " + goVersion + ": the SDK", "but wanted " + noHash},
		},
		{
			name:   "the hash of a BoringCrypto object",
			edits:  []edit{{sdkLock, entry + `"amd64": "(\w+)"`, noHash}},
			target: sdk,
			says:   []string{"LINE: Go " + goVersion + ": the BoringCrypto object for amd64", "Nothing is compiled"},
		},
		{
			name:   "a download that ends early",
			flags:  []string{"--repo_env=GOPROXY=" + truncating, "--repository_cache=", "--repo_env=REPO_CONTENTS_CACHE="},
			target: sdk,
			says:   []string{sdkLock + ":", "Go " + goVersion + ": the SDK", truncating},
		},
		{
			name:   "the hash of a Debian package",
			edits:  []edit{{cLock, `"name": "musl-dev",(?s:.*?)"sha256": "(\w+)"`, noHash}},
			target: "@clang_musl//:llvm-ar",
			says:   []string{"LINE: Debian package musl-dev", "but wanted " + noHash},
		},
		{
			name:   "the hash of a Go module",
			edits:  []edit{{goSum, `(?m)^github\.com/google/go-containerregistry v[^/\s]+ (\S+)$`, noModule}},
			target: "@crane//cmd/crane",
			says:   []string{"components/crane/go.mod", "checksum mismatch", noModule},
		},
		{
			name: "a version that no proxy has",
			edits: []edit{
				{"components/crane/go.mod", `github\.com/google/go-containerregistry (v\S+)`, noVersion},
				{goSum, `(?m)^github\.com/google/go-containerregistry (v[^/\s]+) `, noVersion},
			},
			target: "@crane//cmd/crane",
			says:   []string{"components/crane/go.mod", "github.com/google/go-containerregistry@" + noVersion},
		},
		{
			name:   "a patch of what upstream has changed",
			edits:  []edit{{patch, `"(enosys_unsupported)\.go"`, "enosys_renamed"}},
			target: "@com_github_opencontainers_runc//:runc",
			says:   []string{patch, "runc_deps"},
		},
		{
			name:   "a main package that is not there",
			edits:  []edit{{"components/crane/BUILD.bazel", `"@crane//(cmd/crane)"`, "cmd/gone"}},
			target: "//components/crane",
			says:   []string{"components/crane/BUILD.bazel:", "cmd/gone"},
		},
	}
}

func TestBadInputIsNamed(t *testing.T) {
	c := clone.New(t, "tree")
	goVersion := regexp.MustCompile(`"go": "(\S+)"`).FindStringSubmatch(read(t, c, "components/crane/upstream.bzl"))
	if goVersion == nil {
		t.Fatal("components/crane/upstream.bzl names no Go version")
	}
	truncating := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000000")
		w.Write(make([]byte, 1000))
	}))
	defer truncating.Close()
	for _, bad := range badInputs(goVersion[1], truncating.URL) {
		t.Run(bad.name, func(t *testing.T) { bad.check(t, c) })
	}
	t.Run("and nothing is left of it", func(t *testing.T) {
		if _, err := c.Build("--nobuild", "//components/crane", "//components/runc"); err != nil {
			t.Error(err)
		}
	})
}

func (bad *badInput) check(t *testing.T, c *clone.Clone) {
	var lines []string
	for _, e := range bad.edits {
		line, restore := e.apply(t, c)
		defer restore()
		lines = append(lines, line)
	}
	start := time.Now()
	build, err := c.Build(append([]string{"--nobuild", bad.target}, bad.flags...)...)
	if err == nil {
		t.Fatalf("it was taken:\n%s", build.Output)
	}
	for _, want := range bad.says {
		if len(lines) > 0 {
			want = strings.ReplaceAll(want, "LINE", lines[0])
		}
		if !strings.Contains(build.Output, want) {
			t.Errorf("it does not say %q:\n%s", want, build.Output)
		}
	}
	t.Logf("%.0f s", time.Since(start).Seconds())
}
