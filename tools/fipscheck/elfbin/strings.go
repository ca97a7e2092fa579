package elfbin

import (
	"fmt"
	"io"
)

const maxPointers = 1 << 18

// Strings finds the string variables of a Go program whose text begins between
// the file offsets from and to: a pointer followed by a length, in data that is
// not code. In a position-independent program the pointer may stand in the
// relocation (RELA) instead. The error is for a file with more such pointers
// than any program has.
func (f *File) Strings(yield func(off int64, n uint64) error, from, to int64) error {
	lo, ok := f.addressOf(from)
	hi, ok2 := f.addressOf(to)
	if !ok || !ok2 || hi < lo || f.Class.String() != "ELFCLASS64" {
		return nil
	}
	found := 0
	for _, s := range f.Segments {
		if s.Executable {
			continue
		}
		// Three words are looked at together.
		buf := make([]byte, 1<<20)
		for off := s.Offset; off < s.Offset+s.FileSize; {
			n, err := f.ReadAt(buf[:min(int64(len(buf)), s.Offset+s.FileSize-off)], off)
			if err != nil && err != io.EOF {
				return fmt.Errorf("reading data at %#x: %w", off, err)
			}
			if n < 16 {
				break
			}
			for i := 0; i+16 <= n; i += 8 {
				ptr := f.Order.Uint64(buf[i:])
				if ptr < lo || ptr > hi {
					continue
				}
				if found++; found > maxPointers {
					return fmt.Errorf("more than %d pointers to one place", maxPointers)
				}
				at, err := f.OffsetOf(ptr, 0)
				if err != nil {
					continue
				}
				if err := yield(at, f.Order.Uint64(buf[i+8:])); err != nil {
					return err
				}
				if err := f.relocated(off+int64(i), at, yield); err != nil {
					return err
				}
			}
			off += int64(n) - 8
			off -= (off - s.Offset) % 8
		}
	}
	return nil
}

// relocated takes the word at file offset addend for the last of a RELA entry
// and reads the length that stands behind the relocated pointer.
func (f *File) relocated(addend, text int64, yield func(int64, uint64) error) error {
	b := make([]byte, 8)
	if addend < 16 {
		return nil
	}
	if _, err := f.ReadAt(b, addend-16); err != nil {
		return nil
	}
	target, err := f.OffsetOf(f.Order.Uint64(b)+8, 8)
	if err != nil {
		return nil
	}
	if _, err := f.ReadAt(b, target); err != nil {
		return nil
	}
	return yield(text, f.Order.Uint64(b))
}

// addressOf translates a file offset into the address it is loaded at.
func (f *File) addressOf(off int64) (uint64, bool) {
	s, ok := f.SegmentAt(off, 1)
	return s.Addr + uint64(off-s.Offset), ok
}
