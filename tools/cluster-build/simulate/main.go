// Command simulate says how long a build takes on a build cluster of 1 to 64 workers, from the log of one that ran on one
// machine.
package main

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kubefips.internal/tools/cluster-build/simulate/sizing"
)

func main() {
	if err := command().Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "simulate:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	var workers int
	var action time.Duration
	var bandwidth float64
	var plot string
	cmd := &cobra.Command{
		Use:   "simulate LOG",
		Short: "Say how long a build takes on a number of workers",
		Long: "Say how long a build takes on a number of workers.\n\n" +
			"LOG is what Bazel writes by --execution_log_binary_file; it may be compressed (.gz).",
		Example: "  tools/bazel build --disk_cache= --execution_log_binary_file=/tmp/build.log --noexecution_log_sort //components/... //images/...\n" +
			"  tools/bazel run //tools/cluster-build/simulate -- --plot=docs/remote-execution.svg /tmp/build.log",
		Args:          cobra.ExactArgs(1),
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if workers < 1 || action < 0 || bandwidth < 0 {
				return fmt.Errorf("--workers: want at least 1; --action and --bandwidth: at least 0")
			}
			report, err := read(fromCaller(args[0]), workers, sizing.Costs{Action: action, Bandwidth: bandwidth * (1 << 20)})
			if err != nil {
				return err
			}
			if plot != "" {
				if err := write(fromCaller(plot), report); err != nil {
					return err
				}
			}
			return report.Table(cmd.OutOrStdout())
		},
	}
	cmd.Flags().IntVar(&workers, "workers", 64, "largest number of workers; every power of two up to it is tried")
	cmd.Flags().DurationVar(&action, "action", 300*time.Millisecond, "what an action costs beside its execution")
	cmd.Flags().Float64Var(&bandwidth, "bandwidth", 100, "MiB/s between a worker and the store; 0 is no limit")
	cmd.Flags().StringVar(&plot, "plot", "", "also write a plot to this file, as SVG")
	return cmd
}

func read(file string, workers int, costs sizing.Costs) (*sizing.Report, error) {
	log, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	var content io.Reader = log
	if strings.HasSuffix(file, ".gz") {
		if content, err = gzip.NewReader(log); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	build, err := sizing.Read(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	report, err := sizing.NewReport(build, workers, costs)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return report, nil
}

func write(file string, report *sizing.Report) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	if err := report.Plot(f); err != nil {
		return err
	}
	return f.Close()
}

// fromCaller makes a path one from the folder in which `bazel run` was called.
func fromCaller(path string) string {
	if dir := os.Getenv("BUILD_WORKING_DIRECTORY"); dir != "" && !filepath.IsAbs(path) {
		return filepath.Join(dir, path)
	}
	return path
}
