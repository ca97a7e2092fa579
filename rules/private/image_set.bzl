"""All images and charts together: their digests, one archive, and one push of them all."""

load("@bazel_skylib//rules:common_settings.bzl", "BuildSettingInfo")

visibility(["//rules/..."])

_IMAGES = attr.label_keyed_string_dict(mandatory = True, allow_files = True, doc = "OCI layouts of images, and of charts -> name.")
_OCI = attr.label(default = "//tools/oci:tool", executable = True, cfg = "target", doc = "Reads and pushes the images.")
_REGISTRY = attr.label(default = "//images:registry", doc = "Registry and path that all images are pushed below.")

def _layouts(ctx):
    """Name -> folder of the layout, sorted by name."""
    layouts = {}
    for target, name in ctx.attr.images.items():
        files = target[DefaultInfo].files.to_list()
        if len(files) != 1 or not files[0].is_directory:
            fail("{}: {} is not the OCI layout of an image or a chart. Name a target of fips_image, or <name>_oci of fips_chart.".format(ctx.label, target.label))
        if name in layouts:
            fail("{}: two of them are called {}. Give each its own name.".format(ctx.label, name))
        layouts[name] = files[0]
    return {name: layouts[name] for name in sorted(layouts)}

def _write(ctx, out, args, mnemonic):
    """Lets the tool write one file from all images, which follow args."""
    layouts = _layouts(ctx)
    args.add("--output", out)
    for name, layout in layouts.items():
        args.add(name)
        args.add_all([layout], expand_directories = False)
    ctx.actions.run(
        executable = ctx.executable._oci,
        arguments = [args],
        # rules_oci's layouts are links to the layers, which are among the runfiles.
        inputs = depset(layouts.values(), transitive = [target[DefaultInfo].default_runfiles.files for target in ctx.attr.images]),
        outputs = [out],
        mnemonic = mnemonic,
    )
    return [DefaultInfo(files = depset([out]))]

def _image_digests_impl(ctx):
    out = ctx.actions.declare_file(ctx.label.name + ".json")
    return _write(ctx, out, ctx.actions.args().add("digests"), "ImageDigests")

image_digests = rule(
    implementation = _image_digests_impl,
    doc = "Writes <name>.json: name, version, digest, platform and size of each image.",
    attrs = {"images": _IMAGES, "_oci": _OCI},
)

def _image_bundle_impl(ctx):
    out = ctx.actions.declare_file(ctx.label.name + ".tar")
    args = ctx.actions.args().add("bundle").add("--registry", ctx.attr._registry[BuildSettingInfo].value)
    return _write(ctx, out, args, "ImageBundle")

image_bundle = rule(
    implementation = _image_bundle_impl,
    doc = "Writes <name>.tar: all images in one OCI layout, what they share once, named below --//images:registry by version and by digest.",
    attrs = {"images": _IMAGES, "_oci": _OCI, "_registry": _REGISTRY},
)

def _image_push_all_impl(ctx):
    program = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.symlink(output = program, target_file = ctx.executable._oci, is_executable = True)
    layouts = _layouts(ctx)
    arguments = ["push-all", "--registry", ctx.attr._registry[BuildSettingInfo].value]
    for name, layout in layouts.items():
        arguments += [name, "runfile:{}/{}".format(ctx.workspace_name, layout.short_path)]
    args_file = ctx.actions.declare_file(ctx.label.name + ".args.json")
    ctx.actions.write(args_file, json.encode(arguments))
    runfiles = ctx.runfiles([program, args_file] + layouts.values()).merge_all(
        [target[DefaultInfo].default_runfiles for target in ctx.attr.images.keys() + [ctx.attr._oci]],
    )
    return [DefaultInfo(executable = program, files = depset([program]), runfiles = runfiles)]

image_push_all = rule(
    implementation = _image_push_all_impl,
    doc = "`bazel run` pushes every image below --//images:registry, and tags them when all of them are there.",
    executable = True,
    attrs = {
        "images": _IMAGES,
        "_oci": _OCI,
        "_registry": _REGISTRY,
    },
)
