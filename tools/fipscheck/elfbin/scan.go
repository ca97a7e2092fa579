package elfbin

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
)

// maxHits bounds what one pattern can report; a file made of nothing but one
// pattern must not fill the memory.
const maxHits = 4096

// Patterns is a set of byte strings to look for in one pass.
type Patterns struct {
	list    [][]byte
	longest int
	// first has a bit for each pair of bytes that begins a pattern, and
	// byPair the patterns behind it: most of a file is passed over by one
	// test for each byte.
	first  [1 << 16 / 64]uint64
	byPair map[uint16][]int
}

// NewPatterns prepares a search. Each pattern has two bytes or more; the hits
// are reported by the pattern's index.
func NewPatterns(list ...[]byte) *Patterns {
	p := &Patterns{list: list, byPair: map[uint16][]int{}}
	for i, b := range list {
		pair := uint16(b[0]) | uint16(b[1])<<8
		p.first[pair/64] |= 1 << (pair % 64)
		p.byPair[pair] = append(p.byPair[pair], i)
		p.longest = max(p.longest, len(b))
	}
	return p
}

// Scan reads the whole of r once and returns its SHA-256 and, for each
// pattern, the offsets at which it begins.
func (p *Patterns) Scan(r io.ReaderAt, size int64) (sum [sha256.Size]byte, hits [][]int64, err error) {
	hits = make([][]int64, len(p.list))
	h := sha256.New()
	buf := make([]byte, 1<<20)
	kept := 0 // bytes at the start of buf that were hashed already
	for off := int64(0); ; {
		n, err := r.ReadAt(buf[kept:min(int64(len(buf)), int64(kept)+size-off)], off)
		if err != nil && !errors.Is(err, io.EOF) {
			return sum, nil, fmt.Errorf("reading at offset %d: %w", off, err)
		}
		h.Write(buf[kept : kept+n])
		off += int64(n)
		data := buf[:kept+n]
		last := off >= size
		if n == 0 && !last {
			return sum, nil, fmt.Errorf("the file ends at %d of %d bytes", off, size)
		}
		// A pattern that may run over the end is left for the next round.
		end := len(data) - p.longest + 1
		if last {
			end = len(data) - 1
		}
		base := off - int64(len(data))
		for i := 0; i < end; i++ {
			pair := uint16(data[i]) | uint16(data[i+1])<<8
			if p.first[pair/64]>>(pair%64)&1 == 0 {
				continue
			}
			for _, k := range p.byPair[pair] {
				if bytes.HasPrefix(data[i:], p.list[k]) && len(hits[k]) < maxHits {
					hits[k] = append(hits[k], base+int64(i))
				}
			}
		}
		if last {
			h.Sum(sum[:0])
			return sum, hits, nil
		}
		kept = copy(buf, data[max(end, 0):])
	}
}
