package checks_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"kubefips.internal/tools/fipscheck/boring"
	"kubefips.internal/tools/fipscheck/checks"
	"kubefips.internal/tools/fipscheck/measure"
)

func TestCatalogueIsComplete(t *testing.T) {
	if !slices.IsSortedFunc(checks.Catalogue, func(a, b checks.Check) int { return strings.Compare(a.ID, b.ID) }) {
		t.Error("not sorted by id: Lookup does not work")
	}
	for _, c := range checks.Catalogue {
		if c.Title == "" || c.Proves == "" || c.Not == "" || c.Source == "" || c.Fix == "" {
			t.Errorf("%s: something is not said", c.ID)
		}
	}
	if n := len(checks.Catalogue); n != 29 {
		t.Errorf("%d checks, want B01 to B20 and O1 to O9", n)
	}
}

// good is what is measured in a boring program.
func good() *measure.Binary {
	m := boring.Modules[slices.IndexFunc(boring.Modules, func(m boring.Module) bool { return m.Version == "fips-20220613" && m.Arch == "amd64" })]
	return &measure.Binary{
		Kind: measure.Go, Platform: "linux/amd64", GoVersion: "go1.26.10 X:boringcrypto",
		Packages: []string{"crypto/aes", "crypto/tls", "main"}, Crypto: []string{"crypto/aes", "crypto/tls"},
		Modules: []boring.Found{{Module: m, Executable: true, Computed: m.MAC, Embedded: m.MAC}},
		Wired:   true, SigBoring: true, SigFIPSOnly: true,
	}
}

// Each change makes the named check fail, alone: what the fixtures cannot
// build is tried here.
func TestOneChangeOneCheck(t *testing.T) {
	historical := boring.Modules[slices.IndexFunc(boring.Modules, func(m boring.Module) bool { return m.Version == "fips-20210429" && m.Arch == "amd64" })]
	tests := []struct {
		name   string
		change func(*measure.Binary)
		fails  []string
	}{
		{"nothing", func(*measure.Binary) {}, nil},
		{"Historical module", func(b *measure.Binary) {
			b.Modules[0] = boring.Found{Module: historical, Executable: true, Computed: historical.MAC, Embedded: historical.MAC}
		}, []string{"B15"}},
		{"old Go with a new module", func(b *measure.Binary) { b.GoVersion = "go1.23.12 X:boringcrypto" }, []string{"B15"}},
		{"module as data", func(b *measure.Binary) { b.Modules[0].Executable = false }, []string{"B03", "B04"}},
		{"module of an unknown tag", func(b *measure.Binary) { b.Modules[0].Module.Version = "fips-20990101" }, []string{"B04"}},
		{"not wired", func(b *measure.Binary) { b.Wired = false }, []string{"B05"}},
		{"marker missing", func(b *measure.Binary) { b.SigBoring = false }, []string{"B05"}},
		{"standard crypto beside it", func(b *measure.Binary) { b.SigStandard = true }, []string{"B06"}},
		{"no policy", func(b *measure.Binary) { b.SigFIPSOnly = false }, []string{"B07"}},
		{"native module as well", func(b *measure.Binary) { b.Snapshots = []string{"v1.0.0-c2097c7c"} }, []string{"B12"}},
		{"native mode on by default as well", func(b *measure.Binary) { b.Defaults = []string{"on"} }, []string{"B12"}},
		{"tag in place of the experiment", func(b *measure.Binary) {
			b.GoVersion, b.Settings = "go1.26.10", map[string]string{"-tags": "a,boringcrypto"}
		}, []string{"B13"}},
		{"interpreter", func(b *measure.Binary) { b.Interp = "/lib/ld.so" }, []string{"B14"}},
		{"needed library", func(b *measure.Binary) { b.Needed = []string{"libc.so.6"} }, []string{"B14"}},
		{"OpenSSL", func(b *measure.Binary) { b.Foreign = []measure.Trace{{Library: "OpenSSL", Evidence: "x"}} }, []string{"B16"}},
		{"secretbox", func(b *measure.Binary) { b.Packages = append(b.Packages, "golang.org/x/crypto/nacl/secretbox") }, []string{"B17"}},
		{"crypto/tls's own ChaCha20", func(b *measure.Binary) {
			b.Packages = append(b.Packages, "vendor/golang.org/x/crypto/chacha20poly1305")
		}, nil},
		{"md5 warns", func(b *measure.Binary) { b.Packages = append(b.Packages, "crypto/md5") }, nil},
		{"platform", func(b *measure.Binary) { b.Platform = "linux/s390x" }, []string{"B18"}},
		{"packed", func(b *measure.Binary) { b.Kind, b.Unreadable = measure.Unknown, "packed" }, []string{"B01"}},
	}
	for _, tt := range tests {
		b := good()
		tt.change(b)
		var got []string
		for _, f := range checks.Binary(b, checks.Context{Declared: measure.Boring, Date: time.Unix(0, 0)}) {
			if f.Status == checks.Fail && !slices.Contains(got, f.Check) {
				got = append(got, f.Check)
			}
		}
		if !slices.Equal(got, tt.fails) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.fails)
		}
	}
}
