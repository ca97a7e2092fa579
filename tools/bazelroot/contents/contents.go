// Package contents keeps what repository rules have made for all output bases
// of a machine, as Bazel 8.3 does with --repo_contents_cache.
//
// An entry is a folder, named by the sha256 of all that determines a
// repository: <entry>/tree is the repository, <entry>/made is as old as it, and
// the folder's own time is that of its last use. Files are linked, not copied,
// where both places are in one file system, so an entry can be removed while it
// is used. They are read-only, since the links share them.
package contents

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// KeyFile, in a repository that is to be filled, has all that determines it.
const KeyFile = ".key"

// errChanged says that somebody has written to a kept file.
var errChanged = errors.New("changed by hand")

// Entry returns the folder below root for the repository dir, and takes the
// key out of dir.
func Entry(root, dir string) (string, error) {
	key, err := os.ReadFile(filepath.Join(dir, KeyFile))
	if err != nil {
		return "", fmt.Errorf("no key: %w", err)
	}
	return filepath.Join(root, fmt.Sprintf("%x", sha256.Sum256(key))), os.Remove(filepath.Join(dir, KeyFile))
}

// Take fills the empty repository dir with what the entry keeps and reports
// whether it did. An entry with a file that was changed by hand is removed.
func Take(entry, dir string) (bool, error) {
	made, err := os.Stat(filepath.Join(entry, "made"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	now := time.Now()
	if err := os.Chtimes(entry, now, now); err != nil {
		return false, err
	}
	err = link(filepath.Join(entry, "tree"), dir, made.ModTime())
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, errChanged), errors.Is(err, fs.ErrNotExist): // or somebody removes it at this moment
		return false, errors.Join(os.RemoveAll(entry), empty(dir))
	}
	return false, err
}

// Keep makes the files of the repository dir read-only, and an entry of them.
// Where two do so at once, one of them is kept.
func Keep(entry, dir string) error {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		return os.Chmod(path, info.Mode().Perm()&^0o222)
	})
	if err != nil {
		return err
	}
	root := filepath.Dir(entry)
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	scratch, err := os.MkdirTemp(root, ".scratch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	tree := filepath.Join(scratch, "tree")
	if err := os.Mkdir(tree, 0o755); err != nil {
		return err
	}
	if err := link(dir, tree, time.Time{}); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(scratch, "made"), nil, 0o644); err != nil {
		return err
	}
	if err := os.Chmod(scratch, 0o755); err != nil {
		return err
	}
	err = os.Rename(scratch, entry)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// link gives dst what src has: links, or copies where dst is in another file
// system. It fails with errChanged at a file that is newer than made, unless
// that is zero.
func link(src, dst string, made time.Time) error {
	return filepath.WalkDir(src, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(src, path)
		if err != nil || rel == "." {
			return err
		}
		to := filepath.Join(dst, rel)
		if d.IsDir() {
			return os.Mkdir(to, 0o755)
		}
		if d.Type().IsRegular() && !made.IsZero() {
			info, err := d.Info()
			if err != nil {
				return err
			}
			if info.ModTime().After(made) {
				return fmt.Errorf("%s: %w", path, errChanged)
			}
		}
		err = os.Link(path, to)
		if errors.Is(err, syscall.EXDEV) {
			return copyFile(path, to)
		}
		return err
	})
}

// copyFile copies a file with its mode, or a symbolic link.
func copyFile(from, to string) error {
	info, err := os.Lstat(from)
	if err != nil {
		return err
	}
	if info.Mode().Type() == fs.ModeSymlink {
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		return os.Symlink(target, to)
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.WriteFile(to, data, 0o600); err != nil {
		return err
	}
	return os.Chmod(to, info.Mode().Perm())
}

// empty removes what a folder has.
func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return err
}
