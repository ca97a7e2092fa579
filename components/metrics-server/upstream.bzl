"""Written by `bazel run //tools/update -- metrics-server <version>`; do not edit."""

UPSTREAM = {
    "module": "sigs.k8s.io/metrics-server",
    "version": "v0.9.0",
    "revision": "h1:nlqqZ2H0Xfko8eJC/1qaNVVT17hu4rxndkOi22KTZ4w=",
    "time": "2026-07-13T09:28:19Z",
    "go": "1.26.4",
    "go_from": "Dockerfile",
    "godebug": "",
}
