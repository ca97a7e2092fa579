"""Written by `bazel run //tools/update -- runc <version>`; do not edit."""

UPSTREAM = {
    "module": "github.com/opencontainers/runc",
    "version": "v1.5.2",
    "revision": "h1:eUUowc2WJCnFYzI87C1WqRcu356Dk/wsoi90y+2wEfE=",
    "time": "2026-09-24T21:12:22Z",
    "go": "1.26.10",
    "go_from": "Dockerfile",
    "godebug": "cryptocustomrand=1,httpservecontentmaxranges=1,tlssecpmlkem=0,urlstrictcolons=0",
}
