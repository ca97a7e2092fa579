"""Images."""

load(":tool.bzl", "OCI")

visibility(["//oci"])

_TARS = [".tar", ".tar.gz", ".tgz", ".tar.zst", ".tzst"]

# Attribute -> flag, for what comes as a file.
_FILES = {
    "annotations": "--annotations",
    "cmd": "--cmd",
    "created": "--created",
    "entrypoint": "--entrypoint",
    "env": "--env",
    "exposed_ports": "--exposed-ports",
    "labels": "--labels",
    "volumes": "--volumes",
}

def _oci_image_impl(ctx):
    attr = ctx.attr
    if not attr.base and not (attr.os and attr.architecture):
        fail("{}: an image without `base` needs `os` and `architecture`.".format(ctx.label))
    if attr.base and (attr.os or attr.architecture or attr.variant):
        fail("{}: `os`, `architecture` and `variant` come from `base`. Remove them here.".format(ctx.label))

    output = ctx.actions.declare_directory(ctx.label.name)
    inputs = list(ctx.files.tars)
    args = ctx.actions.args()
    args.add("image")
    args.add_all(["--output", output], expand_directories = False)
    if attr.base:
        inputs.append(ctx.file.base)
        args.add_all(["--base", ctx.file.base], expand_directories = False)
    for flag in ["os", "architecture", "variant", "user", "workdir"]:
        if getattr(attr, flag):
            args.add("--" + flag, getattr(attr, flag))
    for tar in ctx.files.tars:
        # The label as Bazel itself writes it: it stands in the image's history, so in its digest.
        args.add("--layer", tar).add("--owner", tar.owner)
    for name, flag in _FILES.items():
        file = getattr(ctx.file, name)
        if file:
            inputs.append(file)
            args.add(flag, file)
    ctx.actions.run(
        executable = ctx.executable._oci,
        arguments = [args],
        inputs = inputs,
        outputs = [output],
        mnemonic = "OCIImage",
        progress_message = "OCI Image %{label}",
    )
    return [DefaultInfo(files = depset([output]))]

oci_image = rule(
    implementation = _oci_image_impl,
    doc = "Writes the OCI layout of an image.",
    attrs = {
        "architecture": attr.string(doc = "GOARCH that the image is for."),
        "base": attr.label(allow_single_file = True, doc = "Image underneath: the folder of an OCI layout."),
        "os": attr.string(doc = "GOOS that the image is for."),
        "tars": attr.label_list(allow_files = _TARS, doc = "Layers, the lowest first; taken as they are."),
        "user": attr.string(doc = "User and group that the program runs as."),
        "variant": attr.string(doc = "Variant of the architecture, as in v8."),
        "workdir": attr.string(doc = "Folder that the program starts in."),
        "_oci": OCI,
    } | {
        name: attr.label(allow_single_file = True, doc = "File with the value; see the macro in //oci:defs.bzl.")
        for name in _FILES
    },
)
