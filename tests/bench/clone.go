package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"

	"github.com/spf13/cobra"
)

func cloneCommand() *cobra.Command {
	var delay time.Duration
	cmd := &cobra.Command{
		Use:   "clone [TARGET...]",
		Short: "Time a fresh clone that has everything in a remote cache on loopback",
		Long: "Time a fresh clone that has everything in a remote cache on loopback.\n\n" +
			"Without a target: all components and images. They are built first, if they are not in the disk cache; the remote cache is given what that has.",
		Example: "  go run ./tests/bench clone --delay=20ms",
		RunE: func(cmd *cobra.Command, targets []string) error {
			if len(targets) == 0 {
				targets = []string{"//components/...", "//images/..."}
			}
			b, err := newBench(cmd.Context())
			if err != nil {
				return err
			}
			defer b.remove()
			return b.freshClone(cmd.Context(), delay, targets)
		},
	}
	cmd.Flags().DurationVar(&delay, "delay", 0, "by which each of the cache's answers is late, as over a network")
	return cmd
}

// processes is what Bazel says of its actions, after the time of the line in a CI's log.
var processes = regexp.MustCompile(`(?m)\bINFO: \d+ process.*`)

// freshClone prints how long builds of the targets take in fresh clones, and what Bazel says of its actions.
func (b *bench) freshClone(ctx context.Context, delay time.Duration, targets []string) error {
	if err := b.bazel(ctx, "build", append([]string{"--remote_download_outputs=minimal"}, targets...)...); err != nil {
		return err
	}
	disk, err := diskCache()
	if err != nil {
		return err
	}
	remote := filepath.Join(b.scratch, "remote")
	if err := linkCache(disk, remote); err != nil {
		return err
	}
	address, stop, err := b.serveCache(ctx, remote)
	if err != nil {
		return err
	}
	defer stop()
	if delay > 0 {
		proxy := slowly(address, delay)
		defer proxy.Close()
		address = proxy.Listener.Addr().String()
	}
	for _, config := range []string{"cache-read", "ci"} {
		elsewhere, err := b.clone(ctx)
		if err != nil {
			return err
		}
		start := time.Now()
		log, err := elsewhere.run(ctx, "build", append([]string{"--config=" + config, "--disk_cache=", "--remote_cache=http://" + address}, targets...)...)
		took := time.Since(start)
		elsewhere.remove()
		if err != nil {
			return err
		}
		fmt.Printf("--config=%s: %.1f s; %s\n", config, took.Seconds(), processes.FindString(log))
	}
	return nil
}

// slowly starts a server that answers as the one at address does, but each time so much later. The caller closes it.
func slowly(address string, delay time.Duration) *httptest.Server {
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: address})
	proxy.Transport = &http.Transport{MaxIdleConnsPerHost: 100} // as many as Bazel has
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(delay)
		proxy.ServeHTTP(w, r)
	}))
}

// diskCache is where .bazelrc has it.
func diskCache() (string, error) {
	home, err := os.UserHomeDir()
	return filepath.Join(home, ".cache", "kubefips", "disk"), err
}

// linkCache gives bazel-remote's folder what Bazel's has, without a copy: both name a blob by its hash.
func linkCache(disk, remote string) error {
	for kind, suffix := range map[string]string{"ac": "-0", "cas": "-0.v1"} { // a random number, and for a blob that is not compressed
		err := filepath.WalkDir(filepath.Join(disk, kind), func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			folder := filepath.Join(remote, kind+".v2", d.Name()[:2])
			if err := os.MkdirAll(folder, 0o755); err != nil {
				return err
			}
			return os.Link(file, filepath.Join(folder, d.Name()+suffix))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// serveCache starts a remote cache over a folder, which goes when it is stopped.
func (b *bench) serveCache(ctx context.Context, dir string) (address string, stop func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	address = listener.Addr().String()
	listener.Close()
	if err := b.bazel(ctx, "build", "//components/bazel-remote"); err != nil {
		return "", nil, err
	}
	root, err := b.output(ctx, "info", "execution_root")
	if err != nil {
		return "", nil, err
	}
	built, err := b.output(ctx, "cquery", "--output=files", "//components/bazel-remote")
	if err != nil {
		return "", nil, err
	}
	// A copy: cleaning would delete the running program.
	program := filepath.Join(b.scratch, "bazel-remote")
	content, err := os.ReadFile(filepath.Join(root, built))
	if err != nil {
		return "", nil, err
	}
	if err := os.WriteFile(program, content, 0o755); err != nil {
		return "", nil, err
	}
	server := exec.CommandContext(ctx, program, "--dir="+dir, "--max_size=50", "--storage_mode=uncompressed", "--http_address="+address, "--grpc_address=none", "--access_log_level=none")
	if err := server.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		server.Process.Kill()
		server.Wait()
		os.RemoveAll(dir)
		os.Remove(program)
	}
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(100 * time.Millisecond) { // it reads the names of all its files first
		answer, err := http.Get("http://" + address + "/status")
		if err == nil {
			answer.Body.Close()
			return address, stop, nil
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			stop()
			return "", nil, fmt.Errorf("bazel-remote does not answer: %w", err)
		}
	}
}

// clone copies the source tree elsewhere, for a Bazel that has an output base of its own. The caller removes it.
func (b *bench) clone(ctx context.Context) (*bench, error) {
	elsewhere := &bench{scratch: filepath.Join(b.scratch, "elsewhere")}
	elsewhere.workspace = filepath.Join(elsewhere.scratch, "clone")
	if err := os.MkdirAll(elsewhere.workspace, 0o755); err != nil {
		return nil, err
	}
	copied := exec.CommandContext(ctx, "sh", "-c", `git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$0"`, elsewhere.workspace)
	copied.Dir = b.workspace
	if out, err := copied.CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("copying the source tree: %w\n%s", err, out), os.RemoveAll(elsewhere.scratch))
	}
	return elsewhere, nil
}
