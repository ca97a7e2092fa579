// Package content walks file systems as they are shipped, layers of images and
// directories, and measures every ELF file in them, those inside compressed
// files and nested archives too.
//
// Input is untrusted: what an archive may unpack to, how many entries it has
// and how deep archives are nested is bounded, nothing is ever written under a
// name from the input, and links are recorded, not followed.
package content

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"

	"kubefips.internal/tools/fipscheck/elfbin"
	"kubefips.internal/tools/fipscheck/measure"
)

// Limits bound what one archive can cost.
type Limits struct {
	// Unpacked is how many bytes an archive may unpack to, File the size of
	// one ELF file.
	Unpacked, File int64
	// Entries bounds the files of one archive, Depth the nesting of archives.
	Entries, Depth int
}

// DefaultLimits are far above any image of the distribution.
var DefaultLimits = Limits{Unpacked: 8 << 30, File: 1 << 30, Entries: 300_000, Depth: 3}

const maxName = 4096 // PATH_MAX

// Entry is one file.
type Entry struct {
	// Path is absolute and clean; for a file in an archive, the archive's path
	// and "!" stand before it.
	Path string
	Mode fs.FileMode
	// Link is the target of a symbolic or hard link.
	Link string
	// Whiteout says that the entry removes Path from the layers below, Opaque
	// that it removes what they have under Path.
	Whiteout, Opaque bool
	// Binary is set for ELF files.
	Binary *measure.Binary
	// Problem is why the file could not be judged; it fails O1.
	Problem string
	// Unopened is set for an archive whose format is not opened here.
	Unopened string
}

// Tar walks a layer: a tar stream, as it is or compressed by gzip or zstd. The
// unpacked bytes are written to plain, for their digest. The
// error is for a stream that cannot be read to its end; problems of single
// files are in their entries.
func Tar(r io.Reader, lim Limits, plain io.Writer, yield func(Entry) error) error {
	w := &walker{lim: lim, left: lim.Unpacked, yield: yield}
	unpacked, err := w.decompress(bufio.NewReaderSize(r, 64<<10))
	if err != nil {
		return err
	}
	defer unpacked.Close()
	in := io.TeeReader(unpacked, plain)
	if err := w.tar(in, "", 0); err != nil {
		return err
	}
	// What follows the archive is part of the layer's bytes.
	n, err := io.Copy(io.Discard, in)
	if err != nil {
		return fmt.Errorf("after the end of the archive: %w", err)
	}
	if n > 1<<20 {
		return fmt.Errorf("%d bytes follow the end of the archive", n)
	}
	return nil
}

// Dir walks a directory of this machine.
func Dir(root string, lim Limits, yield func(Entry) error) error {
	r, err := os.OpenRoot(root)
	if err != nil {
		return err
	}
	defer r.Close()
	w := &walker{lim: lim, left: 1 << 62, yield: yield}
	return fs.WalkDir(r.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return yield(Entry{Path: "/" + name, Problem: err.Error()})
		}
		info, err := d.Info()
		if err != nil {
			return yield(Entry{Path: "/" + name, Problem: err.Error()})
		}
		e := Entry{Path: path.Clean("/" + filepath.ToSlash(name)), Mode: info.Mode()}
		switch {
		case d.IsDir():
			return nil
		case info.Mode()&fs.ModeSymlink != 0:
			if e.Link, err = r.Readlink(name); err != nil {
				e.Problem = err.Error()
			}
			return yield(e)
		case !info.Mode().IsRegular():
			return nil
		}
		f, err := r.Open(name)
		if err != nil {
			e.Problem = err.Error()
			return yield(e)
		}
		defer f.Close()
		return w.file(e, f, info.Size(), f, 0)
	})
}

type walker struct {
	lim     Limits
	left    int64 // bytes that may still be unpacked
	entries int
	yield   func(Entry) error
}

