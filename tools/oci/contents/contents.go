// Package contents says what is in an image: its configuration, and every path with mode and owner.
package contents

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Path is one path of an image.
type Path struct {
	Mode     string // as ls -l writes it
	UID, GID int
	Link     string // target of a symbolic or hard link
	Xattrs   string // extended attributes, such as capabilities: name=hex, sorted
	Digest   string // sha256 of a file's content
	Machine  elf.Machine
}

// Tree is the paths of an image, absolute and clean.
type Tree map[string]Path

// Add puts the archive of one layer on top. Layers of ours never cover one another: a path that is there already, and
// differs, is an error, and so is a whiteout.
func (t Tree) Add(layer string, archive io.Reader) error {
	reader := tar.NewReader(archive)
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("layer %s: %w", layer, err)
		}
		name := path.Clean("/" + header.Name)
		if strings.HasPrefix(path.Base(name), ".wh.") {
			return fmt.Errorf("layer %s: %s deletes what a layer below holds: leave it out there", layer, name)
		}
		added, err := read(header, reader)
		if err != nil {
			return fmt.Errorf("layer %s: %s: %w", layer, name, err)
		}
		if existing, taken := t[name]; taken && existing != added {
			return fmt.Errorf("layer %s: %s is in a layer below already, and differs (%+v, %+v): keep one of them", layer, name, existing, added)
		}
		t[name] = added
	}
}

func read(header *tar.Header, content io.Reader) (Path, error) {
	added := Path{Mode: header.FileInfo().Mode().String(), UID: header.Uid, GID: header.Gid, Link: header.Linkname, Xattrs: xattrs(header)}
	if header.Typeflag != tar.TypeReg {
		return added, nil
	}
	head := make([]byte, 20) // up to e_machine
	n, err := io.ReadFull(content, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return added, err
	}
	if bytes.HasPrefix(head, []byte(elf.ELFMAG)) {
		added.Machine = elf.Machine(uint16(head[18]) | uint16(head[19])<<8)
	}
	digest := sha256.New()
	digest.Write(head[:n])
	if _, err := io.Copy(digest, content); err != nil {
		return added, err
	}
	added.Digest = fmt.Sprintf("%x", digest.Sum(nil))
	return added, nil
}

func xattrs(header *tar.Header) string {
	var list []string
	for key, value := range header.PAXRecords {
		if name, isXattr := strings.CutPrefix(key, "SCHILY.xattr."); isXattr {
			list = append(list, fmt.Sprintf("%s=%x", name, value))
		}
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// Read returns the paths of an image.
func Read(image v1.Image) (Tree, error) {
	layers, err := image.Layers()
	if err != nil {
		return nil, err
	}
	tree := Tree{}
	for i, layer := range layers {
		archive, err := layer.Uncompressed()
		if err != nil {
			return nil, err
		}
		if err := errors.Join(tree.Add(fmt.Sprint(i), archive), archive.Close()); err != nil {
			return nil, err
		}
	}
	return tree, nil
}

// moduleVersion is what follows a module's path in the label kubefips.module.
var moduleVersion = regexp.MustCompile(`@\S+`)

// lasting returns the value of a label with * for what a new version of the image's programs changes.
func lasting(key, value string) string {
	switch key {
	case "kubefips.go", revisionKey, versionKey:
		return "*"
	case "kubefips.module":
		return moduleVersion.ReplaceAllString(value, "@*")
	}
	return value
}

// Describe writes what an image is, in lines that stay the same from one version of its programs to the next.
func Describe(image v1.Image) (string, error) {
	config, err := image.ConfigFile()
	if err != nil {
		return "", err
	}
	tree, err := Read(image)
	if err != nil {
		return "", err
	}
	if err := tree.runsOn(config.Architecture); err != nil {
		return "", err
	}
	var text strings.Builder
	run := config.Config
	for _, line := range []struct{ name, value string }{
		{"user", run.User},
		{"workdir", run.WorkingDir},
		{"entrypoint", strings.Join(run.Entrypoint, " ")},
		{"cmd", strings.Join(run.Cmd, " ")},
		{"env", strings.Join(run.Env, " ")},
		{"ports", strings.Join(slices.Sorted(maps.Keys(run.ExposedPorts)), " ")},
		{"volumes", strings.Join(slices.Sorted(maps.Keys(run.Volumes)), " ")},
	} {
		fmt.Fprintln(&text, strings.TrimSpace(line.name+": "+line.value))
	}
	for _, key := range slices.Sorted(maps.Keys(run.Labels)) {
		fmt.Fprintf(&text, "label %s: %s\n", key, lasting(key, run.Labels[key]))
	}
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		entry := tree[name]
		fmt.Fprintf(&text, "%s %d:%d %s", entry.Mode, entry.UID, entry.GID, name)
		if entry.Link != "" {
			fmt.Fprintf(&text, " -> %s", entry.Link)
		}
		if entry.Xattrs != "" {
			fmt.Fprintf(&text, " %s", entry.Xattrs)
		}
		fmt.Fprintln(&text)
	}
	return text.String(), nil
}

var machines = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

// runsOn fails when a program of the image is for another architecture than the one that the image names.
func (t Tree) runsOn(architecture string) error {
	want, known := machines[architecture]
	if !known {
		return fmt.Errorf("the image is for %q: only amd64 and arm64 are built", architecture)
	}
	for name, entry := range t {
		if entry.Machine != elf.EM_NONE && entry.Machine != want {
			return fmt.Errorf("%s is for %v, the image for %s", name, entry.Machine, architecture)
		}
	}
	return nil
}
