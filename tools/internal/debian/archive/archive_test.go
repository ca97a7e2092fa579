package archive_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"

	"kubefips.internal/tools/internal/debian"
	"kubefips.internal/tools/internal/debian/archive"
	"kubefips.internal/tools/internal/debian/debiantest"
)

const packages = `Package: app
Version: 1.9
Architecture: amd64
Pre-Depends: pre
Depends: lib (>= 2), old | new, mta, tool:any
Filename: pool/app_1.9.deb
Size: 10
SHA256: 1900000000000000000000000000000000000000000000000000000000000000

Package: app
Version: 1.10
Architecture: amd64
Pre-Depends: pre
Depends: lib (>= 2), old | new, mta, tool:any
Filename: pool/app_1.10.deb
Size: 11
SHA256: 1100000000000000000000000000000000000000000000000000000000000000

Package: lib
Version: 2~rc1
Architecture: amd64
Filename: pool/lib_2~rc1.deb
Size: 12
SHA256: 2100000000000000000000000000000000000000000000000000000000000000

Package: lib
Version: 2
Architecture: amd64
Depends: app
Filename: pool/lib_2.deb
Size: 12
SHA256: 2000000000000000000000000000000000000000000000000000000000000000

Package: new
Version: 1
Architecture: all
Filename: pool/new.deb
Size: 13
SHA256: 3000000000000000000000000000000000000000000000000000000000000000

Package: postfix
Version: 1
Architecture: amd64
Provides: mta (= 5)
Filename: pool/postfix.deb
Size: 14
SHA256: 4000000000000000000000000000000000000000000000000000000000000000

Package: pre
Version: 1
Architecture: amd64
Filename: pool/pre.deb
Size: 15
SHA256: 5000000000000000000000000000000000000000000000000000000000000000

Package: tool
Version: 1
Architecture: amd64
Filename: pool/tool.deb
Size: 16
SHA256: 6000000000000000000000000000000000000000000000000000000000000000

Package: broken
Version: 1
Architecture: amd64
Depends: lib (>> 2)
Filename: pool/broken.deb
Size: 17
SHA256: 7000000000000000000000000000000000000000000000000000000000000000
`

const sources = `Package: zlib
Version: 1:1.2
Directory: pool/z
Checksums-Sha256:
 8000000000000000000000000000000000000000000000000000000000000000 20 zlib_1.2.dsc
 8100000000000000000000000000000000000000000000000000000000000000 21 zlib_1.2.orig.tar.gz
 8200000000000000000000000000000000000000000000000000000000000000 22 zlib_1.2.orig.tar.gz.asc
 8300000000000000000000000000000000000000000000000000000000000000 23 zlib_1.2.debian.tar.xz
`

// fake is an archive with a suite "stable", and the key that signs it.
type fake struct {
	*debiantest.Archive
	key    *openpgp.Entity
	reader *archive.Reader
}

func newFake(t *testing.T) *fake {
	t.Helper()
	key, err := openpgp.NewEntity("Archive", "", "archive@example.test", nil)
	if err != nil {
		t.Fatal(err)
	}
	a := debiantest.NewArchive(t)
	f := &fake{Archive: a, key: key, reader: &archive.Reader{
		Fetcher: &debian.Fetcher{Mirrors: a.Mirrors(t)},
		Keys:    openpgp.EntityList{key},
	}}
	f.publish(t, "Valid-Until: "+time.Now().UTC().Add(time.Hour).Format(time.RFC1123))
	return f
}

// publish writes the suite's index, signed, with one more field.
func (f *fake) publish(t *testing.T, field string) {
	t.Helper()
	release := "Suite: stable\nCodename: name\nDate: Sat, 01 Jan 2028 00:00:00 UTC\n" + field + "\nSHA256:\n"
	for path, data := range map[string]string{"main/binary-amd64/Packages.xz": packages, "main/source/Sources.xz": sources} {
		file := f.Put("dists/stable/"+path, debiantest.Compress(t, "xz", []byte(data)))
		release += fmt.Sprintf(" %s %d %s\n", file.SHA256, file.Size, path)
	}
	f.Put("dists/stable/InRelease", sign(t, f.key, release))
}

