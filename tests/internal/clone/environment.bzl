"""The environment of a test that runs a second Bazel."""

visibility(["//tests/..."])

# It finds Bazel and the registries, and what was fetched from them, as the first one did. clone.go hands on the same.
BAZEL_ENVIRONMENT = [
    "BAZEL_REAL",
    "DEBIAN_MIRROR",
    "GOMODCACHE",
    "GOPROXY",
    "HOME",
    "XDG_CACHE_HOME",
]
