// Package chart packs Helm charts in which images are named by the digests that were built.
package chart

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"kubefips.internal/tools/oci/contents"
	"kubefips.internal/tools/oci/layer"
)

// A placeholder stands in Chart.yaml and values.yaml: ${registry}, ${image:NAME} or ${version:NAME}.
var placeholder = regexp.MustCompile(`\$\{[^}]*\}`)

// A tag behind an image's name, in a file of a chart. Digests have no tag before them.
var tagged = regexp.MustCompile(`(?m)^[\s-]*"?image"?:.*[^\s{]:[^@{\s]*$`)

// Values are what placeholders stand for.
type Values struct {
	// Registry that the images are pushed below.
	Registry string
	Images   []contents.Summary
}

// Fill replaces the placeholders of a file's text: ${registry}; ${image:etcd}, the name and digest of an image; and
// ${version:etcd}, its version.
func (v Values) Fill(text string) (string, error) {
	var problems []error
	filled := placeholder.ReplaceAllStringFunc(text, func(found string) string {
		value, err := v.value(strings.TrimSuffix(strings.TrimPrefix(found, "${"), "}"))
		problems = append(problems, err)
		return value
	})
	return filled, errors.Join(problems...)
}

func (v Values) value(name string) (string, error) {
	if name == "registry" {
		return v.Registry, nil
	}
	kind, image, _ := strings.Cut(name, ":")
	if kind != "image" && kind != "version" {
		return "", fmt.Errorf("${%s}: there is only ${registry}, ${image:NAME} and ${version:NAME}", name)
	}
	var known []string
	for _, each := range v.Images {
		switch {
		case each.Name != image:
			known = append(known, each.Name)
		case kind == "image":
			return each.Name + "@" + each.Digest, nil
		default:
			return each.Version, nil
		}
	}
	return "", fmt.Errorf("${%s}: the chart has no image %q, only %s; add it to `images` of fips_chart", name, image, strings.Join(known, ", "))
}

// Pack writes the archive of the chart called name: files, by path inside the chart, sorted, without times. Placeholders
// are filled in Chart.yaml and values.yaml; elsewhere images come from values.
func Pack(name string, files map[string]string, values Values, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "chart")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	spec := layer.Spec{Compression: "gzip"}
	for inside, source := range files {
		if inside == "Chart.yaml" || inside == "values.yaml" {
			filled := filepath.Join(dir, inside)
			if err := fill(source, filled, values); err != nil {
				return fmt.Errorf("chart %s: %s: %w", name, source, err)
			}
			source = filled
		} else if err := refuseTag(source); err != nil {
			return fmt.Errorf("chart %s: %s: %w", name, source, err)
		}
		spec.Entries = append(spec.Entries, layer.Entry{Path: path.Join("/", name, inside), Source: source, Mode: "0644"})
	}
	return layer.Write(spec, out)
}

func fill(source, target string, values Values) error {
	text, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	filled, err := values.Fill(string(text))
	if err != nil {
		return err
	}
	return os.WriteFile(target, []byte(filled), 0o644)
}

func refuseTag(source string) error {
	text, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	if found := tagged.Find(text); found != nil {
		return fmt.Errorf("%q names an image itself: take it from values.yaml, which has the digest", strings.TrimSpace(string(found)))
	}
	return nil
}
