// Package artifacts finds what //tools/kubefips/artifacts has as data: all that a cluster is made of.
package artifacts

import (
	"fmt"
	"os"

	"github.com/bazelbuild/rules_go/go/runfiles"

	"kubefips.internal/tools/kubefips/cluster"
)

// charts are those that a cluster can be asked to install.
var charts = []string{"coredns", "flannel", "metrics-server", "traefik"}

// Find returns the artifacts, which are runfiles of this program. More images are named by the caller.
func Find(images ...string) (a cluster.Artifacts, err error) {
	a = cluster.Artifacts{Images: map[string]string{}, Charts: map[string]string{}}
	for _, name := range append(images, cluster.Needed...) {
		if a.Images[name], err = find("images/" + name + "/image"); err != nil {
			return a, err
		}
	}
	for _, name := range charts {
		if a.Charts[name], err = find("charts/" + name + "/chart.tgz"); err != nil {
			return a, err
		}
	}
	a.Helm, err = find("components/helm/helm")
	return a, err
}

func find(path string) (string, error) {
	file, err := runfiles.Rlocation("_main/" + path)
	if err == nil {
		_, err = os.Stat(file)
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w; start this program by Bazel, which builds that before", path, err)
	}
	return file, nil
}
