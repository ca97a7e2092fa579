"""A shipped program and what fipscheck says of it: what all rules for programs have in common."""

load(":providers.bzl", "FipsBinaryInfo")
load(":transitions.bzl", "tool_transition")

visibility(["//rules/..."])

VERDICT_ATTRS = {
    "component": attr.string(mandatory = True, doc = "Name of the component, the folder under //components."),
    "version": attr.string(mandatory = True, doc = "Upstream's version, as in v3.7.3."),
    "_allowlist_function_transition": attr.label(default = "@bazel_tools//tools/allowlists/function_transition_allowlist"),
    "_fipscheck": attr.label(default = "//tools/fipscheck/binary", executable = True, cfg = tool_transition),
    "_policy": attr.label(default = "//tests/fips:policy.yaml", allow_single_file = True),
}

def verified_program(ctx, linked, mode):
    """Measures a linked program.

    Args:
      ctx: context of a rule with VERDICT_ATTRS.
      linked: File, the program.
      mode: declared cryptography, `boring` or `none`.

    Returns:
      list of providers: the program under the target's name; building it fails unless the verdict is good.
    """
    binary = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.symlink(output = binary, target_file = linked, is_executable = True)

    verdict = ctx.actions.declare_file(ctx.label.name + ".fips.json")
    args = ctx.actions.args()
    args.add("--mode", mode)
    args.add("--policy", ctx.file._policy).add("--artifact", "{}/{}".format(ctx.attr.component, ctx.label.name))
    args.add("--release", ctx.attr.version)
    args.add("--output", "json").add("--output-file", verdict).add(linked)
    ctx.actions.run(
        executable = ctx.executable._fipscheck,
        arguments = [args],
        inputs = [linked, ctx.file._policy],
        outputs = [verdict],
        mnemonic = "FipsCheck",
        progress_message = "Proving the FIPS status of %{label}",
    )
    return [
        DefaultInfo(
            executable = binary,
            files = depset([binary]),
            runfiles = ctx.runfiles([binary]),
        ),
        OutputGroupInfo(
            fips_verdict = depset([verdict]),
            _validation = depset([verdict]),
        ),
        FipsBinaryInfo(
            binary = linked,
            component = ctx.attr.component,
            mode = mode,
            verdict = verdict,
            version = ctx.attr.version,
        ),
    ]
