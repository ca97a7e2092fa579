package measure_test

import (
	"bytes"
	"testing"
	"time"

	"kubefips.internal/tools/fipscheck/internal/fixture"
	"kubefips.internal/tools/fipscheck/measure"
)

func TestMain(m *testing.M) { fixture.Main(m) }

func TestIsCrypto(t *testing.T) {
	for path, want := range map[string]bool{
		"crypto/aes":             true,
		"crypto/internal/boring": true,
		"crypto/internal/fips140/v1.0.0-c2097c7c/sha256": true,
		"vendor/golang.org/x/crypto/chacha20":            true,
		"golang.org/x/crypto/ssh":                        true,
		"golang.zx2c4.com/wireguard/wgctrl":              true,
		"crypto":                                         false,
		"crypto/subtle":                                  false,
		"cryptography/x":                                 false,
		"math/rand":                                      false,
		"main":                                           false,
	} {
		if got := measure.IsCrypto(path); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
}

func TestNonApproved(t *testing.T) {
	for path, want := range map[string]measure.Weight{
		"crypto/rc4":                                    measure.High,
		"crypto/md5":                                    measure.Med,
		"golang.org/x/crypto/ssh/agent":                 measure.High,
		"golang.org/x/crypto/chacha20poly1305":          measure.High,
		"golang.org/x/crypto/nacl/secretbox":            measure.High,
		"vendor/golang.org/x/crypto/chacha20poly1305":   measure.Info,
		"github.com/quic-go/quic-go/internal/handshake": measure.High,
		"github.com/golang-jwt/jwt/v5":                  measure.Med,
		"crypto/aes":                                    "",
		"crypto/rc40":                                   "",
		"golang.org/x/crypto/cryptobyte":                "",
	} {
		var got measure.Weight
		if r := measure.NonApproved(path); r != nil {
			got = r.Weight
		}
		if got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

// Files that are made to keep the reader busy are refused, and quickly.
func TestBusyFiles(t *testing.T) {
	table, record := fixture.Small()[1], fixture.Small()[2]
	for name, b := range map[string][]byte{
		"function tables": append(table, bytes.Repeat(table[64+2*56:], 5000)...),
		"records":         append(record, bytes.Repeat(record[64+2*56:], 5000)...),
		"settings":        append(table, bytes.Repeat([]byte("fips140=on,"), 100_000)...),
	} {
		start := time.Now()
		m, err := measure.File(bytes.NewReader(b), int64(len(b)))
		if err != nil || m.Kind != measure.Unknown {
			t.Errorf("%s: kind %s, %v", name, m.Kind, err)
		}
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("%s: %v", name, d)
		}
	}
}

// FuzzFile also covers elfbin, boring and native: whatever the bytes, there is
// a measurement or an error, and a conclusion.
func FuzzFile(f *testing.F) {
	for _, b := range fixture.Small() {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := measure.File(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatalf("bytes in memory cannot fail to be read: %v", err)
		}
		if m.Kind == measure.Unknown && m.Unreadable == "" {
			t.Error("unknown without a reason")
		}
		if mode := m.Mode(); mode == measure.Boring && len(m.Modules) == 0 && !m.Wired {
			t.Errorf("mode %s from nothing", mode)
		}
	})
}
