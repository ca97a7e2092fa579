// Command cache runs the distribution's own bazel-remote on this machine, in the foreground, for the builds of this
// machine only: no TLS, no passwords, loopback addresses. docs/remote-cache.md has a server for more than one machine.
package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"github.com/bazelbuild/rules_go/go/runfiles"
	"github.com/spf13/cobra"
)

const defaultAddress = "127.0.0.1:8980"

// program is set by the linker: where bazel-remote is among the runfiles.
var program string

type options struct {
	address, dir string
	maxSize      uint
}

func main() {
	if err := command().Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "cache:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:           "cache",
		Short:         "Run a remote cache for the builds of this machine, until Ctrl-C",
		Example:       "  tools/bazel run //tools/cache\n  tools/bazel build --config=ci --remote_cache=http://" + defaultAddress + " //components/...",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return run(o) },
	}
	cmd.Flags().StringVar(&o.address, "address", defaultAddress, "host and port of the cache, its /status and its /metrics; the host is a loopback address")
	cmd.Flags().StringVar(&o.dir, "dir", "", "folder of the data (default kubefips/remote in the user's cache folder)")
	cmd.Flags().UintVar(&o.maxSize, "max-size", 50, "GiB to keep; what was not used for longest goes")
	return cmd
}

// run becomes bazel-remote.
func run(o options) error {
	host, _, err := net.SplitHostPort(o.address)
	if err != nil {
		return fmt.Errorf("--address: %w", err)
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("--address: %q is not a loopback address such as 127.0.0.1: whoever writes to a cache decides what others build, and this one asks nobody who they are; docs/remote-cache.md says how to run one that does", host)
	}
	if o.maxSize == 0 {
		return fmt.Errorf("--max-size: want at least 1 GiB")
	}
	if o.dir == "" {
		userCache, err := os.UserCacheDir()
		if err != nil {
			return fmt.Errorf("where to keep the data, --dir says it too: %w", err)
		}
		o.dir = filepath.Join(userCache, "kubefips", "remote")
	}
	file, err := runfiles.Rlocation(program)
	if err != nil {
		return fmt.Errorf("bazel-remote is not among the runfiles; start this by `bazel run //tools/cache`: %w", err)
	}
	fmt.Fprintf(os.Stderr, "cache: keeping at most %d GiB in %s; build with --config=ci --remote_cache=http://%s; figures at http://%s/metrics\n", o.maxSize, o.dir, o.address, o.address)
	args := []string{
		"bazel-remote",
		"--dir=" + o.dir,
		fmt.Sprintf("--max_size=%d", o.maxSize),
		"--http_address=" + o.address,
		"--grpc_address=none",
		"--enable_endpoint_metrics",
		"--access_log_level=none",
	}
	if err := syscall.Exec(file, args, os.Environ()); err != nil {
		return fmt.Errorf("starting %s: %w", file, err)
	}
	return nil
}
