"""Licences of the layers of Debian's files, as lists of SPDX expressions; the copyright files in each layer say them in full."""

visibility(["//images/..."])

# Of the list of authorities. The time zones are in the public domain.
CERTIFICATES = ["MPL-2.0"]

NETWORK_PROGRAMS = [
    "(GPL-2.0-or-later OR LGPL-3.0-or-later)",  # libgmp
    "GPL-2.0-only",  # nft and libnftables, parts of ipset, netbase
    "GPL-2.0-or-later",  # iptables, ipset, conntrack, the libraries of netfilter
    "LGPL-2.1-or-later",  # libc, libmnl
    "MIT",  # libjansson
]
