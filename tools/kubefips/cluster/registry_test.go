package cluster

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/random"
)

// What is pulled has the digest that was asked for, or is refused.
func TestPull(t *testing.T) {
	made, err := random.Image(1000, 2)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := made.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	digest, err := made.Digest()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name    string
		changed v1.Hash
		err     string
	}{
		{"as it was made", v1.Hash{}, ""},
		{"another manifest", digest, "does not match requested digest"},
		{"another layer", manifest.Layers[1].Digest, "error verifying sha256 checksum"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir, target := t.TempDir(), t.TempDir()
			path, err := layout.Write(dir, empty.Index)
			if err != nil {
				t.Fatal(err)
			}
			if err := path.AppendImage(made); err != nil {
				t.Fatal(err)
			}
			if test.err != "" {
				change(t, filepath.Join(dir, "blobs", test.changed.Algorithm, test.changed.Hex))
			}
			server := httptest.NewServer(registry(map[string]string{"runtime": dir}))
			defer server.Close()
			err = pull(t.Context(), strings.TrimPrefix(server.URL, "http://")+"/runtime@"+digest.String(), target, http.DefaultTransport)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("%v, want %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if files, err := os.ReadDir(target); err != nil || len(files) != len(manifest.Layers) {
				t.Errorf("%v, %v; want one file of each of %d layers", files, err, len(manifest.Layers))
			}
		})
	}
}

// change makes another file that is as good: of a packed layer it changes the time of packing.
func change(t *testing.T, file string) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	content[4]++
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
