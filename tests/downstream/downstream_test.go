// Package downstream_test is another team: its repository, module/, pulls shipped images by digest from a registry, puts
// layers on top and has fipscheck judge the result, by a Bazel of its own.
package downstream_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"kubefips.internal/tests/internal/clone"
	"kubefips.internal/tests/internal/proc"
	serving "kubefips.internal/tests/internal/registry"
	"kubefips.internal/tools/fipscheck/boring"
	"kubefips.internal/tools/oci/layout"
	"kubefips.internal/tools/oci/registry"
)

// Programs that are here already stand in for a clone of this tree, which would compile them once more.
var kubefips = map[string]string{
	"MODULE.bazel": `module(name = "kubefips", version = "0.0.0")
# As in the tree: tools/bazel says where they are, which is an error for modules that nobody names.
bazel_dep(name = "gazelle", version = "0.54.0")
bazel_dep(name = "rules_go", version = "0.65.0")
bazel_dep(name = "rules_shell", version = "0.3.0")
`,
	"BUILD.bazel": `filegroup(name = "fips_report", srcs = ["fips_report.json"], visibility = ["//visibility:public"])`,
	"prebuilt.bzl": `
def _impl(ctx):
    program = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.symlink(output = program, target_file = ctx.file.file, is_executable = True)
    return [DefaultInfo(executable = program, runfiles = ctx.runfiles([ctx.file.file]))]

prebuilt = rule(implementation = _impl, executable = True, attrs = {"file": attr.label(allow_single_file = True)})
`,
	"tests/fips/BUILD.bazel":      `exports_files(["policy.yaml"])`,
	"tools/fipscheck/BUILD.bazel": "load(\"//:prebuilt.bzl\", \"prebuilt\")\nprebuilt(name = \"fipscheck\", file = \"program\", visibility = [\"//visibility:public\"])\n",
	"tools/oci/BUILD.bazel":       "load(\"//:prebuilt.bzl\", \"prebuilt\")\nprebuilt(name = \"tool\", file = \"program\", visibility = [\"//visibility:public\"])\n",
}

// images are those that the other team stands on.
var images = []string{"coredns", "etcd"}

// A workspace is the other team's clone.
type workspace struct {
	bin, dir, out string // Bazel, the clone, Bazel's output user root
	registry      *serving.Registry
	below         string // where the images are in it
	digests       map[string]v1.Hash
}

func newWorkspace(t *testing.T) *workspace {
	t.Helper()
	scratch, err := os.MkdirTemp("", "downstream-")
	if err != nil {
		t.Fatal(err)
	}
	tree := filepath.Join(scratch, "tree")
	clone.Unpack(t, tree)
	w := &workspace{
		bin: filepath.Join(tree, "tools", "bazel"), dir: filepath.Join(scratch, "module"), out: filepath.Join(scratch, "out"),
		registry: serving.Start(t, serving.Options{}),
		digests:  map[string]v1.Hash{},
	}
	w.below = w.registry.Host + "/kubefips"
	t.Cleanup(func() {
		w.bazel("shutdown")
		removeAll(scratch)
	})
	for name, text := range kubefips {
		write(t, filepath.Join(scratch, "kubefips", name), []byte(text), 0o644)
	}
	for name, variable := range map[string]string{"tests/fips/policy.yaml": "POLICY", "tools/fipscheck/program": "FIPSCHECK", "tools/oci/program": "OCI"} {
		write(t, filepath.Join(scratch, "kubefips", name), read(t, proc.Runfile(t, os.Getenv(variable))), 0o755)
	}
	write(t, filepath.Join(scratch, "kubefips", "fips_report.json"), read(t, report(t)), 0o644)
	module := filepath.Dir(proc.Runfile(t, os.Getenv("MODULE")))
	files, err := os.ReadDir(module)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		write(t, filepath.Join(w.dir, file.Name()), read(t, filepath.Join(module, file.Name())), 0o644)
	}
	write(t, filepath.Join(w.dir, "program.elf"), tampered(t, read(t, proc.Runfile(t, os.Getenv("PROGRAM")))), 0o755)
	for _, image := range images {
		w.push(t, image)
	}
	w.pin(t, map[string]string{"coredns": "coredns", "etcd": "etcd"})
	return w
}

// push uploads an image that was built here.
func (w *workspace) push(t *testing.T, image string) {
	t.Helper()
	built := proc.Runfile(t, os.Getenv(strings.ToUpper(image)))
	if err := registry.Push(context.Background(), built, registry.Options{Repository: w.below + "/" + image}, io.Discard); err != nil {
		t.Fatal(err)
	}
	opened, err := layout.Open(built)
	if err != nil {
		t.Fatal(err)
	}
	w.digests[image] = opened.Descriptor.Digest
}

// pin writes which images the module pulls, by what it calls them.
func (w *workspace) pin(t *testing.T, images map[string]string) {
	t.Helper()
	text := "oci = use_extension(\"@rules_oci//oci:extensions.bzl\", \"oci\")\n"
	for name, image := range images {
		text += fmt.Sprintf("oci.pull(name = %q, digest = %q, image = \"http://%s/%s\")\nuse_repo(oci, %[1]q)\n", name, w.digests[image], w.below, image)
	}
	write(t, filepath.Join(w.dir, "images.MODULE.bazel"), []byte(text), 0o644)
}

