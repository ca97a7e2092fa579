// Package remote_execution_test builds on the workers of a build cluster, from a clone of the source tree in which nothing may
// run, and compares with what was built here.
package remote_execution_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kubefips.internal/tests/internal/clone"
	"kubefips.internal/tests/internal/proc"
	"kubefips.internal/tests/reproducibility"
	"kubefips.internal/tools/cluster-build/simulate/sizing"
)

func TestMain(m *testing.M) { clone.Main(m) }

// A cluster is a running cluster-build.
type cluster struct {
	scheduler, store, dir string
	process               *exec.Cmd
	stderr                *log
}

func start(t *testing.T, workers int) *cluster {
	t.Helper()
	c := &cluster{
		scheduler: fmt.Sprintf("127.0.0.1:%d", proc.FreePort(t)),
		store:     fmt.Sprintf("127.0.0.1:%d", proc.FreePort(t)),
		dir:       t.TempDir(),
		stderr:    &log{},
	}
	c.process = c.command(t, workers)
	c.process.Stderr = c.stderr
	c.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.process.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		c.process.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		if t.Failed() {
			c.logs(t)
		}
		// All that it started ends with it; else the ports are taken, and the folder cannot be removed.
		c.process.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(time.Minute):
			c.process.Process.Kill()
			t.Error("cluster-build did not end within a minute after SIGTERM")
		}
		if code := c.process.ProcessState.ExitCode(); code != 0 {
			t.Errorf("cluster-build ended with %d\n%s", code, c.stderr)
		}
		for _, address := range []string{c.scheduler, c.store} {
			if conn, err := net.Dial("tcp", address); err == nil {
				conn.Close()
				t.Errorf("something still answers at %s", address)
			}
		}
	})
	proc.Eventually(t, 2*time.Minute, func() error {
		select {
		case <-ended:
			t.Fatalf("cluster-build has ended:\n%s", c.stderr)
		default:
		}
		if !strings.Contains(c.stderr.String(), "are ready") {
			return fmt.Errorf("it is not ready: %s", c.stderr)
		}
		return nil
	})
	return c
}

func (c *cluster) command(t *testing.T, workers int) *exec.Cmd {
	return exec.Command(proc.Runfile(t, os.Getenv("CLUSTER_BUILD")),
		"--scheduler="+c.scheduler, "--store="+c.store, "--dir="+c.dir, fmt.Sprintf("--workers=%d", workers), "--max-size=3")
}

// flags are Bazel's.
func (c *cluster) flags(targets ...string) []string {
	return append([]string{"--config=remote", "--remote_executor=grpc://" + c.scheduler, "--remote_cache=grpc://" + c.store}, targets...)
}

// processes are those of a worker and of its runner, with all that this has started: number and command line.
func (c *cluster) processes(t *testing.T, worker string) map[int]string {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	found := map[int]string{}
	for _, dir := range dirs {
		// Processes end while they are looked at.
		command, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		mounts, _ := os.ReadFile(filepath.Join(dir, "mountinfo"))                                           // the folder is mounted in the runner's root
		of := []byte(filepath.Join(filepath.Base(filepath.Dir(c.dir)), filepath.Base(c.dir), worker) + "/") // whatever is mounted above it
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil && (bytes.Contains(command, of) || bytes.Contains(mounts, of)) {
			found[pid] = string(bytes.ReplaceAll(command, []byte{0}, []byte(" ")))
		}
	}
	return found
}

// pin gives a worker, and all that it will start, one processor of those that there are.
func (c *cluster) pin(t *testing.T, worker string, processor int) {
	t.Helper()
	var all, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		t.Fatal(err)
	}
	var processors []int
	for i := range 1024 {
		if all.IsSet(i) {
			processors = append(processors, i)
		}
	}
	one.Set(processors[processor%len(processors)])
	pinned := 0
	for range 2 { // threads that were made in the meantime
		for pid := range c.processes(t, worker) {
			threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
			if err != nil {
				t.Fatal(err)
			}
			for _, thread := range threads {
				if id, err := strconv.Atoi(filepath.Base(thread)); err == nil && unix.SchedSetaffinity(id, &one) == nil {
					pinned++
				}
			}
		}
	}
	if pinned == 0 {
		t.Fatalf("%s has no threads", worker)
	}
}

func (c *cluster) logs(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(c.dir, "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil {
			t.Logf("the end of %s:\n%s", file, text[max(0, len(text)-2000):])
		}
	}
}

