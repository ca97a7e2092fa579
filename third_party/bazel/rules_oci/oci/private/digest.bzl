"""The digest of an image as a file."""

load(":tool.bzl", "OCI")

visibility(["//oci"])

def _oci_digest_impl(ctx):
    args = ctx.actions.args()
    args.add("digest").add_all(["--layout", ctx.file.image], expand_directories = False).add("--output", ctx.outputs.out)
    ctx.actions.run(
        executable = ctx.executable._oci,
        arguments = [args],
        inputs = [ctx.file.image],
        outputs = [ctx.outputs.out],
        mnemonic = "OCIDigest",
    )
    return [DefaultInfo(files = depset([ctx.outputs.out]))]

oci_digest = rule(
    implementation = _oci_digest_impl,
    doc = "Writes the digest of an image or index to a file.",
    attrs = {
        "image": attr.label(mandatory = True, allow_single_file = True, doc = "Folder of an OCI layout."),
        "out": attr.output(mandatory = True, doc = "The file: sha256:<hex> and a newline."),
        "_oci": OCI,
    },
)
