"""An image of a registry as a repository: Bazel fetches every blob, and compares it with its digest."""

visibility(["//oci"])

_MANIFESTS = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
]

_BUILD = """load("{layout_bzl}", "oci_layout")

oci_layout(
    name = "{name}",
    blobs = {blobs},
    manifest = "{manifest}",
    visibility = ["//visibility:public"],
)
"""

def _hex(what, digest):
    algorithm, _, value = digest.partition(":")
    if algorithm != "sha256" or len(value) != 64:
        fail("{}: {} is no digest. Write sha256: and 64 digits.".format(what, repr(digest)))
    return value

def _oci_pull_impl(rctx):
    reference = "{}@{}".format(rctx.attr.image, rctx.attr.digest)
    image = rctx.attr.image
    scheme = "https"
    if "://" in image:
        scheme, _, image = image.partition("://")
    registry, _, repository = image.partition("/")
    if not repository or "@" in image or ":" in repository:
        fail("oci.pull: image {} must be registry and repository alone. The digest goes into `digest`.".format(repr(rctx.attr.image)))
    base = "{}://{}/v2/{}".format(scheme, registry, repository)

    manifest = "blobs/" + _hex(reference, rctx.attr.digest)
    rctx.download(
        url = "{}/manifests/{}".format(base, rctx.attr.digest),
        headers = {"Accept": _MANIFESTS},
        output = manifest,
        sha256 = _hex(reference, rctx.attr.digest),
    )
    content = json.decode(rctx.read(manifest))
    if "layers" not in content or "config" not in content:
        fail("{} is {}, not one image. Give the digest of the image for one platform.".format(reference, content.get("mediaType", "of unknown kind")))
    blobs = {
        blob["digest"]: "blobs/" + _hex(reference, blob["digest"])
        for blob in [content["config"]] + content["layers"]
    }
    fetches = [
        rctx.download(url = "{}/blobs/{}".format(base, digest), block = False, output = path, sha256 = _hex(reference, digest))
        for digest, path in blobs.items()
    ]
    for fetch in fetches:
        fetch.wait()
    rctx.file("BUILD.bazel", _BUILD.format(
        name = rctx.attr.target_name,
        blobs = json.encode(blobs.values()),
        layout_bzl = Label("//oci/private:layout.bzl"),
        manifest = manifest,
    ))

oci_pull = repository_rule(
    implementation = _oci_pull_impl,
    doc = "The image in the OCI layout @<name>.",
    attrs = {
        "digest": attr.string(mandatory = True, doc = "Digest of the manifest."),
        "image": attr.string(mandatory = True, doc = "Registry and repository."),
        "target_name": attr.string(mandatory = True, doc = "Name of the target."),
    },
)
