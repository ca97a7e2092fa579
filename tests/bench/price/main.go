// Command price measures what FIPS costs: the etcd that this tree builds beside the same source built by plain `go build`, with
// the same Go SDK and without BoringCrypto, by turns in one run:
//
//	go run ./tests/bench/price
//
// It prints a table in Markdown. The plain etcd is static as well, without cgo, which is how its authors release it.
package main

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func main() {
	var runs int
	var each time.Duration
	cmd := &cobra.Command{
		Use:           "price",
		Short:         "Measure etcd of this tree beside one without BoringCrypto",
		Example:       "  go run ./tests/bench/price --runs=5",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), runs, each) },
	}
	cmd.Flags().IntVar(&runs, "runs", 5, "times that each figure is taken; the median is printed")
	cmd.Flags().DurationVar(&each, "each", 5*time.Second, "how long each figure is taken")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := cmd.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "price:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, runs int, each time.Duration) error {
	if _, err := os.Stat("tools/bazel"); err != nil {
		return fmt.Errorf("start it in the root of the source tree: %w", err)
	}
	scratch, err := os.MkdirTemp("", "price-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	fips, err := buildFIPS(ctx, scratch)
	if err != nil {
		return err
	}
	plain, sdk, err := buildPlain(ctx, scratch, fips)
	if err != nil {
		return err
	}
	sides := []*side{{name: "plain", program: plain}, {name: "FIPS", program: fips}}
	for i := range runs {
		for _, s := range sides {
			fmt.Fprintf(os.Stderr, "run %d of %d: %s\n", i+1, runs, s.name)
			if err := s.measure(ctx, filepath.Join(scratch, "data"), each); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
		slices.Reverse(sides) // neither is always the first
	}
	if sides[0].name != "plain" {
		slices.Reverse(sides)
	}
	load, _ := os.ReadFile("/proc/loadavg") // one more figure, if there is one
	fmt.Printf("\netcd, %s, median of %d, %v each; %s; %d cores shared with the clients; load %s\n",
		sdk, runs, each, time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), strings.TrimSpace(string(load)))
	fmt.Printf("\n| | plain | FIPS | FIPS / plain |\n|---|---:|---:|---:|\n")
	for i, f := range sides[0].figures {
		p, q := median(f.values), median(sides[1].figures[i].values)
		fmt.Printf("| %s | %s | %s | %.2f |\n", f.name, number(p), number(q), q/p)
	}
	return nil
}

func median(values []float64) float64 {
	values = slices.Sorted(slices.Values(values))
	return values[len(values)/2]
}

func number(v float64) string {
	if v < 100 {
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// buildFIPS returns a copy of this tree's etcd.
func buildFIPS(ctx context.Context, scratch string) (string, error) {
	const target = "//components/etcd"
	if _, err := output(exec.CommandContext(ctx, "tools/bazel", "build", target)); err != nil {
		return "", err
	}
	root, err := output(exec.CommandContext(ctx, "tools/bazel", "info", "execution_root"))
	if err != nil {
		return "", err
	}
	built, err := output(exec.CommandContext(ctx, "tools/bazel", "cquery", "--output=files", target))
	if err != nil {
		return "", err
	}
	source, err := os.Open(filepath.Join(root, built))
	if err != nil {
		return "", err
	}
	defer source.Close()
	file := filepath.Join(scratch, "etcd-fips")
	copied, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return "", err
	}
	_, err = io.Copy(copied, source)
	return file, errors.Join(err, copied.Close())
}

// buildPlain builds the modules that components/etcd/go.mod locks with the SDK of the other side, and returns the SDK's version too.
func buildPlain(ctx context.Context, scratch, fips string) (file, sdk string, err error) {
	const experiment = "X:boringcrypto"
	info, err := buildinfo.ReadFile(fips)
	if err != nil {
		return "", "", err
	}
	sdk, _, boring := strings.Cut(info.GoVersion, experiment)
	if !boring {
		return "", "", fmt.Errorf("%s was built by %s, want %s", fips, info.GoVersion, experiment)
	}
	sdk = strings.TrimRight(sdk, " -")
	file = filepath.Join(scratch, "etcd-plain")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", file, "go.etcd.io/etcd/server/v3")
	cmd.Dir = filepath.Join("components", "etcd")
	cmd.Env = append(os.Environ(), "GOTOOLCHAIN="+sdk, "GOEXPERIMENT=", "GOFLAGS=", "GOWORK=off", "CGO_ENABLED=0")
	if _, err := output(cmd); err != nil {
		return "", "", err
	}
	if info, err = buildinfo.ReadFile(file); err == nil && info.GoVersion != sdk {
		err = fmt.Errorf("plain go build used %s, want %s", info.GoVersion, sdk)
	}
	return file, sdk, err
}

// output returns what a program prints; its error has what it complained of.
func output(cmd *exec.Cmd) (string, error) {
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out)), err
}
