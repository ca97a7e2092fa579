"""What Bazel has to know of the C toolchain: its programs. Bazel's own flags for them do the rest."""

load("@rules_cc//cc:action_names.bzl", "ACTION_NAMES")
load("@rules_cc//cc:cc_toolchain_config_lib.bzl", "action_config", "flag_group", "flag_set", "tool")
load("@rules_cc//cc/common:cc_common.bzl", "cc_common")

visibility(["//toolchains/cc"])

_CLANG_ACTIONS = [
    ACTION_NAMES.assemble,
    ACTION_NAMES.c_compile,
    ACTION_NAMES.cpp_compile,
    ACTION_NAMES.cpp_header_parsing,
    ACTION_NAMES.cpp_link_dynamic_library,
    ACTION_NAMES.cpp_link_executable,
    ACTION_NAMES.cpp_link_nodeps_dynamic_library,
    ACTION_NAMES.preprocess_assemble,
]

def _musl_toolchain_config_impl(ctx):
    actions = [
        action_config(
            action_name = action,
            tools = [tool(tool = ctx.file.clang)],
        )
        for action in _CLANG_ACTIONS
    ] + [
        action_config(
            action_name = ACTION_NAMES.cpp_link_static_library,
            implies = ["archiver_flags"],
            tools = [tool(tool = ctx.file.ar)],
        ),
        action_config(
            action_name = ACTION_NAMES.strip,
            flag_sets = [flag_set(flag_groups = [
                flag_group(flags = ["--strip-debug", "-o", "%{output_file}"]),
                flag_group(flags = ["%{stripopts}"], iterate_over = "stripopts"),
                flag_group(flags = ["%{input_file}"]),
            ])],
            tools = [tool(tool = ctx.file.strip)],
        ),
    ]
    return cc_common.create_cc_toolchain_config_info(
        ctx = ctx,
        abi_libc_version = "musl",
        abi_version = "musl",
        action_configs = actions,
        compiler = "clang",
        cxx_builtin_include_directories = ["%workspace%/" + ctx.file.clang.dirname],
        host_system_name = "x86_64-linux-gnu",
        target_cpu = ctx.attr.cpu,
        target_libc = "musl",
        target_system_name = ctx.attr.cpu + "-linux-musl",
        toolchain_identifier = ctx.attr.cpu + "-linux-musl",
    )

musl_toolchain_config = rule(
    implementation = _musl_toolchain_config_impl,
    doc = "CcToolchainConfigInfo of clang with a musl sysroot.",
    attrs = {
        "ar": attr.label(mandatory = True, allow_single_file = True, doc = "llvm-ar."),
        "clang": attr.label(mandatory = True, allow_single_file = True, doc = "clang, with the flags for the target."),
        "cpu": attr.string(mandatory = True, doc = "First part of the target's triple.", values = ["aarch64", "x86_64"]),
        "strip": attr.label(mandatory = True, allow_single_file = True, doc = "llvm-strip."),
    },
    provides = [CcToolchainConfigInfo],
)
