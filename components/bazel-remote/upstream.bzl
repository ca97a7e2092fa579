"""Written by `bazel run //tools/update -- bazel-remote <version>`; do not edit."""

UPSTREAM = {
    "module": "github.com/buchgr/bazel-remote/v2",
    "version": "v2.6.1",
    "revision": "f46bc2030d3f30604d79ef4bf040e3a9c7a4ff89",
    "time": "2025-09-28T13:27:47Z",
    "go": "1.25.0",
    "go_from": ".bazelci/buildkite-install-go.sh",
    "godebug": "containermaxprocs=0,decoratemappings=0,tlssha1=1,updatemaxprocs=0,x509sha256skid=0",
}
