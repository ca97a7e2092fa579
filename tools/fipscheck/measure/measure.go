// Package measure reads from one program everything that the checks judge.
// It draws no conclusion beyond "this stands in the file".
package measure

import (
	"debug/buildinfo"
	"debug/elf"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"math"
	"runtime/debug"
	"slices"
	"strings"

	"kubefips.internal/tools/fipscheck/boring"
	"kubefips.internal/tools/fipscheck/elfbin"
	"kubefips.internal/tools/fipscheck/native"
)

// Kind is what sort of ELF file was found.
type Kind string

const (
	// Go is a program or library with a readable Go function table.
	Go Kind = "go"
	// Native is machine code of another language.
	Native Kind = "native"
	// Object is an ELF file that nothing runs as it is: relocatable, core, BPF.
	Object Kind = "object"
	// Unknown is a file that cannot be judged: packed, damaged, obfuscated.
	Unknown Kind = "unknown"
)

// Mode is where a program's cryptography comes from.
type Mode string

const (
	Boring Mode = "boring"
	GoFIPS Mode = "native"
	None   Mode = "none"
	// Plain is cryptography outside any validated module; no program can
	// declare it.
	Plain Mode = "plain"
)

// Binary is what was found in one file.
type Binary struct {
	SHA256   string `json:"sha256"`
	Size     int64  `json:"size"`
	Kind     Kind   `json:"kind"`
	Platform string `json:"platform"`
	// Unreadable says why Kind is Unknown.
	Unreadable string   `json:"unreadable,omitempty"`
	Library    bool     `json:"library,omitempty"`
	Interp     string   `json:"interpreter,omitempty"`
	Needed     []string `json:"needed,omitempty"`

	// GoVersion, Main and Settings are claims of the build info, where there is one.
	GoVersion string            `json:"goVersion,omitempty"`
	Main      string            `json:"main,omitempty"`
	Settings  map[string]string `json:"settings,omitempty"`

	// Packages are the import paths of all functions in the function table.
	Packages []string `json:"-"`
	// Crypto are those of them that are cryptography.
	Crypto []string `json:"cryptoPackages,omitempty"`

	// Modules are the places at which BoringCrypto stands.
	Modules []boring.Found `json:"boringModules,omitempty"`
	// Wired says whether Go functions that call BoringCrypto are linked.
	Wired bool `json:"boringWired"`
	// SigBoring, SigStandard and SigFIPSOnly are the markers of
	// crypto/internal/boring/sig, by code or by name.
	SigBoring   bool `json:"sigBoringCrypto"`
	SigStandard bool `json:"sigStandardCrypto"`
	SigFIPSOnly bool `json:"sigFIPSOnly"`

	// Snapshots are the versions of Go's native module that are linked.
	Snapshots []string `json:"nativeSnapshots,omitempty"`
	// Integrity is the native module's sum; nil when there is no record.
	Integrity *native.Integrity `json:"nativeIntegrity,omitempty"`
	// Defaults are the distinct values of fips140= outside the build info,
	// Claimed those inside.
	Defaults []string `json:"fips140Defaults,omitempty"`
	Claimed  []string `json:"fips140Claimed,omitempty"`

	// Foreign are traces of other cryptographic libraries.
	Foreign []Trace `json:"foreignCrypto,omitempty"`
}

// Trace is one sign of a cryptographic library that is not Go's.
type Trace struct {
	Library  string `json:"library"`
	Evidence string `json:"evidence"`
	Offset   int64  `json:"offset"`
}

// Mode concludes from the measurements where the cryptography comes from.
// It errs on the side of Plain.
func (b *Binary) Mode() Mode {
	switch {
	case len(b.Modules) > 0 || b.Wired:
		return Boring
	case b.SnapshotLinked() || slices.ContainsFunc(b.Defaults, enabled):
		return GoFIPS
	case len(b.Crypto) > 0 || len(b.Foreign) > 0 || b.SigStandard:
		return Plain
	}
	return None
}

// SnapshotLinked says whether a frozen version of the native module is linked.
func (b *Binary) SnapshotLinked() bool {
	return slices.ContainsFunc(b.Snapshots, func(s string) bool { return s != native.Unversioned })
}

