package cli_test

import (
	"archive/tar"
	"bytes"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"kubefips.internal/tools/fipscheck/checks"
	"kubefips.internal/tools/fipscheck/internal/fixture"
	"kubefips.internal/tools/fipscheck/judge"
)

// example is one run that a check passes and one that it does not.
type example struct{ right, wrong func(t *testing.T) []string }

// onBinary is a run on a program, without policy.
func onBinary(p fixture.Program, args ...string) func(*testing.T) []string {
	return func(t *testing.T) []string { return append([]string{"binary", fixture.Build(t, p)}, args...) }
}

// edited is a run on a program whose bytes were changed.
func edited(p fixture.Program, change func(t *testing.T, b []byte) []byte, args ...string) func(*testing.T) []string {
	return func(t *testing.T) []string {
		file := fixture.Edit(t, fixture.Build(t, p), func(b []byte) []byte { return change(t, b) })
		return append([]string{"binary", file}, args...)
	}
}

// inImage is a run on an image with a good program and these files.
func inImage(c v1.Config, files ...file) func(*testing.T) []string {
	return func(t *testing.T) []string {
		return []string{"image", oneLayer(t, c, append(files, file{name: "app", data: program(t)})...)}
	}
}

func chart(text string) func(*testing.T) []string {
	return func(t *testing.T) []string { return []string{"chart", write(t, "m.yaml", text)} }
}

// examples has for each check what is right and what is wrong in its eyes.
func examples() map[string]example {
	boring := fixture.Program{Source: "hash", Boring: true, Cgo: true}
	tls, plain := boringTLS(), fixture.Program{Source: "hash"}
	native := fixture.Program{Source: "nopolicy", GOFIPS140: "v1.0.0-c2097c7c"}
	latest := fixture.Program{Source: "hash", GOFIPS140: "latest"}
	sdk := func(dir func(t *testing.T) string) func(*testing.T) []string {
		return func(t *testing.T) []string { return []string{"binary", "--sdk", dir(t), fixture.Build(t, native)} }
	}
	verified := func(with fixture.Program) func(*testing.T) []string {
		return func(t *testing.T) []string {
			verdict := filepath.Join(t.TempDir(), "v.json")
			if code, _, stderr := run("binary", "--output", "json", "--output-file", verdict, fixture.Build(t, with)); code != judge.OK {
				t.Fatal(stderr)
			}
			return append(inImage(v1.Config{})(t), "--verdicts", verdict)
		}
	}
	dated := func(day string) func(*testing.T) []string {
		return func(t *testing.T) []string {
			return onBinary(boring, "--policy", tlsPolicy(t, ""), "--mode", "boring", "--date", day)(t)
		}
	}
	flipped := func(at func(start, mac int) int) func(t *testing.T, b []byte) []byte {
		return func(t *testing.T, b []byte) []byte { return flip(t, at)(b) }
	}
	overPlain := func(t *testing.T, b []byte) []byte {
		src := read(t, fixture.Build(t, boring))
		m, start := fixture.ModuleAt(t, src)
		copy(b[0x20000:], src[start:start+int(m.MACOffset)+64])
		return b
	}
	replace := func(old, with string) func(t *testing.T, b []byte) []byte {
		return func(t *testing.T, b []byte) []byte {
			if !bytes.Contains(b, []byte(old)) {
				t.Fatalf("the program does not contain %q", old)
			}
			return bytes.ReplaceAll(b, []byte(old), []byte(with))
		}
	}
	return map[string]example{
		"B01": {onBinary(boring), edited(boring, func(_ *testing.T, b []byte) []byte { return b[:len(b)/2] })},
		"B02": {onBinary(boring, "--mode", "boring"), onBinary(plain, "--mode", "boring")},
		"B03": {onBinary(boring), edited(boring, flipped(func(start, _ int) int { return start + 0x5000 }))},
		"B04": {onBinary(boring), edited(boring, flipped(func(_, mac int) int { return mac }))},
		"B05": {onBinary(boring), edited(fixture.Program{Source: "nopolicy"}, overPlain)},
		"B06": {onBinary(boring), edited(fixture.Program{Source: "nopolicy"}, overPlain)},
		"B07": {onBinary(tls), onBinary(fixture.Program{Source: "nopolicy", Boring: true, Cgo: true})},
		"B08": {onBinary(native), onBinary(latest)},
		"B09": {onBinary(native), edited(native, func(_ *testing.T, b []byte) []byte {
			b[bytes.Index(b, []byte("\xff Go fipsinfo \xff\x00"))+16] ^= 1
			return b
		})},
		"B10": {onBinary(native), onBinary(fixture.Program{Source: "off", GOFIPS140: "v1.0.0-c2097c7c"}, "--mode", "native")},
		"B11": {sdk(func(t *testing.T) string {
			dir, err := fixture.SDK("")
			if err != nil {
				t.Fatal(err)
			}
			return dir
		}), sdk(func(t *testing.T) string { return t.TempDir() })},
		"B12": {onBinary(native), onBinary(fixture.Program{Source: "hash", GOFIPS140: "inprocess"})},
		"B13": {onBinary(boring), onBinary(fixture.Program{Source: "hash", Boring: true})},
		"B14": {onBinary(boring), edited(boring, func(_ *testing.T, b []byte) []byte { return interpreted(b) })},
		"B15": {onBinary(boring), edited(boring, func(_ *testing.T, b []byte) []byte {
			return regexp.MustCompile(`go1\.2[4-9]\.`).ReplaceAll(b, []byte("go1.23."))
		})},
		"B16": {onBinary(fixture.Program{Source: "pause.c"}), onBinary(fixture.Program{Source: "dlopen.c"})},
		"B17": {onBinary(boring), onBinary(tls)},
		"B18": {onBinary(boring), onBinary(fixture.Program{Source: "hash", Boring: true, Arch: "386"})},
		"B19": {onBinary(boring, "--probe"), edited(boring, replace("incompatible with GOEXPERIMENT=boringcrypto", "incompatible with GOEXPERIMENT=boringcrypt0"), "--probe")},
		"B20": {dated("2030-12-31"), dated("2031-01-01")},
		"O1":  {inImage(v1.Config{}), inImage(v1.Config{}, file{name: "broken", data: []byte("\x7fELF\x02\x01\x01")})},
		"O2":  {inImage(v1.Config{Env: []string{"PATH=/"}}), inImage(v1.Config{Env: []string{"GODEBUG=fips140=off"}})},
		"O3":  {inImage(v1.Config{Cmd: []string{"--tls-min-version=VersionTLS12"}}), inImage(v1.Config{Cmd: []string{"--tls-min-version=VersionTLS10"}})},
		"O4":  {inImage(v1.Config{}, file{name: "usr/lib/libm.so.6"}), inImage(v1.Config{}, file{name: "usr/lib/libcrypto.so.3"})},
		"O5": {inImage(v1.Config{}), func(t *testing.T) []string {
			s := newStore(t)
			return []string{"image", s.index(s.image(img{layers: [][]byte{layerTar(t)}, diffIDs: []string{"sha256:" + strings.Repeat("0", 64)}}))}
		}},
		"O6": {inImage(v1.Config{}), inImage(v1.Config{}, file{name: "bin/sh", typ: tar.TypeReg, data: []byte("#!")})},
		"O7": {inImage(v1.Config{Labels: map[string]string{"fips": "uses BoringCrypto, certificate #4735"}}), inImage(v1.Config{Labels: map[string]string{"fips": "FIPS 140-3 validated"}})},
		"O8": {chart("kind: Pod\n"), chart("spec:\n  volumes:\n  - hostPath: {path: /usr/bin}\n")},
		"O9": {verified(boring), verified(fixture.Program{Source: "hello"})},
	}
}

