// Package remote_cache_test builds etcd, runc and their images in two other places, one after the other, through a cache that the
// distribution's own bazel-remote serves, and then breaks the cache in every way that it can break in.
package remote_cache_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kubefips.internal/tests/internal/clone"
	"kubefips.internal/tests/internal/proc"
	"kubefips.internal/tests/reproducibility"
	"kubefips.internal/tools/fipscheck/boring"
)

func TestMain(m *testing.M) { clone.Main(m) }

const image = "//images/etcd:image"

// built are the files and layouts that are compared; the first build's are this test's data.
var built = strings.Fields(os.Getenv("BUILT"))

// The steps build on each other: the first, which compiles, takes minutes.
func TestBuildsElsewhere(t *testing.T) {
	s := startServer(t, options{})
	ci := append([]string{"--config=ci"}, s.flagsOf(s.issue(t, "ci"))...)
	anyone := append([]string{"--config=cache-read"}, s.flags()...)
	targets := strings.Fields(os.Getenv("TARGETS"))

	a := clone.New(t, "a")
	step(t, "from nothing, the same bytes", func(t *testing.T) {
		// What the first build made of fetched sources is not taken either.
		build := mustBuild(t, a, append(append(ci, "--repo_env=REPO_CONTENTS_CACHE="), targets...)...)
		if build.Ran() == 0 {
			t.Errorf("nothing was compiled: %v", build.Spawns)
		}
		compareWithFirst(t, a)
	})
	t.Run("no command line names the place", func(t *testing.T) { a.CheckCommandLines(t, targets...) })

	b := clone.New(t, "another", "folder", "deeper")
	before := s.files(t)
	step(t, "in a fresh clone, every action is a hit", func(t *testing.T) {
		build := mustBuild(t, b, append(anyone, targets...)...)
		if n := build.Ran(); n != 0 {
			t.Errorf("%d actions ran: %v\n%s", n, build.Spawns, build.Output)
		}
		if hits := build.Spawns["remote cache hit"]; hits < 100 {
			t.Errorf("%d remote cache hits: %v", hits, build.Spawns)
		}
		compareWithFirst(t, b)
		if after := s.files(t); after != before {
			t.Errorf("the cache had %d files, and has %d", before, after)
		}
	})
	etcdutl := fileOf(t, "components/etcd/etcdutl")
	step(t, "a corrupted blob is not taken", func(t *testing.T) {
		restore := corrupt(t, s, sha256.Sum256(etcdutl))
		defer restore()
		clean(t, b)
		build, err := b.Build(append(anyone, targets...)...)
		if err == nil {
			t.Fatalf("it was taken: %v", build.Spawns)
		}
		if want := fmt.Sprintf("Expected digest '%x", sha256.Sum256(etcdutl)); !strings.Contains(build.Output, want) {
			t.Errorf("it does not say which:\n%s", build.Output)
		}
	})
	step(t, "a poisoned result does not get into an image", func(t *testing.T) {
		poison(t, s, etcdutl, tampered(t, etcdutl))
		clean(t, b)
		build, err := b.Build(append(anyone, image)...)
		if err == nil {
			t.Fatalf("the image was built, with a changed module inside: %v", build.Spawns)
		}
		if !strings.Contains(build.Output, "was altered") {
			t.Errorf("it does not say why:\n%s", build.Output)
		}
	})
}

// step runs a part of a test that the following parts need.
func step(t *testing.T, name string, do func(t *testing.T)) {
	t.Helper()
	start := time.Now()
	if !t.Run(name, do) {
		t.FailNow()
	}
	t.Logf("%s: %.0f s", name, time.Since(start).Seconds())
}

func mustBuild(t *testing.T, c *clone.Clone, args ...string) *clone.Build {
	t.Helper()
	build, err := c.Build(args...)
	if err != nil {
		t.Fatal(err)
	}
	return build
}

// clean makes Bazel forget what it has built, but not what it has fetched.
func clean(t *testing.T, c *clone.Clone) {
	t.Helper()
	if _, _, err := c.Bazel("clean"); err != nil {
		t.Fatal(err)
	}
}

// fileOf returns a file of the first build, by the end of its name.
func fileOf(t *testing.T, name string) []byte {
	t.Helper()
	for _, location := range built {
		if strings.HasSuffix(location, name) {
			content, err := os.ReadFile(proc.Runfile(t, location))
			if err != nil {
				t.Fatal(err)
			}
			return content
		}
	}
	t.Fatalf("%s is not among %q", name, built)
	return nil
}

func compareWithFirst(t *testing.T, c *clone.Clone) {
	t.Helper()
	files, err := c.Files(strings.Fields(os.Getenv("TARGETS"))...)
	if err != nil {
		t.Fatal(err)
	}
	for _, location := range built {
		name := strings.TrimPrefix(location, "_main")
		i := slices.IndexFunc(files, func(file string) bool { return strings.HasSuffix(file, name) })
		if i < 0 {
			t.Errorf("%s is not among %q", name, files)
		} else if err := reproducibility.Compare(proc.Runfile(t, location), files[i]); err != nil {
			t.Errorf("%s: %v", location, err)
		}
	}
}

// corrupt flips a bit of a blob in the server's folder.
func corrupt(t *testing.T, s *server, sum [sha256.Size]byte) (restore func()) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.dir, "cas.v2", fmt.Sprintf("%x", sum[:1]), fmt.Sprintf("%x*", sum)))
	if err != nil || len(files) != 1 {
		t.Fatalf("files of the blob %x: %q, %v", sum, files, err)
	}
	content, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	flip := func() {
		content[len(content)/2] ^= 1
		if err := os.WriteFile(files[0], content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	flip()
	return flip
}

// tampered returns a program with one byte of its cryptographic module changed.
func tampered(t *testing.T, program []byte) []byte {
	t.Helper()
	for _, module := range boring.Modules {
		mac, err := hex.DecodeString(module.MAC)
		if err != nil {
			t.Fatal(err)
		}
		if at := bytes.Index(program, mac); at >= 0 {
			changed := bytes.Clone(program)
			changed[at-int(module.MACOffset)+0x5000] ^= 1
			return changed
		}
	}
	t.Fatal("the program has no BoringCrypto module")
	return nil
}

// poison does what someone can who may write: the results of actions that made a file now say that they made another
// one, which is there too.
func poison(t *testing.T, s *server, file, other []byte) {
	t.Helper()
	from, to := fmt.Sprintf("%x", sha256.Sum256(file)), fmt.Sprintf("%x", sha256.Sum256(other))
	if _, err := s.do(http.MethodPut, "/cas/"+to, other); err != nil {
		t.Fatal(err)
	}
	changed := 0
	err := filepath.WalkDir(filepath.Join(s.dir, "ac.v2"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		result, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(result, []byte(from)) {
			return err
		}
		changed++
		key, _, _ := strings.Cut(d.Name(), "-")
		_, err = s.do(http.MethodPut, "/ac/"+key, bytes.ReplaceAll(result, []byte(from), []byte(to)))
		return err
	})
	if err != nil || changed == 0 {
		t.Fatalf("poisoned %d results: %v", changed, err)
	}
}
