package measure

import (
	"regexp"
	"strings"

	"kubefips.internal/tools/fipscheck/elfbin"
)

// IsCrypto says whether an import path is cryptography. Helpers that the
// standard library keeps under crypto/ and that transform no data are not.
func IsCrypto(path string) bool {
	path = strings.TrimPrefix(path, "vendor/")
	switch {
	case path == "crypto", // the registry of hashes
		path == "crypto/subtle",
		path == "crypto/internal/constanttime",
		path == "crypto/internal/boring/sig",
		path == "crypto/internal/fips140/alias",
		path == "crypto/internal/fips140/subtle",
		path == "crypto/internal/impl",
		strings.HasPrefix(path, "crypto/internal/fips140deps"):
		return false
	case strings.HasPrefix(path, "crypto/"), strings.HasPrefix(path, "golang.org/x/crypto/"):
		return true
	}
	return NonApproved(path) != nil
}

// library is a sign of cryptography that is not Go's. A program that dlopens
// a library has to name it, one that links it carries its version or its tables.
type library struct {
	name string
	// pattern is what stands in the file, names without their first letter
	// (see first): this program carries the list and would find itself.
	pattern string
	first   byte
	// table marks constants of an algorithm. They say nothing in a Go
	// program, whose function table is better evidence.
	table bool
}

var libraries = []library{
	{name: "OpenSSL", pattern: "ibcrypto.so", first: 'l'},
	{name: "OpenSSL", pattern: "ibssl.so", first: 'l'},
	{name: "OpenSSL", pattern: "penSSL 1.", first: 'O'},
	{name: "OpenSSL", pattern: "penSSL 3.", first: 'O'},
	{name: "OpenSSL", pattern: "penSSL 4.", first: 'O'},
	{name: "GnuTLS", pattern: "ibgnutls.so", first: 'l'},
	{name: "libgcrypt", pattern: "ibgcrypt.so", first: 'l'},
	{name: "nettle", pattern: "ibnettle.so", first: 'l'},
	{name: "nettle", pattern: "ibhogweed.so", first: 'l'},
	{name: "NSS", pattern: "ibnss3.so", first: 'l'},
	{name: "NSS", pattern: "ibsoftokn3.so", first: 'l'},
	{name: "libsodium", pattern: "ibsodium.so", first: 'l'},
	{name: "Mbed TLS", pattern: "ibmbedcrypto.so", first: 'l'},
	{name: "wolfSSL", pattern: "ibwolfssl.so", first: 'l'},
	{name: "libcrypt", pattern: "ibcrypt.so", first: 'l'},
	{name: "rustls", pattern: "rustls-0.", first: '/'},
	{name: "ring", pattern: "ring-0.", first: '/'},
	{name: "aws-lc", pattern: "aws-lc-", first: '/'},

	{name: "AES", pattern: "\x63\x7c\x77\x7b\xf2\x6b\x6f\xc5\x30\x01\x67\x2b\xfe\xd7\xab\x76", table: true},
	{name: "AES", pattern: "\xa5\x63\x63\xc6\x84\x7c\x7c\xf8\x99\x77\x77\xee\x8d\x7b\x7b\xf6", table: true},
	{name: "AES", pattern: "\xc6\x63\x63\xa5\xf8\x7c\x7c\x84\xee\x77\x77\x99\xf6\x7b\x7b\x8d", table: true},
	{name: "SHA-256", pattern: "\x98\x2f\x8a\x42\x91\x44\x37\x71\xcf\xfb\xc0\xb5\xa5\xdb\xb5\xe9", table: true},
	{name: "SHA-512", pattern: "\x22\xae\x28\xd7\x98\x2f\x8a\x42\xcd\x65\xef\x23\x91\x44\x37\x71", table: true},
	{name: "MD5", pattern: "\x78\xa4\x6a\xd7\x56\xb7\xc7\xe8\xdb\x70\x20\x24\xee\xce\xbd\xc1", table: true},
	{name: "ChaCha20", pattern: "xpand 32-byte k", first: 'e', table: true},
	{name: "Blowfish", pattern: "\x88\x6a\x3f\x24\xd3\x08\xa3\x85\x2e\x8a\x19\x13\x44\x73\x70\x03", table: true},
	{name: "RIPEMD/DES", pattern: "\x0e\x04\x0d\x01\x02\x0f\x0b\x08\x03\x0a\x06\x0c\x05\x09\x00\x07", table: true},
}

func (l library) text() string {
	if l.first == 0 {
		return l.pattern
	}
	return string(rune(l.first)) + l.pattern
}

// foreign records the libraries' traces.
func (b *Binary) foreign(f *elfbin.File, hits [][]int64) {
	for _, lib := range b.Needed {
		for _, l := range libraries {
			if !l.table && strings.HasPrefix(lib, l.text()) {
				b.Foreign = append(b.Foreign, Trace{Library: l.name, Evidence: "needs " + lib})
			}
		}
	}
	for i, l := range libraries {
		if l.table && b.Kind == Go {
			continue
		}
		for _, off := range hits[i] {
			if _, loaded := f.SegmentAt(off, int64(len(l.pattern))); !loaded {
				continue
			}
			// "OpenSSL 3.0.11 19 Sep 2023", and no sentence about it.
			s := make([]byte, 40)
			from := off
			if l.first != 0 {
				from--
			}
			n, _ := f.ReadAt(s, from)
			if !strings.HasPrefix(string(s[:n]), l.text()) {
				continue
			}
			t := Trace{Library: l.name, Offset: from}
			switch {
			case l.table:
				t.Evidence = "constants of " + l.name
			case l.name == "OpenSSL" && l.first == 'O':
				v := banner.FindString(string(s[:n]))
				if v == "" {
					continue
				}
				t.Evidence = v
			default:
				t.Evidence = "the name " + l.text()
			}
			b.Foreign = append(b.Foreign, t)
			break
		}
	}
	if b.Kind == Go {
		for _, p := range b.Packages {
			for _, prefix := range bindings {
				if strings.HasPrefix(strings.TrimPrefix(p, "vendor/"), prefix) {
					b.Foreign = append(b.Foreign, Trace{Library: "OpenSSL", Evidence: "package " + p})
				}
			}
		}
	}
}

var banner = regexp.MustCompile(`^OpenSSL [0-9]+\.[0-9]+\.[0-9]+[a-z-]* +[0-9]+ [A-Z][a-z]{2} [0-9]{4}`)

// bindings are Go packages that call OpenSSL.
var bindings = []string{
	"github.com/golang-fips/openssl",
	"github.com/microsoft/go-crypto-openssl",
	"github.com/libp2p/go-openssl",
	"github.com/spacemonkeygo/openssl",
}
