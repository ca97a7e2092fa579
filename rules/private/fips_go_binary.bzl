"""The one rule that every shipped Go binary passes through."""

load("@bazel_skylib//rules:common_settings.bzl", "BuildSettingInfo")
load("@bazel_tools//tools/cpp:toolchain_utils.bzl", "find_cpp_toolchain", "use_cpp_toolchain")
load("@rules_go//go:def.bzl", "GoArchive")
load("//toolchains/go:sdks.lock.bzl", "GO_SDKS")
load(":transitions.bzl", "fips_transition")
load(":verdict.bzl", "VERDICT_ATTRS", "verified_program")

visibility(["//rules/...", "//tests/starlark/..."])

_GO_TOOLCHAIN = "@rules_go//go:toolchain"

# CMVP certificates that are Historical: nothing new may rely on them. Go SDKs with these are locked to test fipscheck.
_HISTORICAL = ["4407"]

_PLATFORM_FIX = "Build for //toolchains/platforms:linux_amd64 or //toolchains/platforms:linux_arm64."

def _has_constraint(ctx, target):
    return ctx.target_platform_has_constraint(target[platform_common.ConstraintValueInfo])

def _check_closed(ctx, archive):
    """Fails when the binary would silently be compiled without BoringCrypto."""
    if not any([_has_constraint(ctx, cpu) for cpu in ctx.attr._cpus]):
        fail("{}: BoringCrypto exists for linux/amd64 and linux/arm64 only. {}".format(ctx.label, _PLATFORM_FIX))
    if not _has_constraint(ctx, ctx.attr._os):
        fail("{}: BoringCrypto exists for Linux only. {}".format(ctx.label, _PLATFORM_FIX))
    if not _has_constraint(ctx, ctx.attr._cgo):
        fail("{}: cgo is off on the target platform, so Go would compile its own crypto without a word. {}".format(ctx.label, _PLATFORM_FIX))
    for flag in ["pure", "race", "msan"]:
        if getattr(ctx.attr, "_" + flag)[BuildSettingInfo].value:
            fail("{}: --@rules_go//go/config:{} makes Go compile its own crypto without a word. Remove the flag.".format(ctx.label, flag))
    if not find_cpp_toolchain(ctx, mandatory = False):
        fail("{}: no C++ toolchain resolves for the target platform, so rules_go would drop cgo and BoringCrypto with it. {} and see //toolchains/cc.".format(ctx.label, _PLATFORM_FIX))
    sdk = ctx.toolchains[_GO_TOOLCHAIN].sdk
    if ctx.attr.go not in GO_SDKS:
        fail("{}: Go {} is not locked. Lock it with `bazel run //tools/update -- go {}`.".format(ctx.label, ctx.attr.go, ctx.attr.go))
    certificate = GO_SDKS[ctx.attr.go]["certificate"]
    if certificate in _HISTORICAL:
        fail("{}: Go {} carries BoringCrypto of certificate #{}, which is Historical. Choose Go 1.24 or newer.".format(ctx.label, ctx.attr.go, certificate))
    if sdk.version != ctx.attr.go:
        fail("{}: Go {} was asked for, Go {} was resolved. Name it in GO_VERSIONS of //toolchains/go:go.MODULE.bazel.".format(ctx.label, ctx.attr.go, sdk.version))
    if "boringcrypto" not in sdk.experiments.split(","):
        fail("{}: Go SDK {} is registered without the boringcrypto experiment. Register it in //toolchains/go:go.MODULE.bazel.".format(ctx.label, sdk.version))

    # What the archive was really compiled with, whatever was asked for.
    mode = archive.source.mode
    if mode.pure or mode.race or mode.msan:
        fail("{}: compiled with pure = {}, race = {}, msan = {}; each turns BoringCrypto off.".format(ctx.label, mode.pure, mode.race, mode.msan))

def _fips_go_binary_impl(ctx):
    _check_closed(ctx, ctx.attr.linked[GoArchive])
    return verified_program(ctx, ctx.executable.linked, ctx.attr.mode)

fips_go_binary = rule(
    implementation = _fips_go_binary_impl,
    doc = "A static Go binary built with BoringCrypto, checked at analysis and measured after linking.",
    cfg = fips_transition,
    executable = True,
    attrs = VERDICT_ATTRS | {
        "go": attr.string(mandatory = True, doc = "Go version, as in 1.26.10; one of //toolchains/go:sdks.lock.bzl."),
        "gotags": attr.string_list(doc = "Upstream's build tags, beside netgo and osusergo."),
        "linked": attr.label(mandatory = True, executable = True, cfg = "target", providers = [GoArchive], doc = "The go_binary."),
        "mode": attr.string(values = ["boring", "none"], default = "boring", doc = "Declared cryptography: BoringCrypto, or none at all."),
        "_cc_toolchain": attr.label(default = "@bazel_tools//tools/cpp:optional_current_cc_toolchain"),
        "_cgo": attr.label(default = "@rules_go//go/toolchain:cgo_on"),
        "_cpus": attr.label_list(default = ["@platforms//cpu:x86_64", "@platforms//cpu:aarch64"]),
        "_msan": attr.label(default = "@rules_go//go/config:msan"),
        "_os": attr.label(default = "@platforms//os:linux"),
        "_pure": attr.label(default = "@rules_go//go/config:pure"),
        "_race": attr.label(default = "@rules_go//go/config:race"),
    },
    toolchains = [_GO_TOOLCHAIN] + use_cpp_toolchain(mandatory = False),
)
