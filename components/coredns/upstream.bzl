"""Written by `bazel run //tools/update -- coredns <version>`; do not edit."""

UPSTREAM = {
    "module": "github.com/coredns/coredns",
    "version": "v1.15.0",
    "revision": "h1:OBT+OEyHVdUiVxPhrNlC5XZVq3RkSxzQXfZQ76gm5ck=",
    "time": "2026-10-21T02:17:32Z",
    "go": "1.27.3",
    "go_from": ".go-version",
    "godebug": "tracebacklabels=0,x509sslcertoverrideplatform=0",
}
