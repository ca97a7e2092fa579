package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const lease = `FLANNEL_NETWORK=10.244.0.0/16
FLANNEL_SUBNET=10.244.3.1/24
FLANNEL_MTU=1450
FLANNEL_IPMASQ=true
`

func TestConfigurationIsThatOfTheLease(t *testing.T) {
	data, err := configuration(lease)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Name    string
		Plugins []struct {
			Type   string
			MTU    int
			IPMasq bool
			IPAM   struct {
				Ranges [][]struct{ Subnet string }
				Routes []struct{ Dst string }
			}
		}
	}
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	bridge := got.Plugins[0]
	if bridge.Type != "bridge" || bridge.MTU != 1450 || bridge.IPMasq || bridge.IPAM.Ranges[0][0].Subnet != "10.244.3.0/24" || bridge.IPAM.Routes[0].Dst != "10.244.0.0/16" {
		t.Errorf("%s", data)
	}
	if got.Plugins[1].Type != "portmap" {
		t.Errorf("%s", data)
	}
}

func TestConfigurationForBothFamilies(t *testing.T) {
	data, err := configuration(lease + "FLANNEL_IPV6_NETWORK=fd00::/48\nFLANNEL_IPV6_SUBNET=fd00:0:0:3::1/64\n")
	if err != nil || !strings.Contains(string(data), `"fd00:0:0:3::/64"`) || !strings.Contains(string(data), `"10.244.3.0/24"`) {
		t.Errorf("%s, %v", data, err)
	}
}

func TestConfigurationRefusesBrokenLeases(t *testing.T) {
	for text, want := range map[string]string{
		"":                 "FLANNEL_MTU",
		"FLANNEL_MTU=1450": "FLANNEL_SUBNET",
		"FLANNEL_MTU=1450\nFLANNEL_SUBNET=10.244.3.1": "FLANNEL_SUBNET",
	} {
		if _, err := configuration(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got error %v, want %q", text, err, want)
		}
	}
}

func TestWatchFollowsTheLease(t *testing.T) {
	dir := t.TempDir()
	source, target := filepath.Join(dir, "subnet.env"), filepath.Join(dir, "10-flannel.conflist")
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- watch(ctx, source, target, time.Millisecond) }()
	for _, subnet := range []string{"10.244.3.0/24", "10.244.4.0/24"} {
		text := strings.Replace(lease, "10.244.3.1/24", strings.Replace(subnet, ".0/", ".1/", 1), 1)
		if err := os.WriteFile(source+".new", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(source+".new", source); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
			if data, err := os.ReadFile(target); err == nil && strings.Contains(string(data), subnet) {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s does not appear in %s", subnet, target)
			}
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestWatchNamesAMissingMount(t *testing.T) {
	source := filepath.Join(t.TempDir(), "subnet.env")
	if err := os.WriteFile(source, []byte(lease), 0o644); err != nil {
		t.Fatal(err)
	}
	err := watch(context.Background(), source, filepath.Join(t.TempDir(), "no", "conflist"), time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "mount the node's CNI folder") {
		t.Errorf("got error %v", err)
	}
}
