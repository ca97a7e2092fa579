// Command cluster-build runs a build cluster on this machine, in the foreground, for the builds of this machine only:
// Bazel sends it actions by the Remote Execution API. docs/remote-execution.md says what it is made of.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/bazelbuild/rules_go/go/runfiles"
	"github.com/spf13/cobra"

	"kubefips.internal/tools/cluster-build/cluster"
)

// Where the programs are among the runfiles; set by the linker.
var bazelRemote, scheduler, worker, runner, bash, busybox string

func main() {
	cluster.BecomeRunner()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "cluster-build:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	var c cluster.Config
	cmd := &cobra.Command{
		Use:   "cluster-build",
		Short: "Run a build cluster on this machine, until Ctrl-C: a store, a scheduler, and workers",
		Example: "  tools/bazel run //tools/cluster-build -- --workers=4\n" +
			"  tools/bazel build --config=remote --remote_executor=grpc://127.0.0.1:8981 --remote_cache=grpc://127.0.0.1:8982 //components/...",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), c) },
	}
	cmd.Flags().IntVar(&c.Workers, "workers", runtime.NumCPU(), "number of workers; each runs one action at a time")
	cmd.Flags().StringVar(&c.Scheduler, "scheduler", "127.0.0.1:8981", "host and port for Bazel's --remote_executor; the host is a loopback address")
	cmd.Flags().StringVar(&c.Store, "store", "127.0.0.1:8982", "host and port for Bazel's --remote_cache; the host is a loopback address")
	cmd.Flags().UintVar(&c.MaxSize, "max-size", 20, "GiB that the store keeps; what was not used for longest goes")
	cmd.Flags().UintVar(&c.WorkerMaxSize, "worker-max-size", 2, "GiB of inputs that each worker keeps")
	cmd.Flags().StringVar(&c.Dir, "dir", "", "folder of the data, and of the logs (default kubefips/cluster-build in the user's cache folder)")
	return cmd
}

func run(ctx context.Context, c cluster.Config) error {
	for flag, address := range map[string]string{"--scheduler": c.Scheduler, "--store": c.Store} {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return fmt.Errorf("%s: %w", flag, err)
		}
		if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
			return fmt.Errorf("%s: %q is not a loopback address such as 127.0.0.1: whoever reaches a build cluster runs programs on it, and this one asks nobody who they are", flag, address)
		}
	}
	if c.Workers < 1 || c.MaxSize < 1 || c.WorkerMaxSize < 1 {
		return fmt.Errorf("--workers, --max-size and --worker-max-size: want at least 1")
	}
	if c.Dir == "" {
		userCache, err := os.UserCacheDir()
		if err != nil {
			return fmt.Errorf("where to keep the data, --dir says it too: %w", err)
		}
		c.Dir = filepath.Join(userCache, "kubefips", "cluster-build")
	}
	var err error
	if c.Dir, err = filepath.Abs(c.Dir); err != nil {
		return fmt.Errorf("--dir: %w", err)
	}
	for location, to := range map[string]*string{
		bazelRemote: &c.Programs.BazelRemote,
		scheduler:   &c.Programs.Scheduler,
		worker:      &c.Programs.Worker,
		runner:      &c.Programs.Runner,
		bash:        &c.Programs.Bash,
		busybox:     &c.Programs.Busybox,
	} {
		if *to, err = runfiles.Rlocation(location); err != nil {
			return fmt.Errorf("%s is not among the runfiles; start this by `bazel run //tools/cluster-build`: %w", location, err)
		}
	}
	ready := func() {
		fmt.Fprintf(os.Stderr, "cluster-build: %d workers are ready; build with --config=remote --remote_executor=grpc://%s --remote_cache=grpc://%s; logs and data are in %s\n",
			c.Workers, c.Scheduler, c.Store, c.Dir)
	}
	lost := func(err error) { fmt.Fprintln(os.Stderr, "cluster-build: starting it again:", err) }
	return cluster.Run(ctx, c, ready, lost)
}
