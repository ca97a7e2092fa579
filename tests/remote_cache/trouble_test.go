package remote_cache_test

import (
	"bytes"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"kubefips.internal/tests/internal/clone"
	"kubefips.internal/tests/internal/proc"
	"kubefips.internal/tools/pki"
)

// What does not depend on what is built.
func TestTroubleWithTheServer(t *testing.T) {
	s := startServer(t, options{})
	reader := append([]string{"--config=cache-read"}, s.flags()...)
	writer := append([]string{"--config=ci"}, s.flagsOf(s.issue(t, "ci"))...)
	c, d := clone.New(t, "c"), clone.New(t, "d")

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

	step(t, "by gRPC, compressed", func(t *testing.T) { checkGRPC(t, c) })
	step(t, "two builders at once", func(t *testing.T) { checkTwoBuilders(t, s, c, d, writer, reader) })
	step(t, "a server whose disk is full does not fail a build", func(t *testing.T) { checkFullDisk(t, c) })
	step(t, "a slow server is waited for", func(t *testing.T) { checkSlowServer(t, s, c, writer, reader) })
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
	s := startServer(t, options{byPassword: true})
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

// checkGRPC does without TLS, for which Debian's Bazel would need ALPN.
func checkGRPC(t *testing.T, c *clone.Clone) {
	s := startServer(t, options{plain: true})
	grpc := "--remote_cache=grpc://" + s.grpc
	target := writeGenrules(t, c, "grpc", 1, "{ echo %d; head -c 100000 /dev/zero; } > $@")
	mustBuild(t, c, "--config=ci", grpc, target)
	clean(t, c)
	build := mustBuild(t, c, "--config=cache-read", grpc, target)
	if build.Ran() != 0 || build.Spawns["remote cache hit"] != 1 {
		t.Errorf("want a hit: %v\n%s", build.Spawns, build.Output)
	}
	if got := content(t, c, target); len(got) != 2+100000 {
		t.Errorf("%d bytes came back", len(got))
	}
}

// checkTwoBuilders has two clones build the same actions, and others, at the same time.
func checkTwoBuilders(t *testing.T, s *server, c, d *clone.Clone, writer, reader []string) {
	// The first build of a clone is for its Bazel to start.
	mustBuild(t, d, append(reader, chain(t, d, "first", 1))...)
	same := writeGenrules(t, c, "same", 3, "sleep 3; { echo %d; head -c 20000000 /dev/zero; } > $@")
	writeGenrules(t, d, "same", 3, "sleep 3; { echo %d; head -c 20000000 /dev/zero; } > $@")
	builders := []struct {
		*clone.Clone
		own string
	}{{c, chain(t, c, "of_c", 4)}, {d, chain(t, d, "of_d", 4)}}
	builds, errs := make([]*clone.Build, 2), make([]error, 2)
	var wait sync.WaitGroup
	for i, b := range builders {
		wait.Go(func() { builds[i], errs[i] = b.Build(append(writer, same, b.own)...) })
	}
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for _, build := range builds {
		if strings.Contains(build.Output, "WARNING") {
			t.Errorf("there is a warning:\n%s", build.Output)
		}
	}
	// 4 of each alone, and 3 of both.
	if n := builds[0].Ran() + builds[1].Ran(); n <= 11 {
		t.Errorf("%d actions ran: the builds were not at the same time", n)
	}
	s.checkBlobs(t)
	for i, b := range builders {
		clean(t, b.Clone)
		build := mustBuild(t, b.Clone, append(reader, same, b.own)...)
		if build.Ran() != 0 || build.Spawns["remote cache hit"] != 7 {
			t.Errorf("builder %d: want hits only: %v\n%s", i, build.Spawns, build.Output)
		}
	}
	if first, second := content(t, c, same), content(t, d, same); !bytes.Equal(first, second) || len(first) != 2+20000000 {
		t.Errorf("they have made %d and %d bytes, which differ", len(first), len(second))
	}
	if first, second := content(t, c, builders[0].own), content(t, d, builders[1].own); !bytes.HasPrefix(first, []byte("of_c 3 ")) || !bytes.HasPrefix(second, []byte("of_d 3 ")) {
		t.Errorf("they have made %q and %q", first, second)
	}
}

// checkFullDisk has a server that has room for a few files.
func checkFullDisk(t *testing.T, c *clone.Clone) {
	s := startServer(t, options{disk: "32k"})
	writer := append([]string{"--config=ci"}, s.flagsOf(s.issue(t, "ci"))...)
	target := chain(t, c, "full", 8)
	build := mustBuild(t, c, append(writer, target)...)
	if build.Ran() != 8 || !strings.Contains(build.Output, "WARNING: Remote Cache: ") || !strings.Contains(build.Output, "no space left on device") {
		t.Errorf("want 8 actions, and that there is no space: %v\n%s", build.Spawns, build.Output)
	}
	first := content(t, c, target)
	s.checkBlobs(t)
	clean(t, c)
	build = mustBuild(t, c, append(append([]string{"--config=cache-read"}, s.flags()...), target)...)
	if hits := build.Spawns["remote cache hit"]; hits < 1 || hits > 7 {
		t.Errorf("want hits of what had room, and no others: %v\n%s", build.Spawns, build.Output)
	}
	if second := content(t, c, target); !bytes.HasPrefix(first, []byte("full 7 ")) || !bytes.Equal(first, second) {
		t.Errorf("%q was made with a full disk, and %q after it", first, second)
	}
}

// checkSlowServer has half a second between each request and its answer.
func checkSlowServer(t *testing.T, s *server, c *clone.Clone, writer, reader []string) {
	through := []string{"--remote_cache=https://" + slowly(t, s.http, 250*time.Millisecond)} // the last one counts
	target := chain(t, c, "slow", 4)
	build := mustBuild(t, c, append(append(writer, through...), target)...)
	if build.Ran() != 4 || strings.Contains(build.Output, "WARNING") {
		t.Errorf("want 4 actions, and no warning: %v\n%s", build.Spawns, build.Output)
	}
	first := content(t, c, target)
	clean(t, c)
	start := time.Now()
	build = mustBuild(t, c, append(append(reader, through...), target)...)
	if took := time.Since(start); build.Ran() != 0 || build.Spawns["remote cache hit"] != 4 || took < 2*time.Second {
		t.Errorf("want 4 hits, one after the other, of half a second at least: %v in %v\n%s", build.Spawns, took, build.Output)
	}
	if second := content(t, c, target); !bytes.HasPrefix(first, []byte("slow 3 ")) || !bytes.Equal(first, second) {
		t.Errorf("%q was written, and %q read", first, second)
	}
}

// content is what a target has made.
func content(t *testing.T, c *clone.Clone, target string) []byte {
	t.Helper()
	files, err := c.Files(target)
	if err != nil || len(files) != 1 {
		t.Fatalf("files of %s: %q, %v", target, files, err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// chain writes a package of n actions, one after the other, that nobody has run before, and returns its last target.
func chain(t *testing.T, c *clone.Clone, name string, n int) string {
	t.Helper()
	return writeGenrules(t, c, name, n, fmt.Sprintf("sleep 0.3; echo %s %%d %d > $@", name, time.Now().UnixNano()))
}

// writeGenrules writes a package of n actions, each of which needs the one before, and returns the last target. The command
// gets the number of its action.
func writeGenrules(t *testing.T, c *clone.Clone, name string, n int, command string) string {
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
		fmt.Fprintf(&text, "genrule(name = \"%d\", srcs = %s, outs = [\"%d.txt\"], cmd = %q)\n", i, src, i, fmt.Sprintf(command, i))
	}
	if err := os.WriteFile(filepath.Join(dir, "BUILD.bazel"), []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("//tests/chain/%s:%d", name, n-1)
}
