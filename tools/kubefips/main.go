// Kubefips runs a cluster of this tree's artifacts on this machine, for a person.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"kubefips.internal/tools/kubefips/artifacts"
	"kubefips.internal/tools/kubefips/cluster"
)

func main() {
	cluster.Dispatch(serve)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "kubefips: %v\n", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:           "kubefips",
		Short:         "Runs a Kubernetes cluster of this tree's artifacts on this machine",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	dir := root.PersistentFlags().String("dir", "/var/tmp/kubefips", "where the cluster's files are")
	add := func(use, short string, run func(cmd *cobra.Command, s state) error) *cobra.Command {
		cmd := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			path, err := filepath.Abs(*dir)
			if err != nil {
				return err
			}
			return run(cmd, state(path))
		}}
		root.AddCommand(cmd)
		return cmd
	}
	var network string
	var members int
	start := add("up", "Start a cluster, and wait until it is ready", func(cmd *cobra.Command, s state) error { return up(cmd, s, network, members) })
	start.Flags().StringVar(&network, "network", cluster.Flannel, "what connects the pods: flannel, or calico, which also keeps to NetworkPolicy")
	start.Flags().IntVar(&members, "etcd-members", 1, "members of etcd: 1, or 3, which takes a third node")
	add("down", "End the cluster and remove all of it, also after a crash", func(_ *cobra.Command, s state) error { return s.down() })
	add("status", "Say whether the cluster runs, and what its nodes are", status)
	add("kubeconfig", "Print the path of the administrator's kubeconfig", func(cmd *cobra.Command, s state) error {
		if _, err := os.Stat(s.kubeconfig()); err != nil {
			return fmt.Errorf("%w; start a cluster by `kubefips up`", err)
		}
		fmt.Fprintln(cmd.OutOrStdout(), s.kubeconfig())
		return nil
	})
	return root
}

// A state is the folder of a cluster.
type state string

func (s state) file(name string) string { return filepath.Join(string(s), name) }

func (s state) files() string      { return s.file("cluster") }
func (s state) kubeconfig() string { return s.file("kubeconfig") }

// rack returns the process of the cluster's rack; 0 when it does not run. A number that went to another process since is told
// by the time of its start.
func (s state) rack() int {
	content, err := os.ReadFile(s.file("rack"))
	if err != nil {
		return 0
	}
	number, started, _ := strings.Cut(strings.TrimSpace(string(content)), " ")
	pid, err := strconv.Atoi(number)
	if err != nil || started == "" || startOf(pid) != started {
		return 0
	}
	return pid
}

// startOf returns when a process started, in ticks since the machine did; "" when there is none, or it has ended.
func startOf(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if fields[0] == "Z" {
		return ""
	}
	return fields[19]
}

// These tell the rack where its files are, what connects its pods, and how many members etcd has.
const (
	dirEnv     = "KUBEFIPS_DIR"
	networkEnv = "KUBEFIPS_NETWORK"
	membersEnv = "KUBEFIPS_ETCD_MEMBERS"
)

func up(cmd *cobra.Command, s state, network string, members int) (err error) {
	if s.rack() != 0 {
		return fmt.Errorf("a cluster runs in %s already; end it by `kubefips down`", s)
	}
	if err := s.down(); err != nil { // what a crash left
		return err
	}
	if _, err := artifacts.Find(); err != nil {
		return err
	}
	if err := os.MkdirAll(string(s), 0o700); err != nil {
		return err
	}
	// The rack's network is its own; this socket stays on the machine's.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	socket, err := listener.(*net.TCPListener).File()
	if err != nil {
		return err
	}
	said, says, err := os.Pipe()
	if err != nil {
		return err
	}
	log, err := os.Create(s.file("log"))
	if err != nil {
		return err
	}
	rack, err := cluster.Rack()
	if err != nil {
		return err
	}
	rack.Env = append(rack.Env, dirEnv+"="+string(s), networkEnv+"="+network, membersEnv+"="+strconv.Itoa(members))
	rack.Stderr = log
	rack.ExtraFiles = []*os.File{socket, says}
	rack.SysProcAttr.Setsid = true
	start := time.Now()
	if err := rack.Start(); err != nil {
		return fmt.Errorf("starting the cluster: %w", err)
	}
	says.Close()
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("starting the cluster: %w", err), s.down())
		}
	}()
	if err := os.WriteFile(s.file("rack"), fmt.Appendf(nil, "%d %s\n", rack.Process.Pid, startOf(rack.Process.Pid)), 0o600); err != nil {
		rack.Process.Kill()
		return err
	}
	stop := context.AfterFunc(cmd.Context(), func() { rack.Process.Kill() })
	defer stop()
	ready := false
	// Until it is ready and no longer: programs of the cluster may hold the pipe's other end open.
	for lines := bufio.NewScanner(said); !ready && lines.Scan(); {
		ready = lines.Text() == readyLine
		fmt.Fprintf(cmd.ErrOrStderr(), "%5.1f s  %s\n", time.Since(start).Seconds(), lines.Text())
	}
	if !ready {
		rack.Process.Kill()
		rack.Wait()
		content, _ := os.ReadFile(s.file("log"))
		return fmt.Errorf("the cluster did not get ready:\n%s", content)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "export KUBECONFIG=%s\n", s.kubeconfig())
	return nil
}

