"""The rule that gazelle writes into every Go repository."""

load("//providers:package_metadata_info.bzl", "PackageMetadataInfo")

def _package_metadata_impl(ctx):
    out = ctx.actions.declare_file(ctx.label.name + ".json")
    ctx.actions.write(out, json.encode({"purl": ctx.attr.purl}))
    return [
        DefaultInfo(files = depset([out])),
        PackageMetadataInfo(metadata = out),
    ]

_package_metadata = rule(
    implementation = _package_metadata_impl,
    doc = "Writes a repository's package URL to a file.",
    attrs = {
        "purl": attr.string(mandatory = True, doc = "Package URL, as in pkg:golang/module@version?checksum=h1:..."),
    },
)

def package_metadata(name, purl, visibility = None):
    """Declares the package URL of the repository it stands in.

    Args:
      name: target name.
      purl: package URL of the repository.
      visibility: as for every rule.
    """
    _package_metadata(
        name = name,
        purl = purl,
        # A target of the repository would inherit the repository's default metadata, which is this target.
        applicable_licenses = [],
        visibility = visibility,
    )
