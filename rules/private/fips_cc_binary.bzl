"""The rule that every shipped C program passes through."""

load("@rules_go//go:def.bzl", "GoArchive")
load(":transitions.bzl", "cc_transition")
load(":verdict.bzl", "VERDICT_ATTRS", "verified_program")

visibility(["//rules/...", "//tests/starlark/..."])

def _fips_cc_binary_impl(ctx):
    if GoArchive in ctx.attr.linked:
        fail("{}: {} is a Go program, which has to be compiled with BoringCrypto. Declare it with fips_go_binary.".format(ctx.label, ctx.attr.linked.label))
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
