"""Written by `bazel run //tools/update -- distribution <version>`; do not edit."""

UPSTREAM = {
    "module": "github.com/distribution/distribution/v3",
    "version": "v3.1.2",
    "revision": "h1:/Bv2YIqqSR00HiO49FT93hovy6r9IlrzwUDsJjCN5qg=",
    "time": "2026-09-24T11:43:29Z",
    "go": "1.26.8",
    "go_from": "Dockerfile",
    "godebug": "",
}
