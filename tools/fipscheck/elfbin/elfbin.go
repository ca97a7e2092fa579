// Package elfbin reads what the verifier needs from an ELF file: its loader
// view (segments, interpreter, needed libraries), the Go function names that
// survive stripping, and where given byte patterns stand.
//
// Input is untrusted. Every size and offset is checked against the file before
// it is used, and no more than the name table of one Go program is held in
// memory at a time.
package elfbin

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Magic is how every ELF file begins.
const Magic = "\x7fELF"

// maxSegments bounds the program headers that are looked at. Linux itself
// refuses a program whose headers do not fit in 64 KiB (1170 of them).
const maxSegments = 1170

// File is an ELF file as the kernel's loader would see it.
type File struct {
	// Size is the length of the file in bytes.
	Size int64
	// Machine, Type and OSABI are copied from the ELF header.
	Machine elf.Machine
	Type    elf.Type
	OSABI   elf.OSABI
	// Class and Order describe the header's encoding.
	Class elf.Class
	Order binary.ByteOrder
	// Interp is the program interpreter; empty for a static program.
	Interp string
	// Needed lists the DT_NEEDED libraries.
	Needed []string
	// Segments are the PT_LOAD program headers.
	Segments []Segment

	r   io.ReaderAt
	elf *elf.File
}

// Segment is one PT_LOAD program header.
type Segment struct {
	Offset, FileSize int64
	Addr, MemSize    uint64
	Executable       bool
}

// Open reads the headers of an ELF file of size bytes.
// The error says which part of the file cannot be read.
func Open(r io.ReaderAt, size int64) (*File, error) {
	ef, err := elf.NewFile(io.NewSectionReader(r, 0, size))
	if err != nil {
		return nil, fmt.Errorf("reading the ELF headers: %w", err)
	}
	if len(ef.Progs) > maxSegments {
		return nil, fmt.Errorf("%d program headers; Linux loads no more than %d", len(ef.Progs), maxSegments)
	}
	f := &File{
		Size: size, Machine: ef.Machine, Type: ef.Type, OSABI: ef.OSABI,
		Class: ef.Class, Order: ef.ByteOrder, r: r, elf: ef,
	}
	dynamic := false
	for _, p := range ef.Progs {
		switch p.Type {
		case elf.PT_LOAD:
			if p.Off > uint64(size) || p.Filesz > uint64(size)-p.Off {
				return nil, fmt.Errorf("segment at offset %#x with %#x bytes lies outside the file (%#x bytes)", p.Off, p.Filesz, size)
			}
			f.Segments = append(f.Segments, Segment{
				Offset: int64(p.Off), FileSize: int64(p.Filesz),
				Addr: p.Vaddr, MemSize: p.Memsz, Executable: p.Flags&elf.PF_X != 0,
			})
		case elf.PT_INTERP:
			b, err := f.slice(p.Off, min(p.Filesz, 4096))
			if err != nil {
				return nil, fmt.Errorf("reading the interpreter's name: %w", err)
			}
			f.Interp = string(bytes.TrimRight(b, "\x00"))
		case elf.PT_DYNAMIC:
			dynamic = true
			if f.Needed, err = f.needed(p); err != nil {
				return nil, fmt.Errorf("reading the dynamic segment: %w", err)
			}
		}
	}
	if !dynamic && f.Type == elf.ET_DYN && f.Interp != "" {
		return nil, errors.New("an interpreter but no dynamic segment")
	}
	return f, nil
}

// ReadAt reads the raw file.
func (f *File) ReadAt(b []byte, off int64) (int, error) { return f.r.ReadAt(b, off) }

// Loadable says whether a kernel would run this file, or a program load it.
func (f *File) Loadable() bool { return f.Type == elf.ET_EXEC || f.Type == elf.ET_DYN }

// Library says whether the file is a shared library and no program:
// position independent, with no interpreter and no entry point.
func (f *File) Library() bool { return f.Type == elf.ET_DYN && f.Interp == "" && f.elf.Entry == 0 }

