// Command simulate says how long a build takes on a build cluster of 1 to 64 workers, from the log of one that ran on one
// machine.
package main

import (
	"fmt"
	"os"
	"path/filepath"
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
	var plot, diskCache string
	cmd := &cobra.Command{
		Use:   "simulate LOG [PATTERN...]",
		Short: "Say how long a build takes on a number of workers",
		Long: "Say how long a build takes on a number of workers.\n\n" +
			"LOG is what Bazel writes by --execution_log_compact_file. PATTERNs, like //components/..., leave of it what these\n" +
			"targets need. Runs of tests are left out. What an action took that came from the disk cache is asked there, so the\n" +
			"log may be of a build that ran nothing.",
		Example: "  tools/bazel shutdown\n" +
			"  tools/bazel build --nouse_action_cache --execution_log_compact_file=/tmp/build.log //components/... //images/...\n" +
			"  tools/bazel run //tools/cluster-build/simulate -- --plot=docs/remote-execution.svg /tmp/build.log",
		Args:          cobra.MinimumNArgs(1),
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if workers < 1 || action < 0 || bandwidth < 0 {
				return fmt.Errorf("--workers: want at least 1; --action and --bandwidth: at least 0")
			}
			build, err := read(fromCaller(args[0]), fromCaller(diskCache), args[1:])
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			report, err := sizing.NewReport(build, workers, sizing.Costs{Action: action, Bandwidth: bandwidth * (1 << 20)})
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
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
	home, _ := os.UserHomeDir() // without one, --disk-cache says it
	cmd.Flags().StringVar(&diskCache, "disk-cache", filepath.Join(home, ".cache", "kubefips", "disk"), "folder of Bazel's disk cache")
	cmd.Flags().StringVar(&plot, "plot", "", "also write a plot to this file, as SVG")
	return cmd
}

func read(file, diskCache string, patterns []string) (*sizing.Build, error) {
	log, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	build, err := sizing.Read(log, sizing.DiskCache(diskCache))
	if err != nil || len(patterns) == 0 {
		return build, err
	}
	return build.Only(patterns...)
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
