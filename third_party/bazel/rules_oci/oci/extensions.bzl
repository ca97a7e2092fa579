"""The module extension of rules_oci: images of registries as repositories.

    oci = use_extension("@rules_oci//oci:extensions.bzl", "oci")
    oci.pull(
        name = "etcd",
        digest = "sha256:...",
        image = "registry.example/team/etcd",
    )
    use_repo(oci, "etcd")

@etcd is then the image, for `base` of oci_image. Images of several platforms (an index) and tags are not taken here.
Credentials come from Bazel: --credential_helper, or a netrc file.
"""

load("//oci/private:pull.bzl", "oci_pull")

_pull = tag_class(
    doc = "An image of a registry.",
    attrs = {
        "digest": attr.string(mandatory = True, doc = "Digest of the image's manifest, sha256:<hex>."),
        "image": attr.string(mandatory = True, doc = "Registry and repository, without a tag; http:// before it for one without TLS."),
        "name": attr.string(mandatory = True, doc = "Name of the repository."),
    },
)

def _oci_impl(ctx):
    for module in ctx.modules:
        for pull in module.tags.pull:
            oci_pull(name = pull.name, digest = pull.digest, image = pull.image, target_name = pull.name)
    return ctx.extension_metadata(reproducible = True)

oci = module_extension(
    implementation = _oci_impl,
    doc = "Images of registries.",
    tag_classes = {"pull": _pull},
)
