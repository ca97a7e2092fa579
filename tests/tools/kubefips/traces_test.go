package kubefips_test

import (
	"bytes"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A process is one that has not ended.
type process struct {
	name       string
	parent     int
	started    uint64            // in ticks since the machine was
	namespaces map[string]string // kind -> as the kernel names it
}

// processes returns all.
func processes(t *testing.T) map[int]process {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	all := map[int]process{}
	for _, dir := range dirs {
		stat, err := os.ReadFile(dir + "/stat")
		if err != nil {
			continue // it has ended
		}
		first, last := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')') // of the name, which may have its own
		fields := strings.Fields(string(stat[last+1:]))
		if fields[0] == "Z" {
			continue
		}
		p := process{name: string(stat[first+1 : last]), namespaces: map[string]string{}}
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err == nil {
			p.parent, err = strconv.Atoi(fields[1])
		}
		if err == nil {
			p.started, err = strconv.ParseUint(fields[19], 10, 64)
		}
		if err != nil {
			t.Fatalf("%s/stat: %v", dir, err)
		}
		for _, kind := range []string{"ipc", "mnt", "net", "pid", "uts"} {
			if p.namespaces[kind], err = os.Readlink(dir + "/ns/" + kind); err != nil {
				delete(p.namespaces, kind) // it has ended
			}
		}
		all[pid] = p
	}
	return all
}

// traces are what a cluster has on the machine, beside its folder.
type traces struct {
	processes  map[int]process
	namespaces map[string]bool
	group      string // name of its control group
	last       uint64 // when the latest process on the machine had started
}

// tracesOf returns those of the cluster whose rack is the process, and fails unless they are those of a cluster that runs.
func tracesOf(t *testing.T, rack int) traces {
	t.Helper()
	c := traces{processes: map[int]process{}, namespaces: map[string]bool{}}
	all := processes(t)
	own := all[os.Getpid()]
	names := map[string]bool{}
	for pid, p := range all {
		c.last = max(c.last, p.started)
		ancestor := pid
		for ancestor != rack && ancestor != 0 {
			ancestor = all[ancestor].parent
		}
		if ancestor != rack {
			continue
		}
		c.processes[pid] = p
		names[p.name] = true
		for kind, namespace := range p.namespaces {
			if namespace != own.namespaces[kind] {
				c.namespaces[namespace] = true
			}
		}
		groups, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
		if group := regexp.MustCompile(`kubefips-[0-9a-f]+`).Find(groups); group != nil {
			c.group = string(group)
		}
	}
	for _, name := range []string{"etcd", "kube-apiserver", "kubelet", "containerd", "coredns", "flanneld"} {
		if !names[name] {
			t.Errorf("the cluster has no process %s; it has %q", name, slices.Sorted(maps.Keys(names)))
		}
	}
	const namespaces = 5 * 3 // of the rack and both nodes
	if len(c.namespaces) < namespaces || c.group == "" {
		t.Fatalf("the cluster has %d namespaces, want at least %d, and the control group %q", len(c.namespaces), namespaces, c.group)
	}
	return c
}

// groups returns the cluster's control groups.
func (c traces) groups() []string {
	groups, _ := filepath.Glob("/sys/fs/cgroup/*/" + c.group)
	return groups
}

// left returns what of it is still there.
func (c traces) left(t *testing.T) []string {
	t.Helper()
	left := c.groups()
	for pid, p := range processes(t) {
		if old, ok := c.processes[pid]; ok && p.started == old.started {
			left = append(left, fmt.Sprintf("process %d (%s)", pid, p.name))
		}
		for _, namespace := range p.namespaces {
			// The kernel gives a namespace's name to another one later, which later processes are in.
			if c.namespaces[namespace] && p.started <= c.last {
				left = append(left, fmt.Sprintf("process %d (%s) in namespace %s", pid, p.name, namespace))
			}
		}
	}
	return left
}

// A surface is what the machine has of things that outlive processes.
type surface map[string]bool

// machine returns mounts, of which some may keep a namespace, and links of networks, as this process sees them.
func machine(t *testing.T) surface {
	t.Helper()
	s := surface{}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		fields := strings.Fields(line)
		s["mount of "+fields[3]+" on "+fields[4]] = true
	}
	links, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		s["link "+link.Name] = true
	}
	return s
}

// since returns what was not there before.
func (s surface) since(before surface) []string {
	var since []string
	for thing := range s {
		if !before[thing] {
			since = append(since, thing)
		}
	}
	return since
}
