"""A C library is compiled once, whichever Go version and build tags the program has that links it."""

load("@bazel_skylib//lib:unittest.bzl", "analysistest", "asserts", "unittest")
load("@rules_cc//cc/common:cc_info.bzl", "CcInfo")
load("//rules:defs.bzl", "c_library")

def _component_transition_impl(_settings, _attr):
    return {
        "@rules_go//go/config:tags": ["tag_of_a_component"],
        "@rules_go//go/toolchain:sdk_version": "1.24.9",
    }

_component_transition = transition(
    implementation = _component_transition_impl,
    inputs = [],
    outputs = ["@rules_go//go/config:tags", "@rules_go//go/toolchain:sdk_version"],
)

def _archives(library):
    return [
        (archive.static_library or archive.pic_static_library).path
        for linked in library[CcInfo].linking_context.linker_inputs.to_list()
        for archive in linked.libraries
    ]

def _impl(ctx):
    env = unittest.begin(ctx)
    asserts.equals(env, _archives(ctx.attr.library), _archives(ctx.attr.of_a_component[0]))
    return unittest.end(env)

_c_library_test = unittest.make(
    _impl,
    attrs = {
        "library": attr.label(providers = [CcInfo]),
        "of_a_component": attr.label(cfg = _component_transition, providers = [CcInfo]),
        "_allowlist_function_transition": attr.label(default = "@bazel_tools//tools/allowlists/function_transition_allowlist"),
    },
)

def _no_library_impl(ctx):
    env = analysistest.begin(ctx)
    asserts.expect_failure(env, "does not have mandatory providers: 'CcInfo'")
    return analysistest.end(env)

no_library_fails_test = analysistest.make(_no_library_impl, expect_failure = True)

def c_library_test(name, library, **kwargs):
    """Compares what the tools of this tree link with what a component links; and one test of what is no library.

    Args:
      name: of the test.
      library: label of a c_library.
      **kwargs: passed on to the tests.
    """
    _c_library_test(name = name, library = library, of_a_component = library, **kwargs)
    c_library(
        name = name + "_no_library",
        library = "//tools/testreport",
        tags = ["manual"],  # It fails, which is what the test after it, one of //..., expects.
    )
    no_library_fails_test(
        name = name + "_no_library_fails",
        target_under_test = name + "_no_library",
        **kwargs
    )
