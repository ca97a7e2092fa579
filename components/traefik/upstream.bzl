"""Written by `bazel run //tools/update -- traefik <version>`; do not edit."""

UPSTREAM = {
    "module": "github.com/traefik/traefik/v3",
    "version": "v3.7.10",
    "revision": "2a2349356c01b1b1f7ecddb0c17b30c97f5241e7",
    "time": "2026-07-31T09:04:05Z",
    "go": "1.26.10",
    "go_from": ".go-version",
    "godebug": "",
}
