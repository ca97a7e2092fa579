// Package container has what the tests of container runtimes share: an image, and a containerd that has it.
package container

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"kubefips.internal/tests/internal/proc"
)

// Guest is the path of the guest program in the image.
const Guest = "/guest"

// Reference is the image's name.
const Reference = "registry.test/guest:latest"

// StartContainerd starts containerd with a configuration until the test ends, and imports the test's image into its default
// namespace and the CRI's. It finds its programs in the test's environment: CONTAINERD, CTR, GUEST, RUNC and
// RUNC_STAND_IN (//tests/internal/container/runc) are runfiles, and so are the shims, given by name.
func StartContainerd(t testing.TB, config string, shims map[string]string) {
	t.Helper()
	dir := t.TempDir()
	programs := map[string]string{"runc": os.Getenv("RUNC_STAND_IN"), "runc.real": os.Getenv("RUNC")}
	maps.Copy(programs, shims)
	for name, runfile := range programs {
		if err := os.Symlink(proc.Runfile(t, runfile), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH")) // where containerd looks for shims, and they for runc
	file := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	proc.Start(t, proc.Runfile(t, os.Getenv("CONTAINERD")), "--config="+file)
	proc.Eventually(t, time.Minute, func() error {
		_, err := proc.Output(proc.Runfile(t, os.Getenv("CTR")), "version")
		return err
	})
	image := filepath.Join(dir, "image.tar")
	if err := writeImage(proc.Runfile(t, os.Getenv("GUEST")), image); err != nil {
		t.Fatalf("making the test's image: %v", err)
	}
	Ctr(t, "images", "import", image)
	Ctr(t, "--namespace=k8s.io", "images", "import", image)
}

// Ctr runs ctr and returns what it printed.
func Ctr(t testing.TB, args ...string) string {
	t.Helper()
	return proc.Run(t, proc.Runfile(t, os.Getenv("CTR")), args...)
}

// writeImage writes an image with nothing but the guest program to file, as `docker save` would. Its containers wait for SIGTERM.
func writeImage(guest, file string) error {
	program, err := os.ReadFile(guest)
	if err != nil {
		return err
	}
	var files bytes.Buffer
	w := tar.NewWriter(&files)
	if err := w.WriteHeader(&tar.Header{Name: Guest[1:], Mode: 0o755, Size: int64(len(program))}); err != nil {
		return err
	}
	if _, err := w.Write(program); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(files.Bytes())), nil })
	if err != nil {
		return err
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return err
	}
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config = v1.Config{Entrypoint: []string{Guest}, Cmd: []string{"wait"}}
	if image, err = mutate.ConfigFile(image, config); err != nil {
		return err
	}
	reference, err := name.NewTag(Reference)
	if err != nil {
		return fmt.Errorf("reference %s: %w", Reference, err)
	}
	return tarball.WriteToFile(file, reference, image)
}