func sign(t *testing.T, key *openpgp.Entity, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := clearsign.Encode(&b, key.PrivateKey, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// set is a definition for amd64 in the fake's suite.
func set(packages ...string) debian.Definition {
	return debian.Definition{Suites: []string{"debian/stable"}, Architectures: []string{"amd64"}, Packages: packages}
}

func names(l *debian.Lock) []string {
	var all []string
	for _, p := range l.Packages {
		all = append(all, p.Name+"="+p.Version)
	}
	return all
}

func TestLock(t *testing.T) {
	f := newFake(t)
	closure := set("app")
	closure.Closure = true
	without := set("app")
	without.Closure, without.Exclude = true, []string{"lib", "tool"}
	for _, c := range []struct {
		name string
		def  debian.Definition
		want []string
	}{
		{"exact, highest version", set("lib", "app"), []string{"app=1.10", "lib=2"}},
		{"closure with alternative, virtual package and cycle", closure,
			[]string{"app=1.10", "lib=2", "new=1", "postfix=1", "pre=1", "tool=1"}},
		{"closure without excluded", without, []string{"app=1.10", "new=1", "postfix=1", "pre=1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, err := f.reader.Lock(t.Context(), c.def)
			if err != nil {
				t.Fatal(err)
			}
			if got := names(l); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
			want := strings.ToUpper(fmt.Sprintf("%x", f.key.PrimaryKey.Fingerprint))
			if len(l.Releases) != 1 || !slices.Equal(l.Releases[0].SignedBy, []string{want}) {
				t.Errorf("releases %+v, want one signed by %s", l.Releases, want)
			}
		})
	}
}

func TestLockOfSourcesHasTarballsOnly(t *testing.T) {
	l, err := newFake(t).reader.Lock(t.Context(), debian.Definition{Suites: []string{"debian/stable"}, Sources: []string{"zlib"}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range l.Sources[0].Files {
		got = append(got, f.Path)
	}
	if want := []string{"pool/z/zlib_1.2.orig.tar.gz", "pool/z/zlib_1.2.debian.tar.xz"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSetThatCannotBeResolvedIsExplained(t *testing.T) {
	f := newFake(t)
	broken := set("broken")
	broken.Closure = true
	needless := set("tool")
	needless.Closure, needless.Exclude = true, []string{"lib"}
	for want, def := range map[string]debian.Definition{
		"package nosuch is in none of the suites":    set("nosuch"),
		"package broken: nothing in the suites":      broken,
		"excluded package lib is not in the closure": needless,
		"is not <archive>/<suite>":                   {Suites: []string{"stable"}},
		"source package nosuch is in none":           {Suites: []string{"debian/stable"}, Sources: []string{"nosuch"}},
	} {
		if _, err := f.reader.Lock(t.Context(), def); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestUntrustedArchiveIsRefused(t *testing.T) {
	const inRelease = "dists/stable/InRelease"
	stranger, err := openpgp.NewEntity("Stranger", "", "stranger@example.test", nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(t *testing.T, f *fake)
		want   string
	}{
		"signed by another key": {func(t *testing.T, f *fake) {
			f.Put(inRelease, sign(t, stranger, "Suite: stable\n"))
		}, "no signature by a key of Debian's archive"},
		"changed after signing": {func(t *testing.T, f *fake) {
			data := sign(t, f.key, "Suite: stable\nDate: today\n")
			f.Put(inRelease, bytes.Replace(data, []byte("today"), []byte("never"), 1))
		}, "no signature by a key of Debian's archive"},
		"text outside the signature": {func(t *testing.T, f *fake) {
			f.Put(inRelease, append(sign(t, f.key, "Suite: stable\n"), "Suite: other\n"...))
		}, "not one clear-signed message"},
		"not signed": {func(t *testing.T, f *fake) {
			f.Put(inRelease, []byte("Suite: stable\n"))
		}, "not one clear-signed message"},
		"another suite": {func(t *testing.T, f *fake) {
			f.Put(inRelease, sign(t, f.key, "Suite: testing\nCodename: x\n"))
		}, "is of suite testing"},
		"index changed": {func(t *testing.T, f *fake) {
			f.Put("dists/stable/main/binary-amd64/Packages.xz", debiantest.Compress(t, "xz", []byte("Package: evil\n")))
		}, "its signed release file says"},
		"expired": {func(t *testing.T, f *fake) {
			f.publish(t, "Valid-Until: Sat, 01 Jan 2000 00:00:00 UTC")
		}, "--allow-expired"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			c.change(t, f)
			if _, err := f.reader.Lock(t.Context(), set("app")); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestFrozenMirrorIsAcceptedOnRequest(t *testing.T) {
	f := newFake(t)
	f.publish(t, "Valid-Until: Sat, 01 Jan 2000 00:00:00 UTC")
	f.reader.AllowExpired = true
	if _, err := f.reader.Lock(t.Context(), set("app")); err != nil {
		t.Error(err)
	}
}

func TestReadSetsRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"a: {suites: [x/y], architectures: [amd64], packages: [p]}":           "say in `why`",
		"a: {why: w, architectures: [amd64], packages: [p]}":                  "no suites",
		"a: {why: w, suites: [x/y]}":                                          "neither packages nor sources",
		"a: {why: w, suites: [x/y], packages: [p]}":                           "go together",
		"a: {why: w, suites: [x/y], architectures: [amd64], package: [typo]}": "field package not found",
	} {
		file := filepath.Join(t.TempDir(), "sets.yaml")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.ReadSets(file); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: got %v, want the file's name and %q", text, err, want)
		}
	}
}
