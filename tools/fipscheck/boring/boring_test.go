package boring_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"kubefips.internal/tools/fipscheck/boring"
	"kubefips.internal/tools/fipscheck/internal/fixture"
)

func TestMain(m *testing.M) { fixture.Main(m) }

// The table in the tree is what the objects of every distribution at hand say.
func TestTableIsDerivedFromTheObjects(t *testing.T) {
	def, err := fixture.SDK("")
	if err != nil {
		t.Fatal(err)
	}
	dirs := map[string]string{"default": def}
	for v, d := range fixture.SDKs() {
		dirs[v] = d
	}
	done := map[string]bool{}
	for v, d := range dirs {
		objects, err := filepath.Glob(filepath.Join(d, "src/crypto/internal/boring/syso/*.syso"))
		if err != nil || len(objects) != 2 {
			t.Fatalf("%s: objects %v, %v; want one for each of amd64 and arm64", v, objects, err)
		}
		for _, name := range objects {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(boring.Modules, func(m boring.Module) bool { return m.Object == sum(b) })
			if i < 0 {
				t.Errorf("%s %s: sha256 %s is not in the table; run go generate", v, filepath.Base(name), sum(b))
				continue
			}
			if done[sum(b)] {
				continue
			}
			done[sum(b)] = true
			got, err := boring.Derive(b)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			want := boring.Modules[i]
			got.Version = want.Version
			if got != want {
				t.Errorf("%s:\n got %+v\nwant %+v", name, got, want)
			}
		}
	}
}

func TestEveryModuleHasACertificate(t *testing.T) {
	for _, m := range boring.Modules {
		if c := boring.Certificates[m.Version]; c.Number == "" || c.Standard == "" {
			t.Errorf("%s: no certificate", m.Version)
		}
	}
}

// An object whose module was altered carries no HMAC of any of its beginnings.
func TestDeriveRefusesAnAlteredObject(t *testing.T) {
	sdk, err := fixture.SDK("")
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(sdk, "src/crypto/internal/boring/syso/goboringcrypto_linux_arm64.syso"))
	if err != nil {
		t.Fatal(err)
	}
	b[0x40+0x2000] ^= 1
	if m, err := boring.Derive(b); err == nil {
		t.Errorf("derived %+v", m)
	}
	for _, bad := range [][]byte{nil, []byte("\x7fELF"), b[:500]} {
		if _, err := boring.Derive(bad); err == nil {
			t.Errorf("derived from %d bytes", len(bad))
		}
	}
}
func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}
