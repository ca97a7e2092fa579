"""The test that exists beside every shipped binary without being asked for."""

load(":transitions.bzl", "tool_transition")

visibility(["//rules/..."])

def _fips_test_impl(ctx):
    test = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.symlink(output = test, target_file = ctx.executable._fipscheck, is_executable = True)
    return [DefaultInfo(
        executable = test,
        runfiles = ctx.runfiles(ctx.files.data).merge(ctx.attr._fipscheck[0][DefaultInfo].default_runfiles),
    )]

# Run as `fipscheck <args>`: the macro gives the arguments.
fips_test = rule(
    implementation = _fips_test_impl,
    doc = "Runs fipscheck, with `args`, on the files in `data`.",
    test = True,
    attrs = {
        "data": attr.label_list(allow_files = True, doc = "What the arguments refer to."),
        "_allowlist_function_transition": attr.label(default = "@bazel_tools//tools/allowlists/function_transition_allowlist"),
        "_fipscheck": attr.label(default = "//tools/fipscheck", executable = True, cfg = tool_transition),
    },
)
