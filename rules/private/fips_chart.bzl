"""Helm charts that name images by their digests."""

load("@bazel_skylib//rules:common_settings.bzl", "BuildSettingInfo")
load(":image_set.bzl", "image_digests")

visibility(["//rules/..."])

def _chart_archive_impl(ctx):
    archive = ctx.actions.declare_file(ctx.label.name + ".tgz")
    args = ctx.actions.args()
    args.add("chart").add("--name", ctx.attr.chart).add("--root", ctx.label.package)
    args.add("--digests", ctx.file.digests).add("--registry", ctx.attr._registry[BuildSettingInfo].value)
    for target, path in ctx.attr.files.items():
        args.add("--file", "{}={}".format(path, target[DefaultInfo].files.to_list()[0].path))
    args.add("--output", archive).add_all(ctx.files.srcs)
    ctx.actions.run(
        executable = ctx.executable._oci,
        arguments = [args],
        inputs = ctx.files.srcs + ctx.files.files + [ctx.file.digests],
        outputs = [archive],
        mnemonic = "Chart",
        progress_message = "Packing %{label}",
    )
    return [DefaultInfo(files = depset([archive]))]

_chart_archive = rule(
    implementation = _chart_archive_impl,
    doc = "Writes <name>.tgz.",
    attrs = {
        "chart": attr.string(mandatory = True, doc = "Name of the chart."),
        "digests": attr.label(mandatory = True, allow_single_file = [".json"], doc = "Digests of its images."),
        "files": attr.label_keyed_string_dict(allow_files = True, doc = "Files from elsewhere -> path in the chart."),
        "srcs": attr.label_list(mandatory = True, allow_files = True, doc = "Files of the chart."),
        "_oci": attr.label(default = "//tools/oci:tool", executable = True, cfg = "target", doc = "Packs."),
        "_registry": attr.label(default = "//images:registry", doc = "Registry that the images are pushed below."),
    },
)

def _chart_layout_impl(ctx):
    layout = ctx.actions.declare_directory(ctx.label.name)
    args = ctx.actions.args()
    args.add("chart-layout").add_all("--output", [layout], expand_directories = False).add(ctx.file.chart)
    ctx.actions.run(
        executable = ctx.executable._oci,
        arguments = [args],
        inputs = [ctx.file.chart],
        outputs = [layout],
        mnemonic = "ChartLayout",
    )
    return [DefaultInfo(files = depset([layout]))]

_chart_layout = rule(
    implementation = _chart_layout_impl,
    doc = "Writes the OCI layout of what `helm push` sends.",
    attrs = {
        "chart": attr.label(mandatory = True, allow_single_file = [".tgz"], doc = "The packed chart."),
        "_oci": attr.label(default = "//tools/oci:tool", executable = True, cfg = "target", doc = "Writes."),
    },
)

def fips_chart(name, images, files = {}, visibility = ["//visibility:public"], **kwargs):
    """A Helm chart, packed reproducibly; the folder that it stands in is its name and holds its files.

    Makes :<name>, the archive <name>.tgz; :<name>_oci, the OCI layout by which a registry has it; :<name>_digests, those
    of its images.

    Chart.yaml and values.yaml may say ${registry}, ${image:NAME} (name and digest) and ${version:NAME}; templates take
    images from values alone.

    Args:
      name: target name; the archive is <name>.tgz.
      images: list of names of images under //images that the chart may name.
      files: dict of label -> path in the chart of files that stand elsewhere.
      visibility: of the chart.
      **kwargs: passed on to all targets (tags, testonly, ...).
    """
    image_digests(
        name = name + "_digests",
        images = {"//images/{}:image".format(image): image for image in images},
        visibility = visibility,
        **kwargs
    )
    _chart_archive(
        name = name,
        chart = native.package_name().rpartition("/")[2],
        digests = ":{}_digests".format(name),
        files = files,
        srcs = native.glob([
            "Chart.yaml",
            "templates/**",
            "values.schema.json",
            "values.yaml",
        ]),
        visibility = visibility,
        **kwargs
    )
    _chart_layout(
        name = name + "_oci",
        chart = ":" + name,
        visibility = visibility,
        **kwargs
    )
