"""Written by `bazel run //tools/update -- cri-tools <version>`; do not edit."""

UPSTREAM = {
    "module": "sigs.k8s.io/cri-tools",
    "version": "v1.36.0",
    "revision": "88d8ad9d40f82726fda53c2d271e6172b4c619c9",
    "time": "2026-04-24T15:40:48Z",
    "go": "1.26.2",
    "go_from": "go.mod",
    "godebug": "",
}
