// Package image builds OCI image layouts whose bytes are those of rules_oci 2.x.
//
// The digest of an image must not depend on which of the two built it. What counts: config and manifest are indented by two
// spaces with keys in order of insertion, the manifest ends in a newline and the config does not, layers are taken as they
// are, and a layer's history names the label that made it.
package image

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/types"

	"kubefips.internal/tools/oci/ordered"
)

const epoch = "1970-01-01T00:00:00Z"

// Layer is a tar archive, plain or compressed by gzip or zstd, and the label of the target that made it.
type Layer struct {
	Path  string
	Owner string
}

// Text is the content of one of oci_image's attribute files; nil when the attribute is not set.
type Text *string

// Spec says what the image is made of, in the terms of oci_image.
type Spec struct {
	// Base is the layout of the image underneath; OS and Architecture are for images without one.
	Base                      string
	OS, Architecture, Variant string

	Layers []Layer

	Created      Text // an RFC 3339 time
	Entrypoint   Text // one argument a line; setting it drops the base's Cmd
	Cmd          Text // one argument a line
	ExposedPorts Text // separated by commas
	Volumes      Text // separated by commas
	Env          Text // NAME=value a line; $NAME and ${NAME} are replaced
	Labels       Text // key=value a line
	Annotations  Text // key=value a line, for the manifest
	User         string
	WorkingDir   string
}

// Build writes the image's layout to the folder out, which exists or not.
func Build(spec Spec, out string) error {
	config, manifest := scratch(spec)
	blobs := newLayout(out)
	if spec.Base != "" {
		var err error
		if config, manifest, err = blobs.from(spec.Base); err != nil {
			return fmt.Errorf("base %s: %w", spec.Base, err)
		}
	}
	for _, layer := range spec.Layers {
		added, err := blobs.addLayer(layer.Path)
		if err != nil {
			return fmt.Errorf("layer %s: %w", layer.Path, err)
		}
		if err := appendLayer(config, manifest, added, layer.Owner); err != nil {
			return err
		}
	}
	if err := configure(config, spec); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	if err := setPairs(manifest, "annotations", spec.Annotations); err != nil {
		return fmt.Errorf("manifest: %w", err)
	}

	configBytes := ordered.Encode(config)
	added, err := blobs.add(configBytes)
	if err != nil {
		return err
	}
	descriptor, err := manifest.Object("config")
	if err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	descriptor.Set("digest", added.String()).Set("size", len(configBytes)).Delete("data")

	manifestBytes := append(ordered.Encode(manifest), '\n')
	if added, err = blobs.add(manifestBytes); err != nil {
		return err
	}
	index := ordered.NewObject().
		Set("schemaVersion", 2).
		Set("mediaType", string(types.OCIImageIndex)).
		Set("manifests", []any{ordered.NewObject().
			Set("mediaType", manifest.String("mediaType")).
			Set("digest", added.String()).
			Set("size", len(manifestBytes))})
	return blobs.finish(index)
}

func scratch(spec Spec) (config, manifest *ordered.Object) {
	config = ordered.NewObject().
		Set("created", epoch).
		Set("config", ordered.NewObject()).
		Set("history", []any{}).
		Set("rootfs", ordered.NewObject().Set("type", "layers").Set("diff_ids", []any{})).
		Set("os", spec.OS).
		Set("architecture", spec.Architecture)
	if spec.Variant != "" {
		config.Set("variant", spec.Variant)
	}
	manifest = ordered.NewObject().
		Set("schemaVersion", 2).
		Set("mediaType", string(types.OCIManifestSchema1)).
		Set("config", ordered.NewObject().Set("mediaType", string(types.OCIConfigJSON)).Set("size", 0)).
		Set("layers", []any{})
	return config, manifest
}

func appendLayer(config, manifest *ordered.Object, layer layerBlob, owner string) error {
	rootfs, err := config.Object("rootfs")
	if err != nil {
		return err
	}
	if err := push(rootfs, "diff_ids", layer.diffID.String()); err != nil {
		return err
	}
	history := ordered.NewObject().Set("created", epoch).Set("created_by", "bazel build "+owner)
	if err := push(config, "history", history); err != nil {
		return err
	}
	mediaType, separator := "application/vnd.oci.image.layer.v1.tar", "+"
	if strings.HasPrefix(manifest.String("mediaType"), "application/vnd.docker.") {
		mediaType, separator = "application/vnd.docker.image.rootfs.diff.tar", "."
	}
	if layer.compression != "" {
		mediaType += separator + layer.compression
	}
	return push(manifest, "layers", ordered.NewObject().
		Set("size", layer.size).
		Set("digest", layer.digest.String()).
		Set("mediaType", mediaType))
}

