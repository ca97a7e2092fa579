"""The rule that every shipped C program passes through."""

load(":transitions.bzl", "cc_transition")
load(":verdict.bzl", "VERDICT_ATTRS", "verified_program")

visibility(["//rules/..."])

def _fips_cc_binary_impl(ctx):
    return verified_program(ctx, ctx.executable.linked, "none")

fips_cc_binary = rule(
    implementation = _fips_cc_binary_impl,
    doc = "A static C program without cryptography, measured after linking.",
    cfg = cc_transition,
    executable = True,
    attrs = VERDICT_ATTRS | {
        "linked": attr.label(mandatory = True, executable = True, cfg = "target", doc = "The cc_binary."),
    },
)
