"""The plugins that are shipped."""

# Name -> folder of its main package in upstream's repository.
PLUGINS = {
    "bandwidth": "plugins/meta/bandwidth",
    "bridge": "plugins/main/bridge",
    "dhcp": "plugins/ipam/dhcp",
    "dummy": "plugins/main/dummy",
    "firewall": "plugins/meta/firewall",
    "host-device": "plugins/main/host-device",
    "host-local": "plugins/ipam/host-local",
    "ipvlan": "plugins/main/ipvlan",
    "loopback": "plugins/main/loopback",
    "macvlan": "plugins/main/macvlan",
    "portmap": "plugins/meta/portmap",
    "ptp": "plugins/main/ptp",
    "sbr": "plugins/meta/sbr",
    "static": "plugins/ipam/static",
    "tap": "plugins/main/tap",
    "tuning": "plugins/meta/tuning",
    "vlan": "plugins/main/vlan",
    "vrf": "plugins/meta/vrf",
}
