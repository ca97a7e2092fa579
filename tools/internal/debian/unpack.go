package debian

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/blakesmith/ar"
	"github.com/klauspost/compress/zstd"
	"github.com/mikelolasagasti/xz"
)

// Unpack writes the files of a .deb below root. No script of the package runs,
// no file gets an owner or a set-id bit, and no name or link leads out of root.
func Unpack(deb string, root *os.Root) error {
	f, err := os.Open(deb)
	if err != nil {
		return err
	}
	defer f.Close()
	for r := ar.NewReader(f); ; {
		h, err := r.Next()
		if err == io.EOF {
			return fmt.Errorf("%s has no data.tar member: not a Debian package", deb)
		} else if err != nil {
			return fmt.Errorf("%s: %w", deb, err)
		}
		name := strings.TrimSuffix(strings.TrimSpace(h.Name), "/")
		if !strings.HasPrefix(name, "data.tar") {
			continue
		}
		data, err := decompress(r, path.Ext(name))
		if err != nil {
			return fmt.Errorf("%s: %s: %w", deb, name, err)
		}
		if err := untar(data, root); err != nil {
			return fmt.Errorf("%s: %s: %w", deb, name, err)
		}
		return nil
	}
}

func decompress(r io.Reader, ext string) (io.Reader, error) {
	switch ext {
	case ".tar":
		return r, nil
	case ".gz":
		return gzip.NewReader(r)
	case ".xz":
		return xz.NewReader(r, 0)
	case ".zst":
		return zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
	}
	return nil, fmt.Errorf("unknown compression %q", ext)
}

func untar(r io.Reader, root *os.Root) error {
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := unpackEntry(t, h, root); err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
	}
}

func unpackEntry(t *tar.Reader, h *tar.Header, root *os.Root) error {
	name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
	if name == "" {
		return nil
	}
	mode := fs.FileMode(h.Mode).Perm() | 0o600
	switch h.Typeflag {
	case tar.TypeDir:
		// The owner must be able to remove it again.
		return mkdir(root, name, mode|0o700)
	case tar.TypeReg:
		f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
		if err != nil {
			return err
		}
		if _, err := io.Copy(f, t); err != nil {
			f.Close()
			return err
		}
		// OpenFile's mode is subject to the umask.
		if err := f.Chmod(mode); err != nil {
			f.Close()
			return err
		}
		return f.Close()
	case tar.TypeSymlink:
		return root.Symlink(h.Linkname, name)
	case tar.TypeLink:
		return root.Link(strings.TrimPrefix(path.Clean("/"+h.Linkname), "/"), name)
	}
	return fmt.Errorf("unsupported file type %q", h.Typeflag)
}

// mkdir makes a directory that another package may have made already, perhaps
// as a link to one (/bin, after the merge into /usr).
func mkdir(root *os.Root, name string, mode fs.FileMode) error {
	err := root.Mkdir(name, mode)
	if errors.Is(err, fs.ErrExist) {
		if info, err := root.Stat(name); err == nil && info.IsDir() {
			return nil
		}
	}
	if err != nil {
		return err
	}
	return root.Chmod(name, mode)
}