// Links says whether any function of the package at path, or under it, is linked.
func (b *Binary) Links(path string) bool {
	i, ok := slices.BinarySearch(b.Packages, path)
	return ok || i < len(b.Packages) && strings.HasPrefix(b.Packages[i], path+"/")
}

func enabled(v string) bool { return v == "on" || v == "only" || v == "debug" }

// The patterns of one pass, in the order of their indexes.
var (
	sigPrefix = "\xeb\x1d\xf4\x48\xf4\x4b\xf4"
	sigs      = []string{
		sigPrefix + "\xb3\x32\xf5\x28\x13\xa3\xb4\x50\xd4\x41\xcc\x24\x85\xf0\x01\x45\x4e\x92\x10\x1b\x1d\x2f\x19\x50\xc3",
		sigPrefix + "\xba\xee\x4d\xfa\x98\x51\xca\x56\xa9\x11\x45\xe8\x3e\x99\xc5\x9c\xf9\x11\xcb\x8e\x80\xda\xf1\x2f\xc3",
		sigPrefix + "\x36\x3c\xb9\xce\x9d\x68\x04\x7d\x31\xf2\x8d\x32\x5d\x5c\xa5\x87\x3f\x5d\x80\xca\xf6\xd6\x15\x1b\xc3",
	}
	// The brackets of the build info's module text (cmd/go/internal/modload).
	infoStart = "\x30\x77\xaf\x0c\x92\x74\x08\x02\x41\xe1\xc1\x07\xe6\xd6\x18\xe6"
	infoEnd   = "\xf9\x32\x43\x31\x86\x18\x20\x72\x00\x82\x42\x10\x41\x16\xd8\xf2"
	fips140   = "fips140="
)

// scanner is built once: its order is patterns of boring, sigs, function
// tables, then the strings, then the foreign libraries.
var scanner, index = func() (*elfbin.Patterns, struct{ sig, tab, info, foreign int }) {
	p := boring.Patterns()
	var at struct{ sig, tab, info, foreign int }
	at.sig = len(p)
	for _, s := range sigs {
		p = append(p, []byte(s))
	}
	at.tab = len(p)
	p = append(p, elfbin.PclntabHeaders...)
	at.info = len(p)
	p = append(p, []byte(infoStart), []byte(infoEnd), []byte(fips140), []byte(native.InfoMagic))
	at.foreign = len(p)
	for _, l := range libraries {
		p = append(p, []byte(l.pattern))
	}
	return elfbin.NewPatterns(p...), at
}()

// File measures an ELF file. Damage is no error but makes the kind Unknown;
// the error is for input that cannot be read at all.
func File(r io.ReaderAt, size int64) (*Binary, error) {
	b := &Binary{Size: size, Kind: Unknown}
	sum, hits, err := scanner.Scan(r, size)
	if err != nil {
		return nil, err
	}
	b.SHA256 = hex.EncodeToString(sum[:])
	f, err := elfbin.Open(r, size)
	if err != nil {
		b.Unreadable = err.Error()
		return b, nil
	}
	b.Platform, b.Interp, b.Needed, b.Library = f.Platform(), f.Interp, f.Needed, f.Library()
	if !f.Loadable() || f.Machine == elf.EM_BPF {
		b.Kind = Object
		return b, nil
	}
	if b.Unreadable = busy(hits[:index.foreign]); b.Unreadable != "" {
		return b, nil
	}
	info, infoErr := buildinfo.Read(io.NewSectionReader(r, 0, size))
	if infoErr == nil {
		b.claims(info)
	}
	tables, err := b.functions(f, hits[index.tab:index.info])
	switch {
	case err != nil:
		b.Unreadable = err.Error()
	case tables > 0:
		b.Kind = Go
	case packed(f, r):
		b.Unreadable = "packed or encrypted: the code that runs is not in the file as it is; ship it unpacked"
	case infoErr == nil:
		b.Unreadable = "Go build info but no readable function table: obfuscated, damaged or of a Go release that this program does not know"
	default:
		b.Kind = Native
	}
	if b.Modules, err = boring.Find(f, hits[:index.sig]); err != nil {
		return nil, err
	}
	sig := hits[index.sig:index.tab]
	for i, marker := range []*bool{&b.SigBoring, &b.SigStandard, &b.SigFIPSOnly} {
		for _, off := range sig[i] {
			if s, ok := f.SegmentAt(off, 1); ok && s.Executable && f.Machine == elf.EM_X86_64 {
				*marker = true
			}
		}
	}
	if err := b.godebug(f, hits[index.info], hits[index.info+1], hits[index.info+2]); err != nil {
		b.Kind, b.Unreadable = Unknown, err.Error()
		return b, nil
	}
	for _, off := range hits[index.info+3] {
		if got, err := native.Verify(f, off); err == nil && (b.Integrity == nil || !got.Intact()) {
			b.Integrity = &got
		}
	}
	b.foreign(f, hits[index.foreign:])
	return b, nil
}

