package reproducibility

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
)

// named is how many entries of an archive are named; the others are counted.
const named = 10

// An entry is one of a tar archive.
type entry struct {
	*tar.Header
	content []byte
}

// differentEntries returns a line for each entry that differs between two archives, plain or compressed by gzip or zstd; none
// when one of them is no archive, or the entries are the same.
func differentEntries(a, b []byte) []string {
	first, err := entries(a)
	second, err2 := entries(b)
	if errors.Join(err, err2) != nil {
		return nil
	}
	others := map[string]entry{}
	for _, e := range second {
		others[e.Name] = e
	}
	var lines []string
	for _, e := range first {
		other, found := others[e.Name]
		delete(others, e.Name)
		if !found {
			lines = append(lines, e.Name+" (missing)")
		} else if d := e.differences(other); len(d) > 0 {
			lines = append(lines, e.Name+": "+strings.Join(d, ", "))
		}
	}
	for _, e := range second {
		if _, left := others[e.Name]; left {
			lines = append(lines, e.Name+" (added)")
		}
	}
	for i := 0; len(lines) == 0 && i < len(first); i++ {
		if first[i].Name != second[i].Name {
			lines = append(lines, fmt.Sprintf("order: number %d is %s and %s", i+1, first[i].Name, second[i].Name))
		}
	}
	if more := len(lines) - named; more > 0 {
		lines = append(lines[:named], fmt.Sprintf("and %d more entries", more))
	}
	return lines
}

// entries returns those of an archive in their order.
func entries(archive []byte) ([]entry, error) {
	plain, err := uncompressed(archive)
	if err != nil {
		return nil, err
	}
	var all []entry
	for r := tar.NewReader(bytes.NewReader(plain)); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) && len(all) > 0 {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		all = append(all, entry{header, content})
	}
}

// uncompressed returns what was compressed by gzip or zstd, and anything else as it is.
func uncompressed(b []byte) ([]byte, error) {
	switch {
	case bytes.HasPrefix(b, []byte{0x1f, 0x8b}):
		r, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(r)
	case bytes.HasPrefix(b, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		r, err := zstd.NewReader(bytes.NewReader(b))
		if err != nil {
			return nil, err
		}
		defer r.Close()
		return io.ReadAll(r)
	}
	return b, nil
}

// differences says what is another in an entry of the same name.
func (e entry) differences(other entry) []string {
	var d []string
	for _, field := range [][3]string{
		{"type", string(e.Typeflag), string(other.Typeflag)},
		{"mode", fmt.Sprintf("%04o", e.Mode), fmt.Sprintf("%04o", other.Mode)},
		{"owner", owner(e.Header), owner(other.Header)},
		{"time", e.ModTime.UTC().Format(time.RFC3339Nano), other.ModTime.UTC().Format(time.RFC3339Nano)},
		{"link", e.Linkname, other.Linkname},
	} {
		if field[1] != field[2] {
			d = append(d, fmt.Sprintf("%s %s and %s", field[0], field[1], field[2]))
		}
	}
	if !maps.Equal(e.PAXRecords, other.PAXRecords) {
		d = append(d, fmt.Sprintf("attributes %q and %q", e.PAXRecords, other.PAXRecords))
	}
	if !bytes.Equal(e.content, other.content) {
		d = append(d, "contents: "+difference(e.content, other.content))
	}
	return d
}

func owner(h *tar.Header) string {
	return strings.TrimSuffix(fmt.Sprintf("%d:%d %s:%s", h.Uid, h.Gid, h.Uname, h.Gname), " :")
}
