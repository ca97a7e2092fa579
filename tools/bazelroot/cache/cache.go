// Package cache keeps directories that are made once and then only read. A
// directory is there whole or not at all, whatever interrupts its making, and
// of several processes that want it one makes it.
package cache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// marker is the last file written to a directory; its time is the last use.
	marker = ".complete"
	// partial ends the name of a directory that is being made.
	partial = ".partial"
	// keep is how long a directory stays that nobody uses: other branches and
	// clones may need it again.
	keep = 30 * 24 * time.Hour
)

// Cache is a directory of such directories.
type Cache struct {
	// Dir is made when it is needed.
	Dir string
	// Waiting, when set, is called once if another process holds the cache.
	Waiting func()
}

// Lookup returns the path of a complete directory and notes its use.
func (c *Cache) Lookup(name string) (string, bool) {
	dir := filepath.Join(c.Dir, name)
	m := filepath.Join(dir, marker)
	if _, err := os.Stat(m); err != nil {
		return dir, false
	}
	now := time.Now()
	// Not being able to note the use only makes an earlier removal possible.
	_ = os.Chtimes(m, now, now)
	return dir, true
}

// Ensure returns the path of the directory, which build fills if it is not
// there. The name is "<kind>-<hash of all that build depends on>".
func (c *Cache) Ensure(ctx context.Context, name string, build func(ctx context.Context, dir string) error) (string, error) {
	if dir, ok := c.Lookup(name); ok {
		return dir, nil
	}
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return "", err
	}
	unlock, err := c.lock(ctx)
	if err != nil {
		return "", err
	}
	defer unlock()
	dir, ok := c.Lookup(name)
	if ok { // made while we waited
		return dir, nil
	}
	if err := c.sweep(name); err != nil {
		return "", err
	}
	tmp := dir + partial
	if err := os.Mkdir(tmp, 0o755); err != nil {
		return "", err
	}
	if err := build(ctx, tmp); err != nil {
		return "", errors.Join(err, remove(tmp))
	}
	if err := commit(tmp, dir); err != nil {
		return "", fmt.Errorf("completing %s: %w", dir, err)
	}
	return dir, nil
}

// commit makes the content durable before the name that promises it.
func commit(tmp, dir string) error {
	d, err := os.Open(tmp)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := unix.Syncfs(int(d.Fd())); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(tmp, marker), nil, 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, dir)
}

// lock waits until no other process makes a directory. The kernel releases it
// with the process, so that none can be left behind.
func (c *Cache) lock(ctx context.Context) (func(), error) {
	f, err := os.OpenFile(filepath.Join(c.Dir, "lock"), os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return nil, err
	}
	for first := true; ; first = false {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			f.Close()
			return nil, fmt.Errorf("locking %s: %w", f.Name(), err)
		}
		if first && c.Waiting != nil {
			c.Waiting()
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// sweep removes what interrupted runs left, a directory of this name without
// its marker, and directories of this kind that have not been used for long.
func (c *Cache) sweep(name string) error {
	kind, _, _ := strings.Cut(name, "-")
	entries, err := os.ReadDir(c.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(c.Dir, e.Name())
		old := false
		if strings.HasPrefix(e.Name(), kind+"-") {
			info, err := os.Stat(filepath.Join(path, marker))
			old = err != nil || time.Since(info.ModTime()) > keep
		}
		if old || strings.HasSuffix(e.Name(), partial) {
			if err := remove(path); err != nil {
				return fmt.Errorf("removing leftovers: %w", err)
			}
		}
	}
	return nil
}

// Prune removes what other programs keep in the directory name of the cache, one
// entry each, and have not touched for as long as keep. It looks once a day.
func (c *Cache) Prune(name string) error {
	dir := filepath.Join(c.Dir, name)
	looked := filepath.Join(dir, ".looked")
	if info, err := os.Stat(looked); err == nil && time.Since(info.ModTime()) < 24*time.Hour {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := os.WriteFile(looked, nil, 0o644); err != nil {
		return err
	}
	now := time.Now()
	if err := os.Chtimes(looked, now, now); err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || now.Sub(info.ModTime()) < keep {
			continue // if it is not there, another call has removed it
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// remove takes the marker first: a removal that is interrupted must not leave
// a directory that looks complete.
func remove(dir string) error {
	if err := os.Remove(filepath.Join(dir, marker)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.RemoveAll(dir)
}