// maxCopies is how often a mark may stand in a file. Real programs have each
// of them once or twice, and texts about fips140= a few dozen times.
const maxCopies = 256

// busy refuses a file that was made to keep its reader busy: each copy of a
// mark costs the look at a module or a table.
func busy(hits [][]int64) string {
	for _, h := range hits {
		if len(h) > maxCopies {
			return fmt.Sprintf("a mark that a program has once stands here more than %d times, at %#x first", maxCopies, h[0])
		}
	}
	return ""
}

func (b *Binary) claims(info *buildinfo.BuildInfo) {
	b.GoVersion, b.Main = info.GoVersion, info.Path
	b.Settings = map[string]string{}
	keep := []string{"-tags", "CGO_ENABLED", "GOARCH", "GOOS", "GOEXPERIMENT", "GOFIPS140", "DefaultGODEBUG"}
	for _, s := range []debug.BuildSetting(info.Settings) {
		if slices.Contains(keep, s.Key) {
			b.Settings[s.Key] = s.Value
		}
	}
}

// functions reads every function table and returns how many there are. Names
// from all tables count, so a second table cannot hide the first. The error is
// for tables that together are too large to be a program's.
func (b *Binary) functions(f *elfbin.File, hits [][]int64) (tables int, err error) {
	budget := elfbin.MaxNames
	paths := map[string]bool{}
	for _, offsets := range hits {
		for _, off := range offsets {
			if _, ok := f.SegmentAt(off, 16); !ok {
				continue
			}
			var wired, boring, standard, fipsonly, runtime bool
			found := map[string]bool{}
			err := f.FuncNames(off, func(fn string) {
				budget -= len(fn)
				if p := elfbin.Package(fn); p != "" {
					found[p] = true
				}
				runtime = runtime || strings.HasPrefix(fn, "runtime.")
				if rest, ok := strings.CutPrefix(fn, "crypto/internal/boring"); ok {
					wired = wired || strings.HasPrefix(rest, "._Cfunc__goboringcrypto_")
					boring = boring || rest == "/sig.BoringCrypto"
					standard = standard || rest == "/sig.StandardCrypto"
					fipsonly = fipsonly || rest == "/sig.FIPSOnly"
				}
			})
			if budget < 0 {
				return 0, fmt.Errorf("more than %d bytes of function names", elfbin.MaxNames)
			}
			if err != nil || !runtime {
				continue
			}
			tables++
			b.Wired = b.Wired || wired
			b.SigBoring = b.SigBoring || boring
			b.SigStandard = b.SigStandard || standard
			b.SigFIPSOnly = b.SigFIPSOnly || fipsonly
			maps.Copy(paths, found)
		}
	}
	b.Packages = slices.Sorted(maps.Keys(paths))
	versions := map[string]bool{}
	for _, p := range b.Packages {
		if IsCrypto(p) {
			b.Crypto = append(b.Crypto, p)
		}
		if v := native.Of(p); v != "" {
			versions[v] = true
		}
	}
	b.Snapshots = slices.Sorted(maps.Keys(versions))
	return tables, nil
}

