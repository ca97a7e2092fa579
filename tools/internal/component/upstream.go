// Package component knows the shape of a folder under components: a go.mod whose
// tool lines name upstream's programs, its go.sum, and upstream.bzl.
package component

import (
	"bytes"
	"fmt"
	"path/filepath"

	"kubefips.internal/tools/internal/starlarkfile"
)

// UpstreamFile is the name of the generated table in a component's folder.
const UpstreamFile = "upstream.bzl"

// Upstream is what a component takes from its upstream's release.
type Upstream struct {
	Module   string `json:"module"`   // path of the main module, as in k8s.io/kubernetes
	Version  string `json:"version"`  // its version, as in v1.37.2
	Revision string `json:"revision"` // git commit where the proxy tells it, else the module's h1: sum
	Time     string `json:"time"`     // of the version, RFC 3339
	Go       string `json:"go"`       // Go version that compiles it, as in 1.26.10
	GoFrom   string `json:"go_from"`  // file of the module that names that version
	Godebug  string `json:"godebug"`  // default GODEBUG that the go command links into upstream's programs
}

// ReadUpstream reads upstream.bzl from a component's folder.
func ReadUpstream(dir string) (Upstream, error) {
	var u Upstream
	return u, starlarkfile.Read(filepath.Join(dir, UpstreamFile), "UPSTREAM", &u)
}

// Encode returns the text of upstream.bzl for the component of that name.
func (u Upstream) Encode(name string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "\"\"\"Written by `bazel run //tools/update -- %s <version>`; do not edit.\"\"\"\n\nUPSTREAM = {\n", name)
	for _, field := range []struct{ key, value string }{
		{"module", u.Module},
		{"version", u.Version},
		{"revision", u.Revision},
		{"time", u.Time},
		{"go", u.Go},
		{"go_from", u.GoFrom},
		{"godebug", u.Godebug},
	} {
		fmt.Fprintf(&b, "    %q: %q,\n", field.key, field.value)
	}
	b.WriteString("}\n")
	return b.Bytes()
}
