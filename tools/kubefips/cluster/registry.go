package cluster

import (
	"archive/tar"
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"golang.org/x/sync/errgroup"

	"kubefips.internal/tools/pki"
)

// Registry is where the cluster pulls its images: <Registry>/<name>@<digest>. Only the rack knows the name.
const (
	Registry     = registryHost + ":5000"
	registryHost = "registry.kubefips"

	registryAddress = RackAddress + ":5000"
)

// serveRegistry serves OCI layouts, by name, to clients that pull by digest.
func serveRegistry(ca *pki.CA, images map[string]string) error {
	leaf, err := ca.Issue("registry", pkix.Name{CommonName: registryHost}, registryHost, RackAddress)
	if err != nil {
		return err
	}
	pair, err := tls.LoadX509KeyPair(leaf.CertFile, leaf.KeyFile)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", registryAddress)
	if err != nil {
		return fmt.Errorf("starting the registry: %w", err)
	}
	server := &http.Server{Handler: registry(images), TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}}}
	go server.ServeTLS(listener, "", "")
	return nil
}

// registry is a registry of OCI layouts, by name.
func registry(images map[string]string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v2/{$}", func(http.ResponseWriter, *http.Request) {})
	for _, kind := range []string{"blobs", "manifests"} {
		mux.HandleFunc("GET /v2/{name}/"+kind+"/{digest}", func(w http.ResponseWriter, r *http.Request) {
			hash, err := v1.NewHash(r.PathValue("digest"))
			dir, known := images[r.PathValue("name")]
			if err != nil || !known {
				http.NotFound(w, r)
				return
			}
			w.Header().Set("Docker-Content-Digest", hash.String())
			w.Header().Set("Content-Type", "application/octet-stream")
			if kind == "manifests" {
				w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			}
			http.ServeFile(w, r, filepath.Join(dir, "blobs", hash.Algorithm, hash.Hex))
		})
	}
	return mux
}

// reference returns what a pod calls the image in an OCI layout.
func reference(name, dir string) (string, error) {
	image, err := open(dir)
	if err != nil {
		return "", fmt.Errorf("image %s: %w", name, err)
	}
	digest, err := image.Digest()
	if err != nil {
		return "", fmt.Errorf("image %s: %w", name, err)
	}
	return Registry + "/" + name + "@" + digest.String(), nil
}

func open(dir string) (v1.Image, error) {
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	if len(manifest.Manifests) != 1 {
		return nil, fmt.Errorf("%s: %d images, want one", dir, len(manifest.Manifests))
	}
	return index.Image(manifest.Manifests[0].Digest)
}

// pullPrograms writes the programs of the nodes, as the registry has them, into a folder.
func (c *Cluster) pullPrograms(ctx context.Context) error {
	authority, err := os.ReadFile(c.ca.CertFile)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) { // the rack does not resolve the registry's name
			return new(net.Dialer).DialContext(ctx, network, registryAddress)
		},
	}
	defer transport.CloseIdleConnections()
	return pull(ctx, c.references["runtime"], c.dir, transport)
}

// pull writes the files of an image into a folder, and fails unless manifest and layers have their digests. Layers of the distribution
// never hold one path twice, so they are unpacked at once.
func pull(ctx context.Context, reference, target string, transport http.RoundTripper) error {
	digest, err := name.NewDigest(reference)
	if err != nil {
		return err
	}
	image, err := remote.Image(digest, remote.WithContext(ctx), remote.WithTransport(transport))
	if err != nil {
		return fmt.Errorf("pulling %s: %w", reference, err)
	}
	layers, err := image.Layers()
	if err != nil {
		return fmt.Errorf("pulling %s: %w", reference, err)
	}
	var group errgroup.Group
	for _, layer := range layers {
		group.Go(func() error { return unpack(layer, target) })
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("pulling %s: %w", reference, err)
	}
	return nil
}

func unpack(layer v1.Layer, target string) error {
	content, err := layer.Uncompressed()
	if err != nil {
		return err
	}
	defer content.Close()
	for archive := tar.NewReader(content); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			_, err := io.Copy(io.Discard, content) // the digest is compared at the end of the layer, which is after that of the archive
			return err
		}
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(header.Name, "./")
		if header.Typeflag != tar.TypeReg || !filepath.IsLocal(name) {
			continue
		}
		path := filepath.Join(target, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, header.FileInfo().Mode())
		if err != nil {
			return err
		}
		_, err = io.Copy(file, archive)
		if err := errors.Join(err, file.Close()); err != nil {
			return err
		}
	}
}

func marshal(v any) string {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic(err) // only maps, slices, strings and numbers come here
	}
	return string(data) + "\n"
}
