"""Written by `bazel run //tools/update -- containerd-1.7 <version>`; do not edit."""

UPSTREAM = {
    "module": "github.com/containerd/containerd",
    "version": "v1.7.35",
    "revision": "h1:7AU2T1qI2OdNBmKkreWZ7kASHUNFItN5Hgejd9sY938=",
    "time": "2026-09-04T21:00:38Z",
    "go": "1.25.12",
    "go_from": ".github/workflows/release/Dockerfile",
    "godebug": "",
}
