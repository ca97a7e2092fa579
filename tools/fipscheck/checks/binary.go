package checks

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"kubefips.internal/tools/fipscheck/boring"
	"kubefips.internal/tools/fipscheck/measure"
	"kubefips.internal/tools/fipscheck/native"
)

// Status is a finding's outcome.
type Status string

const (
	Pass Status = "pass"
	Fail Status = "fail"
	Warn Status = "warn"
	// Note is information without judgement.
	Note Status = "info"
	// Excepted is a failure that the policy excuses.
	Excepted Status = "excepted"
	// Skipped is a check that does not apply.
	Skipped Status = "n/a"
)

// Finding is the outcome of one check on one subject.
type Finding struct {
	Check    string   `json:"check"`
	Severity Severity `json:"severity"`
	Status   Status   `json:"status"`
	// Subject is what inside the artifact it is about: an import path, a
	// library, a file. It is what an exception's path is compared with.
	Subject string `json:"subject,omitempty"`
	Message string `json:"message"`
	// Exception is the policy's entry that excused a failure.
	Exception *Exception `json:"exception,omitempty"`
}

// Exception is a decision to ship despite a failed check.
type Exception struct {
	Check string `json:"check" yaml:"check"`
	// Artifacts are names or globs of artifacts; Paths are globs of subjects.
	Artifacts []string `json:"artifacts,omitempty" yaml:"artifacts"`
	Paths     []string `json:"paths,omitempty" yaml:"paths"`
	Owner     string   `json:"owner" yaml:"owner"`
	Reason    string   `json:"reason" yaml:"reason"`
	// Expires is the first day (YYYY-MM-DD) on which it no longer holds.
	Expires string `json:"expires" yaml:"expires"`
}

// Context is what a verdict depends on beside the file.
type Context struct {
	// Declared is the mode that the artifact has to have; empty accepts any
	// validated mode and none.
	Declared measure.Mode
	// Date is the day of the verdict.
	Date time.Time
	// Sunset gives a certificate's recorded sunset date, if it is known.
	Sunset func(certificate string) (date string, ok bool)
	// SnapshotZip is the digest of a native snapshot's archive in the SDK
	// that the user named; empty when none was.
	SnapshotZip func(version string) string
}

// Findings are what checks said of one artifact.
type Findings []Finding

// Add adds the outcome of a check of the catalogue on a subject, which may be empty.
func (l *Findings) Add(id string, st Status, subject, format string, args ...any) {
	c, ok := Lookup(id)
	if !ok {
		panic("checks: no check " + id)
	}
	*l = append(*l, Finding{Check: id, Severity: c.Severity, Status: st, Subject: subject, Message: fmt.Sprintf(format, args...)})
}

// judge adds a pass or a failure.
func (l *Findings) judge(id string, ok bool, subject, pass, fail string) {
	if ok {
		l.Add(id, Pass, subject, "%s", pass)
	} else {
		l.Add(id, Fail, subject, "%s", fail)
	}
}

// Binary judges one measured file by B01 to B20, in the order of their ids.
func Binary(b *measure.Binary, ctx Context) []Finding {
	var l Findings
	mode := b.Mode()
	switch b.Kind {
	case measure.Unknown:
		l.Add("B01", Fail, "", "%s", b.Unreadable)
		return l
	case measure.Object:
		l.Add("B01", Pass, "", "ELF object for %s that is not a program: nothing runs it as it is", b.Platform)
		return l
	case measure.Go:
		l.Add("B01", Pass, "", "Go %s, functions of %d packages", orUnknown(b.GoVersion, "of unknown version"), len(b.Packages))
	default:
		l.Add("B01", Pass, "", "machine code of another language than Go")
	}

	l.mode(b, mode, ctx.Declared)
	l.boring(b, mode)
	l.tls(b, mode)
	l.native(b, mode, ctx)
	l.validated(b, mode)
	l.buildInfo(b, mode)
	l.static(b)
	l.historical(b, mode)
	l.foreign(b)
	l.packages(b, mode)
	l.judge("B18", b.Platform == "linux/amd64" || b.Platform == "linux/arm64", "",
		b.Platform, b.Platform+": no validated module exists for it, Go falls back to plain cryptography")
	l.sunset(b, ctx)
	return l
}

