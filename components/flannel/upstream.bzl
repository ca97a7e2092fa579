"""Written by `bazel run //tools/update -- flannel <version>`; do not edit."""

UPSTREAM = {
    "module": "github.com/flannel-io/flannel",
    "version": "v0.28.10",
    "revision": "h1:jt+uW6XVV01MBb3YFahG7Ue9UE3W6zlNlJMf3JtdcXI=",
    "time": "2026-10-08T15:03:44Z",
    "go": "1.26.10",
    "go_from": ".github/workflows/release.yml",
    "godebug": "",
}
