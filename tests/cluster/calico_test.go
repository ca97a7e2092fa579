package cluster_test

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"kubefips.internal/tests/internal/proc"
	"kubefips.internal/tools/kubefips/cluster"
)

// clients are two apps on each node that differ in their names alone.
const clients = `
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: friend}
spec:
  selector: {matchLabels: {app: friend}}
  template:
    metadata: {labels: {app: friend}}
    spec: {terminationGracePeriodSeconds: 1, containers: [{name: client, image: %s}]}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: stranger}
spec:
  selector: {matchLabels: {app: stranger}}
  template:
    metadata: {labels: {app: stranger}}
    spec: {terminationGracePeriodSeconds: 1, containers: [{name: client, image: %s}]}
`

// policy lets nobody in to echo but the friend.
const policy = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: echo}
spec:
  podSelector: {matchLabels: {app: echo}}
  policyTypes: [Ingress]
  ingress:
  - from: [{podSelector: {matchLabels: {app: friend}}}]
`

// Pods reach each other by Calico's network, a NetworkPolicy decides which, and every TLS port keeps to the policy.
func TestCalico(t *testing.T) {
	s := boot(t, func(c *cluster.Cluster) { c.Network = cluster.Calico })
	s.apply(t, echo+"---"+clients)
	for _, app := range []string{"echo", "friend", "stranger"} {
		s.must(t, "rollout", "status", "daemonset/"+app, "--timeout=90s")
	}
	s.must(t, "--namespace=kube-system", "rollout", "status", "daemonset/calico-node", "--timeout=90s")
	t.Run("network", s.testNetwork)
	t.Run("policy", s.testPolicy)
	t.Run("TLS", func(t *testing.T) { s.testTLS(t, nil) })
}

func (s *suite) testPolicy(t *testing.T) {
	s.requireAdmitted(t, map[string]bool{"friend": true, "stranger": true})
	s.apply(t, policy)
	s.requireAdmitted(t, map[string]bool{"friend": true, "stranger": false})
	s.must(t, "delete", "networkpolicy", "echo")
	s.requireAdmitted(t, map[string]bool{"friend": true, "stranger": true})
}

// requireAdmitted asks echo on each node from an app on each node, until exactly the admitted get an answer.
func (s *suite) requireAdmitted(t *testing.T, admitted map[string]bool) {
	t.Helper()
	names, addresses := s.echoPods(t)
	for app, want := range admitted {
		from, _ := s.podsOf(t, app)
		proc.Eventually(t, patience, func() error {
			var group errgroup.Group // refusals take their time
			for node, pod := range from {
				for other, address := range addresses {
					group.Go(func() error {
						out, err := s.kubectl("exec", pod, "--", "/workload", "get", "http://"+address+":8080")
						switch {
						case want && err == nil && out == names[other]:
							return nil
						case !want && err != nil && strings.Contains(err.Error(), "deadline exceeded"):
							return nil
						}
						return fmt.Errorf("%s on %s to %s on %s, admitted = %t: %q, %v", app, node, names[other], other, want, out, err)
					})
				}
			}
			return group.Wait()
		})
	}
}
