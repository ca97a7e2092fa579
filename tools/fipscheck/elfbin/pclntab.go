package elfbin

import (
	"bytes"
	"fmt"
	"strings"
)

// PclntabHeaders are the beginnings of Go's function tables, little endian:
// Go 1.20 and newer, 1.18 and 1.19, 1.16 and 1.17, each with the instruction
// and pointer sizes that there are. The runtime needs the table for stack
// traces, so stripping leaves it.
var PclntabHeaders = func() (all [][]byte) {
	for _, magic := range []byte{0xf1, 0xf0, 0xfa} {
		for _, quantum := range []byte{1, 2, 4} {
			for _, pointer := range []byte{4, 8} {
				all = append(all, []byte{magic, 0xff, 0xff, 0xff, 0, 0, quantum, pointer})
			}
		}
	}
	return all
}()

// MaxNames bounds function name tables in bytes. The largest program of the
// distribution has 12 MiB.
const MaxNames = 128 << 20

// FuncNames reads the names of all functions, inlined ones among them, from
// the Go function table whose header stands at file offset off. An error
// means that these bytes are no function table.
func (f *File) FuncNames(off int64, yield func(name string)) error {
	h, err := f.slice(uint64(off), 8+8*8)
	if err != nil {
		return err
	}
	if ptr := h[7]; ptr != 4 && ptr != 8 {
		return fmt.Errorf("pointer size %d", ptr)
	}
	word := func(i int) uint64 {
		if h[7] == 4 {
			return uint64(f.Order.Uint32(h[8+4*i:]))
		}
		return f.Order.Uint64(h[8+8*i:])
	}
	// nfunc, nfile, then from Go 1.18 the text's start, then offsets from
	// the header: names, compilation units, ...
	i := 3
	if h[0] == 0xfa {
		i = 2
	}
	nfunc, names, units := word(0), word(i), word(i+1)
	if nfunc == 0 || names < 8 || units <= names || units-names > MaxNames {
		return fmt.Errorf("%d functions, names from %#x to %#x", nfunc, names, units)
	}
	b, err := f.slice(uint64(off)+names, units-names)
	if err != nil {
		return err
	}
	if nfunc > uint64(len(b)) {
		return fmt.Errorf("%d functions with %d bytes of names", nfunc, len(b))
	}
	for len(b) > 0 {
		n := bytes.IndexByte(b, 0)
		if n < 0 {
			return fmt.Errorf("the last function name has no end")
		}
		if n > 0 {
			yield(string(b[:n]))
		}
		b = b[n+1:]
	}
	return nil
}

// Package returns the import path in a function's name, and "" for names that
// the compiler made and that belong to no package.
func Package(fn string) string {
	if strings.HasPrefix(fn, "go:") || strings.HasPrefix(fn, "type:") {
		return ""
	}
	// Type arguments hold import paths of their own.
	if i := strings.IndexByte(fn, '['); i >= 0 {
		fn = fn[:i]
	}
	slash := strings.LastIndexByte(fn, '/') + 1
	dot := strings.IndexByte(fn[slash:], '.')
	if dot < 0 {
		return ""
	}
	path := fn[:slash+dot]
	// The linker escapes dots in the last element.
	return strings.ReplaceAll(path, "%2e", ".")
}
