// Package boring finds BoringCrypto in a program and repeats, offline, the
// integrity test that the module runs on itself at power-on.
//
// The module is one run of bytes without a relocation, so every linker copies
// it as it is, and it carries an HMAC of those bytes. That is evidence
// in the file itself: it survives stripping and cannot be claimed by a build
// tag or a version string.
package boring

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"io"

	"kubefips.internal/tools/fipscheck/elfbin"
)

//go:generate go run ./derive -o modules.go

// headSize is how many of the module's first bytes locate it when its HMAC has
// been altered.
const headSize = 64

// Module is one build of BoringCrypto, measured from the object file that the
// Go distribution carries.
type Module struct {
	// Version is the BoringSSL tag, such as fips-20220613.
	Version string `json:"version"`
	// Arch is the GOARCH.
	Arch string `json:"arch"`
	// Object is the SHA-256 of goboringcrypto_linux_<arch>.syso.
	Object string `json:"objectSha256"`
	// Size is the module's length in bytes.
	Size int64 `json:"size"`
	// Hash is the HMAC's hash: sha256 or sha512.
	Hash string `json:"hash"`
	// MAC is the module's HMAC (its key is zero), and MACOffset where it
	// stands, counted from the module's first byte.
	MAC       string `json:"hmac"`
	MACOffset int64  `json:"hmacOffset"`
	// Head is the first headSize bytes of the module.
	Head string `json:"-"`
}

func (m Module) hash() hash.Hash {
	if m.Hash == "sha512" {
		return sha512.New()
	}
	return sha256.New()
}

// Certificate is a CMVP certificate, as far as it is known to this program.
type Certificate struct {
	Number   string `json:"number"`
	Standard string `json:"standard"`
	Module   string `json:"module"`
	// Historical is the date (YYYY-MM-DD) from which the certificate is no
	// basis for new procurement; empty while it is active.
	Historical string `json:"historicalSince,omitempty"`
	// Sunset is the date (YYYY-MM-DD) on which an active certificate ends;
	// empty when it is not known here and has to be read at the CMVP.
	Sunset string `json:"sunset,omitempty"`
}

// Certificates has the certificate of each BoringSSL tag that a Go release has
// carried since Go 1.21.
var Certificates = map[string]Certificate{
	"fips-20210429": {Number: "4407", Standard: "FIPS 140-2", Module: "BoringCrypto (fips-20210429)", Historical: "2026-09-21"},
	"fips-20220613": {Number: "4735", Standard: "FIPS 140-3", Module: "BoringCrypto 2022061300 (fips-20220613)"},
}

// Found is one place in a program at which a module stands.
type Found struct {
	Module Module `json:"module"`
	// Offset is the module's place in the file, Address in memory.
	Offset  int64  `json:"offset"`
	Address uint64 `json:"address"`
	// Executable says whether it is loaded as code; a copy in data proves nothing.
	Executable bool `json:"executable"`
	// Computed is the HMAC of the bytes that are there, Embedded the value
	// that the program itself will compare with.
	Computed string `json:"computedHmac"`
	Embedded string `json:"embeddedHmac"`
}

// Intact says whether the bytes are the validated ones and the program's own
// power-on test will agree.
func (f Found) Intact() bool {
	return f.Executable && f.Computed == f.Module.MAC && f.Embedded == f.Module.MAC
}

// Patterns are what has to be searched for: for each module its HMAC and its head.
func Patterns() [][]byte {
	var p [][]byte
	for _, m := range Modules {
		p = append(p, unhex(m.MAC), unhex(m.Head))
	}
	return p
}

// Find judges the hits of Patterns in a program.
func Find(f *elfbin.File, hits [][]int64) ([]Found, error) {
	var all []Found
	seen := map[int64]int{} // offset of the module -> index in all
	for i, m := range Modules {
		if f.Platform() != "linux/"+m.Arch {
			continue
		}
		var starts []int64
		for _, at := range hits[2*i] {
			starts = append(starts, at-m.MACOffset)
		}
		starts = append(starts, hits[2*i+1]...)
		for _, start := range starts {
			seg, ok := f.SegmentAt(start, m.MACOffset+int64(len(m.MAC)/2))
			if start < 0 || !ok {
				continue
			}
			found, err := measure(f, m, start, seg)
			if err != nil {
				return nil, err
			}
			// Two modules can begin alike: keep the one that explains more.
			if k, ok := seen[start]; ok {
				if score(found) > score(all[k]) {
					all[k] = found
				}
				continue
			}
			seen[start] = len(all)
			all = append(all, found)
		}
	}
	return all, nil
}

func measure(f *elfbin.File, m Module, start int64, seg elfbin.Segment) (Found, error) {
	h := hmac.New(m.hash, nil)
	if _, err := io.Copy(h, io.NewSectionReader(f, start, m.Size)); err != nil {
		return Found{}, fmt.Errorf("reading the module at %#x: %w", start, err)
	}
	embedded := make([]byte, len(m.MAC)/2)
	if _, err := f.ReadAt(embedded, start+m.MACOffset); err != nil {
		return Found{}, fmt.Errorf("reading the module's HMAC at %#x: %w", start+m.MACOffset, err)
	}
	return Found{
		Module: m, Offset: start, Address: seg.Addr + uint64(start-seg.Offset), Executable: seg.Executable,
		Computed: hex.EncodeToString(h.Sum(nil)), Embedded: hex.EncodeToString(embedded),
	}, nil
}

func score(f Found) int {
	n := 0
	if f.Computed == f.Module.MAC {
		n += 2
	}
	if f.Embedded == f.Module.MAC {
		n++
	}
	return n
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic("boring: generated table: " + err.Error())
	}
	return b
}
