// Package conformance_test runs Kubernetes' own conformance tests against a cluster of this tree's images and charts.
package conformance_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"kubefips.internal/tests/internal/clustertest"
	"kubefips.internal/tests/internal/ginkgo"
	"kubefips.internal/tests/internal/image"
	"kubefips.internal/tests/internal/proc"
	"kubefips.internal/tools/kubefips/cluster"
	"kubefips.internal/tools/pki"
)

func TestMain(m *testing.M) { clustertest.Main(m) }

// Tests wait most of the time.
const atOnce = 12

// Every conformance test of upstream's list that CHOSEN matches passes, or is listed with the reason why it is left out.
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

	chosen := regexp.MustCompile(os.Getenv("CHOSEN"))
	names = slices.DeleteFunc(names, func(name string) bool { return !chosen.MatchString(name) })
	maps.DeleteFunc(leftOut, func(name, _ string) bool { return !slices.Contains(names, name) })
	var focus []string
	for _, name := range names {
		if _, listed := leftOut[name]; !listed {
			focus = append(focus, regexp.QuoteMeta(name)+"$")
		}
	}
	specs := run(t, c, e2e, focus)
	specs = slices.DeleteFunc(specs, func(s ginkgo.Spec) bool { return s.State == "skipped" && !slices.Contains(names, s.Name()) })
	ginkgo.Judge(t, "conformance", names, specs, leftOut)
}

// run runs the tests whose names match one of the regular expressions, and returns what became of them. Those that upstream marks serial run one after the other.
func run(t *testing.T, c *clustertest.Cluster, e2e string, names []string) []ginkgo.Spec {
	t.Helper()
	dir := t.TempDir()
	suite := filepath.Join(dir, "e2e.test")
	if err := os.Symlink(e2e, suite); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, proc.Runfile(t, os.Getenv("GINKGO")),
		"run", fmt.Sprintf("--procs=%d", atOnce), "--timeout=45m", "--seed=1", "--no-color", "--json-report=report.json",
		"--focus="+strings.Join(names, "|"), suite,
		"--", "--kubeconfig="+c.Kubeconfig(), "--kubectl-path="+c.KubectlProgram(), "--provider=skeleton", "--repo-root=",
		"--dump-logs-on-failure=false", "--e2e-output-dir="+dir)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir)
	start := time.Now()
	log := &progress{t: t, tests: len(names), said: start}
	cmd.Stdout, cmd.Stderr = log, log
	err := cmd.Run()
	t.Logf("%5.1f s  for the tests, %d at once", time.Since(start).Seconds(), atOnce)
	specs, readErr := ginkgo.Read(filepath.Join(dir, "report.json"))
	if readErr != nil {
		output := log.output.String()
		t.Fatalf("e2e left no report: %v, %v\n%s", err, readErr, output[max(0, len(output)-20_000):])
	}
	return specs
}

// progress keeps what Ginkgo prints, and says each minute how many tests have ended.
type progress struct {
	t      *testing.T
	tests  int
	output bytes.Buffer
	said   time.Time
}

func (p *progress) Write(printed []byte) (int, error) {
	n, err := p.output.Write(printed)
	if time.Since(p.said) >= time.Minute {
		p.said = time.Now()
		p.t.Logf("%d of %d tests have ended", bytes.Count(p.output.Bytes(), []byte("•")), p.tests)
	}
	return n, err
}
