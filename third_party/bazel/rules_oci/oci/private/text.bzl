"""A file with the value of an attribute that was given inline."""

visibility(["//oci"])

def _text_impl(ctx):
    out = ctx.actions.declare_file(ctx.label.name + ".txt")
    ctx.actions.write(out, ctx.attr.content)
    return [DefaultInfo(files = depset([out]))]

text = rule(
    implementation = _text_impl,
    doc = "Writes a text to <name>.txt.",
    attrs = {
        "content": attr.string(doc = "The text, to the last byte."),
    },
)
