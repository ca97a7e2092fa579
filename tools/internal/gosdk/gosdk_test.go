package gosdk_test

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kubefips.internal/tools/internal/fakeproxy"
	"kubefips.internal/tools/internal/gosdk"
)

// publish makes an SDK whose BoringCrypto objects have that content.
func publish(t *testing.T, proxy fakeproxy.Proxy, version, object string) {
	t.Helper()
	files := map[string]string{"_go.mod": "module std\n", "VERSION": "go" + version}
	if object != "" {
		for _, arch := range []string{"amd64", "arm64"} {
			files["src/crypto/internal/boring/syso/goboringcrypto_linux_"+arch+".syso"] = object + arch
		}
	}
	proxy.Publish(t, "golang.org/toolchain", "v0.0.1-go"+version+".linux-amd64", files)
}

func TestAdd(t *testing.T) {
	proxy := fakeproxy.New(t)
	publish(t, proxy, "1.90.0", "one")
	publish(t, proxy, "1.90.1", "one")
	publish(t, proxy, "1.91.0", "two")
	publish(t, proxy, "1.92.0", "")

	lock := gosdk.Lock{}
	fails := func(version, certificate string, want ...string) {
		t.Helper()
		before := maps.Clone(lock)
		err := lock.Add(t.Context(), version, certificate)
		if err == nil {
			t.Fatalf("Go %s was locked", version)
		}
		for _, part := range append(want, version) {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("error lacks %q: %v", part, err)
			}
		}
		if len(lock) != len(before) {
			t.Errorf("the lock changed: %v", lock)
		}
	}
	fails("1.90.0", "", "--certificate")
	if err := lock.Add(t.Context(), "1.90.0", "1111"); err != nil {
		t.Fatal(err)
	}
	if err := lock.Add(t.Context(), "1.90.1", ""); err != nil {
		t.Fatal(err)
	}
	if got := lock["1.90.1"].Certificate; got != "1111" {
		t.Errorf("the same objects have certificate %q", got)
	}
	if lock["1.90.0"].SHA256 == lock["1.90.1"].SHA256 || !maps.Equal(lock["1.90.0"].BoringCrypto, lock["1.90.1"].BoringCrypto) {
		t.Errorf("wrong digests: %v", lock)
	}
	fails("1.91.0", "", "no locked SDK has", "--certificate")
	fails("1.92.0", "", "no BoringCrypto object")
	fails("1.93.0", "")
	fails("latest", "", "is not a Go version")

	// Published again with other content.
	publish(t, proxy, "1.90.0", "three")
	t.Setenv("GOMODCACHE", t.TempDir())
	fails("1.90.0", "", "not the locked one")
}

func TestEncodeAndRead(t *testing.T) {
	lock := gosdk.Lock{}
	for _, v := range []string{"1.26.9", "1.26.10", "1.27.0"} {
		lock[v] = gosdk.SDK{H1: "h1:" + v, SHA256: v, BoringCrypto: map[string]string{"amd64": "a", "arm64": "b"}, Certificate: "1"}
	}
	root := t.TempDir()
	file := filepath.Join(root, gosdk.LockFile)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, lock.Encode(), 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := gosdk.Read(root)
	if err != nil {
		t.Fatal(err)
	}
	if string(got.Encode()) != string(lock.Encode()) {
		t.Errorf("wrote\n%s\nread\n%s", lock.Encode(), got.Encode())
	}

	segment, err := lock.ListVersions([]byte("\"\"\"Doc.\"\"\"\n\nGO_VERSIONS = [\n    \"1.0.0\",\n]\n\nrest()\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := "\"\"\"Doc.\"\"\"\n\nGO_VERSIONS = [\n    \"1.27.0\",\n    \"1.26.10\",\n    \"1.26.9\",\n]\n\nrest()\n"
	if string(segment) != want {
		t.Errorf("got\n%s\nwant\n%s", segment, want)
	}
	if _, err := lock.ListVersions([]byte("nothing\n")); err == nil {
		t.Error("a segment without the list was taken")
	}
}

// The committed lock and the list of versions are what the tool writes.
func TestCommittedLock(t *testing.T) {
	root := filepath.Join("..", "..", "..")
	lock, err := gosdk.Read(root)
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]func([]byte) ([]byte, error){
		gosdk.LockFile:   func([]byte) ([]byte, error) { return lock.Encode(), nil },
		gosdk.ModuleFile: lock.ListVersions,
	} {
		data, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		text, err := want(data)
		if err != nil {
			t.Fatal(err)
		}
		if string(text) != string(data) {
			t.Errorf("%s was edited by hand; it should be\n%s", file, text)
		}
	}
}
