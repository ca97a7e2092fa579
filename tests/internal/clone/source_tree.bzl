"""This source tree as inputs of a test, for a second Bazel: an archive of each part.

A test runs again when a part that it names has changed, and its Bazel does not find what it did not name.
"""

visibility(["//tests/..."])

_WHOLE = ["rules", "third_party", "toolchains"]

# One archive for each folder in these.
_SPLIT = ["charts", "components", "images", "tests", "tools"]

# What every build needs, beside the root's own files.
_ALWAYS = _WHOLE + [
    "tests/fips",
    "tools/bazelroot",
    "tools/fipscheck",
    "tools/internal",
    "tools/oci",
]

def source_tree(*folders):
    """The data of a test that runs a second Bazel.

    Args:
      *folders: what it builds, as in "components/etcd"; what every build needs is there without being named.
    Returns:
      Labels of archives, for clone.New.
    """
    return ["@source_tree//:{}.tar".format(name) for name in ("root",) + tuple(_ALWAYS) + folders]

def _archive(rctx, name, paths):
    # The same bytes for the same content: no time, no owner, no umask.
    made = rctx.execute([
        "tar",
        "--create",
        "--file={}".format(rctx.path(name + ".tar")),
        "--directory={}".format(rctx.workspace_root),
        "--hard-dereference",
        "--sort=name",
        "--format=gnu",
        "--mtime=@0",
        "--owner=0",
        "--group=0",
        "--numeric-owner",
        "--mode=u=rwX,go=rX",
        "--",
    ] + sorted(paths))
    if made.return_code:
        fail("//tests/internal/clone:source_tree.bzl: archive of {}: {}".format(name, made.stderr))

def _files(rctx, folder):
    """The files of a folder, not of those in it."""
    files = []
    for entry in rctx.path(folder).readdir():
        # Not Bazel's links, a worktree's link to git, what is one user's own, or what no build reads.
        if entry.exists and not entry.is_dir and entry.basename not in [".git", "user.bazelrc"] and not entry.basename.endswith(".md"):
            rctx.watch(entry)
            files.append(entry.basename)
    return files

def _source_tree_impl(rctx):
    root = rctx.workspace_root
    for folder in _WHOLE + _SPLIT:
        rctx.watch_tree(root.get_child(folder))
    rctx.execute(["mkdir"] + _SPLIT)
    rctx.file("BUILD.bazel", """exports_files(glob(["**/*.tar"]), visibility = ["//visibility:public"])""")

    for folder in _WHOLE:
        _archive(rctx, folder, [folder])
    top = _files(rctx, root)
    for folder in _SPLIT:
        top += ["{}/{}".format(folder, name) for name in _files(rctx, root.get_child(folder))]
        for entry in root.get_child(folder).readdir():
            if entry.is_dir:
                path = "{}/{}".format(folder, entry.basename)
                _archive(rctx, path, [path])

    # MODULE.bazel includes these, whatever is built.
    for line in rctx.read(root.get_child("MODULE.bazel")).splitlines():
        if line.startswith("include(\"//"):
            path = line.split("\"")[1].removeprefix("//").replace(":", "/")
            if path not in top:
                top.append(path)
    _archive(rctx, "root", top)

source_tree_repository = repository_rule(
    implementation = _source_tree_impl,
    doc = "Archives of this source tree, made again when it changes.",
)
