"""Images: layers, layout, digest, load, push and test in one call."""

load("@rules_oci//oci:defs.bzl", "oci_image", "oci_load", "oci_push")
load(":image_layer.bzl", "image_layer")
load(":image_layers.bzl", "image_layers")
load(":repository.bzl", "repository_file")
load(":tool_test.bzl", "tool_test")
load(":verified_image.bzl", "verified_digest", "verified_image")

visibility(["//rules/..."])

# Where modules live that are not called by their repository.
_REPOSITORIES = {
    "go.etcd.io/": "github.com/etcd-io/",
    "k8s.io/": "github.com/kubernetes/",
    "sigs.k8s.io/": "github.com/kubernetes-sigs/",
}

def _source(module):
    """URL of a module's repository; None for this tree's own module, whose path is no address."""
    if "/" not in module:
        return None
    for prefix, repositories in _REPOSITORIES.items():
        if module.startswith(prefix):
            module = repositories + module.removeprefix(prefix)
            break
    if not module.startswith("github.com/"):
        fail("//{}: the module {} does not say where its repository is. Add its host to _REPOSITORIES in rules/private/fips_image.bzl.".format(native.package_name(), module))
    return "https://" + "/".join(module.split("/")[:3])

def _image_labels(title, version, description, licenses, upstream, others):
    every = [upstream] + others
    go = sorted({each["go"]: None for each in every if "go" in each})
    labels = {"kubefips.go": " ".join(go)} if go else {}
    labels |= {
        "kubefips.module": " ".join(["{}@{}".format(each["module"], each["version"]) for each in every]),
        "org.opencontainers.image.description": description,
        "org.opencontainers.image.licenses": " AND ".join({each: None for each in licenses}.keys()),
        "org.opencontainers.image.title": title,
        "org.opencontainers.image.version": version,
    }
    source = _source(upstream["module"])
    if source:
        labels["org.opencontainers.image.source"] = source
    if upstream["revision"] and not upstream["revision"].startswith("h1:"):
        labels["org.opencontainers.image.revision"] = upstream["revision"]
    return labels

def fips_image(
        name,
        binaries,
        description,
        licenses,
        upstream,
        entrypoint = None,
        others = [],
        version = None,
        bin = "/usr/local/bin",
        capabilities = {},
        contents = "contents.txt",
        layers = [],
        files = {},
        visibility = ["//visibility:public"],
        tags = [],
        testonly = False,
        **kwargs):
    """An image of programs that were proven, and what belongs beside it.

    Makes :<name>, the OCI layout, which fails to build unless fipscheck passes on every file in it; :<name>.digest;
    :<name>_layer, the programs, for images that share them; :load and :push, for `bazel run`; :<name>_test, which compares
    configuration and paths with `contents`. So there is one image a folder, and it is called like the folder.

    Args:
      name: target name.
      binaries: list of labels of fips_go_binary or fips_cc_binary.
      description: what it is for, in a few words; a label of the image.
      licenses: list of SPDX expressions that hold all at once, a label of the image: of upstream and `others`, of the C
        libraries of //third_party/c that programs link, and of Debian's files (//images/base:licenses.bzl). Not of the
        Go modules that upstream links.
      upstream: dict UPSTREAM of the component's upstream.bzl; without `go` where no program is of Go.
      entrypoint: list of str: program and first arguments; none where each user starts another one.
      others: list of dict UPSTREAM of further components in the image.
      version: of the image; upstream's when None.
      bin: folder that the binaries stand in.
      capabilities: dict of name of a binary -> capability that it has whoever starts it.
      contents: file with the image's configuration and every path in it, and none else.
      layers: layers underneath, those that change least first.
      files: dict of label -> path of files that are no programs.
      visibility: of the image.
      tags: of all targets.
      testonly: of all targets.
      **kwargs: passed on to oci_image: cmd, env, exposed_ports, user, volumes, workdir.
    """
    title = native.package_name().rpartition("/")[2]
    version = version or upstream["version"]
    common = {"tags": tags, "testonly": testonly}
    if binaries or files:
        layers = layers + [":{}_layer".format(name)]
        image_layer(
            name = name + "_layer",
            binaries = {binary: "{}/{}".format(bin, native.package_relative_label(binary).name) for binary in binaries},
            capabilities = {"{}/{}".format(bin, binary): capability for binary, capability in capabilities.items()},
            files = files,
            visibility = ["//images:__subpackages__"],
            **common
        )
    image_layers(
        name = name + "_layers",
        layers = layers,
        visibility = ["//visibility:private"],
        **common
    )
    oci_image(
        name = name + "_layout",
        architecture = select({
            "@platforms//cpu:aarch64": "arm64",
            "@platforms//cpu:x86_64": "amd64",
        }),
        entrypoint = entrypoint,
        labels = _image_labels(title, version, description, licenses, upstream, others),
        os = "linux",
        tars = [":{}_layers".format(name)],
        visibility = ["//visibility:private"],
        **(kwargs | common)
    )
    verified_image(
        name = name,
        image = ":{}_layout".format(name),
        layers = layers,
        title = title,
        visibility = visibility,
        **common
    )
    verified_digest(
        name = name + ".digest",
        digest = ":{}_layout.digest".format(name),
        image = ":" + name,
        visibility = visibility,
        **common
    )
    oci_load(
        name = "load",
        image = ":" + name,
        repo_tags = ["kubefips/{}:{}".format(title, version)],
        visibility = visibility,
        **common
    )
    repository_file(
        name = name + "_repository",
        image = title,
        visibility = ["//visibility:private"],
        **common
    )
    oci_push(
        name = "push",
        image = ":" + name,
        remote_tags = [version],
        repository_file = ":{}_repository".format(name),
        visibility = visibility,
        **common
    )
    tool_test(
        name = name + "_test",
        size = "small",
        args = [
            "contents",
            "--layout=$(rootpath :{})".format(name),
            "--digest=$(rootpath :{}.digest)".format(name),
            "--golden=$(rootpath {})".format(contents),
        ],
        data = [contents, name, name + ".digest"],
        tool = Label("//tools/oci"),
        visibility = ["//visibility:private"],
        **(common | {"testonly": True})
    )