// errLimit is passed on as it is: a bound that was exceeded ends the walk.
var errLimit = errors.New("over the limit")

// metered counts unpacked bytes against the limit.
type metered struct {
	io.Reader
	w     *walker
	close func()
}

func (m *metered) Read(b []byte) (int, error) {
	n, err := m.Reader.Read(b)
	if m.w.left -= int64(n); m.w.left < 0 {
		return 0, fmt.Errorf("unpacks to more than %d bytes: %w", m.w.lim.Unpacked, errLimit)
	}
	return n, err
}

func (m *metered) Close() error {
	if m.close != nil {
		m.close()
	}
	return nil
}

var (
	gzipMagic = "\x1f\x8b"
	zstdMagic = "\x28\xb5\x2f\xfd"
)

// decompress recognises gzip and zstd; anything else is passed through.
func (w *walker) decompress(in *bufio.Reader) (io.ReadCloser, error) {
	head, err := in.Peek(4)
	if err != nil && err != io.EOF {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte(gzipMagic)):
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, fmt.Errorf("gzip: %w", err)
		}
		return &metered{Reader: z, w: w}, nil
	case bytes.HasPrefix(head, []byte(zstdMagic)):
		// One frame may ask for a window of its own choosing: bound it.
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(64<<20), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, fmt.Errorf("zstd: %w", err)
		}
		return &metered{Reader: z, w: w, close: z.Close}, nil
	}
	return &metered{Reader: in, w: w}, nil
}

// tar walks one archive; prefix names the archive that it is in.
func (w *walker) tar(r io.Reader, prefix string, depth int) error {
	tr := tar.NewReader(r)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("tar: %w", err)
		}
		if w.entries++; w.entries > w.lim.Entries {
			return fmt.Errorf("more than %d entries: %w", w.lim.Entries, errLimit)
		}
		if len(h.Name) > maxName || len(h.Linkname) > maxName {
			return fmt.Errorf("a name of %d bytes", max(len(h.Name), len(h.Linkname)))
		}
		e := Entry{Path: prefix + path.Clean("/"+h.Name), Mode: h.FileInfo().Mode(), Link: h.Linkname}
		if escapes(h.Name) {
			e.Problem = fmt.Sprintf("the name %q leads out of the file system", h.Name)
		}
		if dir, base := path.Split(e.Path); prefix == "" && strings.HasPrefix(base, ".wh.") {
			e.Whiteout = true
			if base == ".wh..wh..opq" {
				e.Opaque, e.Path = true, path.Clean(dir)
			} else {
				e.Path = path.Join(dir, strings.TrimPrefix(base, ".wh."))
			}
			if err := w.yield(e); err != nil {
				return err
			}
			continue
		}
		switch h.Typeflag {
		case tar.TypeReg, tar.TypeGNUSparse, tar.TypeCont, '\x00':
			if err := w.file(e, tr, h.Size, nil, depth); err != nil {
				return err
			}
		case tar.TypeSymlink:
			if err := w.yield(e); err != nil {
				return err
			}
		case tar.TypeLink:
			if escapes(h.Linkname) {
				e.Problem = fmt.Sprintf("the hard link to %q leads out of the file system", h.Linkname)
			}
			e.Link = path.Clean("/" + h.Linkname)
			if err := w.yield(e); err != nil {
				return err
			}
		case tar.TypeDir, tar.TypeChar, tar.TypeBlock, tar.TypeFifo, tar.TypeXGlobalHeader:
		default:
			e.Problem = fmt.Sprintf("tar entry of unknown type %q", h.Typeflag)
			if err := w.yield(e); err != nil {
				return err
			}
		}
	}
}

func escapes(name string) bool {
	c := path.Clean(strings.TrimLeft(name, "/"))
	return c == ".." || strings.HasPrefix(c, "../") || strings.ContainsRune(name, 0)
}

