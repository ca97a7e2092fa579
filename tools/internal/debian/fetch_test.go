package debian_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"kubefips.internal/tools/internal/debian"
	"kubefips.internal/tools/internal/debian/debiantest"
)

func TestDownloadVerifiesAndKeeps(t *testing.T) {
	a := debiantest.NewArchive(t)
	file := a.Put("pool/a.deb", []byte("content"))
	var progress int
	f := &debian.Fetcher{Mirrors: a.Mirrors(t), Progress: func(n int) { progress += n }}
	dir := t.TempDir()
	for range 2 {
		name, err := f.Download(t.Context(), file, dir)
		if err != nil {
			t.Fatal(err)
		}
		if data, err := os.ReadFile(name); err != nil || string(data) != "content" {
			t.Errorf("got %q, %v", data, err)
		}
	}
	if n := a.Requests("pool/a.deb"); n != 1 {
		t.Errorf("asked the archive %d times, want once", n)
	}
	if progress != 2*7 {
		t.Errorf("reported %d bytes, want 7 for each call", progress)
	}
}

func TestWrongContentIsRefusedAndNotKept(t *testing.T) {
	for name, served := range map[string]string{"other": "CONTENT", "truncated": "cont", "longer": "contents"} {
		t.Run(name, func(t *testing.T) {
			a := debiantest.NewArchive(t)
			file := a.Put("pool/a.deb", []byte("content"))
			a.Put("pool/a.deb", []byte(served))
			f := &debian.Fetcher{Mirrors: a.Mirrors(t)}
			dir := t.TempDir()
			_, err := f.Download(t.Context(), file, dir)
			if err == nil || !strings.Contains(err.Error(), file.SHA256) || !strings.Contains(err.Error(), "pool/a.deb") {
				t.Errorf("got %v, want the path and the expected sha256", err)
			}
			if left, _ := os.ReadDir(dir); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestNextMirrorIsTried(t *testing.T) {
	empty, full := debiantest.NewArchive(t), debiantest.NewArchive(t)
	file := full.Put("pool/a.deb", []byte("content"))
	m, err := debian.ParseMirrors(empty.URL + "/debian " + full.URL + "/debian")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (&debian.Fetcher{Mirrors: m}).Download(t.Context(), file, t.TempDir()); err != nil {
		t.Error(err)
	}
}

func TestBrokenConnectionIsTriedAgain(t *testing.T) {
	content := []byte("content")
	var calls atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "7")
		if calls.Add(1) == 1 {
			_, _ = w.Write(content[:3]) // and hang up
			return
		}
		_, _ = w.Write(content)
	}))
	defer s.Close()
	m, err := debian.ParseMirrors(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	file := debiantest.NewArchive(t).Put("x", content)
	if _, err := (&debian.Fetcher{Mirrors: m}).Download(t.Context(), file, t.TempDir()); err != nil {
		t.Error(err)
	}
}

func TestGoneIsToldFromUnreachable(t *testing.T) {
	a := debiantest.NewArchive(t)
	file := a.Put("pool/a.deb", []byte("content"))
	a.Delete("pool/a.deb")
	for _, c := range []struct {
		stop bool
		gone bool
	}{{false, true}, {true, false}} {
		if c.stop {
			a.Close()
		}
		_, err := (&debian.Fetcher{Mirrors: a.Mirrors(t)}).Download(t.Context(), file, t.TempDir())
		var failed *debian.FetchError
		if !errors.As(err, &failed) || failed.Gone() != c.gone {
			t.Errorf("stopped %t: got %v, want gone = %t", c.stop, err, c.gone)
		}
	}
}
