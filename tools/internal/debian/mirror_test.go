package debian_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"kubefips.internal/tools/internal/debian"
)

// etcApt writes an apt configuration, file name to content.
func etcApt(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestMirrors(t *testing.T) {
	for _, c := range []struct {
		name            string
		env             string
		apt             map[string]string
		debian, updates []string
	}{
		{
			name:    "variable wins and is a list",
			env:     "http://a.test/debian/, https://b.test/x/debian/20260101T000000Z",
			apt:     map[string]string{"sources.list": "deb http://c.test/debian bookworm main"},
			debian:  []string{"http://a.test/debian/p", "https://b.test/x/debian/20260101T000000Z/p"},
			updates: []string{"http://a.test/debian-security/p", "https://b.test/x/debian-security/20260101T000000Z/p"},
		},
		{
			name: "deb822",
			apt: map[string]string{"sources.list.d/debian.sources": "Types: deb\n# comment\nURIs: http://a.test/debian\n http://b.test/debian\n" +
				"Suites: bookworm\nComponents: main\n\nTypes: deb\nURIs: http://s.test/debian-security\nSuites: x\nComponents: main\n"},
			debian:  []string{"http://a.test/debian/p", "http://b.test/debian/p", "http://s.test/debian/p"},
			updates: []string{"http://s.test/debian-security/p", "http://a.test/debian-security/p", "http://b.test/debian-security/p"},
		},
		{
			name:    "one line, with options and a comment",
			apt:     map[string]string{"sources.list": "# deb http://no.test/debian x main\ndeb [arch=amd64 signed-by=/x] http://a.test/debian bookworm main contrib # c\n"},
			debian:  []string{"http://a.test/debian/p"},
			updates: []string{"http://a.test/debian-security/p"},
		},
		{
			name: "a mirror of any name comes after those that are named as the archive",
			apt: map[string]string{
				"sources.list.d/a.list": "deb http://any.test/proxy bookworm main",
				"sources.list.d/b.list": "deb http://a.test/debian bookworm main",
			},
			debian:  []string{"http://a.test/debian/p", "http://any.test/proxy/p"},
			updates: []string{"http://any.test/proxy/p", "http://a.test/debian-security/p"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv(debian.MirrorEnv, c.env)
			m, err := debian.FindMirrors(etcApt(t, c.apt))
			if err != nil {
				t.Fatal(err)
			}
			if got := m.URLs("debian", "p"); !slices.Equal(got, c.debian) {
				t.Errorf("debian: got %q, want %q", got, c.debian)
			}
			if got := m.URLs("debian-security", "p"); !slices.Equal(got, c.updates) {
				t.Errorf("debian-security: got %q, want %q", got, c.updates)
			}
			again, err := debian.ParseMirrors(m.String())
			if err != nil || !slices.Equal(again.URLs("debian", "p"), c.debian) {
				t.Errorf("%q is not read as the same list: %v", m, err)
			}
		})
	}
}

func TestNoMirrorSaysWhatToSet(t *testing.T) {
	t.Setenv(debian.MirrorEnv, "")
	for name, apt := range map[string]map[string]string{
		"nothing":              {},
		"disabled by name":     {"sources.list.d/a.list.disabled": "deb http://a.test/debian x main"},
		"disabled by field":    {"sources.list.d/a.sources": "Enabled: no\nTypes: deb\nURIs: http://a.test/debian\nSuites: x\nComponents: main\n"},
		"sources only":         {"sources.list": "deb-src http://a.test/debian x main"},
		"another component":    {"sources.list": "deb http://a.test/linux/debian x stable"},
		"not over the network": {"sources.list": "deb cdrom:[x]/ x main\ndeb file:/srv/debian x main"},
	} {
		t.Run(name, func(t *testing.T) {
			if m, err := debian.FindMirrors(etcApt(t, apt)); !errors.Is(err, debian.ErrNoMirror) {
				t.Errorf("got %v, %v; want ErrNoMirror", m, err)
			}
		})
	}
}

func TestBadMirrorIsNamed(t *testing.T) {
	for _, list := range []string{"a.test/debian", "ftp://a.test/debian", "http://a.test/debian,%zz"} {
		if _, err := debian.ParseMirrors(list); err == nil {
			t.Errorf("%q was accepted", list)
		}
	}
}
