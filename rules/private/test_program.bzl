"""A Go program that tests run, in the configuration of what is shipped."""

load(":transitions.bzl", "fips_transition")

visibility(["//rules/..."])

def _test_program_impl(ctx):
    program = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.symlink(output = program, target_file = ctx.executable.linked, is_executable = True)
    return [DefaultInfo(
        executable = program,
        files = depset([program]),
        runfiles = ctx.runfiles([program]),
    )]

test_program = rule(
    implementation = _test_program_impl,
    doc = "A static Go program that shares its packages with the shipped programs of the same Go version and tags.",
    cfg = fips_transition,
    executable = True,
    attrs = {
        "go": attr.string(mandatory = True, doc = "Go version, as in 1.26.10; one of //toolchains/go:sdks.lock.bzl."),
        "gotags": attr.string_list(doc = "Upstream's build tags, beside netgo and osusergo."),
        "linked": attr.label(mandatory = True, executable = True, cfg = "target", doc = "The go_binary."),
        "_allowlist_function_transition": attr.label(default = "@bazel_tools//tools/allowlists/function_transition_allowlist"),
    },
)
