"""Written by `bazel run //tools/update -- buildbarn <version>`; do not edit."""

UPSTREAM = {
    "module": "github.com/buildbarn/bb-remote-execution",
    "version": "v0.0.0-20250727072438-58b88e8adfbd",
    "revision": "58b88e8adfbd4cb5c32905383ef9c35ea1f9598e",
    "time": "2025-07-27T07:24:38Z",
    "go": "1.24.5",
    "go_from": "go.mod",
    "godebug": "",
}
