"""The layers of one image, checked against one another."""

visibility(["//rules/..."])

def _image_layers_impl(ctx):
    checked = ctx.actions.declare_file(ctx.label.name + ".checked")
    args = ctx.actions.args()
    args.add("layers").add("--output", checked).add_all(ctx.files.layers)
    ctx.actions.run(
        executable = ctx.executable._oci,
        arguments = [args],
        inputs = ctx.files.layers,
        outputs = [checked],
        mnemonic = "ImageLayers",
        progress_message = "Comparing the layers of %{label}",
    )
    return [
        DefaultInfo(files = depset(ctx.files.layers, order = "preorder")),
        OutputGroupInfo(_validation = depset([checked])),
    ]

image_layers = rule(
    implementation = _image_layers_impl,
    doc = "Layers, the lowest first. The build fails when two hold different things at one path.",
    attrs = {
        "layers": attr.label_list(mandatory = True, allow_files = [".tar", ".tar.gz", ".tar.zst"], doc = "The layers."),
        "_oci": attr.label(default = "//tools/oci:tool", executable = True, cfg = "target", doc = "Compares the layers."),
    },
)
