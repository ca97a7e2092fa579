"""Written by `bazel run //tools/update -- kubernetes <version>`; do not edit."""

UPSTREAM = {
    "module": "k8s.io/kubernetes",
    "version": "v1.37.2",
    "revision": "h1:A2VDEiObzkYqFTKhSsn0ZEb0RlLEXpHWj93gi2HqEwE=",
    "time": "2026-10-27T12:01:04Z",
    "go": "1.26.10",
    "go_from": ".go-version",
    "godebug": "",
}
