// Package remote_cache_test builds etcd and its image in two other places, one after the other, through a cache that the
// distribution's own bazel-remote serves, and then breaks the cache in every way that it can break in.
package remote_cache_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"kubefips.internal/tests/internal/clone"
	"kubefips.internal/tests/internal/proc"
	"kubefips.internal/tests/reproducibility"
	"kubefips.internal/tools/fipscheck/boring"
	"kubefips.internal/tools/pki"
)

func TestMain(m *testing.M) { clone.Main(m) }

const image = "//images/etcd:image"

// built are the files that are compared; the first build's are this test's data.
var built = strings.Fields(os.Getenv("BUILT"))

// The steps build on each other: the first, which compiles, takes minutes.
func TestBuildsElsewhere(t *testing.T) {
	s := startServer(t, false)
	ci := append([]string{"--config=ci"}, s.flagsOf(s.issue(t, "ci"))...)
	anyone := append([]string{"--config=cache-read"}, s.flags()...)
	targets := strings.Fields(os.Getenv("TARGETS"))

	a := clone.New(t, "a")
	step(t, "from nothing, the same bytes", func(t *testing.T) {
		build := mustBuild(t, a, append(ci, targets...)...)
		if build.Ran() == 0 {
			t.Errorf("nothing was compiled: %v", build.Spawns)
		}
		compareWithFirst(t, a)
	})
	t.Run("no command line names the place", func(t *testing.T) { checkCommandLines(t, a) })

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

// What does not depend on what is built.
func TestTroubleWithTheServer(t *testing.T) {
	s := startServer(t, false)
	reader := append([]string{"--config=cache-read"}, s.flags()...)
	writer := append([]string{"--config=ci"}, s.flagsOf(s.issue(t, "ci"))...)
	c := clone.New(t, "c")

	step(t, "who may write does, and others read it", func(t *testing.T) {
		target := chain(t, c, "written", 2)
		mustBuild(t, c, append(writer, target)...)
		clean(t, c)
		build := mustBuild(t, c, append(reader, target)...)
		if build.Ran() != 0 || build.Spawns["remote cache hit"] != 2 {
			t.Errorf("want two hits: %v\n%s", build.Spawns, build.Output)
		}
	})
	step(t, "a password lets write as well as a certificate, a wrong one does not", func(t *testing.T) { checkPassword(t, c) })
	before := s.files(t)
	step(t, "who may not write does not, whatever Bazel is told", func(t *testing.T) {
		target := chain(t, c, "refused", 2)
		build := mustBuild(t, c, append(append([]string{"--config=ci"}, s.flags()...), target)...)
		if !strings.Contains(build.Output, "no valid client certificate") {
			t.Errorf("it does not say that it could not write:\n%s", build.Output)
		}
	})
	step(t, "the certificate of another authority is refused", func(t *testing.T) {
		stranger, err := pki.NewCA(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := stranger.Issue("ci", pkix.Name{CommonName: "ci"})
		if err != nil {
			t.Fatal(err)
		}
		build := mustBuild(t, c, append(append([]string{"--config=ci"}, s.flagsOf(leaf)...), chain(t, c, "stranger", 2))...)
		wantSSLWarning(t, build)
	})
	step(t, "a server that cannot prove its name is not used", func(t *testing.T) {
		stranger, err := pki.NewCA(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		build := mustBuild(t, c, "--config=ci", "--remote_cache=https://"+s.http, "--tls_certificate="+stranger.CertFile, chain(t, c, "unproven", 2))
		wantSSLWarning(t, build)
	})
	if after := s.files(t); after != before {
		t.Errorf("the cache had %d files, and has %d", before, after)
	}

	step(t, "a server that hangs in the middle of a build does not fail it", func(t *testing.T) {
		breakDuring(t, c, s, "hangs", append(writer, "--remote_timeout=3s"), func() { s.process.Process.Signal(syscall.SIGSTOP) })
		s.process.Process.Signal(syscall.SIGCONT)
	})
	step(t, "a server that dies in the middle of a build does not fail it", func(t *testing.T) {
		breakDuring(t, c, s, "dies", writer, s.kill)
	})
	step(t, "a server that is not there does not fail a build", func(t *testing.T) {
		build := mustBuild(t, c, append(writer, chain(t, c, "gone", 2))...)
		if !strings.Contains(build.Output, "WARNING: Remote Cache") {
			t.Errorf("it does not say so:\n%s", build.Output)
		}
	})
}

func wantSSLWarning(t *testing.T, build *clone.Build) {
	t.Helper()
	if !strings.Contains(build.Output, "WARNING: Remote Cache: SSLEngine closed already") {
		t.Errorf("it does not say that one side refused the other:\n%s", build.Output)
	}
}

// breakDuring builds, and breaks the server when the first results have reached it.
func breakDuring(t *testing.T, c *clone.Clone, s *server, name string, flags []string, breakServer func()) {
	target := chain(t, c, name, 6)
	before := s.files(t)
	type result struct {
		*clone.Build
		err error
	}
	done := make(chan result)
	go func() {
		build, err := c.Build(append(flags, target)...)
		done <- result{build, err}
	}()
	proc.Eventually(t, time.Minute, func() error {
		if n := s.files(t); n < before+2 {
			return fmt.Errorf("the cache had %d files, and has %d", before, n)
		}
		return nil
	})
	breakServer()
	build := <-done
	if build.err != nil {
		t.Fatal(build.err)
	}
	if build.Ran() != 6 || !strings.Contains(build.Output, "WARNING: Remote Cache") {
		t.Errorf("want 6 actions, and a word about the cache: %v\n%s", build.Spawns, build.Output)
	}
}
func checkPassword(t *testing.T, c *clone.Clone) {
	s := startServer(t, true)
	netrc := filepath.Join(t.TempDir(), "netrc")
	c.Setenv("NETRC", netrc)
	for _, attempt := range []struct{ password, says string }{
		{"wrong", "401 Unauthorized"},
		{password, ""},
	} {
		if err := os.WriteFile(netrc, fmt.Appendf(nil, "machine 127.0.0.1 login %s password %s\n", user, attempt.password), 0o600); err != nil {
			t.Fatal(err)
		}
		before := s.files(t)
		build := mustBuild(t, c, append(append([]string{"--config=ci"}, s.flags()...), chain(t, c, "password_"+attempt.password, 2))...)
		if written := s.files(t) > before; written != (attempt.says == "") {
			t.Errorf("password %q: written = %t", attempt.password, written)
		}
		if !strings.Contains(build.Output, attempt.says) {
			t.Errorf("password %q: it does not say %q:\n%s", attempt.password, attempt.says, build.Output)
		}
	}
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

// chain writes a package of n actions, one after the other, that nobody has run before, and returns its last target.
func chain(t *testing.T, c *clone.Clone, name string, n int) string {
	t.Helper()
	dir := filepath.Join(c.Dir, "tests", "chain", name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for i := range n {
		src := "[]"
		if i > 0 {
			src = fmt.Sprintf("[\"%d\"]", i-1)
		}
		fmt.Fprintf(&text, "genrule(name = \"%d\", srcs = %s, outs = [\"%d.txt\"], cmd = \"sleep 0.3; echo %s %d %d > $@\")\n", i, src, i, name, i, time.Now().UnixNano())
	}
	if err := os.WriteFile(filepath.Join(dir, "BUILD.bazel"), []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("//tests/chain/%s:%d", name, n-1)
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
