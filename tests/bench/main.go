// Command bench times the build of components, beside plain `go build` of the same programs with the same Go SDK, C
// compiler, build tags and link flags, in one run:
//
//	go run ./tests/bench etcd runc
//	go run ./tests/bench fipscheck PATH...
//
// Everything is cold but the set-up: neither side has a build cache, both have their sources. For each component it
// prints the seconds of fetching (Bazel), of both builds, their ratio, and of a build with nothing to do.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/modfile"
)

func main() {
	cmd := &cobra.Command{
		Use:           "bench COMPONENT...",
		Short:         "Time the build of components beside plain go build",
		Example:       "  go run ./tests/bench etcd runc",
		Args:          cobra.MinimumNArgs(1),
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, components []string) error {
			return run(cmd.Context(), components)
		},
	}
	cmd.AddCommand(fipscheckCommand())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := cmd.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is one run, in a folder that goes when it ends.
type bench struct {
	workspace string
	scratch   string
	bazelBase string // output base of the measured Bazel
}

func run(ctx context.Context, components []string) error {
	workspace, err := os.Getwd()
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(workspace, "tools", "bazel")); err != nil {
		return fmt.Errorf("start it in the root of the source tree: %w", err)
	}
	scratch, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return err
	}
	b := &bench{workspace: workspace, scratch: scratch}
	defer b.remove()

	if out, err := b.bazel(ctx, "build", "@clang_musl//:x86_64-linux-musl-clang"); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	base, err := b.bazel(ctx, "info", "output_base")
	if err != nil {
		return fmt.Errorf("%w\n%s", err, base)
	}
	lines := strings.Split(strings.TrimSpace(base), "\n")
	b.bazelBase = lines[len(lines)-1]

	fmt.Printf("%-16s %8s %8s %8s %6s %6s\n", "component", "go build", "fetch", "bazel", "ratio", "null")
	var plainSum, bazelSum time.Duration
	for _, c := range components {
		plain, err := b.plain(ctx, c)
		if err != nil {
			return fmt.Errorf("%s: plain go build: %w", c, err)
		}
		fetch, build, null, err := b.measureBazel(ctx, c)
		if err != nil {
			return fmt.Errorf("%s: %w", c, err)
		}
		plainSum += plain
		bazelSum += build
		fmt.Printf("%-16s %8.1f %8.1f %8.1f %6.2f %6.1f\n", c, plain.Seconds(), fetch.Seconds(), build.Seconds(), build.Seconds()/plain.Seconds(), null.Seconds())
	}
	if len(components) > 1 {
		fmt.Printf("%-16s %8.1f %8s %8.1f %6.2f\n", "sum", plainSum.Seconds(), "", bazelSum.Seconds(), bazelSum.Seconds()/plainSum.Seconds())
	}
	return nil
}

// bazel runs Bazel with an output base of its own and without the disk cache.
func (b *bench) bazel(ctx context.Context, command string, args ...string) (string, error) {
	args = append([]string{"--output_user_root=" + filepath.Join(b.scratch, "bazel"), command, "--disk_cache=", "--noshow_progress"}, args...)
	cmd := exec.CommandContext(ctx, filepath.Join(b.workspace, "tools", "bazel"), args...)
	cmd.Dir = b.workspace
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("bazel %s: %w", command, err)
	}
	return string(out), err
}

// measureBazel times fetching and analysing a component, building it, and building it again.
func (b *bench) measureBazel(ctx context.Context, component string) (fetch, build, null time.Duration, err error) {
	target := "//components/" + component + ":all"
	for _, step := range []struct {
		took *time.Duration
		args []string
	}{
		{&fetch, []string{"--nobuild", target}},
		{&build, []string{target}},
		{&null, []string{target}},
	} {
		start := time.Now()
		if out, err := b.bazel(ctx, "build", step.args...); err != nil {
			return 0, 0, 0, fmt.Errorf("%w\n%s", err, out)
		}
		*step.took = time.Since(start)
	}
	return fetch, build, null, nil
}

// target is what a component's fips_go_binary targets say.
type target struct {
	goVersion string
	tags      []string
}

// targetOf reads the Go version and build tags of a component's programs.
func (b *bench) targetOf(ctx context.Context, component string) (target, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(b.workspace, "tools", "bazel"), "--output_user_root="+filepath.Join(b.scratch, "bazel"),
		"query", "--output=streamed_jsonproto", "--ui_event_filters=-info", "--noshow_progress", "kind('^fips_go_binary', //components/"+component+":all)")
	cmd.Dir = b.workspace
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return target{}, fmt.Errorf("bazel query: %w\n%s", err, stderr.Bytes())
	}
	var found target
	for decoder := json.NewDecoder(bytes.NewReader(out)); decoder.More(); {
		var t struct {
			Rule struct {
				Attribute []struct {
					Name            string
					StringValue     string
					StringListValue []string
				}
			}
		}
		if err := decoder.Decode(&t); err != nil {
			return target{}, fmt.Errorf("bazel query: %w", err)
		}
		for _, a := range t.Rule.Attribute {
			switch a.Name {
			case "go":
				found.goVersion = a.StringValue
			case "gotags":
				found.tags = append(found.tags, a.StringListValue...)
			}
		}
	}
	if found.goVersion == "" {
		return target{}, fmt.Errorf("//components/%s has no fips_go_binary", component)
	}
	found.tags = append(found.tags, "netgo", "osusergo")
	slices.Sort(found.tags)
	found.tags = slices.Compact(found.tags)
	return found, nil
}

// plain times go build of the tools that the component's go.mod names, with an empty build cache.
func (b *bench) plain(ctx context.Context, component string) (time.Duration, error) {
	t, err := b.targetOf(ctx, component)
	if err != nil {
		return 0, err
	}
	dir := filepath.Join(b.workspace, "components", component)
	data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return 0, err
	}
	mod, err := modfile.Parse("go.mod", data, nil)
	if err != nil {
		return 0, err
	}
	out, cache := filepath.Join(b.scratch, "out"), filepath.Join(b.scratch, "gocache")
	for _, d := range []string{out, cache} {
		if err := os.RemoveAll(d); err != nil {
			return 0, err
		}
		if err := os.MkdirAll(d, 0o755); err != nil {
			return 0, err
		}
	}
	env := append(os.Environ(), "GOTOOLCHAIN=go"+t.goVersion, "GOEXPERIMENT=boringcrypto", "CGO_ENABLED=1", "GOCACHE="+cache, "GOFLAGS=", "GOWORK=off",
		"CC="+filepath.Join(b.bazelBase, "external", "_main~debian~clang_musl", "x86_64-linux-musl-clang"))
	step := func(args ...string) error {
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Dir, cmd.Env = dir, env
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
		}
		return nil
	}
	if err := step("mod", "download"); err != nil {
		return 0, err
	}
	start := time.Now()
	args := []string{"build", "-mod=mod", "-trimpath", "-tags=" + strings.Join(t.tags, ","),
		"-ldflags=-s -w -linkmode=external -extldflags=-static", "-o", out + string(filepath.Separator)}
	for _, tool := range mod.Tool {
		args = append(args, tool.Path)
	}
	if err := step(args...); err != nil {
		return 0, err
	}
	return time.Since(start), nil
}

// remove stops the measured Bazel and deletes what it left, read-only folders too.
func (b *bench) remove() {
	b.bazel(context.Background(), "shutdown")
	exec.Command("chmod", "-R", "u+w", b.scratch).Run()
	os.RemoveAll(b.scratch)
}
