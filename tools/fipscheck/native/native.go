// Package native reads the evidence of Go's own FIPS 140-3 module from a
// program: which snapshot is linked, whether its integrity sum holds and
// whether FIPS mode is on by default.
package native

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"kubefips.internal/tools/fipscheck/elfbin"
)

// Prefix is the import path under which the module's packages live. A frozen
// snapshot adds its version as the next element.
const Prefix = "crypto/internal/fips140/"

// Unversioned is what Snapshot calls the module that is compiled from the
// distribution's own source.
const Unversioned = "latest"

// Snapshot is a frozen version of the module.
type Snapshot struct {
	// Zip is the SHA-256 of lib/fips140/<version>.zip in the Go distribution.
	Zip string `json:"zipSha256"`
	// Certificate is the CMVP certificate's number; empty when not validated.
	Certificate string `json:"certificate,omitempty"`
	// Note says why a snapshot is not a validated one.
	Note string `json:"note,omitempty"`
}

// Snapshots are the versions that Go releases have carried. The digests can be
// checked against any such release with VerifyZip.
var Snapshots = map[string]Snapshot{
	"v1.0.0-c2097c7c": {Zip: "daf3614e0406f67ae6323c902db3f953a1effb199142362a039e7526dfb9368b", Certificate: "5247"},
	"v1.0.0":          {Note: "Go 1.24.0 and 1.25.0 shipped it under this name; it differs from the validated v1.0.0-c2097c7c in 12 files"},
	"v1.26.0":         {Zip: "9b28f847fdf1db4a36cb2b2f8ec09443c039383f085630a03ecfaddf6db7ea23", Note: "in process (GOFIPS140=inprocess): not validated"},
}

// Of returns the snapshot that an import path belongs to: its version,
// Unversioned, or "" for a path outside the module.
func Of(path string) string {
	rest, ok := strings.CutPrefix(path, Prefix)
	if !ok {
		return ""
	}
	first, _, _ := strings.Cut(rest, "/")
	if len(first) > 1 && first[0] == 'v' && first[1] >= '0' && first[1] <= '9' {
		return first
	}
	return Unversioned
}

// InfoMagic begins the record that the linker leaves for the integrity test.
const InfoMagic = "\xff Go fipsinfo \xff\x00"

// Integrity is the outcome of repeating the module's power-on test offline.
type Integrity struct {
	Offset   int64  `json:"offset"`
	Embedded string `json:"embeddedHmac"`
	Computed string `json:"computedHmac"`
}

// Intact says whether the program's own test will agree.
func (i Integrity) Intact() bool {
	return i.Computed == i.Embedded && i.Embedded != strings.Repeat("00", sha256.Size)
}

// maxModule bounds the four ranges together; the module has about 1 MiB.
const maxModule = 64 << 20

// Verify recomputes the sum of the record at file offset off.
// An error means that these bytes are no such record.
func Verify(f *elfbin.File, off int64) (Integrity, error) {
	const head = len(InfoMagic) + sha256.Size
	b := make([]byte, head+9*8)
	if _, err := f.ReadAt(b, off); err != nil {
		return Integrity{}, fmt.Errorf("reading the record at %#x: %w", off, err)
	}
	sum := b[len(InfoMagic):head]
	addr := func(i int) uint64 { return f.Order.Uint64(b[head+8*i:]) }
	if self, err := f.OffsetOf(addr(0), uint64(len(b))); err != nil || self != off {
		return Integrity{}, errors.New("the record does not point to itself")
	}
	h := hmac.New(sha256.New, make([]byte, 32))
	io.WriteString(h, "go fips object v1\n")
	total := uint64(0)
	for i := range 4 {
		start, end := addr(1+2*i), addr(2+2*i)
		if end < start || end-start > maxModule-total {
			return Integrity{}, fmt.Errorf("range %d runs from %#x to %#x", i, start, end)
		}
		n := end - start
		total += n
		from, err := f.OffsetOf(start, n)
		if err != nil {
			return Integrity{}, fmt.Errorf("range %d: %w", i, err)
		}
		h.Write(binary.BigEndian.AppendUint64(nil, n))
		if _, err := io.Copy(h, io.NewSectionReader(f, from, int64(n))); err != nil {
			return Integrity{}, fmt.Errorf("range %d: %w", i, err)
		}
	}
	return Integrity{Offset: off, Embedded: hex.EncodeToString(sum), Computed: hex.EncodeToString(h.Sum(nil))}, nil
}