func TestBuildsElsewhere(t *testing.T) {
	c := start(t, 2)
	tree := clone.New(t, "a")
	for i := range 2 {
		c.pin(t, fmt.Sprintf("worker-%d", i), i)
	}

	step(t, "a worker has nothing to compile with, and no network", func(t *testing.T) {
		target := writeRule(t, tree, "root", `{
			for p in as cc c++ clang gcc go ld python3; do
				if command -v $$p; then echo "there is a $$p" >&2; exit 1; fi
			done
			ls /
			cut -s -d : -f 1 /proc/net/dev
			nproc
		} > $@`)
		build, err := tree.Build(c.flags(target)...)
		if err != nil {
			t.Fatal(err)
		}
		wantRemote(t, build, 1)
		files, err := tree.Files(target)
		if err != nil || len(files) != 1 {
			t.Fatalf("%q, %v", files, err)
		}
		got, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		// Folders; network interfaces: loopback alone; processors, of which the programs to compare with were built with more.
		if want := []string{"bin", "dev", "proc", "tmp", "usr", "worker", "lo", "1"}; !slices.Equal(strings.Fields(string(got)), want) {
			t.Errorf("want only %q, got\n%s", want, got)
		}
	})
	step(t, "what fails there fails here", func(t *testing.T) {
		build, err := tree.Build(c.flags(writeRule(t, tree, "fails", `echo the reason >&2; false`))...)
		if err == nil || !strings.Contains(build.Output, "the reason") {
			t.Errorf("err = %v; want a failure with its reason:\n%s", err, build.Output)
		}
	})
	step(t, "a worker that dies in the middle is replaced, and its action runs again", func(t *testing.T) { checkDeath(t, c, tree) })
	targets := strings.Fields(os.Getenv("TARGETS"))
	t.Run("no command line names the place", func(t *testing.T) { tree.CheckCommandLines(t, targets...) })
	step(t, "the same bytes, and nothing ran here", func(t *testing.T) {
		log := filepath.Join(t.TempDir(), "log")
		build, err := tree.Build(append(c.flags(targets...), "--execution_log_compact_file="+log)...)
		if err != nil {
			t.Fatal(err)
		}
		wantRemote(t, build, 100)
		t.Logf("%v", build.Spawns)
		checkLog(t, log)
		files, err := tree.Files(targets...)
		if err != nil {
			t.Fatal(err)
		}
		for _, location := range strings.Fields(os.Getenv("BUILT")) {
			name := strings.TrimPrefix(location, "_main")
			i := slices.IndexFunc(files, func(file string) bool { return strings.HasSuffix(file, name) })
			if i < 0 {
				t.Errorf("%s is not among %q", name, files)
			} else if err := reproducibility.Compare(proc.Runfile(t, location), files[i]); err != nil {
				t.Errorf("%s: %v", location, err)
			}
		}
	})
}

// checkDeath kills a worker with its runner while both workers run an action.
func checkDeath(t *testing.T, c *cluster, tree *clone.Clone) {
	var targets []string
	for i := range 4 {
		targets = append(targets, writeRule(t, tree, fmt.Sprintf("dies_%d", i), fmt.Sprintf("sleep 5; echo %d > $@", i)))
	}
	var build *clone.Build
	ended := make(chan error)
	go func() {
		var err error
		build, err = tree.Build(c.flags(targets...)...)
		ended <- err
	}()
	var killed map[int]string
	proc.Eventually(t, time.Minute, func() error {
		killed = c.processes(t, "worker-1")
		for _, command := range killed {
			if strings.HasPrefix(command, "sleep ") {
				return nil
			}
		}
		return fmt.Errorf("no action runs on worker-1: %v", killed)
	})
	for pid := range killed {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	wantRemote(t, build, len(targets))
	files, err := tree.Files(targets...)
	if err != nil || len(files) != len(targets) {
		t.Fatalf("%q, %v", files, err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if want := strings.TrimPrefix(filepath.Base(filepath.Dir(file)), "dies_") + "\n"; err != nil || string(content) != want {
			t.Errorf("%s: %q, %v, want %q", file, content, err, want)
		}
	}
	if said := c.stderr.String(); !strings.Contains(said, "starting it again: worker-1") {
		t.Errorf("cluster-build does not say that a worker has died: %s", said)
	}
	proc.Eventually(t, time.Minute, func() error {
		alive := c.processes(t, "worker-1")
		for pid := range killed {
			if _, same := alive[pid]; same {
				return fmt.Errorf("process %d has not died", pid)
			}
		}
		if len(alive) < 2 {
			return fmt.Errorf("worker-1 and its runner do not run: %v", alive)
		}
		return nil
	})
}

// checkLog reads what tools/cluster-build/simulate reads.
func checkLog(t *testing.T, file string) {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	log, err := sizing.Read(f, func(string) (time.Duration, error) { return 0, fs.ErrNotExist })
	if err != nil {
		t.Fatal(err)
	}
	critical, err := log.CriticalPath(sizing.Costs{})
	if err != nil {
		t.Fatal(err)
	}
	sources, made := log.Bytes()
	t.Logf("%d actions of %v, critical path %v, %d bytes of sources, %d made", len(log.Actions), log.Work(), critical, sources, made)
	if len(log.Actions) < 100 || critical < 10*time.Second || critical >= log.Work() || sources < 100<<20 || made < 10<<20 {
		t.Error("that is not what a log of this build says")
	}
}

func TestTakenPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := &cluster{scheduler: l.Addr().String(), store: fmt.Sprintf("127.0.0.1:%d", proc.FreePort(t)), dir: t.TempDir()}
	out, err := c.command(t, 1).CombinedOutput()
	if err == nil || !strings.Contains(string(out), c.scheduler) || !strings.Contains(string(out), "--scheduler") {
		t.Errorf("err = %v; it does not say which port is taken, and what to do: %s", err, out)
	}
}

// wantRemote checks that at least n actions ran, and all of them on workers.
func wantRemote(t *testing.T, build *clone.Build, n int) {
	t.Helper()
	if build.Spawns["remote"] < n || build.Ran() != build.Spawns["remote"] {
		t.Errorf("want at least %d actions, all of them remote: %v\n%s", n, build.Spawns, build.Output)
	}
}

// writeRule writes a package with one rule and returns its label.
func writeRule(t *testing.T, tree *clone.Clone, name, command string) string {
	t.Helper()
	dir := filepath.Join(tree.Dir, "tests", "written", name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("genrule(name = %q, outs = [\"out.txt\"], cmd = r'''%s''')\n", name, command)
	if err := os.WriteFile(filepath.Join(dir, "BUILD.bazel"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("//tests/written/%s", name)
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

// A log may be read while a process writes it.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
