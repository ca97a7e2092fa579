// Package nftables unpacks the network programs that images have, for tests of what calls them.
package nftables

import (
	"archive/tar"
	"io"
	"os"
	"path/filepath"
	"testing"

	"kubefips.internal/tests/internal/proc"
	"kubefips.internal/tools/oci/layer"
)

// Unpack returns a folder with the layer of network programs, which is the runfile NETWORK_PROGRAMS.
func Unpack(t testing.TB) string {
	t.Helper()
	packed, err := os.Open(proc.Runfile(t, os.Getenv("NETWORK_PROGRAMS")))
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	unpacked, _, err := layer.Unpack(packed)
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for archive := tar.NewReader(unpacked); ; {
		header, err := archive.Next()
		if err == io.EOF {
			return root
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(root, header.Name)
		switch header.Typeflag {
		case tar.TypeDir:
			err = os.MkdirAll(path, 0o755)
		case tar.TypeSymlink:
			err = os.Symlink(header.Linkname, path)
		default:
			var content []byte
			if content, err = io.ReadAll(archive); err == nil {
				err = os.WriteFile(path, content, header.FileInfo().Mode())
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
