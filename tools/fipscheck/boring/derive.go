package boring

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
)

// Derive finds the module's extent in a goboringcrypto object file.
//
// The object does not say where its module ends. But it carries the HMAC of the
// module, and there is only one beginning of its text whose HMAC stands in the
// text behind it. That is the search done here; it ends at the first
// relocation, because a module that the linker edits could not keep its HMAC.
func Derive(object []byte) (Module, error) {
	f, err := elf.NewFile(bytes.NewReader(object))
	if err != nil {
		return Module{}, fmt.Errorf("reading the object: %w", err)
	}
	var m Module
	switch f.Machine {
	case elf.EM_X86_64:
		m.Arch = "amd64"
	case elf.EM_AARCH64:
		m.Arch = "arm64"
	default:
		return Module{}, fmt.Errorf("an object for %s; BoringCrypto is for amd64 and arm64", f.Machine)
	}
	sec, rela := f.Section(".text"), f.Section(".rela.text")
	if sec == nil || rela == nil {
		return Module{}, errors.New("no .text with relocations in the object")
	}
	text, err := sec.Data()
	if err != nil {
		return Module{}, fmt.Errorf("reading .text: %w", err)
	}
	relocs, err := rela.Data()
	if err != nil {
		return Module{}, fmt.Errorf("reading .rela.text: %w", err)
	}
	limit := uint64(len(text))
	for ; len(relocs) >= 24; relocs = relocs[24:] {
		limit = min(limit, f.ByteOrder.Uint64(relocs))
	}

	// Where each run of eight bytes stands, so that every prefix costs one look-up.
	at := make(map[uint64][]int32, len(text))
	for i := 0; i+8 <= len(text); i++ {
		k := binary.LittleEndian.Uint64(text[i:])
		if len(at[k]) < 16 { // padding repeats without end; a MAC does not
			at[k] = append(at[k], int32(i))
		}
	}
	sum := sha256.Sum256(object)
	m.Object = hex.EncodeToString(sum[:])
	m.Head = hex.EncodeToString(text[:headSize])
	for _, m.Hash = range []string{"sha256", "sha512"} {
		ok, err := m.search(text[:min(int(limit), len(text))], text, at)
		if err != nil || ok {
			return m, err
		}
	}
	return Module{}, fmt.Errorf("no beginning of .text up to the first relocation (%#x) has an HMAC that the object carries", limit)
}

// search tries every beginning of prefix, four bytes at a time: the least that
// an instruction of arm64 takes, and amd64's linkers align to more.
func (m *Module) search(prefix, text []byte, at map[uint64][]int32) (bool, error) {
	inner, outer, last := m.hash(), m.hash(), m.hash()
	for range inner.BlockSize() {
		// The key is zero: what is left of HMAC's pads are their constants.
		inner.Write([]byte{0x36})
		outer.Write([]byte{0x5c})
	}
	outerState, err := outer.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		return false, err
	}
	var scratch, mac []byte
	for n := 0; ; n += 4 {
		scratch = inner.Sum(scratch[:0]) // leaves the running hash as it was
		if err := last.(encoding.BinaryUnmarshaler).UnmarshalBinary(outerState); err != nil {
			return false, err
		}
		last.Write(scratch)
		mac = last.Sum(mac[:0])
		for _, i := range at[binary.LittleEndian.Uint64(mac)] {
			if int(i) >= n && bytes.HasPrefix(text[i:], mac) {
				m.Size, m.MACOffset, m.MAC = int64(n), int64(i), hex.EncodeToString(mac)
				return true, nil
			}
		}
		if n+4 > len(prefix) {
			return false, nil
		}
		inner.Write(prefix[n : n+4])
	}
}
