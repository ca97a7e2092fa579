"""Indexes: one reference for the images of several platforms."""

load(":tool.bzl", "OCI")

visibility(["//oci"])

_PLATFORMS = "//command_line_option:platforms"

def _platforms_transition_impl(settings, attr):
    return [{_PLATFORMS: str(platform)} for platform in attr.platforms] or settings

_platforms_transition = transition(
    implementation = _platforms_transition_impl,
    inputs = [_PLATFORMS],
    outputs = [_PLATFORMS],
)

def _oci_image_index_impl(ctx):
    if ctx.attr.platforms and len(ctx.attr.images) != len(ctx.attr.platforms):
        fail("{}: with `platforms`, give one image in `images`: it is built for each of them.".format(ctx.label))
    output = ctx.actions.declare_directory(ctx.label.name)
    inputs = list(ctx.files.images)
    args = ctx.actions.args()
    args.add("index")
    args.add_all(["--output", output], expand_directories = False)
    args.add_all(ctx.files.images, before_each = "--image", expand_directories = False)
    if ctx.file.annotations:
        inputs.append(ctx.file.annotations)
        args.add("--annotations", ctx.file.annotations)
    ctx.actions.run(
        executable = ctx.executable._oci,
        arguments = [args],
        inputs = inputs,
        outputs = [output],
        mnemonic = "OCIIndex",
        progress_message = "OCI Index %{label}",
    )
    return [DefaultInfo(files = depset([output]))]

oci_image_index = rule(
    implementation = _oci_image_index_impl,
    doc = "Writes the OCI layout of an index over images.",
    attrs = {
        "annotations": attr.label(allow_single_file = True, doc = "File of key=value lines."),
        "images": attr.label_list(mandatory = True, cfg = _platforms_transition, doc = "The images, in the order of the index."),
        "platforms": attr.label_list(providers = [platform_common.PlatformInfo], doc = "Platforms to build the one image for."),
        "_allowlist_function_transition": attr.label(default = "@bazel_tools//tools/allowlists/function_transition_allowlist"),
        "_oci": OCI,
    },
)