func push(object *ordered.Object, key string, value any) error {
	array, err := object.Array(key)
	if err != nil {
		return err
	}
	object.Set(key, append(slices.Clip(array), value))
	return nil
}

// configure applies the attributes in the order in which rules_oci does: it decides where new keys stand.
func configure(config *ordered.Object, spec Spec) error {
	if spec.Created != nil {
		config.Set("created", *spec.Created)
	}
	run, hadRun := config.Get("config").(*ordered.Object)
	if !hadRun {
		run = ordered.NewObject()
	}
	if spec.Entrypoint != nil {
		run.Set("Cmd", nil)
		run.Set("Entrypoint", arguments(*spec.Entrypoint))
	}
	if spec.Cmd != nil {
		run.Set("Cmd", arguments(*spec.Cmd))
	}
	if err := setKeys(run, "ExposedPorts", spec.ExposedPorts); err != nil {
		return err
	}
	if err := setKeys(run, "Volumes", spec.Volumes); err != nil {
		return err
	}
	if err := setEnv(run, spec.Env); err != nil {
		return err
	}
	if err := setPairs(run, "Labels", spec.Labels); err != nil {
		return err
	}
	if spec.User != "" {
		run.Set("User", spec.User)
	}
	if spec.WorkingDir != "" {
		run.Set("WorkingDir", spec.WorkingDir)
	}
	if run.Get("Cmd") == nil {
		run.Delete("Cmd")
	}
	if hadRun || !run.Empty() {
		config.Set("config", run)
	}
	return nil
}

// arguments reads one argument a line; rules_oci's macro writes a newline inside an argument as %5Cn.
func arguments(lines string) []any {
	list := []any{}
	for line := range strings.SplitSeq(lines, "\n") {
		if line != "" {
			list = append(list, strings.ReplaceAll(line, "%5Cn", "\n"))
		}
	}
	return list
}

// setKeys adds each element of a list to the set at key: an object with empty values.
func setKeys(run *ordered.Object, key string, list Text) error {
	if list == nil {
		return nil
	}
	set, err := run.Object(key)
	if err != nil || *list == "" {
		return err
	}
	for element := range strings.SplitSeq(*list, ",") {
		set.Set(element, ordered.NewObject())
	}
	return nil
}

// setPairs adds key=value lines to the object at key.
func setPairs(parent *ordered.Object, key string, lines Text) error {
	if lines == nil {
		return nil
	}
	pairs, err := parent.Object(key)
	if err != nil {
		return err
	}
	for line := range strings.SplitSeq(*lines, "\n") {
		if line != "" {
			name, value, _ := strings.Cut(line, "=")
			pairs.Set(name, value)
		}
	}
	return nil
}

var reference = regexp.MustCompile(`\$\{?([a-zA-Z0-9_]+)\}?`)

// setEnv adds NAME=value lines to the environment; each may refer to those before it.
func setEnv(run *ordered.Object, lines Text) error {
	if lines == nil {
		return nil
	}
	existing, err := run.Array("Env")
	if err != nil {
		return err
	}
	names, values := []string{}, map[string]string{}
	set := func(name, value string) {
		if _, known := values[name]; !known {
			names = append(names, name)
		}
		values[name] = value
	}
	for _, entry := range existing {
		text, isText := entry.(string)
		if !isText {
			return fmt.Errorf("Env of the base holds %v, which is not a string", entry)
		}
		name, value, _ := strings.Cut(text, "=")
		set(name, value)
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(*lines, "\n"), "\n") {
		name, value, _ := strings.Cut(line, "=")
		if name == "" {
			if *lines == "" {
				break
			}
			return fmt.Errorf("environment line %q names no variable: write NAME=value", line)
		}
		set(name, reference.ReplaceAllStringFunc(value, func(match string) string {
			return values[reference.FindStringSubmatch(match)[1]]
		}))
	}
	env := make([]any, len(names))
	for i, name := range names {
		env[i] = name + "=" + values[name]
	}
	run.Set("Env", env)
	return nil
}
