// Package reproducibility compares two builds of a file, and says where they differ.
package reproducibility

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Compare returns an error that names what differs between two builds of a file or folder: the file, the layer of an image, the
// entries of an archive with what is another in each, and the ELF sections or the first byte.
func Compare(first, second string) error {
	info, err := os.Stat(first)
	if err != nil {
		return err
	}
	if info.IsDir() {
		if isLayout(first) && isLayout(second) {
			return compareLayouts(first, second)
		}
		return compareDirs(first, second)
	}
	a, err := os.ReadFile(first)
	if err != nil {
		return err
	}
	b, err := os.ReadFile(second)
	if err != nil {
		return err
	}
	if bytes.Equal(a, b) {
		return nil
	}
	return fmt.Errorf("sha256 %x and %x: %s", sha256.Sum256(a), sha256.Sum256(b), difference(a, b))
}

func compareDirs(first, second string) error {
	names := map[string]bool{}
	for _, dir := range []string{first, second} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			rel, err := filepath.Rel(dir, path)
			names[rel] = true
			return err
		})
		if err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if err := Compare(filepath.Join(first, name), filepath.Join(second, name)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// difference says where two contents differ.
func difference(a, b []byte) string {
	ea, errA := elf.NewFile(bytes.NewReader(a))
	eb, errB := elf.NewFile(bytes.NewReader(b))
	if errA == nil && errB == nil {
		if sections := differentSections(ea, eb); len(sections) > 0 {
			return "ELF sections that differ: " + strings.Join(sections, " ")
		}
	}
	if entries := differentEntries(a, b); len(entries) > 0 {
		return strings.Join(entries, "\n\t")
	}
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("first difference at byte %d", i)
		}
	}
	return fmt.Sprintf("sizes are %d and %d", len(a), len(b))
}

func differentSections(a, b *elf.File) []string {
	var names []string
	for _, s := range a.Sections {
		other := b.Section(s.Name)
		if other == nil {
			names = append(names, s.Name+" (missing)")
			continue
		}
		if s.Type == elf.SHT_NOBITS || s.Type == elf.SHT_NULL {
			continue
		}
		x, errX := s.Data()
		y, errY := other.Data()
		if errX != nil || errY != nil || !bytes.Equal(x, y) {
			names = append(names, s.Name)
		}
	}
	for _, s := range b.Sections {
		if a.Section(s.Name) == nil {
			names = append(names, s.Name+" (added)")
		}
	}
	return names
}
