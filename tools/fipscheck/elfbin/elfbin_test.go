package elfbin_test

import (
	"bytes"
	"crypto/sha256"
	"math/rand/v2"
	"testing"

	"kubefips.internal/tools/fipscheck/elfbin"
)

func TestPackage(t *testing.T) {
	for fn, want := range map[string]string{
		"main.main":                                       "main",
		"crypto/tls.(*Conn).Read":                         "crypto/tls",
		"gopkg.in/square/go-jose%2ev2.(*T).F":             "gopkg.in/square/go-jose.v2",
		"slices.SortFunc[go.shape.[]crypto/x509.T_0]":     "slices",
		"a.b/c.F[d.e/f.G].func1":                          "a.b/c",
		"vendor/golang.org/x/crypto/chacha20.(*Cipher).X": "vendor/golang.org/x/crypto/chacha20",
		"go:buildid":                                      "",
		"type:.eq.crypto/tls.Config":                      "",
		"_cgo_init":                                       "",
		"":                                                "",
	} {
		if got := elfbin.Package(fn); got != want {
			t.Errorf("Package(%q) = %q, want %q", fn, got, want)
		}
	}
}

// Every occurrence is found, also where the file is read in pieces.
func TestScanFindsWhatBytesIndexFinds(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	data := make([]byte, 3<<20+17)
	for i := range data {
		data[i] = byte(r.IntN(4))
	}
	long := bytes.Repeat([]byte("0123456789abcdef"), 8)
	for _, at := range []int{0, 1<<20 - 64, 1<<20 - 1, 2<<20 - 100, 2 << 20, len(data) - len(long)} {
		copy(data[at:], long)
	}
	patterns := [][]byte{long, {1, 2, 3, 0, 1, 2, 3, 0, 1, 2}, {3, 3}, []byte("zz")}
	sum, hits, err := elfbin.NewPatterns(patterns...).Scan(bytes.NewReader(data), int64(len(data)))
	if err != nil || sum != sha256.Sum256(data) {
		t.Fatalf("%v, sum %x", err, sum)
	}
	for k, p := range patterns {
		var want []int64
		for i := 0; i+len(p) <= len(data) && len(want) < 4096; i++ {
			if bytes.HasPrefix(data[i:], p) {
				want = append(want, int64(i))
			}
		}
		if len(want) != len(hits[k]) {
			t.Errorf("pattern %d: %d hits, want %d", k, len(hits[k]), len(want))
			continue
		}
		for i := range want {
			if want[i] != hits[k][i] {
				t.Errorf("pattern %d: hit %d at %d, want %d", k, i, hits[k][i], want[i])
				break
			}
		}
	}
}

func TestScanOfShortFiles(t *testing.T) {
	p := elfbin.NewPatterns([]byte("abcdef"), []byte("ab"))
	for _, s := range []string{"", "a", "ab", "abcde", "abcdef"} {
		_, hits, err := p.Scan(bytes.NewReader([]byte(s)), int64(len(s)))
		if err != nil {
			t.Errorf("%q: %v", s, err)
		}
		if got, want := len(hits[1]), bytes.Count([]byte(s), []byte("ab")); got != want {
			t.Errorf("%q: %d hits, want %d", s, got, want)
		}
	}
	if _, _, err := p.Scan(bytes.NewReader([]byte("abc")), 10); err == nil {
		t.Error("a file shorter than it claims was accepted")
	}
}