// godebug collects the values of fips140=. What stands in the build info is a
// claim. A default is a string variable whose whole value is a GODEBUG list,
// as runtime.godebugDefault is; a sentence about the setting is neither.
func (b *Binary) godebug(f *elfbin.File, starts, ends, hits []int64) error {
	defaults, claimed := map[string]bool{}, map[string]bool{}
	var lists []setting
	for _, off := range hits {
		s, err := settingAt(f, off)
		if err != nil {
			return fmt.Errorf("reading a setting at %#x: %w", off, err)
		}
		i, inside := slices.BinarySearch(starts, off)
		if i > 0 && !inside {
			j, _ := slices.BinarySearch(ends, starts[i-1])
			inside = j < len(ends) && off < ends[j]
		}
		if inside {
			claimed[s.value()] = true
		} else if _, loaded := f.SegmentAt(off, int64(len(fips140))); loaded {
			lists = append(lists, s)
		}
	}
	if len(lists) > 0 {
		err := f.Strings(func(off int64, n uint64) error {
			for _, s := range lists {
				if v, ok := s.within(off, n); ok {
					defaults[v] = true
				}
			}
			return nil
		}, lists[0].from, lists[len(lists)-1].at)
		if err != nil {
			return err
		}
	}
	b.Defaults, b.Claimed = slices.Sorted(maps.Keys(defaults)), slices.Sorted(maps.Keys(claimed))
	return nil
}

// setting is one occurrence of fips140= with the GODEBUG list around it.
type setting struct {
	at, from int64  // file offsets of fips140= and of text
	text     string // as much around it as could belong to a list
}

func settingAt(f *elfbin.File, off int64) (setting, error) {
	const reach = 4096 // more than all settings of a Go release together
	from := max(0, off-reach)
	buf := make([]byte, off-from+reach)
	n, err := f.ReadAt(buf, from)
	if err != nil && err != io.EOF {
		return setting{}, err
	}
	buf = buf[:n]
	inList := func(c byte) bool {
		return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '=' || c == ',' || c == '-' || c == '.' || c == '#'
	}
	lo := int(off - from)
	hi := min(lo+len(fips140), len(buf))
	for lo > 0 && inList(buf[lo-1]) {
		lo--
	}
	for hi < len(buf) && inList(buf[hi]) {
		hi++
	}
	return setting{at: off, from: from + int64(lo), text: string(buf[lo:hi])}, nil
}

// value is what follows fips140= up to the next separator.
func (s setting) value() string {
	v := s.text[s.at-s.from+int64(len(fips140)):]
	v, _, _ = strings.Cut(v, ",")
	return v
}

// within returns the value if the n bytes at file offset off are a GODEBUG list
// with this occurrence in it.
func (s setting) within(off int64, n uint64) (string, bool) {
	if off < s.from || off > s.at || n > uint64(len(s.text)) || off-s.from+int64(n) > int64(len(s.text)) || off+int64(n) < s.at+int64(len(fips140)) {
		return "", false
	}
	value, found := "", false
	for _, kv := range strings.Split(s.text[off-s.from:off-s.from+int64(n)], ",") {
		k, v, ok := strings.Cut(kv, "=")
		if !ok || k == "" || strings.Contains(v, "=") {
			return "", false
		}
		if k == "fips140" {
			value, found = v, true
		}
	}
	return value, found
}

// packed recognises UPX by its mark, and other packers by code that is as
// random as compressed data: machine code has about 6 bits a byte.
func packed(f *elfbin.File, r io.ReaderAt) bool {
	head := make([]byte, 1024)
	n, _ := r.ReadAt(head, 0)
	if strings.Contains(string(head[:n]), "UPX!") {
		return true
	}
	for _, s := range f.Segments {
		if !s.Executable || s.FileSize < 16<<10 {
			continue
		}
		var count [256]int
		buf := make([]byte, min(s.FileSize, 8<<20))
		if _, err := r.ReadAt(buf, s.Offset); err != nil {
			return true
		}
		for _, c := range buf {
			count[c]++
		}
		bits := 0.0
		for _, c := range count {
			if c > 0 {
				p := float64(c) / float64(len(buf))
				bits -= p * math.Log2(p)
			}
		}
		if bits > 7.6 {
			return true
		}
	}
	return false
}
