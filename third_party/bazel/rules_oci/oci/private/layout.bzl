"""The OCI layout of an image that was pulled."""

load(":tool.bzl", "OCI")

visibility("public")  # loaded by the repositories of pulled images

def _oci_layout_impl(ctx):
    output = ctx.actions.declare_directory(ctx.label.name)
    args = ctx.actions.args()
    args.add("layout").add_all("--output", [output], expand_directories = False).add(ctx.file.manifest).add_all(ctx.files.blobs)
    ctx.actions.run(
        executable = ctx.executable._oci,
        arguments = [args],
        inputs = ctx.files.blobs + [ctx.file.manifest],
        outputs = [output],
        mnemonic = "OCILayout",
    )
    return [DefaultInfo(files = depset([output]))]

oci_layout = rule(
    implementation = _oci_layout_impl,
    doc = "Writes the OCI layout of an image from its blobs.",
    attrs = {
        "blobs": attr.label_list(mandatory = True, allow_files = True, doc = "Config and layers."),
        "manifest": attr.label(mandatory = True, allow_single_file = True, doc = "The manifest."),
        "_oci": OCI,
    },
)
