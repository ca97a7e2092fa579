"""The configurations of this tree: shipped Go and C programs, and the tools that actions run."""

load("//toolchains/go:sdks.lock.bzl", "GO_SDKS")

visibility(["//rules/..."])

_SDK_VERSION = "@rules_go//go/toolchain:sdk_version"
_TAGS = "@rules_go//go/config:tags"
_COMPILATION_MODE = "//command_line_option:compilation_mode"
_STRIP = "//command_line_option:strip"
_PLATFORMS = "//command_line_option:platforms"

# Static programs resolve names and users in Go: libc's resolver would load shared objects at run time.
_BASE_TAGS = ["netgo", "osusergo"]

# Go for the tools of this tree; what is shipped names its own.
_TOOL_GO = "1.26.10"

def _fips_transition_impl(_settings, attr):
    return {
        _COMPILATION_MODE: "opt",
        # For an SDK that is not locked no toolchain would resolve, in Bazel's words; fips_go_binary says it in its own.
        _SDK_VERSION: attr.go if attr.go in GO_SDKS else _TOOL_GO,
        _STRIP: "always",
        _TAGS: sorted({tag: None for tag in _BASE_TAGS + attr.gotags}.keys()),
    }

fips_transition = transition(
    implementation = _fips_transition_impl,
    inputs = [],
    outputs = [_COMPILATION_MODE, _SDK_VERSION, _STRIP, _TAGS],
)

def _cc_transition_impl(_settings, _attr):
    return {
        _COMPILATION_MODE: "opt",
        # Bazel's own way strips debug information only, and comes after fips_cc_binary's -s, which strips all.
        _STRIP: "never",
    }

cc_transition = transition(
    implementation = _cc_transition_impl,
    inputs = [],
    outputs = [_COMPILATION_MODE, _STRIP],
)

def _tool_transition_impl(_settings, _attr):
    return {
        _COMPILATION_MODE: "opt",
        _PLATFORMS: [Label("//toolchains/platforms:linux_amd64")],
        _SDK_VERSION: _TOOL_GO,
        _STRIP: "always",
        _TAGS: _BASE_TAGS,
    }

# In place of cfg = "exec": that one keeps the Go settings of the binary at hand, so that each component would compile
# its own copy of every tool.
tool_transition = transition(
    implementation = _tool_transition_impl,
    inputs = [],
    outputs = [_COMPILATION_MODE, _PLATFORMS, _SDK_VERSION, _STRIP, _TAGS],
)

def _c_library_transition_impl(_settings, _attr):
    return {_SDK_VERSION: _TOOL_GO, _TAGS: _BASE_TAGS}

# A C library is the same for every Go version and build tag, and is compiled once.
c_library_transition = transition(
    implementation = _c_library_transition_impl,
    inputs = [],
    outputs = [_SDK_VERSION, _TAGS],
)