// bazel runs the Bazel of this tree in the other one; the error has all that it printed.
func (w *workspace) bazel(command string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, w.bin, append([]string{"--output_user_root=" + w.out, command}, args...)...)
	cmd.Dir = w.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("bazel %s %s: %w\n%s", command, strings.Join(args, " "), err, out)
	}
	return nil
}

func TestAnotherTeamBuildsOnTheImages(t *testing.T) {
	w := newWorkspace(t)
	t.Run("what it builds stands on ours", func(t *testing.T) { testBuilds(t, w) })
	t.Run("a program that was tampered with does not pass", func(t *testing.T) { testProgram(t, w) })
	t.Run("what is not what its digest says does not come in", func(t *testing.T) { testRegistry(t, w) })
}

func testBuilds(t *testing.T, w *workspace) {
	if err := w.bazel("build", "//:coredns", "//:coredns_verdict", "//:etcd", "//:etcd_verdict"); err != nil {
		t.Fatal(err)
	}
	for _, name := range images {
		ours, theirs := manifest(t, proc.Runfile(t, os.Getenv(strings.ToUpper(name)))), manifest(t, filepath.Join(w.dir, "bazel-bin", name))
		if len(theirs.Layers) != len(ours.Layers)+1 {
			t.Fatalf("%s: %d layers, want one more than the %d below", name, len(theirs.Layers), len(ours.Layers))
		}
		for i, layer := range ours.Layers {
			if theirs.Layers[i].Digest != layer.Digest {
				t.Errorf("%s: layer %d is %s, want ours, %s", name, i, theirs.Layers[i].Digest, layer.Digest)
			}
		}
		if verdict := read(t, filepath.Join(w.dir, "bazel-bin", name+"_verdict.json")); !bytes.Contains(verdict, []byte(`"images/`+name+`"`)) {
			t.Errorf("%s: the verdict is not on it: %.300s", name, verdict)
		}
	}
}

func testProgram(t *testing.T, w *workspace) {
	err := w.bazel("build", "//:with_program_verdict")
	if err == nil || !strings.Contains(err.Error(), "was altered") {
		t.Errorf("got error %v, want the verdict on a changed module", err)
	}
}

// testRegistry changes what the registry has stored. Bazel keeps what it got before, so this is another image to it.
func testRegistry(t *testing.T, w *workspace) {
	w.pin(t, map[string]string{"coredns": "coredns", "etcd": "etcd", "other": "etcd"})
	layers := manifest(t, proc.Runfile(t, os.Getenv("ETCD"))).Layers
	for _, test := range []struct {
		what   string
		digest v1.Hash
		change func([]byte) []byte
	}{
		// It stays JSON, or the registry would not send it.
		{"manifest", w.digests["etcd"], func(data []byte) []byte { return bytes.Replace(data, []byte("\n"), []byte(" "), 1) }},
		{"layer", layers[len(layers)-1].Digest, func(data []byte) []byte {
			changed := bytes.Clone(data)
			changed[len(changed)/2] ^= 1
			return changed
		}},
	} {
		file := w.registry.Blob(test.digest.String())
		whole := read(t, file)
		write(t, file, test.change(whole), 0o600)
		err := w.bazel("build", "--repository_cache=", "@other")
		if err == nil || !strings.Contains(err.Error(), "Checksum was") || !strings.Contains(err.Error(), test.digest.Hex) {
			t.Errorf("a changed %s: got error %v, want one with the digest", test.what, err)
		}
		write(t, file, whole, 0o600)
	}
}

// report finds the JSON report among the files of //:fips_report.
func report(t *testing.T) string {
	t.Helper()
	for _, file := range strings.Fields(os.Getenv("REPORT")) {
		if filepath.Base(file) == "fips_report.json" {
			return proc.Runfile(t, file)
		}
	}
	t.Fatalf("no JSON report among %q", os.Getenv("REPORT"))
	return ""
}

func manifest(t *testing.T, dir string) *v1.Manifest {
	t.Helper()
	image, err := layout.OpenImage(dir)
	if err != nil {
		t.Fatal(err)
	}
	found, err := image.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// tampered returns a program with one byte of its cryptographic module changed.
func tampered(t *testing.T, program []byte) []byte {
	t.Helper()
	for _, module := range boring.Modules {
		mac, err := hex.DecodeString(module.MAC)
		if err != nil {
			t.Fatal(err)
		}
		if at := bytes.Index(program, mac); at >= 0 {
			program[at-int(module.MACOffset)+0x5000] ^= 1
			return program
		}
	}
	t.Fatal("the program has no BoringCrypto module")
	return nil
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func write(t *testing.T, file string, content []byte, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, content, mode); err != nil {
		t.Fatal(err)
	}
}

// removeAll deletes a folder in which Bazel has left read-only ones.
func removeAll(dir string) {
	filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			os.Chmod(path, 0o700)
		}
		return nil
	})
	os.RemoveAll(dir)
}
