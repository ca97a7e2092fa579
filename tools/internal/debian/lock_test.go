package debian_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"kubefips.internal/tools/internal/debian"
)

func validLock() *debian.Lock {
	return &debian.Lock{
		Generated: debian.Generated,
		Set:       debian.Definition{Suites: []string{"debian/bookworm"}, Architectures: []string{"amd64"}, Packages: []string{"a"}},
		Releases:  []debian.Release{{Archive: "debian", Suite: "bookworm", Date: "today", SignedBy: []string{"AA"}}},
		Packages: []debian.Package{{Name: "a", Version: "1~x&y", Architecture: "amd64", File: debian.File{
			Archive: "debian", Path: "pool/a.deb", SHA256: strings.Repeat("0a", 32), Size: 7}}},
		Sources: []debian.Source{{Name: "s", Version: "2", Files: []debian.File{
			{Archive: "debian", Path: "pool/s.tar.xz", SHA256: strings.Repeat("0b", 32), Size: 8}}}},
	}
}

func write(t *testing.T, data string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "x.lock.json")
	if err := os.WriteFile(name, []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestLockIsReadAsItWasWritten(t *testing.T) {
	want := validLock()
	data, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if first, _, _ := strings.Cut(string(data), "\n"); !strings.Contains(first, "do not edit") {
		t.Errorf("first line %q does not say that the file is generated", first)
	}
	got, err := debian.ReadLock(write(t, string(data)))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestDamagedLockIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		break_ func(*debian.Lock)
		want   string
	}{
		"short hash":        {func(l *debian.Lock) { l.Packages[0].SHA256 = "0a" }, "package a: sha256"},
		"upper case":        {func(l *debian.Lock) { l.Packages[0].SHA256 = strings.Repeat("0A", 32) }, "package a: sha256"},
		"path leads out":    {func(l *debian.Lock) { l.Packages[0].Path = "../a.deb" }, "plain relative path"},
		"absolute path":     {func(l *debian.Lock) { l.Packages[0].Path = "/a.deb" }, "plain relative path"},
		"no size":           {func(l *debian.Lock) { l.Packages[0].Size = 0 }, "size 0"},
		"no archive":        {func(l *debian.Lock) { l.Sources[0].Files[0].Archive = "" }, "source s: no archive"},
		"source's bad hash": {func(l *debian.Lock) { l.Sources[0].Files[0].SHA256 = "" }, "source s: sha256"},
	} {
		t.Run(name, func(t *testing.T) {
			l := validLock()
			c.break_(l)
			data, err := l.Encode()
			if err != nil {
				t.Fatal(err)
			}
			file := write(t, string(data))
			_, err = debian.ReadLock(file)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), file) {
				t.Errorf("got %v, want the file's name and %q", err, c.want)
			}
		})
	}
	for _, text := range []string{"", "{", `{"package": []}`} {
		if _, err := debian.ReadLock(write(t, text)); err == nil || !strings.Contains(err.Error(), "//tools/update") {
			t.Errorf("%q: got %v, want how to write the lock again", text, err)
		}
	}
}
