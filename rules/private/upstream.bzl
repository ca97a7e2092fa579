"""Upstream's own files, for the test that holds a component to them."""

visibility(["//rules/..."])

# What `upstreamcheck component` looks at: go.mod, and where projects name the Go version of their releases.
_FILES = [
    ".bazelci/buildkite-install-go.sh",
    ".github/env",
    ".github/go-version",
    ".github/workflows/release.yml",
    ".github/workflows/release/Dockerfile",
    ".go-version",
    "Dockerfile",
    "go.mod",
    "metadata.mk",
]

# Lines of a module that name build tags: //go:build lines of its programs, and what its build files say of tags.
_TAG_LINES = """{
    grep -rh --include='*.go' --exclude='*_test.go' '^//go:build ' .
    grep -rhi --include=Makefile --include='Dockerfile*' --include='*.mk' --include='*.sh' tags .
} | LC_ALL=C sort -u
"""

def _tag_lines(rctx, root):
    found = rctx.execute(["sh", "-c", _TAG_LINES], working_directory = str(root))
    if found.return_code != 0:
        fail("{}: looking for build tags in {} failed: {}".format(rctx.name, root, found.stderr))
    return found.stdout

def _upstream_files_impl(rctx):
    # Instead of every file that is read below: another release is another line in it.
    rctx.watch(rctx.attr.go_mod)
    for i, module in enumerate(rctx.attr.modules):
        # Upstream's packages do not export these files, so no label can name them.
        root = rctx.path(module.same_package_label("BUILD.bazel")).dirname
        for name in _FILES:
            file = root.get_child(*name.split("/"))
            if file.exists:
                rctx.file("{}/{}".format(i, name), rctx.read(file), executable = False)
        rctx.file("{}/build_tags.txt".format(i), _tag_lines(rctx, root), executable = False)
    rctx.file("BUILD.bazel", "".join([
        'filegroup(\n    name = "{}",\n    srcs = glob(["{}"]),\n    visibility = ["//visibility:public"],\n)\n'.format(name, pattern)
        for name, pattern in {"files": "*/**", "go_mods": "*/go.mod"}.items()
    ]))

_upstream_files = repository_rule(
    implementation = _upstream_files_impl,
    doc = "The files of upstream's main modules that say what a component has to be, and build_tags.txt, lines that name build tags: one folder for each module, by number.",
    attrs = {
        "go_mod": attr.label(mandatory = True, doc = "The component's go.mod."),
        "modules": attr.label_list(mandatory = True, doc = "Repositories of upstream's main modules."),
    },
)

def _upstream_impl(mctx):
    for module in mctx.modules:
        for component in module.tags.component:
            _upstream_files(
                name = component.name + "_upstream",
                go_mod = Label("//components/{}:go.mod".format(component.name)),
                modules = component.modules,
            )
    return mctx.extension_metadata(reproducible = True)

upstream = module_extension(
    implementation = _upstream_impl,
    doc = "One repository <component>_upstream for each component: upstream's go.mod, what names its Go version, and the build tags that it knows.",
    tag_classes = {
        "component": tag_class(attrs = {
            "modules": attr.label_list(mandatory = True, doc = "Repositories of upstream's main modules, as go_deps names them."),
            "name": attr.string(mandatory = True, doc = "Name of the component, the folder under //components."),
        }),
    },
)
