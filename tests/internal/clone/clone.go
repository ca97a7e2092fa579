// Package clone builds a copy of the source tree by a Bazel of its own, inside a test of the first one: another folder,
// output base, user, host name, umask, time zone and locale, and no disk cache.
package clone

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/bazelbuild/rules_go/go/runfiles"
	"golang.org/x/sys/unix"
)

// User and Host are who builds in a clone, and where.
const (
	User = "kubefips-second-builder"
	Host = "kubefips-second-host"

	userID = 54321
	asUser = "KUBEFIPS_TEST_CLONE" // set in the environment of the process that becomes Bazel
)

// Main is the body of TestMain: it runs the tests of m, or becomes Bazel when Clone.Bazel has started this program.
func Main(m *testing.M) {
	if os.Getenv(asUser) == "" {
		os.Exit(m.Run())
	}
	os.Unsetenv(asUser)
	unix.Umask(0o077)
	err := unix.Sethostname([]byte(Host))
	if err == nil {
		// What allowed it is not Bazel's business.
		err = unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
	}
	if err == nil {
		err = syscall.Exec(os.Args[1], os.Args[1:], os.Environ())
	}
	fmt.Fprintf(os.Stderr, "starting %s: %v\n", os.Args[1], err)
	os.Exit(1)
}

// A Clone is a copy of the source tree.
type Clone struct {
	Dir string // the tree

	out string // Bazel's output user root
	env []string
}

// New makes a copy of the source tree that the test belongs to, or as much of it as the test's data has. The copy and what
// is built in it go when the test ends.
func New(t *testing.T, path ...string) *Clone {
	t.Helper()
	scratch, err := os.MkdirTemp("", "clone-")
	if err != nil {
		t.Fatal(err)
	}
	c := &Clone{Dir: filepath.Join(append([]string{scratch}, path...)...), out: filepath.Join(scratch, "out")}
	home := filepath.Join(scratch, "home")
	for _, dir := range []string{c.Dir, home} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		// environment.bzl hands these to the test, which has nothing else of the machine; but PATH.
		if slices.Contains([]string{"BAZEL_REAL", "DEBIAN_MIRROR", "GOMODCACHE", "GOPROXY", "PATH", "XDG_CACHE_HOME"}, name) {
			c.env = append(c.env, kv)
		}
	}
	c.env = append(c.env, "HOME="+home, "USER="+User, "LOGNAME="+User, "TZ=Pacific/Auckland", "LANG=tr_TR.UTF-8", "LC_ALL=tr_TR.UTF-8")
	t.Cleanup(func() {
		c.Bazel("shutdown")
		c.removeSandboxes()
		remove(scratch)
	})
	Unpack(t, c.Dir)
	return c
}

// Setenv sets a variable of Bazel's environment.
func (c *Clone) Setenv(name, value string) { c.env = append(c.env, name+"="+value) }

// Bazel runs tools/bazel in the clone; the error has all that it printed.
func (c *Clone) Bazel(command string, args ...string) (stdout, stderr string, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", "", err
	}
	cmd := exec.Command(self, append([]string{filepath.Join(c.Dir, "tools", "bazel"), "--output_user_root=" + c.out, command}, args...)...)
	cmd.Dir, cmd.Env = c.Dir, append(slices.Clone(c.env), asUser+"=1")
	var outs, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &outs, &errs
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWUTS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: userID, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: userID, HostID: os.Getegid(), Size: 1}},
		AmbientCaps: []uintptr{unix.CAP_SYS_ADMIN},
		Pdeathsig:   syscall.SIGTERM,
	}
	runtime.LockOSThread() // Pdeathsig is for the end of the thread that started the process
	defer runtime.UnlockOSThread()
	if err = cmd.Run(); err != nil {
		err = fmt.Errorf("bazel %s %s in %s: %w\n%s%s", command, strings.Join(args, " "), c.Dir, err, errs.Bytes(), outs.Bytes())
	}
	return outs.String(), errs.String(), err
}

// Files returns the files that a build of the targets has made.
func (c *Clone) Files(targets ...string) ([]string, error) {
	out, _, err := c.Bazel("cquery", "--disk_cache=", "--output=files", "set("+strings.Join(targets, " ")+")")
	if err != nil {
		return nil, err
	}
	var files []string
	for line := range strings.Lines(out) {
		files = append(files, filepath.Join(c.Dir, strings.TrimSpace(line)))
	}
	return files, nil
}

