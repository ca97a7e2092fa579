"""A C library that components link."""

load("@rules_cc//cc/common:cc_info.bzl", "CcInfo")
load(":transitions.bzl", "c_library_transition")

visibility(["//rules/..."])

def _c_library_impl(ctx):
    return [ctx.attr.library[CcInfo], ctx.attr.library[DefaultInfo]]

c_library = rule(
    implementation = _c_library_impl,
    doc = "A cc_library in the one configuration of all of them: with the component's, each Go version and set of build tags would compile it again.",
    cfg = c_library_transition,
    attrs = {
        "library": attr.label(mandatory = True, providers = [CcInfo], doc = "The cc_library."),
        "_allowlist_function_transition": attr.label(default = "@bazel_tools//tools/allowlists/function_transition_allowlist"),
    },
    provides = [CcInfo],
)
