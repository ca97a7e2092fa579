// Package debroot makes a Debian file system tree that Bazel runs in, from
// locked packages, without installing them.
package debroot

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"kubefips.internal/tools/internal/debian"
)

// recipe changes when what Build makes of the same packages does.
const recipe = "1"

// unpackedFactor bounds how much larger packages are once unpacked, with the
// packages themselves.
const unpackedFactor = 5

// Root describes a tree: its packages, and where to get them.
type Root struct {
	Lock *debian.Lock
	// LockFile is the lock's name, for messages.
	LockFile string
	// Links are symbolic links, path to target, made after unpacking in place
	// of what a maintainer script or an administrator would have put there.
	Links map[string]string
	// Downloads keeps packages until the tree is complete.
	Downloads string
	// Progress is called often, from several goroutines, with bytes of packages.
	Progress func(fetched, unpacked, total int64)
}

// Name returns the tree's name in the cache; it depends on all that is in it.
func (r *Root) Name() string {
	data, err := json.Marshal([]any{recipe, r.Links, r.Lock.Packages})
	if err != nil {
		panic(err) // strings and numbers always have a JSON form
	}
	return fmt.Sprintf("root-%.12x", sha256.Sum256(data))
}

// total is the size of all packages in bytes.
func (r *Root) total() int64 {
	var n int64
	for _, p := range r.Lock.Packages {
		n += p.Size
	}
	return n
}

// Build fetches, verifies and unpacks all packages into dir.
func (r *Root) Build(ctx context.Context, mirrors *debian.Mirrors, dir string) error {
	if err := checkSpace(dir, unpackedFactor*r.total()); err != nil {
		return err
	}
	if err := os.MkdirAll(r.Downloads, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := r.fetchAndUnpack(ctx, mirrors, root); err != nil {
		return err
	}
	for name, target := range r.Links {
		if err := replaceByLink(root, name, target); err != nil {
			return fmt.Errorf("linking /%s to %s: %w", name, target, err)
		}
	}
	return os.RemoveAll(r.Downloads)
}

func (r *Root) fetchAndUnpack(ctx context.Context, mirrors *debian.Mirrors, root *os.Root) error {
	p := &progress{report: r.Progress, total: r.total()}
	fetcher := &debian.Fetcher{Mirrors: mirrors, Progress: func(n int) { p.add(int64(n), 0) }}
	gone := &goneError{lockFile: r.LockFile}

	// A package's turn to be unpacked comes when it is there; the processors
	// bound unpacking, and the archive's patience bounds fetching.
	processors := make(chan struct{}, runtime.NumCPU())
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.NumCPU() + 6)
	for _, pkg := range r.Lock.Packages {
		group.Go(func() error {
			deb, err := fetcher.Download(ctx, pkg.File, r.Downloads)
			var failed *debian.FetchError
			if errors.As(err, &failed) && failed.Gone() {
				// Go on: one message names all that are gone.
				gone.add(pkg)
				return nil
			} else if err != nil {
				return fmt.Errorf("fetching %s %s: %w", pkg.Name, pkg.Version, err)
			}
			processors <- struct{}{}
			defer func() { <-processors }()
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err := debian.Unpack(deb, root); err != nil {
				return fmt.Errorf("unpacking %s %s: %w", pkg.Name, pkg.Version, err)
			}
			p.add(0, pkg.Size)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if len(gone.packages) > 0 {
		return gone
	}
	return nil
}

// replaceByLink puts a link where a file, another link or nothing may be.
func replaceByLink(root *os.Root, name, target string) error {
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	if err := root.RemoveAll(name); err != nil {
		return err
	}
	return root.Symlink(target, name)
}

func checkSpace(dir string, need int64) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return err
	}
	if have := int64(fs.Bavail) * fs.Bsize; have < need {
		return fmt.Errorf("%s has %d MB free and set-up needs %d MB; free some space, or set XDG_CACHE_HOME to a folder on a larger disk",
			filepath.Dir(dir), have/1e6, need/1e6)
	}
	return nil
}

// progress adds up what several goroutines do.
type progress struct {
	mu                       sync.Mutex
	fetched, unpacked, total int64
	report                   func(fetched, unpacked, total int64)
}

func (p *progress) add(fetched, unpacked int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fetched += fetched
	p.unpacked += unpacked
	if p.report != nil {
		p.report(p.fetched, p.unpacked, p.total)
	}
}

// goneError names the packages that no archive has any more.
type goneError struct {
	mu       sync.Mutex
	lockFile string
	packages []string
}

func (e *goneError) add(p debian.Package) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.packages = append(e.packages, fmt.Sprintf("  %s %s (%s)", p.Name, p.Version, p.Path))
}

func (e *goneError) Error() string {
	return fmt.Sprintf("%s names packages that have left the archive:\n%s\n"+
		"Either add an archive that keeps old versions to %s (a snapshot archive, of the lock's date or later),\n"+
		"or lock the present versions: go run ./tools/update debian",
		e.lockFile, strings.Join(e.packages, "\n"), debian.MirrorEnv)
}