// A Build is what a build has done.
type Build struct {
	Output string         // all that Bazel printed
	Spawns map[string]int // number of actions by where they ran, as in "linux-sandbox" or "remote cache hit"
}

// Ran is the number of actions that were not taken from a cache.
func (b *Build) Ran() int {
	n := b.Spawns["total"]
	for _, free := range []string{"internal", "remote cache hit", "disk cache hit"} {
		n -= b.Spawns[free]
	}
	return n
}

// Build builds without the disk cache. The returned Build is there also when it fails.
func (c *Clone) Build(args ...string) (*Build, error) {
	events := filepath.Join(c.out, "events.json")
	if err := os.RemoveAll(events); err != nil {
		return nil, err
	}
	args = append([]string{"--disk_cache=", "--repository_cache=" + repositoryCache()}, args...)
	// At the end, since a --config among the arguments may have a file of its own, and the last one is written.
	_, log, err := c.Bazel("build", append(args, "--build_event_json_file="+events)...)
	b := &Build{Output: log, Spawns: map[string]int{}}
	return b, errors.Join(err, b.read(events))
}

// Fetch fetches a repository; its name is as in "@crane".
func (c *Clone) Fetch(repository string, args ...string) error {
	_, _, err := c.Bazel("fetch", append([]string{"--repository_cache=" + repositoryCache(), "--repo=" + repository}, args...)...)
	return err
}

func (b *Build) read(events string) error {
	file, err := os.Open(events)
	if err != nil {
		return err
	}
	defer file.Close()
	for decoder := json.NewDecoder(file); decoder.More(); {
		var event struct {
			BuildMetrics struct {
				ActionSummary struct {
					RunnerCount []struct {
						Name  string
						Count int
					}
				}
			}
		}
		if err := decoder.Decode(&event); err != nil {
			return fmt.Errorf("reading Bazel's build events: %w", err)
		}
		for _, r := range event.BuildMetrics.ActionSummary.RunnerCount {
			b.Spawns[r.Name] = r.Count
		}
	}
	return nil
}

// repositoryCache is the one of the tree that the test belongs to: content by its sha256, so it can change no result.
func repositoryCache() string {
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".cache", "kubefips", "repositories")
}

// Unpack writes the source tree into a folder: as much of it as the test's data has (source_tree.bzl).
func Unpack(t *testing.T, dir string) {
	t.Helper()
	root, err := runfiles.Rlocation("source_tree/root.tar")
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(filepath.Dir(root), func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".tar" {
			return err
		}
		return unpack(path, dir)
	})
	if err != nil {
		t.Fatalf("unpacking the source tree: %v", err)
	}
}

func unpack(archive, dir string) error {
	file, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer file.Close()
	for reader := tar.NewReader(file); ; {
		header, err := reader.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", archive, err)
		}
		path := filepath.Join(dir, header.Name)
		if header.Typeflag == tar.TypeDir {
			if err := os.MkdirAll(path, 0o700); err != nil {
				return err
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if strings.HasSuffix(path, ".MODULE.bazel") {
			// MODULE.bazel includes it, which Bazel allows in a package only; of one that is not in the test's data, nothing else is here.
			if err := touch(filepath.Join(filepath.Dir(path), "BUILD.bazel")); err != nil {
				return err
			}
		}
		content, err := io.ReadAll(reader)
		if err != nil {
			return fmt.Errorf("%s: %w", archive, err)
		}
		if err := os.WriteFile(path, content, header.FileInfo().Mode().Perm()&0o700); err != nil {
			return err
		}
	}
}

func touch(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return file.Close()
}

// removeSandboxes deletes the sandboxes that Bazel remembers in memory, where tools/bazel puts them, in a folder for each output base.
func (c *Clone) removeSandboxes() {
	bases, _ := filepath.Glob(filepath.Join(c.out, "*"))
	for _, base := range bases {
		remove(fmt.Sprintf("/dev/shm/bazel-sandbox.%x", sha256.Sum256([]byte(base))))
	}
}

// remove deletes a folder in which Bazel has left read-only ones.
func remove(dir string) {
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			os.Chmod(path, 0o700)
		}
		return nil
	})
	os.RemoveAll(dir)
}
