// Package fakeproxy is a Go module proxy in a folder, for tests.
package fakeproxy

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

// Proxy is the folder that holds the modules.
type Proxy string

// New makes an empty proxy and turns the go command to it: no network, no checksum
// database, a module cache of its own. The go command is the runfile $GO in a
// Bazel test, else the one in $PATH.
func New(t *testing.T) Proxy {
	t.Helper()
	dir := t.TempDir()
	if goCommand := os.Getenv("GO"); goCommand != "" {
		goCommand = filepath.Join(os.Getenv("TEST_SRCDIR"), goCommand)
		t.Setenv("GOROOT", filepath.Dir(filepath.Dir(goCommand)))
		t.Setenv("PATH", filepath.Dir(goCommand))
		t.Setenv("GOCACHE", filepath.Join(os.Getenv("TEST_TMPDIR"), "gocache"))
	}
	t.Setenv("GOPROXY", "file://"+dir)
	t.Setenv("GOENV", "off")
	t.Setenv("GOFLAGS", "-modcacherw")
	t.Setenv("GOSUMDB", "off")
	t.Setenv("GONOSUMDB", "")
	t.Setenv("GOTOOLCHAIN", "local")
	for _, name := range []string{"GOMODCACHE", "GOPATH"} {
		t.Setenv(name, t.TempDir())
	}
	return Proxy(dir)
}

// GoVersion is the version of the go command, as in 1.26.10.
func GoVersion(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOVERSION").Output()
	if err != nil {
		t.Fatal(err)
	}
	version, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(string(out)), "go"), " ")
	version, _, _ = strings.Cut(version, "-")
	return version
}

// Publish puts a module version into the proxy, or another one in its place.
func (p Proxy) Publish(t *testing.T, path, version string, files map[string]string) {
	t.Helper()
	escaped, err := module.EscapePath(path)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(string(p), escaped, "@v")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	var list []zip.File
	for name, text := range files {
		list = append(list, file{name, text})
	}
	w, err := os.Create(filepath.Join(dir, version+".zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := zip.Create(w, module.Version{Path: path, Version: version}, list); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		version + ".info": fmt.Sprintf(`{"Version":%q,"Time":"2026-01-02T03:04:05Z"}`, version),
		version + ".mod":  files["go.mod"],
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	versions, err := os.OpenFile(filepath.Join(dir, "list"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer versions.Close()
	if _, err := fmt.Fprintln(versions, version); err != nil {
		t.Fatal(err)
	}
}

// file is a zip.File in memory.
type file struct{ name, text string }

func (f file) Path() string                 { return f.name }
func (f file) Lstat() (os.FileInfo, error)  { return info(f), nil }
func (f file) Open() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(f.text)), nil }

type info file

func (i info) Name() string       { return filepath.Base(i.name) }
func (i info) Size() int64        { return int64(len(i.text)) }
func (i info) Mode() os.FileMode  { return 0o644 }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return false }
func (i info) Sys() any           { return nil }
