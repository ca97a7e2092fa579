"""Tests that one of our programs makes: those that exist beside every shipped binary without being asked for."""

load(":transitions.bzl", "tool_transition")

visibility(["//rules/..."])

def _tool_test_impl(ctx):
    test = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.symlink(output = test, target_file = ctx.executable.tool, is_executable = True)
    return [DefaultInfo(
        executable = test,
        # With the runfiles of the data: rules_oci's layouts are links to the layers.
        runfiles = ctx.runfiles(ctx.files.data).merge_all(
            [target[DefaultInfo].default_runfiles for target in ctx.attr.data + ctx.attr.tool],
        ),
    )]

# Run as `<tool> <args>`: the macro gives the arguments.
tool_test = rule(
    implementation = _tool_test_impl,
    doc = "Runs a tool with `args` on the files in `data`.",
    test = True,
    attrs = {
        "data": attr.label_list(allow_files = True, doc = "What the arguments refer to."),
        "tool": attr.label(mandatory = True, executable = True, cfg = tool_transition, doc = "Exits 0 when the test passes."),
        "_allowlist_function_transition": attr.label(default = "@bazel_tools//tools/allowlists/function_transition_allowlist"),
    },
)