func (l *Findings) mode(b *measure.Binary, mode, declared measure.Mode) {
	what := map[measure.Mode]string{
		measure.Boring: "BoringCrypto",
		measure.GoFIPS: "Go's native FIPS module",
		measure.None:   "no cryptography",
		measure.Plain:  "cryptography outside any validated module" + example(b),
	}
	switch {
	case mode == measure.Plain:
		l.Add("B02", Fail, "", "measured %s: %s", mode, what[mode])
	case declared == "":
		l.Add("B02", Pass, "", "measured %s: %s", mode, what[mode])
	default:
		l.judge("B02", mode == declared, "", fmt.Sprintf("%s as declared: %s", mode, what[mode]),
			fmt.Sprintf("declared %s, measured %s: %s", declared, mode, what[mode]))
	}
}

func example(b *measure.Binary) string {
	switch {
	case len(b.Crypto) > 0:
		return fmt.Sprintf(" (%d packages, %s among them)", len(b.Crypto), b.Crypto[0])
	case len(b.Foreign) > 0:
		return " (" + b.Foreign[0].Evidence + ")"
	}
	return ""
}

func (l *Findings) boring(b *measure.Binary, mode measure.Mode) {
	if mode != measure.Boring {
		for _, id := range []string{"B03", "B04", "B05", "B06"} {
			l.Add(id, Skipped, "", "no BoringCrypto")
		}
		return
	}
	if len(b.Modules) == 0 {
		l.Add("B03", Fail, "", "Go calls BoringCrypto, but no known module stands in the file")
		l.Add("B04", Fail, "", "no module of a known Go release: the object that was linked is not pinned to a certificate")
	}
	for _, m := range b.Modules {
		at := fmt.Sprintf("%s %s at %#x", m.Module.Version, m.Module.Arch, m.Address)
		switch {
		case m.Intact():
			l.Add("B03", Pass, "", "%s, %#x bytes: HMAC %s recomputed", at, m.Module.Size, m.Computed)
		case !m.Executable:
			l.Add("B03", Fail, "", "%s is in a segment that is not executable: a copy that never runs", at)
		case m.Embedded != m.Module.MAC:
			l.Add("B03", Fail, "", "%s: the embedded HMAC is %s, the pinned object's is %s", at, m.Embedded, m.Module.MAC)
		default:
			l.Add("B03", Fail, "", "%s was altered: HMAC of its bytes is %s, expected %s; its power-on test aborts the program", at, m.Computed, m.Module.MAC)
		}
		c, pinned := boring.Certificates[m.Module.Version]
		l.judge("B04", m.Intact() && pinned, "",
			fmt.Sprintf("object sha256 %s: %s, certificate #%s (%s)", m.Module.Object, c.Module, c.Number, c.Standard),
			fmt.Sprintf("%s is not, byte for byte, an object that is pinned to a certificate", at))
	}
	amd64 := b.Platform == "linux/amd64"
	l.judge("B05", b.Wired && b.SigBoring, "", "functions that call BoringCrypto are linked, and the marker BoringCrypto"+ifElse(amd64, "", " by name"),
		"the module's bytes are there, but "+ifElse(b.Wired, "the marker BoringCrypto is not", "no Go function calls them"))
	l.judge("B06", !b.SigStandard, "", "the marker StandardCrypto is absent", "the marker StandardCrypto is linked: plain Go cryptography beside the module")
}

func (l *Findings) tls(b *measure.Binary, mode measure.Mode) {
	switch {
	case !slices.Contains(b.Packages, "crypto/tls"):
		l.Add("B07", Skipped, "", "crypto/tls is not linked")
	case mode == measure.GoFIPS:
		l.Add("B07", Pass, "", "native FIPS mode restricts crypto/tls by itself")
	case mode == measure.Boring:
		l.judge("B07", b.SigFIPSOnly, "", "crypto/tls/fipsonly is linked",
			"crypto/tls without crypto/tls/fipsonly: X25519, ChaCha20 and TLS below 1.2 are negotiated in plain Go")
	default:
		l.judge("B07", false, "", "", ifElse(b.SigFIPSOnly, "crypto/tls/fipsonly is linked, but the cryptography behind it is no validated module",
			"crypto/tls without the FIPS policy"))
	}
}

