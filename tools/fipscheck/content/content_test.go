package content_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"kubefips.internal/tools/fipscheck/content"
)

// small are limits that a test reaches quickly; what is tested is that they
// hold, not how large they are.
var small = content.Limits{Unpacked: 64 << 20, File: 8 << 20, Entries: 100, Depth: 2}

func gz(t testing.TB, parts ...[]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	for _, b := range parts {
		w := gzip.NewWriter(&out)
		if _, err := w.Write(b); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

func zst(t testing.TB, parts ...[]byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	for _, b := range parts {
		out = w.EncodeAll(b, out)
	}
	return out
}

// header is the tar header of a file whose data the caller supplies.
func header(t testing.TB, name string, size int64) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := tar.NewWriter(&b).WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: size}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func archive(t testing.TB, name string, data []byte) []byte {
	return append(append(header(t, name, int64(len(data))), data...), make([]byte, 512-len(data)%512+1024)...)
}

// zeros is a compressed stream of n MiB behind head, in streams of 1 MiB that
// follow each other.
func zeros(t testing.TB, pack func(testing.TB, ...[]byte) []byte, head []byte, n int) []byte {
	return append(pack(t, head), bytes.Repeat(pack(t, make([]byte, 1<<20)), n)...)
}

func walk(b []byte, lim content.Limits) (entries []content.Entry, err error) {
	err = content.Tar(bytes.NewReader(b), lim, io.Discard, func(e content.Entry) error {
		entries = append(entries, e)
		return nil
	})
	return entries, err
}

func TestBombsEndAtTheLimit(t *testing.T) {
	const huge = 4096 // MiB
	elf := []byte("\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 505))
	for name, bomb := range map[string][]byte{
		"gzip layer":          zeros(t, gz, header(t, "zeros", huge<<20), huge),
		"zstd layer":          zeros(t, zst, header(t, "zeros", huge<<20), huge),
		"gzip archive inside": archive(t, "inner.tgz", zeros(t, gz, header(t, "zeros", huge<<20), huge)),
		"zstd archive inside": archive(t, "inner.tar.zst", zeros(t, zst, header(t, "zeros", huge<<20), huge)),
		"after the end":       zeros(t, gz, make([]byte, 1024), huge),
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := walk(bomb, small)
			runtime.ReadMemStats(&after)
			if err == nil || !strings.Contains(err.Error(), "unpacks to more than") {
				t.Errorf("%v", err)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
				t.Errorf("%d bytes allocated", n)
			}
		})
	}
	t.Run("program inside", func(t *testing.T) {
		for _, pack := range []func(testing.TB, ...[]byte) []byte{gz, zst} {
			entries, err := walk(archive(t, "app.gz", zeros(t, pack, elf, huge)), small)
			if err != nil || len(entries) == 0 || !strings.Contains(entries[0].Problem, "ELF file of more than") {
				t.Errorf("%v, %+v", err, entries)
			}
		}
	})
	t.Run("entries", func(t *testing.T) {
		if _, err := walk(bytes.Repeat(header(t, "empty", 0), 1000), small); err == nil || !strings.Contains(err.Error(), "more than 100 entries") {
			t.Errorf("%v", err)
		}
	})
	t.Run("window", func(t *testing.T) {
		// A frame header that asks for a window of 2 GiB.
		if _, err := walk([]byte("\x28\xb5\x2f\xfd\x00\xa8\x00\x00\x00"), small); err == nil {
			t.Error("accepted")
		}
	})
}

func TestBrokenStreams(t *testing.T) {
	good := gz(t, archive(t, "a", bytes.Repeat([]byte("x"), 5000)))
	for n := range len(good) {
		if _, err := walk(good[:n], small); err == nil && n > 0 {
			t.Errorf("cut after %d of %d bytes: accepted", n, len(good))
		}
	}
	if _, err := walk(append(good[:len(good)-8:len(good)-8], make([]byte, 8)...), small); err == nil {
		t.Error("wrong checksum accepted")
	}
}

func FuzzTar(f *testing.F) {
	f.Add(archive(f, "a/../b", []byte("text")))
	f.Add(gz(f, archive(f, "bin/app", []byte("\x7fELF\x02\x01\x01"))))
	f.Add(zst(f, archive(f, ".wh.x", nil)))
	f.Add(archive(f, "x.tgz", gz(f, archive(f, "y.zst", zst(f, []byte("z"))))))
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, err := walk(b, content.Limits{Unpacked: 1 << 20, File: 1 << 16, Entries: 50, Depth: 2})
		for _, e := range entries {
			if !strings.HasPrefix(e.Path, "/") || strings.Contains(e.Path, "/../") {
				t.Errorf("path %q (%v)", e.Path, err)
			}
			_ = fmt.Sprint(e)
		}
	})
}
