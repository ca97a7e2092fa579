"""Where an image is pushed to."""

load("@bazel_skylib//rules:common_settings.bzl", "BuildSettingInfo")

visibility(["//rules/..."])

def _repository_file_impl(ctx):
    registry = ctx.attr._registry[BuildSettingInfo].value
    out = ctx.actions.declare_file(ctx.label.name + ".txt")
    ctx.actions.write(out, "{}/{}".format(registry, ctx.attr.image))
    return [DefaultInfo(files = depset([out]))]

repository_file = rule(
    implementation = _repository_file_impl,
    doc = "Writes the image's repository, below --//images:registry, to a file.",
    attrs = {
        "image": attr.string(mandatory = True, doc = "Name of the image."),
        "_registry": attr.label(default = "//images:registry", doc = "Registry and path that all images are pushed below."),
    },
)
