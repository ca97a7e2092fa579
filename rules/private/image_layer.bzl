"""Layers of images: reproducible archives in which every program has a verdict."""

load(":providers.bzl", "FipsBinaryInfo", "ImageLayerInfo")

visibility(["//rules/..."])

_EXTENSIONS = {
    "gzip": ".tar.gz",
    "none": ".tar",
    "zstd": ".tar.zst",
}

def _binary_entries(ctx):
    entries = []
    inputs = []
    for target, path in ctx.attr.binaries.items():
        if FipsBinaryInfo not in target:
            fail("{}: {} has no FIPS verdict, so no image may hold it. Build it with fips_go_binary or fips_cc_binary from //rules:defs.bzl.".format(ctx.label, target.label))
        info = target[FipsBinaryInfo]
        entries.append({"mode": "0755", "path": path, "source": info.binary.path, "verdict": info.verdict.path})
        inputs += [info.binary, info.verdict]
    return entries, inputs

def _file_entries(ctx):
    entries = []
    inputs = []
    for target, path in ctx.attr.files.items():
        files = target[DefaultInfo].files.to_list()
        if len(files) != 1:
            fail("{}: {} is {} files, {} can be but one. Name one file.".format(ctx.label, target.label, len(files), path))
        entries.append({"mode": "0644", "path": path, "source": files[0].path})
        inputs += files
    return entries, inputs

def _bundle_entries(ctx):
    entries = []
    inputs = []
    for target, path in ctx.attr.bundles.items():
        parts = sorted(target[DefaultInfo].files.to_list(), key = lambda file: file.basename)
        entries.append({"mode": "0644", "parts": [part.path for part in parts], "path": path})
        inputs += parts
    return entries, inputs

def _tree_entries(ctx):
    return _entries_below(ctx, ctx.attr.trees, {"mode": "0644"})

def _foreign_entries(ctx):
    return _entries_below(ctx, ctx.attr.foreign, {"foreign": True, "mode": "0755"})

def _entries_below(ctx, trees, common):
    """Entries of files that keep their path below a folder of their repository."""
    entries = []
    inputs = []
    for target, root in trees.items():
        for file in target[DefaultInfo].files.to_list():
            # A file of another repository has the short path ../<repository>/<path>.
            path = file.short_path.split("/", 2)[2] if file.short_path.startswith("../") else file.short_path
            if not path.startswith(root + "/"):
                fail("{}: {} of {} is not below {}. Name a folder that all its files are in.".format(ctx.label, path, target.label, root))
            entries.append(common | {"path": path.removeprefix(root), "source": file.path})
            inputs.append(file)
    return entries, inputs

def _with_attributes(ctx, entry):
    """The entry with the mode and owner that the attributes give its path."""
    path = entry["path"]
    uid, _, gid = ctx.attr.owners.get(path, "0:0").partition(":")
    if not uid.isdigit() or not gid.isdigit():
        fail("{}: owner of {} is {}. Write uid:gid, as in 65532:65532.".format(ctx.label, path, ctx.attr.owners[path]))
    return entry | {
        "capability": ctx.attr.capabilities.get(path, ""),
        "gid": int(gid),
        "mode": ctx.attr.modes.get(path, entry["mode"]),
        "uid": int(uid),
    }

def _image_layer_impl(ctx):
    entries = []
    inputs = []
    for read in [_binary_entries, _file_entries, _bundle_entries, _tree_entries, _foreign_entries]:
        more_entries, more_inputs = read(ctx)
        entries += more_entries
        inputs += more_inputs
    entries += [{"mode": "0755", "path": path} for path in ctx.attr.directories]
    entries += [{"link": link, "mode": "0777", "path": path} for path, link in ctx.attr.symlinks.items()]
    paths = {entry["path"]: None for entry in entries}
    for path in ctx.attr.capabilities.keys() + ctx.attr.modes.keys() + ctx.attr.owners.keys():
        if path not in paths:
            fail("{}: `capabilities`, `modes` or `owners` names {}, which the layer does not hold. Remove it, or name the path as above.".format(ctx.label, path))

    spec = ctx.actions.declare_file(ctx.label.name + ".layer.json")
    ctx.actions.write(spec, json.encode_indent({
        "compression": ctx.attr.compression,
        "entries": [_with_attributes(ctx, entry) for entry in entries],
    }))
    layer = ctx.actions.declare_file(ctx.label.name + _EXTENSIONS[ctx.attr.compression])
    args = ctx.actions.args()
    args.add("layer").add("--spec", spec).add("--output", layer)
    ctx.actions.run(
        executable = ctx.executable._oci,
        arguments = [args],
        inputs = [spec] + inputs,
        outputs = [layer],
        mnemonic = "ImageLayer",
        progress_message = "Packing %{label}",
    )
    return [
        DefaultInfo(files = depset([layer])),
        ImageLayerInfo(verdicts = depset([target[FipsBinaryInfo].verdict for target in ctx.attr.binaries])),
    ]

image_layer = rule(
    implementation = _image_layer_impl,
    doc = "A reproducible layer. A program of ours gets in through `binaries` alone, and only with its verdict.",
    attrs = {
        "binaries": attr.label_keyed_string_dict(doc = "Targets of fips_go_binary or fips_cc_binary -> path in the image."),
        "bundles": attr.label_keyed_string_dict(allow_files = True, doc = "Files, by name one after the other -> path of the one file that they make up."),
        "capabilities": attr.string_dict(doc = "Path of a program -> capability that it has whoever starts it, as in cap_net_bind_service."),
        "compression": attr.string(values = _EXTENSIONS.keys(), default = "gzip", doc = "Of the archive."),
        "directories": attr.string_list(doc = "Empty folders; those above a path need no mention."),
        "files": attr.label_keyed_string_dict(allow_files = True, doc = "Files that are no programs -> path in the image."),
        "foreign": attr.label_keyed_string_dict(allow_files = True, doc = "Programs and libraries of pinned packages -> folder, in their repository, that is the image's root. The image's verdict judges them; tests/fips/policy.yaml says which may be there."),
        "modes": attr.string_dict(doc = "Path -> octal mode, where it is not 0755 for programs and folders, 0644 for files."),
        "owners": attr.string_dict(doc = "Path -> uid:gid, where it is not 0:0."),
        "symlinks": attr.string_dict(doc = "Path in the image -> target of the link."),
        "trees": attr.label_keyed_string_dict(allow_files = True, doc = "Files that are no programs -> folder, in their repository, that is the image's root."),
        "_oci": attr.label(default = "//tools/oci:tool", executable = True, cfg = "target", doc = "Writes the layer."),
    },
)