func TestEveryCheckTellsRightFromWrong(t *testing.T) {
	all := examples()
	for _, c := range checks.Catalogue {
		t.Run(c.ID, func(t *testing.T) {
			e, ok := all[c.ID]
			if !ok {
				t.Fatal("no example")
			}
			t.Parallel()
			for right, args := range map[bool][]string{true: e.right(t), false: e.wrong(t)} {
				_, r := judged(t, args...)
				var got []checks.Status
				for _, a := range r.Artifacts {
					for _, f := range a.Findings {
						if f.Check == c.ID {
							got = append(got, f.Status)
						}
					}
				}
				bad := slices.Contains(got, checks.Fail) || slices.Contains(got, checks.Warn)
				if right && (bad || !slices.Contains(got, checks.Pass)) || !right && !bad {
					t.Errorf("right %v: %v", right, got)
				}
				if !right && c.Severity != checks.Med && !slices.Contains(got, checks.Fail) {
					t.Errorf("severity %s: %v is no failure", c.Severity, got)
				}
			}
		})
	}
}

// What nobody decided yet is refused, with the lines that a decision needs.
func TestUndecidedPackages(t *testing.T) {
	policy := write(t, "policy.yaml", "version: 1\n")
	code, out, stderr := run("binary", "--policy", policy, "--mode", "boring", "--artifact", "demo/tls", fixture.Build(t, boringTLS()))
	want := policy + ": to ship demo/tls all the same, decide it and add at the end:\n  - check: B17\n    artifacts: [demo/tls]\n    paths:\n      - crypto/des\n"
	if code != judge.Refused || !strings.Contains(out, "crypto/des is linked") || !strings.Contains(stderr, want) {
		t.Errorf("exit code %d\n%s%s", code, out, stderr)
	}
}
