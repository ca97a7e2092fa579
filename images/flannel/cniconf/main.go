// Command write-cni-conf tells the node's container runtime which network flanneld has for it.
//
// flanneld writes its lease to a file; this program writes a CNI configuration from it, for the plugins bridge and
// host-local, and again when the lease changes. It runs beside flanneld, with the node's folder mounted.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	lease := flag.String("lease", "/run/flannel/subnet.env", "file that flanneld writes")
	target := flag.String("target", "/host/etc/cni/net.d/10-flannel.conflist", "file in the node's folder, mounted here")
	every := flag.Duration("every", 2*time.Second, "time between two looks at the lease")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := watch(ctx, *lease, *target, *every); err != nil {
		fmt.Fprintln(os.Stderr, "write-cni-conf:", err)
		os.Exit(1)
	}
}

func watch(ctx context.Context, lease, target string, every time.Duration) error {
	for {
		written, err := update(lease, target)
		switch {
		case errors.Is(err, errNoLease):
			// flanneld is still starting.
		case err != nil:
			return err
		case written:
			fmt.Printf("write-cni-conf: %s is written from %s\n", target, lease)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(every):
		}
	}
}

var errNoLease = errors.New("no lease")

// update writes target when it is not what lease says, and tells whether it did.
func update(lease, target string) (bool, error) {
	data, err := os.ReadFile(lease)
	if errors.Is(err, fs.ErrNotExist) {
		return false, errNoLease
	}
	if err != nil {
		return false, err
	}
	conf, err := configuration(string(data))
	if err != nil {
		return false, fmt.Errorf("%s: %w", lease, err)
	}
	if old, err := os.ReadFile(target); err == nil && bytes.Equal(old, conf) {
		return false, nil
	}
	return true, replace(target, conf)
}

// replace writes a file beside the target and renames it: a runtime never reads half of it.
func replace(target string, data []byte) error {
	file, err := os.CreateTemp(filepath.Dir(target), "."+filepath.Base(target)+"-")
	if err != nil {
		return fmt.Errorf("%w: mount the node's CNI folder there, or name another with -target", err)
	}
	_, err = file.Write(data)
	err = errors.Join(err, file.Chmod(0o644), file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), target)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}

type object map[string]any

// configuration is the CNI configuration for a lease: what flannel's own plugin would hand to bridge.
func configuration(lease string) ([]byte, error) {
	values := map[string]string{}
	for line := range strings.Lines(lease) {
		name, value, found := strings.Cut(strings.TrimSpace(line), "=")
		if found {
			values[name] = value
		}
	}
	mtu, err := strconv.Atoi(values["FLANNEL_MTU"])
	if err != nil {
		return nil, fmt.Errorf("FLANNEL_MTU is %q, not a number", values["FLANNEL_MTU"])
	}
	var ranges []any
	var routes []object
	for _, family := range []string{"", "IPV6_"} {
		subnet, network := values["FLANNEL_"+family+"SUBNET"], values["FLANNEL_"+family+"NETWORK"]
		if subnet == "" {
			continue
		}
		// flanneld writes the bridge's address with the mask of the subnet; host-local wants the subnet.
		prefix, err := netip.ParsePrefix(subnet)
		if err != nil {
			return nil, fmt.Errorf("FLANNEL_%sSUBNET: %w", family, err)
		}
		ranges = append(ranges, []object{{"subnet": prefix.Masked().String()}})
		for _, each := range strings.Split(network, ",") {
			routes = append(routes, object{"dst": each})
		}
	}
	if len(ranges) == 0 {
		return nil, errors.New("neither FLANNEL_SUBNET nor FLANNEL_IPV6_SUBNET is set")
	}
	return json.MarshalIndent(object{
		"cniVersion": "1.0.0",
		"name":       "flannel",
		"plugins": []object{
			{
				"type":             "bridge",
				"bridge":           "cni0",
				"hairpinMode":      true,
				"ipMasq":           values["FLANNEL_IPMASQ"] != "true",
				"isDefaultGateway": true,
				"mtu":              mtu,
				"ipam":             object{"type": "host-local", "ranges": ranges, "routes": routes},
			},
			{"type": "portmap", "capabilities": object{"portMappings": true}},
		},
	}, "", "  ")
}
