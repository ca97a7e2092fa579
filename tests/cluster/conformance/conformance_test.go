// Package conformance_test runs Kubernetes' own conformance tests against a cluster of this tree's images and charts.
package conformance_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
	"golang.org/x/sync/errgroup"

	"kubefips.internal/tests/internal/clustertest"
	"kubefips.internal/tests/internal/ginkgo"
	"kubefips.internal/tests/internal/image"
	"kubefips.internal/tests/internal/proc"
	"kubefips.internal/tools/kubefips/cluster"
	"kubefips.internal/tools/pki"
)

func TestMain(m *testing.M) { clustertest.Main(m) }

const (
	// Tests wait most of the time.
	atOnce = 8
	// Tests that one process of upstream's runs, which takes a moment to start.
	perProcess = 12
)

// Every conformance test of upstream's list passes, or is listed with the reason why it is left out.
func TestConformance(t *testing.T) {
	ca, err := pki.NewCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(cluster.RackAddress, "0"))
	if err != nil {
		t.Fatal(err)
	}
	e2e := proc.Runfile(t, os.Getenv("E2E"))
	mirror := image.Serve(t, ca, listener, images(t, ca, strings.Fields(proc.Run(t, e2e, "--list-images"))))
	c := clustertest.Boot(t, nil, func(c *cluster.Cluster) { c.Mirror = cluster.Mirror{URL: mirror, AuthorityFile: ca.CertFile} })

	var tests []struct{ Codename string }
	if err := yaml.Unmarshal([]byte(proc.Run(t, e2e, "--list-conformance-tests")), &tests); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, test := range tests {
		names = append(names, test.Codename)
	}
	slices.Sort(names)
	leftOut := ginkgo.LeftOut(t, proc.Runfile(t, os.Getenv("LEFT_OUT")), names)

	var parallel, serial []string
	for _, name := range names {
		switch _, skip := leftOut[name]; {
		case skip:
		case strings.Contains(name, "[Serial]"): // upstream's mark of what may not run beside others
			serial = append(serial, name)
		default:
			parallel = append(parallel, name)
		}
	}
	var mutex sync.Mutex
	var specs []ginkgo.Spec
	start := time.Now()
	var group errgroup.Group
	group.SetLimit(atOnce)
	for _, batch := range deal(parallel, (len(parallel)+perProcess-1)/perProcess) {
		group.Go(func() error {
			ran, err := run(t, c, e2e, batch)
			mutex.Lock()
			defer mutex.Unlock()
			specs = append(specs, ran...)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	t.Logf("%5.1f s  for %d tests, %d at once", time.Since(start).Seconds(), len(parallel), atOnce)
	start = time.Now()
	ran, err := run(t, c, e2e, serial)
	if err != nil {
		t.Error(err)
	}
	t.Logf("%5.1f s  for %d tests, one after the other", time.Since(start).Seconds(), len(serial))
	ginkgo.Judge(t, "conformance", names, append(specs, ran...), leftOut)
}

// deal deals names out into n lists, so that neighbours, which take equally long, come into different ones.
func deal(names []string, n int) [][]string {
	lists := make([][]string, n)
	for i, name := range names {
		lists[i%n] = append(lists[i%n], name)
	}
	return lists
}

// run runs tests by name, one after the other, and returns what became of them; the error is about the run as a whole.
func run(t *testing.T, c *clustertest.Cluster, e2e string, names []string) ([]ginkgo.Spec, error) {
	dir := t.TempDir()
	report := filepath.Join(dir, "report.json")
	var focus []string
	for _, name := range names {
		focus = append(focus, regexp.QuoteMeta(name)+"$")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, e2e, "--kubeconfig="+c.Kubeconfig(), "--kubectl-path="+c.KubectlProgram(), "--provider=skeleton", "--repo-root=",
		"--dump-logs-on-failure=false", "--e2e-output-dir="+dir,
		"--ginkgo.focus="+strings.Join(focus, "|"), "--ginkgo.timeout=30m", "--ginkgo.seed=1", "--ginkgo.no-color", "--ginkgo.json-report="+report)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir)
	output, err := cmd.CombinedOutput()
	specs, readErr := ginkgo.Read(report)
	if readErr != nil {
		return nil, fmt.Errorf("e2e left no report: %v, %v\n%s", err, readErr, output[max(0, len(output)-20_000):])
	}
	return slices.DeleteFunc(specs, func(s ginkgo.Spec) bool { return s.LeafNodeType == "It" && !slices.Contains(names, s.Name()) }), nil
}
