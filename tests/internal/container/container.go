// Package container has what the tests of container runtimes share: an image, and a containerd that has it.
package container

import (
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"kubefips.internal/tests/internal/image"
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
	reference, err := name.NewTag(Reference)
	if err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(dir, "image.tar")
	if err := tarball.WriteToFile(archive, reference, image.OfProgram(t, proc.Runfile(t, os.Getenv("GUEST")), Guest[1:], "wait")); err != nil {
		t.Fatalf("making the test's image: %v", err)
	}
	Ctr(t, "images", "import", archive)
	Ctr(t, "--namespace=k8s.io", "images", "import", archive)
}

// Ctr runs ctr and returns what it printed.
func Ctr(t testing.TB, args ...string) string {
	t.Helper()
	return proc.Run(t, proc.Runfile(t, os.Getenv("CTR")), args...)
}
