"""Written by `bazel run //tools/update -- helm <version>`; do not edit."""

UPSTREAM = {
    "module": "helm.sh/helm/v4",
    "version": "v4.3.1",
    "revision": "h1:UndCoLe9UPmNoL7IvWzaUXveL7T5t/ijoorEmgJdI9g=",
    "time": "2026-10-15T00:19:03Z",
    "go": "1.27.3",
    "go_from": ".github/env",
    "godebug": "tracebacklabels=0,x509sslcertoverrideplatform=0",
}