const readyLine = "ready"

// serve is the rack of `kubefips up`: file 3 is the socket for clients on the machine, file 4 takes progress.
func serve() int {
	s := state(os.Getenv(dirEnv))
	says := os.NewFile(4, "progress")
	progress := func(step string) { fmt.Fprintln(says, step) }
	if err := s.serve(os.NewFile(3, "socket"), progress); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	progress(readyLine)
	says.Close()
	select {}
}

func (s state) serve(socket *os.File, progress func(string)) error {
	found, err := artifacts.Find()
	if err != nil {
		return err
	}
	listener, err := net.FileListener(socket)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), 5*time.Minute, errors.New("not ready within 5 minutes"))
	defer cancel()
	c := cluster.New(s.files(), found, progress)
	c.Network = os.Getenv(networkEnv)
	if c.EtcdMembers, err = strconv.Atoi(os.Getenv(membersEnv)); err != nil {
		return fmt.Errorf("%s: %w", membersEnv, err)
	}
	if err := c.Up(ctx); err != nil {
		return err
	}
	if err := c.WaitReady(ctx); err != nil {
		return err
	}
	go forward(listener)
	return c.WriteKubeconfig(s.kubeconfig(), "https://"+listener.Addr().String())
}

// forward gives clients on the machine to the apiserver.
func forward(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return
		}
		go func() {
			defer client.Close()
			server, err := net.Dial("tcp", cluster.Apiserver)
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				return
			}
			defer server.Close()
			go func() {
				io.Copy(server, client)
				server.(*net.TCPConn).CloseWrite()
			}()
			io.Copy(client, server)
		}()
	}
}

func (s state) down() error {
	if pid := s.rack(); pid != 0 {
		if err := unix.Kill(pid, unix.SIGKILL); err != nil {
			return fmt.Errorf("ending the cluster: %w", err)
		}
		for end := time.Now().Add(time.Minute); s.rack() != 0; time.Sleep(50 * time.Millisecond) {
			if time.Now().After(end) {
				return fmt.Errorf("ending the cluster: process %d is still there", pid)
			}
		}
	}
	if err := cluster.Remove(s.files()); err != nil {
		return err
	}
	for _, file := range []string{s.file("rack"), s.file("log"), s.kubeconfig()} {
		if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if err := os.Remove(string(s)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w: it holds files that are not the cluster's", err)
	}
	return nil
}

func status(cmd *cobra.Command, s state) error {
	pid := s.rack()
	if pid == 0 {
		return fmt.Errorf("no cluster runs in %s", s)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "The cluster in %s runs as process %d.\n", s, pid)
	kubectl := exec.CommandContext(cmd.Context(), filepath.Join(s.files(), "usr/local/bin/kubectl"), "--kubeconfig="+s.kubeconfig(),
		"--cache-dir="+filepath.Join(s.files(), "kubectl"), "get", "nodes") // by itself it would leave files in the user's home
	kubectl.Stdout, kubectl.Stderr = cmd.OutOrStdout(), cmd.ErrOrStderr()
	return kubectl.Run()
}
