// Package cluster runs a Kubernetes cluster of two nodes on this machine, or of three with etcd on each, out of the images and charts of this
// tree alone.
package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sync/errgroup"

	"kubefips.internal/tools/pki"
)

// Artifacts are what a cluster is made of.
type Artifacts struct {
	Images map[string]string // name -> OCI layout; those of Needed, of the network, and of whatever is to run
	Charts map[string]string // name -> packed chart: coredns, and the network
	Helm   string
}

// Needed are the names of the images that every cluster needs.
var Needed = []string{
	"coredns", "etcd", "kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "pause", "runtime",
}

// Networks are the charts that can connect pods, and the images that each needs.
var Networks = map[string][]string{
	Flannel: {"cni-plugins", "flannel"},
	Calico:  {"calico"},
}

// The networks: both by VXLAN; Calico refuses what a NetworkPolicy does not allow.
const (
	Flannel = "flannel"
	Calico  = "calico"
)

// A Cluster runs within a rack; see Rack.
type Cluster struct {
	Network     string // one of Networks; New sets Flannel
	EtcdMembers int    // 1, which New sets, or 3: one on each node, of which there are three then
	Mirror      Mirror // of all other registries

	dir        string
	artifacts  Artifacts
	progress   func(string)
	references map[string]string
	ca         *pki.CA
	admin      pki.Leaf
	nodes      map[string]*exec.Cmd
}

// A Mirror is asked for images of every registry but the cluster's own. Without a URL there is none.
type Mirror struct{ URL, AuthorityFile string }

// New describes a cluster whose files are in dir, which should be empty.
func New(dir string, artifacts Artifacts, progress func(string)) *Cluster {
	return &Cluster{Network: Flannel, EtcdMembers: 1, dir: dir, artifacts: artifacts, progress: progress, references: map[string]string{}, nodes: map[string]*exec.Cmd{}}
}

// Kubeconfig is the file with which an administrator reaches the cluster from within the rack.
func (c *Cluster) Kubeconfig() string { return filepath.Join(c.dir, "admin.kubeconfig") }

// Authority is the file with the certificate of the cluster's authority.
func (c *Cluster) Authority() string { return c.ca.CertFile }

// Reference returns what a pod calls an image.
func (c *Cluster) Reference(image string) string { return c.references[image] }

// Up starts the nodes, and installs the network and the cluster's DNS.
func (c *Cluster) Up(ctx context.Context) error {
	network, ok := Networks[c.Network]
	if !ok {
		return fmt.Errorf("no network is called %q; there are %s", c.Network, strings.Join(slices.Sorted(maps.Keys(Networks)), " and "))
	}
	if c.EtcdMembers != 1 && c.EtcdMembers != 3 {
		return fmt.Errorf("etcd cannot have %d members here; it has 1 or 3", c.EtcdMembers)
	}
	for _, name := range slices.Concat(Needed, network) {
		if c.artifacts.Images[name] == "" {
			return fmt.Errorf("no image %s was given", name)
		}
	}
	for name, dir := range c.artifacts.Images {
		var err error
		if c.references[name], err = reference(name, dir); err != nil {
			return err
		}
	}
	c.progress("making certificates and configuration")
	if err := c.configure(); err != nil {
		return err
	}
	if err := serveRegistry(c.ca, c.artifacts.Images); err != nil {
		return err
	}
	c.progress("pulling the programs of the nodes")
	if err := c.pullPrograms(ctx); err != nil {
		return err
	}
	c.progress("starting the nodes")
	for _, name := range c.Nodes() {
		if err := c.StartNode(name); err != nil {
			return err
		}
	}
	c.progress("waiting for the apiserver")
	if err := c.eventually(ctx, func() error {
		_, err := c.Kubectl(ctx, "get", "--raw", "/readyz")
		return err
	}); err != nil {
		return err
	}
	c.progress("installing the network and the names of services")
	group, ctx := errgroup.WithContext(ctx)
	for _, chart := range []string{c.Network, "coredns"} {
		group.Go(func() error { return c.Install(ctx, chart, "kube-system") })
	}
	return group.Wait()
}

// WaitReady waits until all nodes and all deployments of kube-system are there.
func (c *Cluster) WaitReady(ctx context.Context) error {
	c.progress("waiting for the nodes and the cluster's own pods")
	return c.eventually(ctx, func() error {
		for _, name := range c.Nodes() {
			if _, err := c.Kubectl(ctx, "wait", "--for=condition=Ready", "--timeout=5s", "node/"+name); err != nil {
				return err
			}
		}
		if _, err := c.Kubectl(ctx, "--namespace=kube-system", "wait", "--for=condition=Available", "--timeout=5s", "deployment", "--all"); err != nil {
			return err
		}
		return nil
	})
}

