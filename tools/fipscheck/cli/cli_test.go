package cli_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kubefips.internal/tools/fipscheck/checks"
	"kubefips.internal/tools/fipscheck/cli"
	"kubefips.internal/tools/fipscheck/internal/fixture"
	"kubefips.internal/tools/fipscheck/judge"
	"kubefips.internal/tools/fipscheck/report"
)

func TestMain(m *testing.M) { fixture.Main(m) }

// run executes the program and returns exit code, standard output and error.
func run(args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = cli.Run(args, &out, &err)
	return code, out.String(), err.String()
}

// judged runs a command with JSON output.
func judged(t *testing.T, args ...string) (int, *report.Report) {
	t.Helper()
	code, out, stderr := run(append(args, "--output", "json")...)
	var r report.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v: exit %d, %v\n%s", args, code, err, stderr)
	}
	return code, &r
}

// failing lists the checks that fail an artifact, without repetition.
func failing(a report.Artifact) []string {
	var ids []string
	for _, f := range a.Findings {
		if report.Failing(f) && !slices.Contains(ids, f.Check) {
			ids = append(ids, f.Check)
		}
	}
	return ids
}

// tlsPolicy excuses what crypto/tls always links, as the distribution does.
func tlsPolicy(t *testing.T, more string) string {
	return write(t, "policy.yaml", `version: 1
certificates:
  "4735": {sunset: 2031-01-01, checked: 2026-11-01, owner: tests}
  "5247": {sunset: 2031-01-01, checked: 2026-11-01, owner: tests}
exceptions:
  - check: B17
    artifacts: ["*"]
    paths: [crypto/des, crypto/rc4, crypto/ed25519]
    owner: tests
    reason: crypto/tls links them in its tables
    expires: 2099-01-01
`+more)
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

func boringTLS() fixture.Program {
	return fixture.Program{Source: "tls", Boring: true, Cgo: true}
}

func flip(t *testing.T, at func(m int, mac int) int) func([]byte) []byte {
	return func(b []byte) []byte {
		m, start := fixture.ModuleAt(t, b)
		b[at(start, start+int(m.MACOffset))] ^= 1
		return b
	}
}

// interpreted makes a dynamic program of a static one, which is all that the hermetic C compiler links: its header of
// the stack's permissions becomes one that names an interpreter.
func interpreted(b []byte) []byte {
	le := binary.LittleEndian
	const gnuStack, interp = 0x6474e551, 3
	table, size, count := le.Uint64(b[32:]), le.Uint16(b[54:]), le.Uint16(b[56:])
	for i := range uint64(count) {
		header := b[table+i*uint64(size):]
		if le.Uint32(header) == gnuStack {
			le.PutUint32(header, interp)
			le.PutUint64(header[8:], 0)  // offset: any bytes of the file
			le.PutUint64(header[32:], 4) // size in the file
		}
	}
	return b
}

func TestBinaryVerdicts(t *testing.T) {
	good := func(t *testing.T) string { return fixture.Build(t, boringTLS()) }
	tests := []struct {
		name string
		file func(t *testing.T) string
		mode string
		// fails are the checks that refuse it, in order; says a part of the
		// first one's message.
		fails []string
		says  string
	}{
		{name: "boring", file: good, mode: "boring"},
		{name: "boring with symbols", mode: "boring", file: func(t *testing.T) string {
			return fixture.Build(t, fixture.Program{Source: "tls", Boring: true, Cgo: true, Symbols: true})
		}},
		{name: "boring without TLS", mode: "boring", file: func(t *testing.T) string {
			return fixture.Build(t, fixture.Program{Source: "hash", Boring: true, Cgo: true})
		}},
		{name: "boring, position independent", mode: "boring", file: func(t *testing.T) string {
			return fixture.Build(t, fixture.Program{Source: "hash", Boring: true, Cgo: true, PIE: true})
		}},
		{name: "no cryptography", mode: "none", file: func(t *testing.T) string {
			return fixture.Build(t, fixture.Program{Source: "hello"})
		}},
		{name: "no cryptography, with the experiment", mode: "none", file: func(t *testing.T) string {
			return fixture.Build(t, fixture.Program{Source: "hello", Boring: true, Cgo: true})
		}},
		{name: "no cryptography, C", mode: "none", file: func(t *testing.T) string {
			return fixture.Build(t, fixture.Program{Source: "pause.c"})
		}},
		{name: "native snapshot", mode: "native", file: func(t *testing.T) string {
			return fixture.Build(t, fixture.Program{Source: "nopolicy", GOFIPS140: "v1.0.0-c2097c7c"})
		}},
		{name: "native snapshot, position independent", mode: "native", fails: []string{"B14"}, says: "interpreter", file: func(t *testing.T) string {
			return fixture.Build(t, fixture.Program{Source: "hash", GOFIPS140: "v1.0.0-c2097c7c", PIE: true})
		}},

		{name: "cgo off", mode: "boring", fails: []string{"B02", "B07", "B13"}, says: "measured plain", file: func(t *testing.T) string {
			return fixture.Build(t, fixture.Program{Source: "nopolicy", Boring: true})
		}},
		{name: "tag only", mode: "boring", fails: []string{"B02", "B07", "B13"}, says: "measured plain", file: func(t *testing.T) string {
			return fixture.Build(t, fixture.Program{Source: "nopolicy", Tags: "boringcrypto"})
		}},
		{name: "plain Go", mode: "boring", fails: []string{"B02", "B07"}, says: "measured plain", file: func(t *testing.T) string {
			return fixture.Build(t, fixture.Program{Source: "nopolicy"})
		}},
		{name: "fipsonly on the fallback", mode: "boring", fails: []string{"B02", "B07", "B13"}, says: "measured plain", file: func(t *testing.T) string {
			return fixture.Build(t, fixture.Program{Source: "tls", Boring: true})
		}},
		{name: "plain Go that declares no cryptography", mode: "none", fails: []string{"B02"}, says: "measured plain", file: func(t *testing.T) string {
			return fixture.Build(t, fixture.Program{Source: "hash"})
		}},
		{name: "boring without the policy", mode: "boring", fails: []string{"B07"}, says: "without crypto/tls/fipsonly", file: func(t *testing.T) string {
			return fixture.Build(t, fixture.Program{Source: "nopolicy", Boring: true, Cgo: true})
		}},
		{name: "one byte of the module flipped", mode: "boring", fails: []string{"B03", "B04"}, says: "was altered", file: func(t *testing.T) string {
			return fixture.Edit(t, good(t), flip(t, func(m, _ int) int { return m + 0x5000 }))
		}},
		{name: "last byte of the module flipped", mode: "boring", fails: []string{"B03", "B04"}, says: "was altered", file: func(t *testing.T) string {
			return fixture.Edit(t, good(t), func(b []byte) []byte {
				m, start := fixture.ModuleAt(t, b)
				b[start+int(m.Size)-1] ^= 0x80
				return b
			})
		}},
		{name: "embedded HMAC altered", mode: "boring", fails: []string{"B03", "B04"}, says: "the embedded HMAC is", file: func(t *testing.T) string {
			return fixture.Edit(t, good(t), flip(t, func(_, mac int) int { return mac + 3 }))
		}},
		{name: "module and HMAC gone, Go side there", mode: "boring", fails: []string{"B03", "B04"}, says: "no known module", file: func(t *testing.T) string {
			return fixture.Edit(t, good(t), func(b []byte) []byte {
				m, start := fixture.ModuleAt(t, b)
				b[start] ^= 1
				b[start+int(m.MACOffset)] ^= 1
				return b
			})
		}},
		{name: "module appended to a plain program", mode: "boring", fails: []string{"B02", "B07"}, says: "measured plain", file: func(t *testing.T) string {
			src, err := os.ReadFile(good(t))
			if err != nil {
				t.Fatal(err)
			}
			m, start := fixture.ModuleAt(t, src)
			return fixture.Edit(t, fixture.Build(t, fixture.Program{Source: "nopolicy"}), func(b []byte) []byte {
				b = append(b, make([]byte, 4096-len(b)%4096)...)
				return append(b, src[start:start+int(m.MACOffset)+64]...)
			})
		}},
		{name: "module written over a plain program's code", mode: "boring", fails: []string{"B05", "B06", "B07", "B13"}, says: "no Go function calls them", file: func(t *testing.T) string {
			src, err := os.ReadFile(good(t))
			if err != nil {
				t.Fatal(err)
			}
			m, start := fixture.ModuleAt(t, src)
			return fixture.Edit(t, fixture.Build(t, fixture.Program{Source: "nopolicy"}), func(b []byte) []byte {
				copy(b[0x20000:], src[start:start+int(m.MACOffset)+64])
				return b
			})
		}},
		{name: "dynamic", mode: "boring", fails: []string{"B14"}, says: "interpreter", file: func(t *testing.T) string {
			return fixture.Edit(t, good(t), interpreted)
		}},
		{name: "native in place of boring", mode: "boring", fails: []string{"B02"}, says: "declared boring, measured native", file: func(t *testing.T) string {
			return fixture.Build(t, fixture.Program{Source: "nopolicy", GOFIPS140: "v1.0.0-c2097c7c"})
		}},
		{name: "native, not frozen", mode: "native", fails: []string{"B08", "B11", "B12"}, says: "linked: latest", file: func(t *testing.T) string {
			return fixture.Build(t, fixture.Program{Source: "hash", GOFIPS140: "latest"})
		}},
		{name: "native, in process", mode: "native", fails: []string{"B12"}, says: "not validated", file: func(t *testing.T) string {
			return fixture.Build(t, fixture.Program{Source: "hash", GOFIPS140: "inprocess"})
		}},
		{name: "native, switched off in the source", mode: "native", fails: []string{"B10"}, says: "wanted is on", file: func(t *testing.T) string {
			return fixture.Build(t, fixture.Program{Source: "off", GOFIPS140: "v1.0.0-c2097c7c"})
		}},
		{name: "native, module altered", mode: "native", fails: []string{"B09"}, says: "was altered", file: func(t *testing.T) string {
			return fixture.Edit(t, fixture.Build(t, fixture.Program{Source: "nopolicy", GOFIPS140: "v1.0.0-c2097c7c"}), func(b []byte) []byte {
				i := bytes.Index(b, []byte("\xff Go fipsinfo \xff\x00"))
				b[i+16] ^= 1
				return b
			})
		}},
		{name: "another processor", mode: "boring", fails: []string{"B02", "B13", "B18"}, says: "measured plain", file: func(t *testing.T) string {
			return fixture.Build(t, fixture.Program{Source: "hash", Boring: true, Arch: "386"})
		}},
		{name: "cross built for arm64", mode: "boring", fails: []string{"B02", "B13"}, says: "measured plain", file: func(t *testing.T) string {
			return fixture.Build(t, fixture.Program{Source: "hash", Boring: true, Arch: "arm64"})
		}},
		{name: "C with AES", mode: "none", fails: []string{"B02", "B16"}, says: "measured plain", file: func(t *testing.T) string {
			return fixture.Build(t, fixture.Program{Source: "aes.c"})
		}},
		{name: "C that dlopens OpenSSL", mode: "none", fails: []string{"B02", "B16"}, says: "measured plain", file: func(t *testing.T) string {
			return fixture.Build(t, fixture.Program{Source: "dlopen.c"})
		}},
		{name: "packed", mode: "boring", fails: []string{"B01"}, says: "packed", file: func(t *testing.T) string {
			return fixture.Pack(t, good(t))
		}},
		{name: "packed, by its mark", mode: "none", fails: []string{"B01"}, says: "packed", file: func(t *testing.T) string {
			return fixture.PackUPX(t)
		}},
		{name: "function table destroyed", mode: "boring", fails: []string{"B01"}, says: "no readable function table", file: func(t *testing.T) string {
			return fixture.Edit(t, good(t), func(b []byte) []byte {
				return bytes.ReplaceAll(b, []byte("\xf1\xff\xff\xff\x00\x00\x01\x08"), []byte("\xf1\xff\xff\x00\x00\x00\x01\x08"))
			})
		}},
		{name: "truncated", mode: "boring", fails: []string{"B01"}, file: func(t *testing.T) string {
			return fixture.Edit(t, good(t), func(b []byte) []byte { return b[:len(b)/2] })
		}},
		{name: "headers only", mode: "boring", fails: []string{"B01"}, file: func(t *testing.T) string {
			return fixture.Edit(t, good(t), func(b []byte) []byte { return b[:40] })
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			code, r := judged(t, "binary", "--policy", tlsPolicy(t, ""), "--mode", tt.mode, tt.file(t))
			a := r.Artifacts[0]
			if got := failing(a); !slices.Equal(got, tt.fails) {
				t.Errorf("refused by %v, want %v", got, tt.fails)
				for _, f := range a.Findings {
					if report.Failing(f) {
						t.Logf("%s %s", f.Check, f.Message)
					}
				}
			}
			wantCode, wantVerdict := judge.OK, report.Passed
			if tt.fails != nil {
				wantCode, wantVerdict = judge.Refused, report.Failed
			}
			if code != wantCode || a.Verdict != wantVerdict || r.Verdict != wantVerdict {
				t.Errorf("exit code %d, verdicts %s and %s; want %d, %s", code, a.Verdict, r.Verdict, wantCode, wantVerdict)
			}
			if tt.fails == nil {
				return
			}
			i := slices.IndexFunc(a.Findings, report.Failing)
			if i < 0 || !strings.Contains(a.Findings[i].Message, tt.says) {
				t.Errorf("the first failure does not say %q", tt.says)
			}
		})
	}
}

// Every check that a program can be judged by has its finding in each report
// of a readable program, so that a matrix has no holes.
func TestEveryCheckIsReported(t *testing.T) {
	_, r := judged(t, "binary", "--probe", fixture.Build(t, boringTLS()))
	for _, c := range checks.Catalogue {
		if c.ID[0] == 'B' && !slices.ContainsFunc(r.Artifacts[0].Findings, func(f checks.Finding) bool { return f.Check == c.ID }) {
			t.Errorf("no finding of %s", c.ID)
		}
	}
}
