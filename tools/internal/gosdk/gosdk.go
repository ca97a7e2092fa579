// Package gosdk writes the lock of Go SDKs: which Go versions may compile what is
// shipped, by the hashes of the SDK and of the BoringCrypto objects inside it.
package gosdk

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"go/version"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"kubefips.internal/tools/internal/starlarkfile"
)

// The lock, and the module segment that registers what it holds, by their paths in
// the tree.
const (
	LockFile   = "toolchains/go/sdks.lock.bzl"
	ModuleFile = "toolchains/go/go.MODULE.bazel"
)

// architectures that BoringCrypto exists for.
var architectures = []string{"amd64", "arm64"}

// SDK is one Go SDK for linux/amd64, as the Go module golang.org/toolchain.
type SDK struct {
	H1           string            `json:"h1"`           // the module's hash in the checksum database
	SHA256       string            `json:"sha256"`       // of the module's zip
	BoringCrypto map[string]string `json:"boringcrypto"` // GOARCH to sha256 of the BoringCrypto object
	Certificate  string            `json:"certificate"`  // CMVP's number for the module in that object
}

// Lock has an SDK for each Go version, as in 1.26.10.
type Lock map[string]SDK

// Read reads the lock of the tree at root.
func Read(root string) (Lock, error) {
	lock := Lock{}
	return lock, starlarkfile.Read(filepath.Join(root, LockFile), "GO_SDKS", &lock)
}

// Versions returns the locked versions, the newest first.
func (l Lock) Versions() []string {
	return slices.SortedFunc(maps.Keys(l), func(a, b string) int { return version.Compare("go"+b, "go"+a) })
}

// Add locks another Go version. The certificate is the one of the locked SDKs with
// the same BoringCrypto objects; certificate names it where there is none.
func (l Lock) Add(ctx context.Context, goVersion, certificate string) error {
	sdk, err := fetch(ctx, goVersion)
	if err != nil {
		return err
	}
	if old, ok := l[goVersion]; ok {
		if old.H1 != sdk.H1 || old.SHA256 != sdk.SHA256 || !maps.Equal(old.BoringCrypto, sdk.BoringCrypto) {
			return fmt.Errorf("Go %s: the proxy's SDK is not the locked one: %s has %s, the proxy %s; find out which is right before you touch the lock", goVersion, LockFile, old.H1, sdk.H1)
		}
		return nil
	}
	for _, v := range l.Versions() {
		if maps.Equal(l[v].BoringCrypto, sdk.BoringCrypto) {
			sdk.Certificate = l[v].Certificate
		}
	}
	switch {
	case sdk.Certificate == "" && certificate == "":
		return fmt.Errorf("Go %s carries BoringCrypto objects that no locked SDK has (%s); look their certificate up with CMVP and name it with --certificate", goVersion, describe(sdk.BoringCrypto))
	case sdk.Certificate == "":
		sdk.Certificate = certificate
	case certificate != "" && certificate != sdk.Certificate:
		return fmt.Errorf("Go %s: --certificate %s, but %s has #%s for the same BoringCrypto objects", goVersion, certificate, LockFile, sdk.Certificate)
	}
	l[goVersion] = sdk
	return nil
}

func describe(objects map[string]string) string {
	var parts []string
	for _, arch := range slices.Sorted(maps.Keys(objects)) {
		parts = append(parts, arch+" "+objects[arch])
	}
	return strings.Join(parts, ", ")
}