// eventually calls try until it succeeds or the context ends; then it says what failed last.
func (c *Cluster) eventually(ctx context.Context, try func() error) error {
	for {
		err := try()
		if err == nil {
			return nil
		}
		for name, cmd := range c.nodes {
			stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
			if _, state, _ := strings.Cut(string(stat), ") "); strings.HasPrefix(state, "Z") {
				log, _ := os.ReadFile(filepath.Join(c.dir, name+".log"))
				return fmt.Errorf("node %s ended: %s", name, log)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// Install installs a chart, or upgrades it.
func (c *Cluster) Install(ctx context.Context, chart, namespace string, arguments ...string) error {
	file := c.artifacts.Charts[chart]
	if file == "" {
		return fmt.Errorf("no chart %s was given", chart)
	}
	_, err := c.run(ctx, c.artifacts.Helm, append([]string{"upgrade", "--install", chart, file, "--create-namespace", "--namespace=" + namespace,
		"--kubeconfig=" + c.Kubeconfig(), "--set=registry=" + Registry}, arguments...)...)
	return err
}

// KubectlProgram is the file of kubectl.
func (c *Cluster) KubectlProgram() string { return filepath.Join(c.dir, "usr/local/bin/kubectl") }

// Kubectl runs kubectl as an administrator and returns what it printed.
func (c *Cluster) Kubectl(ctx context.Context, arguments ...string) (string, error) {
	return c.run(ctx, c.KubectlProgram(),
		append([]string{"--kubeconfig=" + c.Kubeconfig(), "--cache-dir=" + filepath.Join(c.dir, "kubectl")}, arguments...)...)
}

func (c *Cluster) run(ctx context.Context, name string, arguments ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, arguments...)
	cmd.Env = append(os.Environ(), "HOME="+c.dir)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s %s: %w\n%s", filepath.Base(name), strings.Join(arguments, " "), err, out)
	}
	return string(out), err
}

// StartNode starts a node; after KillNode, with the files that it had.
func (c *Cluster) StartNode(name string) error {
	env, err := json.Marshal(node{
		Name:    name,
		Address: addresses[name],
		Dir:     filepath.Join(c.dir, name),
		Usr:     filepath.Join(c.dir, "usr/local"),
		Cgroup:  cgroupOf(c.dir) + "/" + name,
	})
	if err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(c.dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{role + "=" + roleJoin, nodeEnv + "=" + string(env), "PATH=" + os.Getenv("PATH")}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: isolated}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting node %s: %w", name, err)
	}
	c.nodes[name] = cmd
	return plug(name, cmd.Process.Pid)
}

// KillNode ends all processes of a node at once, as a loss of power does.
func (c *Cluster) KillNode(name string) error {
	cmd := c.nodes[name]
	if err := cmd.Process.Kill(); err != nil {
		return fmt.Errorf("killing node %s: %w", name, err)
	}
	cmd.Wait() // it says that the process was killed
	if err := unplug(name); err != nil {
		return fmt.Errorf("killing node %s: %w", name, err)
	}
	return removeCgroup(cgroupOf(c.dir) + "/" + name) // no reboot leaves any
}

// Cut takes a node from the network, or with false gives it back.
func (c *Cluster) Cut(name string, cut bool) error {
	link, err := netlink.LinkByName(name)
	if err == nil && cut {
		err = netlink.LinkSetDown(link)
	} else if err == nil {
		err = netlink.LinkSetUp(link)
	}
	if err != nil {
		return fmt.Errorf("link of node %s: %w", name, err)
	}
	return nil
}

// Dir returns the folder that a node has as path.
func (c *Cluster) Dir(node, path string) string { return filepath.Join(c.dir, node, path) }

// Address returns the address of a node.
func Address(node string) string { return addresses[node] }

// Nodes returns the names of the nodes, sorted.
func (c *Cluster) Nodes() []string {
	nodes := []string{ControlPlane, Worker}
	if c.EtcdMembers == 3 {
		nodes = append(nodes, Worker2)
	}
	return nodes
}

// Pid returns process 1 of a node, as the rack numbers it.
func (c *Cluster) Pid(node string) int { return c.nodes[node].Process.Pid }

// Remove removes what a cluster whose rack has ended left behind.
func Remove(dir string) error {
	return errors.Join(removeCgroup(cgroupOf(dir)), os.RemoveAll(dir))
}

func cgroupOf(dir string) string { return fmt.Sprintf("kubefips-%.8x", sha256.Sum256([]byte(dir))) }
