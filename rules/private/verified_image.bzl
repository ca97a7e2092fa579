"""Images with their verdict, and the report on all of them."""

load(":providers.bzl", "FipsBinaryInfo", "FipsImageInfo", "ImageLayerInfo")
load(":transitions.bzl", "tool_transition")

visibility(["//rules/..."])

_FIPSCHECK = {
    "_allowlist_function_transition": attr.label(default = "@bazel_tools//tools/allowlists/function_transition_allowlist"),
    "_fipscheck": attr.label(default = "//tools/fipscheck", executable = True, cfg = tool_transition, doc = "Judges."),
    "_policy": attr.label(default = "//tests/fips:policy.yaml", allow_single_file = True, doc = "What may be excused."),
}

def _verified_image_impl(ctx):
    image = ctx.attr.image[DefaultInfo]
    layouts = image.files.to_list()
    if len(layouts) != 1 or not layouts[0].is_directory:
        fail("{}: {} is not the OCI layout of an image. Name a target of oci_image.".format(ctx.label, ctx.attr.image.label))
    verdicts = depset(transitive = [
        target[ImageLayerInfo].verdicts
        for target in ctx.attr.layers
        if ImageLayerInfo in target
    ])
    verdict = ctx.actions.declare_file(ctx.label.name + ".fips.json")
    args = ctx.actions.args()
    args.add("image").add("--policy", ctx.file._policy).add("--artifact", "images/" + ctx.attr.title)
    args.add_all(verdicts, before_each = "--verdicts")
    args.add("--output", "json").add("--output-file", verdict)
    args.add_all(layouts, expand_directories = False)
    ctx.actions.run(
        executable = ctx.executable._fipscheck,
        arguments = [args],
        # rules_oci's layouts are links to the layers, which are among the runfiles.
        inputs = depset(layouts + [ctx.file._policy], transitive = [image.default_runfiles.files, verdicts]),
        outputs = [verdict],
        mnemonic = "FipsCheckImage",
        progress_message = "Proving the FIPS status of every file in %{label}",
    )
    return [
        DefaultInfo(files = image.files, runfiles = image.default_runfiles),
        # Whoever builds the image, or anything that depends on it, has it judged.
        OutputGroupInfo(fips_verdict = depset([verdict]), _validation = depset([verdict])),
        FipsImageInfo(verdicts = depset([verdict], transitive = [verdicts])),
    ]

verified_image = rule(
    implementation = _verified_image_impl,
    doc = "The image, which fails to build unless every file of every layer passes fipscheck.",
    attrs = _FIPSCHECK | {
        "image": attr.label(mandatory = True, doc = "OCI layout."),
        "layers": attr.label_list(allow_files = True, doc = "The image's layers: they know the verdicts on their programs."),
        "title": attr.string(mandatory = True, doc = "Name of the image; the policy calls it images/<title>."),
    },
)

def _verified_digest_impl(ctx):
    return [DefaultInfo(files = depset([ctx.file.digest]))]

verified_digest = rule(
    implementation = _verified_digest_impl,
    doc = "The digest of an image, which fails to build where the image does.",
    attrs = {
        "digest": attr.label(mandatory = True, allow_single_file = True, doc = "File with the digest of the layout."),
        "image": attr.label(mandatory = True, providers = [FipsImageInfo], doc = "Target of verified_image."),
    },
)

def _fips_report_impl(ctx):
    verdicts = depset(
        [target[FipsBinaryInfo].verdict for target in ctx.attr.binaries],
        transitive = [target[FipsImageInfo].verdicts for target in ctx.attr.images],
    )
    outputs = []
    for format, extension in {"html": ".html", "in-toto": ".intoto.json", "json": ".json"}.items():
        out = ctx.actions.declare_file(ctx.label.name + extension)
        args = ctx.actions.args()
        args.add("merge").add("--policy", ctx.file._policy).add("--output", format).add("--output-file", out)
        args.add_all(verdicts)
        ctx.actions.run(
            executable = ctx.executable._fipscheck,
            arguments = [args],
            inputs = depset([ctx.file._policy], transitive = [verdicts]),
            outputs = [out],
            mnemonic = "FipsReport",
        )
        outputs.append(out)
    return [DefaultInfo(files = depset(outputs))]

fips_report = rule(
    implementation = _fips_report_impl,
    doc = "One report on all images and programs: a page for people, JSON, and an in-toto statement. Fails on exceptions that excuse nothing.",
    attrs = _FIPSCHECK | {
        "binaries": attr.label_list(providers = [FipsBinaryInfo], doc = "Programs that are in no image."),
        "images": attr.label_list(mandatory = True, providers = [FipsImageInfo], doc = "Targets of fips_image."),
    },
)