// fetch downloads an SDK by the go command, which checks it with the checksum database.
func fetch(ctx context.Context, goVersion string) (SDK, error) {
	if !version.IsValid("go" + goVersion) {
		return SDK{}, fmt.Errorf("%q is not a Go version such as 1.26.10", goVersion)
	}
	module := "golang.org/toolchain@v0.0.1-go" + goVersion + ".linux-amd64"
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", module)
	cmd.Env = append(os.Environ(), "GOFLAGS="+os.Getenv("GOFLAGS")+" -mod=mod", "GO111MODULE=on", "GOWORK=off")
	cmd.Dir = os.TempDir()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var got struct{ Zip, Sum, Error string }
	if len(out) > 0 {
		if err := json.Unmarshal(out, &got); err != nil {
			return SDK{}, fmt.Errorf("go mod download %s: %w", module, err)
		}
	}
	if got.Error != "" {
		return SDK{}, fmt.Errorf("Go %s: %s", goVersion, got.Error)
	}
	if err != nil {
		return SDK{}, fmt.Errorf("go mod download %s: %w\n%s", module, err, stderr.Bytes())
	}
	sdk, err := inspect(got.Zip)
	if err != nil {
		return SDK{}, fmt.Errorf("Go %s: %w", goVersion, err)
	}
	sdk.H1 = got.Sum
	return sdk, nil
}

// inspect measures the zip of an SDK.
func inspect(name string) (SDK, error) {
	f, err := os.Open(name)
	if err != nil {
		return SDK{}, err
	}
	defer f.Close()
	sdk := SDK{BoringCrypto: map[string]string{}}
	if sdk.SHA256, err = sum(f); err != nil {
		return SDK{}, err
	}
	info, err := f.Stat()
	if err != nil {
		return SDK{}, err
	}
	z, err := zip.NewReader(f, info.Size())
	if err != nil {
		return SDK{}, fmt.Errorf("%s: %w", name, err)
	}
	for _, arch := range architectures {
		suffix := "/src/crypto/internal/boring/syso/goboringcrypto_linux_" + arch + ".syso"
		i := slices.IndexFunc(z.File, func(f *zip.File) bool { return strings.HasSuffix(f.Name, suffix) })
		if i < 0 {
			return SDK{}, fmt.Errorf("%s: no BoringCrypto object for %s", name, arch)
		}
		object, err := z.File[i].Open()
		if err != nil {
			return SDK{}, fmt.Errorf("%s: %w", name, err)
		}
		digest, err := sum(object)
		if err := errors.Join(err, object.Close()); err != nil {
			return SDK{}, fmt.Errorf("%s: %s: %w", name, z.File[i].Name, err)
		}
		sdk.BoringCrypto[arch] = digest
	}
	return sdk, nil
}

func sum(r io.Reader) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Encode returns the text of the lock file.
func (l Lock) Encode() []byte {
	var b bytes.Buffer
	b.WriteString("\"\"\"Go SDKs by version. Written by `bazel run //tools/update -- go <version>`; do not edit.\"\"\"\n\nGO_SDKS = {\n")
	versions := l.Versions()
	slices.Reverse(versions)
	for _, v := range versions {
		sdk := l[v]
		fmt.Fprintf(&b, "    %q: {\n        \"h1\": %q,\n        \"sha256\": %q,\n        \"boringcrypto\": {\n", v, sdk.H1, sdk.SHA256)
		for _, arch := range slices.Sorted(maps.Keys(sdk.BoringCrypto)) {
			fmt.Fprintf(&b, "            %q: %q,\n", arch, sdk.BoringCrypto[arch])
		}
		fmt.Fprintf(&b, "        },\n        \"certificate\": %q,\n    },\n", sdk.Certificate)
	}
	b.WriteString("}\n")
	return b.Bytes()
}

// ListVersions returns the module segment with its list of versions replaced by the
// locked ones: a segment cannot load the lock.
func (l Lock) ListVersions(segment []byte) ([]byte, error) {
	const head, tail = "\nGO_VERSIONS = [\n", "]\n"
	start := bytes.Index(segment, []byte(head))
	if start < 0 {
		return nil, fmt.Errorf("%s: no list GO_VERSIONS", ModuleFile)
	}
	start += len(head)
	end := bytes.Index(segment[start:], []byte(tail))
	if end < 0 {
		return nil, fmt.Errorf("%s: the list GO_VERSIONS does not end", ModuleFile)
	}
	var b bytes.Buffer
	b.Write(segment[:start])
	for _, v := range l.Versions() {
		fmt.Fprintf(&b, "    %q,\n", v)
	}
	b.Write(segment[start+end:])
	return b.Bytes(), nil
}
