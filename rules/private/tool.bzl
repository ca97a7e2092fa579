"""A program of this tree, for actions and for people."""

load(":transitions.bzl", "tool_transition")

visibility(["//rules/..."])

def _tool_impl(ctx):
    program = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.symlink(output = program, target_file = ctx.executable.binary, is_executable = True)
    return [DefaultInfo(
        executable = program,
        runfiles = ctx.runfiles([program]).merge(ctx.attr.binary[DefaultInfo].default_runfiles),
    )]

tool = rule(
    implementation = _tool_impl,
    doc = "A program in the one configuration of all tools. Ask for it with cfg = \"target\": from \"exec\" it would be compiled once more.",
    cfg = tool_transition,
    executable = True,
    attrs = {
        "binary": attr.label(mandatory = True, executable = True, cfg = "target", doc = "The program."),
        "_allowlist_function_transition": attr.label(default = "@bazel_tools//tools/allowlists/function_transition_allowlist"),
    },
)
