package debroot_test

import (
	"archive/tar"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kubefips.internal/tools/bazelroot/debroot"
	"kubefips.internal/tools/internal/debian"
	"kubefips.internal/tools/internal/debian/debiantest"
)

// newRoot returns a root of two packages in a new archive.
func newRoot(t *testing.T) (*debroot.Root, *debiantest.Archive) {
	t.Helper()
	a := debiantest.NewArchive(t)
	l := &debian.Lock{}
	for name, deb := range map[string][]byte{
		"base": debiantest.Deb(t, "xz",
			debiantest.Entry{Name: "bin", Type: tar.TypeSymlink, Link: "usr/bin"},
			debiantest.Entry{Name: "etc/"},
			debiantest.Entry{Name: "etc/resolv.conf", Content: "the package's"}),
		"shell": debiantest.Deb(t, "zst",
			debiantest.Entry{Name: "usr/"},
			debiantest.Entry{Name: "usr/bin/"},
			debiantest.Entry{Name: "usr/bin/dash", Content: "shell"}),
	} {
		l.Packages = append(l.Packages, debian.Package{Name: name, Version: "1", Architecture: "amd64", File: a.Put("pool/"+name+".deb", deb)})
	}
	return &debroot.Root{
		Lock:      l,
		LockFile:  "x.lock.json",
		Downloads: filepath.Join(t.TempDir(), "downloads"),
		Links:     map[string]string{"etc/resolv.conf": "/.host/resolv.conf", "etc/new/link": "there", "usr/bin/sh": "dash"},
	}, a
}

func TestBuild(t *testing.T) {
	r, a := newRoot(t)
	var fetched, unpacked, total int64
	r.Progress = func(f, u, n int64) { fetched, unpacked, total = f, u, n }
	dir := t.TempDir()
	if err := r.Build(t.Context(), a.Mirrors(t), dir); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "bin", "sh")); err != nil || string(data) != "shell" {
		t.Errorf("/bin/sh: got %q, %v", data, err)
	}
	for name, want := range r.Links {
		if got, err := os.Readlink(filepath.Join(dir, name)); err != nil || got != want {
			t.Errorf("%s: link to %q, %v; want %q", name, got, err, want)
		}
	}
	if fetched != total || unpacked != total || total == 0 {
		t.Errorf("progress ended at %d fetched, %d unpacked of %d", fetched, unpacked, total)
	}
	if _, err := os.Stat(r.Downloads); !os.IsNotExist(err) {
		t.Errorf("downloads were kept: %v", err)
	}
}

func TestInterruptedBuildKeepsItsDownloads(t *testing.T) {
	r, a := newRoot(t)
	whole, damaged := r.Lock.Packages[0], &r.Lock.Packages[1]
	good := damaged.SHA256
	damaged.SHA256 = strings.Repeat("0", 64)
	if err := r.Build(t.Context(), a.Mirrors(t), t.TempDir()); err == nil || !strings.Contains(err.Error(), damaged.Name+" 1") {
		t.Fatalf("got %v, want the package that does not fit its lock", err)
	}
	damaged.SHA256 = good
	if err := r.Build(t.Context(), a.Mirrors(t), t.TempDir()); err != nil {
		t.Fatal(err)
	}
	if n := a.Requests(whole.Path); n != 1 {
		t.Errorf("the whole package was fetched %d times, want once", n)
	}
}

func TestPackagesThatLeftTheArchiveAreAllNamed(t *testing.T) {
	r, a := newRoot(t)
	for _, p := range r.Lock.Packages {
		a.Delete(p.Path)
	}
	err := r.Build(t.Context(), a.Mirrors(t), t.TempDir())
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"base 1", "shell 1", r.LockFile, "DEBIAN_MIRROR", "tools/update debian"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
}

func TestUnreachableArchiveIsNotTakenForAnOldLock(t *testing.T) {
	r, a := newRoot(t)
	mirrors := a.Mirrors(t)
	a.Close()
	err := r.Build(t.Context(), mirrors, t.TempDir())
	if err == nil || strings.Contains(err.Error(), "left the archive") || !strings.Contains(err.Error(), "refused") {
		t.Errorf("got %v, want the connection's error", err)
	}
}

func TestFullDiskIsSeenBeforeFetching(t *testing.T) {
	r, a := newRoot(t)
	r.Lock.Packages[0].Size = 1 << 60
	err := r.Build(t.Context(), a.Mirrors(t), t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "MB free and set-up needs") || !strings.Contains(err.Error(), "XDG_CACHE_HOME") {
		t.Errorf("got %v, want how much is needed and what to set", err)
	}
	if a.Requests(r.Lock.Packages[1].Path) != 0 {
		t.Error("fetched before looking")
	}
}

func TestNameFollowsContent(t *testing.T) {
	r, _ := newRoot(t)
	names := map[string]bool{r.Name(): true}
	r.Links["usr/bin/sh"] = "bash"
	names[r.Name()] = true
	r.Lock.Packages[0].SHA256 = strings.Repeat("0", 64)
	names[r.Name()] = true
	if len(names) != 3 {
		t.Errorf("three different roots have the names %v", names)
	}
}
