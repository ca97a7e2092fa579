"""Written by `bazel run //tools/update -- calico <version>`; do not edit."""

UPSTREAM = {
    "module": "github.com/projectcalico/calico",
    "version": "v0.0.0-20251021213802-b1f3c43f8437",
    "revision": "b1f3c43f84370504e218eb5be8a34c81348f866a",
    "time": "2025-10-21T21:38:02Z",
    "go": "1.24.9",
    "go_from": "metadata.mk",
    "godebug": "",
}
