package cluster

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The rack's network. Every rack has the same: nothing outside sees it.
const (
	bridge = "rack"
	prefix = "/24"
	uplink = "eth0"
)

// RackAddress is where nodes and pods reach what listens in the rack.
const RackAddress = "10.89.0.1"

func setUpBridge() error {
	if err := setUp("lo"); err != nil {
		return err
	}
	if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridge}}); err != nil {
		return fmt.Errorf("making bridge %s: %w", bridge, err)
	}
	return setUp(bridge, RackAddress)
}

// plug connects a node, whose process 1 is pid, with the bridge.
func plug(name string, pid int) error {
	br, err := netlink.LinkByName(bridge)
	if err != nil {
		return fmt.Errorf("bridge %s: %w", bridge, err)
	}
	veth := &netlink.Veth{
		LinkAttrs:     netlink.LinkAttrs{Name: name, MasterIndex: br.Attrs().Index},
		PeerName:      uplink,
		PeerNamespace: netlink.NsPid(pid),
	}
	if err := netlink.LinkAdd(veth); err != nil {
		return fmt.Errorf("making link %s: %w", name, err)
	}
	return setUp(name)
}

// unplug removes the link of a node that is gone. The kernel does the same when it takes the node's namespace apart, at a time of its own.
func unplug(name string) error {
	link, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkDel(link)
	}
	if errors.As(err, &netlink.LinkNotFoundError{}) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("removing link %s: %w", name, err)
	}
	return nil
}

// setUpUplink waits for the link that plug makes, and addresses it.
func (n node) setUpUplink() error {
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if _, err := net.InterfaceByName(uplink); err == nil {
			break
		} else if time.Now().After(end) {
			return fmt.Errorf("node %s has no link %s: %w", n.Name, uplink, err)
		}
	}
	if err := setUp("lo"); err != nil {
		return err
	}
	if err := setUp(uplink, n.Address); err != nil {
		return err
	}
	if err := netlink.RouteAdd(&netlink.Route{Gw: net.ParseIP(RackAddress)}); err != nil {
		return fmt.Errorf("default route: %w", err)
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0); err != nil {
		return fmt.Errorf("forwarding between pods: %w", err)
	}
	return nil
}

func setUp(name string, addresses ...string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("link %s: %w", name, err)
	}
	for _, address := range addresses {
		parsed, err := netlink.ParseAddr(address + prefix)
		if err != nil {
			return err
		}
		if err := netlink.AddrAdd(link, parsed); err != nil {
			return fmt.Errorf("giving %s to link %s: %w", address, name, err)
		}
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("setting link %s up: %w", name, err)
	}
	return nil
}