func (l *Findings) native(b *measure.Binary, mode measure.Mode, ctx Context) {
	if mode != measure.GoFIPS {
		for _, id := range []string{"B08", "B09", "B10", "B11"} {
			l.Add(id, Skipped, "", "not Go's native module")
		}
		return
	}
	l.judge("B08", len(b.Snapshots) == 1 && b.Snapshots[0] != native.Unversioned, "",
		"snapshot "+strings.Join(b.Snapshots, ", ")+" and no other",
		"linked: "+strings.Join(b.Snapshots, ", ")+"; wanted is one frozen snapshot")
	switch {
	case b.Integrity == nil:
		l.Add("B09", Fail, "", "no .go.fipsinfo record: nothing to recompute")
	default:
		l.judge("B09", b.Integrity.Intact(), "", "HMAC "+b.Integrity.Computed+" recomputed",
			"the module was altered: HMAC of its bytes is "+b.Integrity.Computed+", embedded is "+b.Integrity.Embedded)
	}
	l.judge("B10", len(b.Defaults) == 1 && (b.Defaults[0] == "on" || b.Defaults[0] == "only"), "",
		"default fips140="+strings.Join(b.Defaults, ","),
		"values of fips140= in the file: "+orUnknown(strings.Join(b.Defaults, ", "), "none")+"; wanted is on and nothing else")
	for _, v := range b.Snapshots {
		s := native.Snapshots[v]
		zip := ""
		if ctx.SnapshotZip != nil {
			zip = ctx.SnapshotZip(v)
		}
		switch {
		case s.Zip == "":
			l.Add("B11", Fail, v, "no pinned archive for snapshot %s: %s", v, orUnknown(s.Note, "unknown version"))
		case zip != "":
			l.judge("B11", zip == s.Zip, v, "archive of "+v+" in the SDK has the pinned sha256 "+zip,
				"archive of "+v+" in the SDK has sha256 "+zip+", pinned is "+s.Zip)
		default:
			l.Add("B11", Pass, v, "%s names the archive with sha256 %s (by name; --sdk hashes it)", v, s.Zip)
		}
	}
}

func (l *Findings) validated(b *measure.Binary, mode measure.Mode) {
	nativeOn := b.SnapshotLinked() || slices.Contains(b.Defaults, "on") || slices.Contains(b.Defaults, "only")
	switch {
	case mode == measure.Boring && nativeOn:
		l.Add("B12", Fail, "", "BoringCrypto and Go's native module together (%s, fips140=%s): the program aborts at start",
			strings.Join(b.Snapshots, ", "), strings.Join(b.Defaults, ","))
	case mode == measure.Boring:
		l.Add("B12", Pass, "", "BoringCrypto alone")
	case mode == measure.GoFIPS:
		for _, v := range b.Snapshots {
			s := native.Snapshots[v]
			l.judge("B12", s.Certificate != "", v, "Go Cryptographic Module "+v+", certificate #"+s.Certificate,
				v+" is not validated: "+orUnknown(s.Note, "the distribution's own source, never submitted"))
		}
	default:
		l.Add("B12", Skipped, "", "no module")
	}
}

func (l *Findings) buildInfo(b *measure.Binary, mode measure.Mode) {
	if b.GoVersion == "" {
		l.Add("B13", Skipped, "", "no build info")
		return
	}
	n := len(*l)
	experiment := strings.Contains(b.GoVersion, "boringcrypto") || strings.Contains(b.Settings["GOEXPERIMENT"], "boringcrypto")
	tags := strings.FieldsFunc(b.Settings["-tags"], func(r rune) bool { return r == ',' || r == ' ' })
	if slices.Contains(tags, "boringcrypto") && !experiment {
		l.Add("B13", Fail, "-tags", "built with -tags boringcrypto: the tag selects files and changes nothing in the standard library; the switch is GOEXPERIMENT=boringcrypto")
	}
	if experiment && mode == measure.Plain {
		why := "cgo was off, the target was not linux/amd64 or arm64, or no C toolchain resolved"
		if b.Settings["CGO_ENABLED"] == "0" {
			why = "CGO_ENABLED=0"
		}
		l.Add("B13", Fail, "GOEXPERIMENT", "says X:boringcrypto and carries plain Go cryptography: the experiment fell back silently (%s)", why)
	}
	if !experiment && mode == measure.Boring {
		l.Add("B13", Fail, "GOEXPERIMENT", "carries BoringCrypto, but the build info knows no such experiment: it is not this program's")
	}
	want := b.Settings["GOFIPS140"]
	if want != "" && want != "off" && mode != measure.GoFIPS {
		l.Add("B13", Fail, "GOFIPS140", "says GOFIPS140=%s, measured mode is %s", want, mode)
	}
	if slices.ContainsFunc(b.Claimed, func(v string) bool { return (v == "on" || v == "only") && !slices.Contains(b.Defaults, v) }) {
		l.Add("B13", Fail, "DefaultGODEBUG", "says fips140=%s, but the linker's default does not: the program runs with it off", strings.Join(b.Claimed, ","))
	}
	if arch := b.Settings["GOARCH"]; arch != "" && b.Platform != b.Settings["GOOS"]+"/"+arch {
		l.Add("B13", Fail, "GOARCH", "says %s/%s, the file is for %s", b.Settings["GOOS"], arch, b.Platform)
	}
	if len(*l) == n {
		l.Add("B13", Pass, "", "%s agrees", b.GoVersion)
	}
}