// file looks at one regular file. at is set when it can be read at random.
func (w *walker) file(e Entry, r io.Reader, size int64, at io.ReaderAt, depth int) error {
	br := bufio.NewReaderSize(r, 4096)
	head, err := br.Peek(512)
	if err != nil && err != io.EOF {
		return fmt.Errorf("%s: %w", e.Path, err)
	}
	switch {
	case bytes.HasPrefix(head, []byte(elfbin.Magic)):
		if err := w.elf(&e, br, size, at); err != nil {
			return err
		}
	case bytes.HasPrefix(head, []byte(gzipMagic)), bytes.HasPrefix(head, []byte(zstdMagic)), isTar(head):
		if depth >= w.lim.Depth {
			e.Problem = fmt.Sprintf("archives nested deeper than %d", w.lim.Depth)
			break
		}
		switch err := w.nested(e, br, depth+1); {
		case errors.Is(err, errLimit):
			return fmt.Errorf("%s: %w", e.Path, err)
		case err != nil:
			// It may only look like an archive; but nothing was proven about
			// it. When the stream around it is broken, its next read says so.
			e.Unopened = "damaged archive: " + err.Error()
		}
	default:
		e.Unopened = unopened(head)
	}
	return w.yield(e)
}

func isTar(head []byte) bool { return len(head) >= 262 && string(head[257:262]) == "ustar" }

// nested walks an archive in a file; a compressed file that is none is looked
// at as a file.
func (w *walker) nested(e Entry, br *bufio.Reader, depth int) error {
	plain, err := w.decompress(br)
	if err != nil {
		return err
	}
	defer plain.Close()
	in := bufio.NewReaderSize(plain, 64<<10)
	head, err := in.Peek(512)
	if err != nil && err != io.EOF {
		return err
	}
	if isTar(head) {
		return w.tar(in, e.Path+"!", depth)
	}
	return w.file(Entry{Path: e.Path + "!", Mode: e.Mode}, in, -1, nil, depth)
}

// elf measures an ELF file, from a temporary copy when it is in a stream.
func (w *walker) elf(e *Entry, r io.Reader, size int64, at io.ReaderAt) error {
	if size > w.lim.File {
		e.Problem = fmt.Sprintf("an ELF file of %d bytes; %d are the limit", size, w.lim.File)
		return nil
	}
	if at == nil {
		tmp, n, err := spool(r, w.lim.File)
		if err != nil {
			return fmt.Errorf("%s: %w", e.Path, err)
		}
		defer tmp.Close()
		if n > w.lim.File {
			e.Problem = fmt.Sprintf("an ELF file of more than %d bytes", w.lim.File)
			return nil
		}
		at, size = tmp, n
	}
	b, err := measure.File(at, size)
	if err != nil {
		return fmt.Errorf("%s: %w", e.Path, err)
	}
	e.Binary = b
	return nil
}

// spool copies a stream to an unnamed temporary file.
func spool(r io.Reader, limit int64) (*os.File, int64, error) {
	f, err := os.CreateTemp("", "fipscheck-*")
	if err != nil {
		return nil, 0, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, 0, err
	}
	n, err := io.Copy(f, io.LimitReader(r, limit+1))
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, n, nil
}

// unopened names archive formats that can carry programs and are not opened here.
func unopened(head []byte) string {
	for magic, name := range map[string]string{
		"PK\x03\x04":           "zip archive",
		"\xfd7zXZ\x00":         "xz compressed file",
		"BZh":                  "bzip2 compressed file",
		"!<arch>\n":            "ar archive",
		"070701":               "cpio archive",
		"\xed\xab\xee\xdb":     "rpm package",
		"hsqs":                 "squashfs image",
		"7z\xbc\xaf\x27\x1c":   "7z archive",
		"\x00asm\x01\x00\x00":  "WebAssembly module",
		"\xca\xfe\xba\xbe\x00": "Java class",
	} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return name
		}
	}
	return ""
}
