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
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// startTimeout is how long a program has until it answers, on a machine that is busy.
const startTimeout = 2 * time.Minute

// Run runs a cluster until the context ends or one of its programs does, and stops all that it has started.
func Run(ctx context.Context, c Config, ready func()) error {
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
	r := &running{dir: c.Dir, ended: make(chan error)}
	defer r.stop()
	if err := removeStale(c.Dir, storeSocket); err != nil {
		return err
	}
	if err := r.start(exec.Command(c.Programs.BazelRemote, c.bazelRemote()...), "store"); err != nil {
		return err
	}
	if err := r.await(ctx, "tcp", c.Store); err != nil {
		return err
	}
	config, err := writeConfig(c.Dir, "scheduler.json", c.scheduler())
	if err != nil {
		return err
	}
	if err := r.start(exec.Command(c.Programs.Scheduler, config), "scheduler"); err != nil {
		return err
	}
	if err := errors.Join(r.await(ctx, "tcp", c.Scheduler), r.await(ctx, "unix", schedulerSocket)); err != nil {
		return err
	}
	for i := range c.Workers {
		w := worker{dir: c.Dir, name: fmt.Sprintf("worker-%d", i)}
		for _, folder := range []string{"build", "cache", "root", "run"} {
			if err := os.MkdirAll(w.path(folder), 0o700); err != nil {
				return err
			}
		}
		if _, err := writeConfig(w.path("run"), runnerConfig, c.runner()); err != nil {
			return err
		}
		if err := r.start(runnerCommand(self, w, c.Programs), w.name+"-runner"); err != nil {
			return err
		}
		if err := r.await(ctx, "unix", filepath.Join(w.name, "run", runnerSocket)); err != nil {
			return err
		}
		config, err := writeConfig(w.path("."), "worker.json", c.worker(w))
		if err != nil {
			return err
		}
		if err := r.start(exec.Command(c.Programs.Worker, config), w.name); err != nil {
			return err
		}
	}
	ready()
	select {
	case <-ctx.Done():
		return nil
	case err := <-r.ended:
		return err
	}
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
	ended chan error // gets the first program that ends by itself
	last  []*program // in the order of their start
}

type program struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// start starts a program in the cluster's folder, with its log there.
func (r *running) start(cmd *exec.Cmd, name string) error {
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
	p := &program{cmd: cmd, done: make(chan struct{})}
	r.last = append(r.last, p)
	go func() {
		err := cmd.Wait()
		close(p.done)
		select {
		case r.ended <- fmt.Errorf("%s has ended (%v); the end of %s:\n%s", name, err, logFile, tail(logFile)):
		default:
		}
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
		case err := <-r.ended:
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// stop stops the programs, the last one first.
func (r *running) stop() {
	for i := len(r.last) - 1; i >= 0; i-- {
		p := r.last[i]
		p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.done:
		case <-time.After(10 * time.Second):
			p.cmd.Process.Kill()
			<-p.done
		}
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