func (l *Findings) static(b *measure.Binary) {
	if b.Library {
		l.Add("B14", Skipped, "", "a shared library")
		return
	}
	var why []string
	if b.Interp != "" {
		why = append(why, "interpreter "+b.Interp)
	}
	if len(b.Needed) > 0 {
		why = append(why, "needs "+strings.Join(b.Needed, ", "))
	}
	l.judge("B14", len(why) == 0, "", "no interpreter, no needed library", "dynamically linked: "+strings.Join(why, "; "))
}

func (l *Findings) historical(b *measure.Binary, mode measure.Mode) {
	if mode != measure.Boring {
		l.Add("B15", Skipped, "", "no BoringCrypto")
		return
	}
	n := len(*l)
	for _, m := range b.Modules {
		if c := boring.Certificates[m.Module.Version]; c.Historical != "" {
			l.Add("B15", Fail, "", "%s, certificate #%s (%s): Historical since %s", m.Module.Version, c.Number, c.Standard, c.Historical)
		}
	}
	if len(*l) == n && oldGo(b.GoVersion) {
		l.Add("B15", Fail, "", "built by %s; only Go 1.24 and newer carry a module with an active certificate", b.GoVersion)
	}
	if len(*l) == n {
		l.Add("B15", Pass, "", "not a Historical module")
	}
}

// oldGo says whether a version string names a Go older than 1.24.
func oldGo(v string) bool {
	var minor int
	n, _ := fmt.Sscanf(v, "go1.%d", &minor)
	return n == 1 && minor < 24
}

func (l *Findings) foreign(b *measure.Binary) {
	if len(b.Foreign) == 0 {
		l.Add("B16", Pass, "", "no trace of another cryptographic library")
		return
	}
	for _, t := range b.Foreign {
		l.Add("B16", Fail, t.Library, "%s: %s", t.Library, t.Evidence)
	}
}

func (l *Findings) packages(b *measure.Binary, mode measure.Mode) {
	if b.Kind != measure.Go {
		l.Add("B17", Skipped, "", "no Go function table")
		return
	}
	n := len(*l)
	for _, p := range b.Packages {
		r := measure.NonApproved(p)
		if r == nil || r.BoringOnly && mode == measure.GoFIPS {
			continue
		}
		st := map[measure.Weight]Status{measure.High: Fail, measure.Med: Warn, measure.Info: Note}[r.Weight]
		l.Add("B17", st, p, "%s is linked (%s)", p, r.What)
		(*l)[len(*l)-1].Severity = Severity(r.Weight)
	}
	if len(*l) == n {
		l.Add("B17", Pass, "", "no non-approved package is linked")
	}
}

// Certificates returns the numbers of the certificates of the modules in a
// file, sorted.
func Certificates(b *measure.Binary) []string {
	var numbers []string
	for _, m := range b.Modules {
		if c := boring.Certificates[m.Module.Version]; c.Number != "" {
			numbers = append(numbers, c.Number)
		}
	}
	for _, v := range b.Snapshots {
		if c := native.Snapshots[v].Certificate; c != "" {
			numbers = append(numbers, c)
		}
	}
	slices.Sort(numbers)
	return slices.Compact(numbers)
}

func (l *Findings) sunset(b *measure.Binary, ctx Context) {
	numbers := Certificates(b)
	if len(numbers) == 0 {
		l.Add("B20", Skipped, "", "no certificate")
		return
	}
	for _, n := range numbers {
		date, ok := "", false
		if ctx.Sunset != nil {
			date, ok = ctx.Sunset(n)
		}
		day := ctx.Date.Format(time.DateOnly)
		switch {
		case !ok:
			l.Add("B20", Warn, "#"+n, "certificate #%s: the sunset date is not recorded; look it up at the CMVP", n)
		default:
			l.judge("B20", day < date, "#"+n, fmt.Sprintf("certificate #%s: sunset %s is after %s", n, date, day),
				fmt.Sprintf("certificate #%s: past its sunset %s on %s", n, date, day))
		}
	}
}

func orUnknown(s, unknown string) string {
	if s == "" {
		return unknown
	}
	return s
}

func ifElse(c bool, a, b string) string {
	if c {
		return a
	}
	return b
}