// Platform is the GOOS/GOARCH that the header claims, such as linux/amd64.
// Machines without a Go port keep the ELF name.
func (f *File) Platform() string {
	goos := "linux"
	switch f.OSABI {
	case elf.ELFOSABI_NONE, elf.ELFOSABI_LINUX:
	default:
		goos = f.OSABI.String()
	}
	switch f.Machine {
	case elf.EM_X86_64:
		if f.Class == elf.ELFCLASS64 {
			return goos + "/amd64"
		}
	case elf.EM_AARCH64:
		if f.Class == elf.ELFCLASS64 && f.Order == binary.LittleEndian {
			return goos + "/arm64"
		}
	case elf.EM_386:
		return goos + "/386"
	case elf.EM_ARM:
		return goos + "/arm"
	}
	return fmt.Sprintf("%s/%s-%s", goos, f.Machine, f.Class)
}

// SegmentAt returns the segment that holds the n bytes at file offset off.
func (f *File) SegmentAt(off, n int64) (Segment, bool) {
	for _, s := range f.Segments {
		if off >= s.Offset && n <= s.FileSize && off-s.Offset <= s.FileSize-n {
			return s, true
		}
	}
	return Segment{}, false
}

// OffsetOf translates a virtual address range into a file offset.
func (f *File) OffsetOf(addr, n uint64) (int64, error) {
	for _, s := range f.Segments {
		if addr < s.Addr || addr-s.Addr > uint64(s.FileSize) {
			continue
		}
		if d := addr - s.Addr; n <= uint64(s.FileSize)-d {
			return s.Offset + int64(d), nil
		}
	}
	return 0, fmt.Errorf("address %#x with %#x bytes is not in the file", addr, n)
}

// Section returns offset, address and size of a named section, if section
// headers are there and name one with content in the file.
func (f *File) Section(name string) (off int64, addr, size uint64, ok bool) {
	s := f.elf.Section(name)
	if s == nil || s.Type == elf.SHT_NOBITS || s.Offset > uint64(f.Size) || s.Size > uint64(f.Size)-s.Offset {
		return 0, 0, 0, false
	}
	return int64(s.Offset), s.Addr, s.Size, true
}

// slice reads n bytes at off, which must lie inside the file.
func (f *File) slice(off, n uint64) ([]byte, error) {
	if off > uint64(f.Size) || n > uint64(f.Size)-off {
		return nil, fmt.Errorf("%#x bytes at offset %#x lie outside the file (%#x bytes)", n, off, f.Size)
	}
	b := make([]byte, n)
	if _, err := f.r.ReadAt(b, int64(off)); err != nil {
		return nil, err
	}
	return b, nil
}

// needed reads DT_NEEDED through the program headers, which is the loader's
// way: section headers can be absent or tell another story.
func (f *File) needed(p *elf.Prog) ([]string, error) {
	const maxDynamic = 1 << 20
	if p.Filesz > maxDynamic {
		return nil, fmt.Errorf("%#x bytes is more than any linker writes", p.Filesz)
	}
	d, err := f.slice(p.Off, p.Filesz)
	if err != nil {
		return nil, err
	}
	var names []uint64
	var strtab, strsz uint64
	word, step := func(b []byte) uint64 { return f.Order.Uint64(b) }, 8
	if f.Class == elf.ELFCLASS32 {
		word, step = func(b []byte) uint64 { return uint64(f.Order.Uint32(b)) }, 4
	}
entries:
	for ; len(d) >= 2*step; d = d[2*step:] {
		tag, val := elf.DynTag(word(d)), word(d[step:])
		switch tag {
		case elf.DT_NULL:
			break entries
		case elf.DT_NEEDED:
			names = append(names, val)
		case elf.DT_STRTAB:
			strtab = val
		case elf.DT_STRSZ:
			strsz = val
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	off, err := f.OffsetOf(strtab, strsz)
	if err != nil {
		return nil, fmt.Errorf("string table: %w", err)
	}
	var libs []string
	for _, n := range names {
		if n >= strsz {
			return nil, fmt.Errorf("a library's name at %#x lies outside the string table (%#x bytes)", n, strsz)
		}
		b, err := f.slice(uint64(off)+n, min(strsz-n, 4096))
		if err != nil {
			return nil, err
		}
		if i := bytes.IndexByte(b, 0); i >= 0 {
			b = b[:i]
		}
		libs = append(libs, string(b))
	}
	return libs, nil
}
