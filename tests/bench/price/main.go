// Command price measures what FIPS costs: the etcd and the kube-apiserver that this tree builds beside the same sources built by
// plain `go build`, with the same Go SDK and without BoringCrypto, by turns in one run:
//
//	go run ./tests/bench/price
//
// It prints a table in Markdown. The plain programs are static as well, without cgo, which is how their authors release them. Each
// apiserver keeps its objects in the etcd of its own side.
package main

import (
	"context"
	"fmt"
	"os"
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
		Short:         "Measure etcd and kube-apiserver of this tree beside ones without BoringCrypto",
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
	etcd, err := build(ctx, scratch, "etcd", "etcd", "go.etcd.io/etcd/server/v3")
	if err != nil {
		return err
	}
	apiserver, err := build(ctx, scratch, "kubernetes", "kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver")
	if err != nil {
		return err
	}
	plain := &side{name: "plain", etcd: etcd.plain, apiserver: apiserver.plain}
	fips := &side{name: "FIPS", etcd: etcd.fips, apiserver: apiserver.fips}
	order := []*side{plain, fips}
	for i := range runs {
		for _, s := range order {
			fmt.Fprintf(os.Stderr, "run %d of %d: %s\n", i+1, runs, s.name)
			if err := s.measure(ctx, filepath.Join(scratch, "data"), each); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
		slices.Reverse(order) // neither is always the first
	}
	load, _ := os.ReadFile("/proc/loadavg") // one more figure, if there is one
	fmt.Printf("\netcd by %s, kube-apiserver by %s, median of %d, %v each; %s; %d cores shared with the clients; load %s\n",
		etcd.sdk, apiserver.sdk, runs, each, time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), strings.TrimSpace(string(load)))
	fmt.Printf("\n| | plain | FIPS | FIPS / plain |\n|---|---:|---:|---:|\n")
	for i, f := range plain.figures {
		p, q := median(f.values), median(fips.figures[i].values)
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
