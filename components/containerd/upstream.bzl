"""Written by `bazel run //tools/update -- containerd <version>`; do not edit."""

UPSTREAM = {
    "module": "github.com/containerd/containerd/v2",
    "version": "v2.4.2",
    "revision": "h1:p6Qg+xbEz8lvwdhHDx0U469xENvp4LgGBx+E7djXkGw=",
    "time": "2026-10-13T22:25:12Z",
    "go": "1.27.2",
    "go_from": ".github/workflows/release/Dockerfile",
    "godebug": "tracebacklabels=0,x509sslcertoverrideplatform=0",
}
