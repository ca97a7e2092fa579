// Package layer writes reproducible image layers: the same files give the same bytes whatever their times, owners, modes
// and order on disk.
package layer

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
)

// Spec is a layer to be written.
type Spec struct {
	// Compression is gzip, zstd or none.
	Compression string `json:"compression"`
	// Entries in any order; folders above them are added.
	Entries []Entry `json:"entries"`
}

// Entry is one path of a layer: a file when Source or Parts is set, a symbolic link when Link is, else a folder.
type Entry struct {
	Path   string `json:"path"`
	Source string `json:"source,omitempty"`
	// Parts are files whose contents make up one, in this order.
	Parts []string `json:"parts,omitempty"`
	Link  string   `json:"link,omitempty"`
	// Mode is octal, as in 0755.
	Mode string `json:"mode"`
	UID  int    `json:"uid,omitempty"`
	GID  int    `json:"gid,omitempty"`
	// Capability that a program has whoever starts it, as in cap_net_bind_service.
	Capability string `json:"capability,omitempty"`
	// Verdict is fipscheck's report on Source; without one, Source must not be a program, unless Foreign.
	Verdict string `json:"verdict,omitempty"`
	// Foreign says that Source may be a program without a verdict: of a package, to be judged in the image.
	Foreign bool `json:"foreign,omitempty"`
}

// files lists what the content of a file is read from; none for what is no file.
func (e Entry) files() []string {
	if e.Source != "" {
		return []string{e.Source}
	}
	return e.Parts
}

func (e Entry) describe() string {
	switch {
	case len(e.files()) > 0:
		return strings.Join(e.files(), " and ")
	case e.Link != "":
		return "a link to " + e.Link
	}
	return "a folder"
}

// Write writes the layer, an archive of all entries sorted by path.
func Write(spec Spec, out io.Writer) error {
	entries, err := plan(spec.Entries)
	if err != nil {
		return err
	}
	packed, err := compressor(spec.Compression, out)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(packed)
	for _, entry := range entries {
		if err := add(archive, entry); err != nil {
			return fmt.Errorf("/%s: %w", entry.Path, err)
		}
	}
	return errors.Join(archive.Close(), packed.Close())
}

// plan returns the entries by path, clean and sorted, with the folders above them.
func plan(entries []Entry) ([]Entry, error) {
	byPath := map[string]Entry{}
	for _, entry := range entries {
		clean := strings.TrimPrefix(path.Clean("/"+entry.Path), "/")
		if clean == "" || slices.Contains(strings.Split(entry.Path, "/"), "..") {
			return nil, fmt.Errorf("%q is no path inside an image: give an absolute one without `..`", entry.Path)
		}
		entry.Path = clean
		if entry.Source != "" && len(entry.Parts) > 0 {
			return nil, fmt.Errorf("/%s has both a source and parts: give one of them", clean)
		}
		if other, taken := byPath[clean]; taken {
			return nil, fmt.Errorf("/%s is given twice: by %s and by %s; keep one", clean, other.describe(), entry.describe())
		}
		byPath[clean] = entry
	}
	for _, entry := range entries {
		for parent := path.Dir(path.Clean("/" + entry.Path)); parent != "/"; parent = path.Dir(parent) {
			above, exists := byPath[parent[1:]]
			if exists && (len(above.files()) > 0 || above.Link != "") {
				return nil, fmt.Errorf("%s is below /%s, which is %s and not a folder", entry.Path, above.Path, above.describe())
			}
			if !exists {
				byPath[parent[1:]] = Entry{Path: parent[1:], Mode: "0755"}
			}
		}
	}
	sorted := make([]Entry, 0, len(byPath))
	for _, entry := range byPath {
		sorted = append(sorted, entry)
	}
	slices.SortFunc(sorted, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
	return sorted, nil
}

func compressor(name string, out io.Writer) (io.WriteCloser, error) {
	switch name {
	case "gzip":
		return gzip.NewWriterLevel(out, gzip.DefaultCompression)
	case "zstd":
		// One thread and a fixed level: the encoder's output is a function of its input alone.
		return zstd.NewWriter(out, zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithEncoderConcurrency(1))
	case "none":
		return nopCloser{out}, nil
	}
	return nil, fmt.Errorf("unknown compression %q: use gzip, zstd or none", name)
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

func add(archive *tar.Writer, entry Entry) error {
	mode, err := strconv.ParseInt(entry.Mode, 8, 64)
	if err != nil || mode&^0o7777 != 0 {
		return fmt.Errorf("mode %q: write it in octal, as in 0755", entry.Mode)
	}
	header := &tar.Header{
		Name:    entry.Path,
		Mode:    mode,
		Uid:     entry.UID,
		Gid:     entry.GID,
		ModTime: time.Unix(0, 0),
	}
	switch {
	case len(entry.files()) > 0:
		return addFile(archive, header, entry)
	case entry.Link != "":
		header.Typeflag, header.Linkname, header.Mode = tar.TypeSymlink, entry.Link, 0o777
	default:
		header.Typeflag, header.Name = tar.TypeDir, entry.Path+"/"
	}
	return archive.WriteHeader(header)
}

func addFile(archive *tar.Writer, header *tar.Header, entry Entry) error {
	var parts []io.Reader
	for _, path := range entry.files() {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%s is not a regular file", path)
		}
		if entry.Verdict == "" && !entry.Foreign {
			if err := refuseProgram(file); err != nil {
				return err
			}
		}
		parts = append(parts, file)
		header.Size += info.Size()
	}
	header.Typeflag = tar.TypeReg
	if err := setCapability(header, entry.Capability); err != nil {
		return err
	}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	content := sha256.New()
	if _, err := io.Copy(archive, io.TeeReader(io.MultiReader(parts...), content)); err != nil {
		return fmt.Errorf("copying %s: %w", entry.describe(), err)
	}
	if entry.Verdict == "" {
		return nil
	}
	return checkVerdict(entry, "sha256:"+hex.EncodeToString(content.Sum(nil)))
}

func refuseProgram(file *os.File) error {
	magic := make([]byte, 4)
	if _, err := file.ReadAt(magic, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if bytes.Equal(magic, []byte("\x7fELF")) {
		return fmt.Errorf("%s is a program that fipscheck has not judged: put it into `binaries`, not into `files`", file.Name())
	}
	return nil
}
