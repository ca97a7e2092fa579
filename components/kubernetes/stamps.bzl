"""What all programs of the release are built with."""

load(":upstream.bzl", "UPSTREAM")

visibility(["//components/kubernetes/..."])

# As upstream's release for the kubelet; one set for all, so that they share every package.
TAGS = ["selinux"]

_MAJOR, _MINOR, _ = UPSTREAM["version"].removeprefix("v").split(".")

STAMPS = {
    "{}/version.{}".format(package, variable): value
    for package in [
        "k8s.io/client-go/pkg",
        "k8s.io/component-base",
    ]
    for variable, value in {
        "buildDate": UPSTREAM["time"],
        "gitCommit": UPSTREAM["revision"],
        "gitMajor": _MAJOR,
        "gitMinor": _MINOR,
        "gitTreeState": "clean",
        "gitVersion": UPSTREAM["version"],
    }.items()
}
