package cluster

import (
	"errors"
	"os"
	"strings"
	"testing"
)

func TestMain(m *testing.M) {
	Dispatch(func() int { return 0 }) // the check starts this program once more
	os.Exit(m.Run())
}

const (
	version1 = "30 24 0:26 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
	version2 = "30 24 0:26 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw\n"
	hybrid   = "31 24 0:27 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
)

// All that is missing is named with what helps, and nothing else is.
func TestLacks(t *testing.T) {
	failed := errors.New("failed")
	messages := map[string][]string{
		"root":           {"root: ", "start it as root"},
		"control groups": {"control groups of version 1", "mount them", "systemd.unified_cgroup_hierarchy=0"},
		"mount":          {"the program mount", "PATH: failed"},
		"namespaces":     {"namespaces (mount, network, PID, IPC, UTS)", "CAP_SYS_ADMIN", "container has: failed"},
	}
	for _, test := range []struct {
		name    string
		machine machine
		missing []string
	}{
		{"all there", machine{groups: parseHierarchies(version1 + hybrid)}, nil},
		{"another user", machine{user: 1000, groups: parseHierarchies(version1)}, []string{"root"}},
		{"control groups of version 2", machine{groups: parseHierarchies(version2)}, []string{"control groups"}},
		{"version 2 elsewhere", machine{groups: parseHierarchies(hybrid)}, []string{"control groups"}},
		{"no mount", machine{groups: parseHierarchies(version1), mount: failed}, []string{"mount"}},
		{"no namespaces", machine{groups: parseHierarchies(version1), namespaces: failed}, []string{"namespaces"}},
		{"nothing there", machine{user: 1000, mount: failed, namespaces: failed}, []string{"root", "control groups", "mount", "namespaces"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := test.machine.lacks()
			if err == nil {
				if len(test.missing) > 0 {
					t.Fatalf("nothing is missing, want %q", test.missing)
				}
				return
			}
			if lines := strings.Split(err.Error(), "\n")[1:]; len(lines) != len(test.missing) {
				t.Fatalf("%d things are missing, want %q: %v", len(lines), test.missing, err)
			}
			for _, thing := range test.missing {
				for _, want := range messages[thing] {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("%q is not in: %v", want, err)
					}
				}
			}
		})
	}
}

// There is no rack on a machine that lacks something.
func TestRackRefused(t *testing.T) {
	t.Setenv("PATH", "")
	if rack, err := Rack(); rack != nil || err == nil || !strings.Contains(err.Error(), "the program mount") {
		t.Errorf("without the program mount: %v, %v; want no rack, and the program named", rack, err)
	}
}
