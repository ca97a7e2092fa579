"""Written by `bazel run //tools/update -- etcd <version>`; do not edit."""

UPSTREAM = {
    "module": "go.etcd.io/etcd/server/v3",
    "version": "v3.7.3",
    "revision": "h1:KcTZ/aEZrOiQe0/kdr7iYYcvyfbEoOwDOacHkz8xwZc=",
    "time": "2026-10-22T23:01:34Z",
    "go": "1.26.10",
    "go_from": "go.mod",
    "godebug": "",
}
