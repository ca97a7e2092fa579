// Package cluster runs Bazel's Remote Execution API on one machine: bazel-remote keeps what actions read and write,
// Buildbarn's scheduler hands actions to workers, and each worker starts them by a runner that is shut in a root with
// nothing but two shells.
package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// startTimeout is how long a program has until it answers, on a machine that is busy.
const startTimeout = 2 * time.Minute

// tooShort is how long a worker has to live to be started again.
const tooShort = 2 * time.Second

// Run runs a cluster until the context ends, or its store or scheduler does, and stops all that it has started. A worker that
// ends is told to lost, and started again.
func Run(ctx context.Context, c Config, ready func(), lost func(error)) error {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return err
	}
	unlock, err := lock(c.Dir)
	if err != nil {
		return err
	}
	defer unlock()
	for _, address := range []string{c.Scheduler, c.Store} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			return fmt.Errorf("%w; another cluster-build may be running, or choose another port by --scheduler and --store", err)
		}
		l.Close()
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}

	runtime.LockOSThread() // Pdeathsig is for the end of the thread that started the process
	defer runtime.UnlockOSThread()
	r := &running{dir: c.Dir, ended: make(chan *program)}
	defer r.stop()
	if err := removeStale(c.Dir, storeSocket); err != nil {
		return err
	}
	if err := r.start(exec.Command(c.Programs.BazelRemote, c.bazelRemote()...), "store", ""); err != nil {
		return err
	}
	if err := r.await(ctx, "tcp", c.Store); err != nil {
		return err
	}
	config, err := writeConfig(c.Dir, "scheduler.json", c.scheduler())
	if err != nil {
		return err
	}
	if err := r.start(exec.Command(c.Programs.Scheduler, config), "scheduler", ""); err != nil {
		return err
	}
	if err := errors.Join(r.await(ctx, "tcp", c.Scheduler), r.await(ctx, "unix", schedulerSocket)); err != nil {
		return err
	}
	for i := range c.Workers {
		if err := r.startWorker(ctx, c, self, fmt.Sprintf("worker-%d", i)); err != nil {
			return err
		}
	}
	ready()
	for {
		select {
		case <-ctx.Done():
			return nil
		case p := <-r.ended:
			if p.stopped {
				continue
			}
			if p.worker == "" || time.Since(p.started) < tooShort {
				return p.err
			}
			lost(p.err)
			r.stopWorker(p.worker)
			if err := r.startWorker(ctx, c, self, p.worker); err != nil {
				return err
			}
		}
	}
}

// startWorker starts a worker and its runner.
func (r *running) startWorker(ctx context.Context, c Config, self, name string) error {
	w := worker{dir: c.Dir, name: name}
	for _, folder := range []string{"build", "cache", "root", "run"} {
		if err := os.MkdirAll(w.path(folder), 0o700); err != nil {
			return err
		}
	}
	if _, err := writeConfig(w.path("run"), runnerConfig, c.runner()); err != nil {
		return err
	}
	socket := filepath.Join(name, "run", runnerSocket)
	if err := removeStale(c.Dir, socket); err != nil {
		return err
	}
	if err := r.start(runnerCommand(self, w, c.Programs), name+"-runner", name); err != nil {
		return err
	}
	if err := r.await(ctx, "unix", socket); err != nil {
		return err
	}
	config, err := writeConfig(w.path("."), "worker.json", c.worker(w))
	if err != nil {
		return err
	}
	return r.start(exec.Command(c.Programs.Worker, config), name, name)
}

// lock keeps a second cluster out of the folder.
func lock(dir string) (unlock func(), err error) {
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		file.Close()
		return nil, fmt.Errorf("%s belongs to another cluster-build that is running; choose another folder by --dir: %w", dir, err)
	}
	return func() { file.Close() }, nil
}

func removeStale(dir, socket string) error {
	if err := os.Remove(filepath.Join(dir, socket)); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}

func writeConfig(dir, name string, config object) (string, error) {
	text, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, name)
	return file, os.WriteFile(file, text, 0o600)
}

// running are the programs of a cluster.
type running struct {
	dir   string
	ended chan *program
	last  []*program // in the order of their start
}

type program struct {
	cmd     *exec.Cmd
	worker  string // that it is a part of
	started time.Time
	done    chan struct{}
	err     error // says how it has ended
	stopped bool  // by this program, which is how it had to end
}

// start starts a program in the cluster's folder, with its log there.
func (r *running) start(cmd *exec.Cmd, name, worker string) error {
	logFile := filepath.Join(r.dir, name+".log")
	log, err := os.Create(logFile)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Dir, cmd.Stdout, cmd.Stderr = r.dir, log, log
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true              // Ctrl-C comes here only, and they are stopped in order
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL // nothing is left when this is killed
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", name, err)
	}
	p := &program{cmd: cmd, worker: worker, started: time.Now(), done: make(chan struct{})}
	r.last = append(r.last, p)
	go func() {
		err := cmd.Wait()
		p.err = fmt.Errorf("%s has ended (%v); the end of %s:\n%s", name, err, logFile, tail(logFile))
		close(p.done)
		r.ended <- p
	}()
	return nil
}

// await returns when something answers at the address, from the cluster's folder if it is a path.
func (r *running) await(ctx context.Context, network, address string) error {
	if network == "unix" {
		// Not by connecting: the path may be too long.
		address = filepath.Join(r.dir, address)
	}
	for end := time.Now().Add(startTimeout); ; {
		var err error
		if network == "unix" {
			_, err = os.Stat(address)
		} else {
			var conn net.Conn
			if conn, err = net.Dial(network, address); err == nil {
				conn.Close()
			}
		}
		if err == nil {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("no answer within %v; the logs are in %s: %w", startTimeout, r.dir, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case p := <-r.ended:
			if !p.stopped {
				return p.err
			}
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// stop stops the programs, the last one first.
func (r *running) stop() {
	for _, p := range slices.Backward(r.last) {
		p.stop()
	}
}

// stopWorker stops what is left of a worker.
func (r *running) stopWorker(name string) {
	r.last = slices.DeleteFunc(r.last, func(p *program) bool {
		if p.worker == name {
			p.stop()
		}
		return p.worker == name
	})
}

func (p *program) stop() {
	p.stopped = true
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		p.cmd.Process.Kill()
		<-p.done
	}
}

// tail is the end of a log.
func tail(file string) []byte {
	text, err := os.ReadFile(file)
	if err != nil {
		return []byte(err.Error())
	}
	return text[max(0, len(text)-2000):]
}
