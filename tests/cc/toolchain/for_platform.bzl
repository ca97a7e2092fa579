"""Programs for a platform that the rest of the build is not for."""

def _transition_impl(_settings, attr):
    return {"//command_line_option:platforms": [attr.platform]}

_platform_transition = transition(
    implementation = _transition_impl,
    inputs = [],
    outputs = ["//command_line_option:platforms"],
)

def _for_platform_impl(ctx):
    [program] = ctx.attr.program
    file = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.symlink(output = file, target_file = program[DefaultInfo].files_to_run.executable, is_executable = True)
    return [DefaultInfo(files = depset([file]), executable = file)]

for_platform = rule(
    implementation = _for_platform_impl,
    doc = "A program, built for a platform.",
    executable = True,
    attrs = {
        "platform": attr.label(mandatory = True, doc = "Platform to build for."),
        "program": attr.label(mandatory = True, cfg = _platform_transition, executable = True, doc = "The program."),
        "_allowlist_function_transition": attr.label(default = "@bazel_tools//tools/allowlists/function_transition_allowlist"),
    },
)
