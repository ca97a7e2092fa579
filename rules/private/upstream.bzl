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

def _upstream_files_impl(rctx):
    for i, module in enumerate(rctx.attr.modules):
        # Upstream's packages do not export these files, so no label can name them.
        root = rctx.path(module.same_package_label("BUILD.bazel")).dirname
        for name in _FILES:
            file = root.get_child(*name.split("/"))
            if file.exists:
                rctx.file("{}/{}".format(i, name), rctx.read(file), executable = False)
    rctx.file("BUILD.bazel", "".join([
        'filegroup(\n    name = "{}",\n    srcs = glob(["{}"]),\n    visibility = ["//visibility:public"],\n)\n'.format(name, pattern)
        for name, pattern in {"files": "*/**", "go_mods": "*/go.mod"}.items()
    ]))

_upstream_files = repository_rule(
    implementation = _upstream_files_impl,
    doc = "The files of upstream's main modules that say what a component has to be: one folder for each module, by number.",
    attrs = {
        "modules": attr.label_list(mandatory = True, doc = "Repositories of upstream's main modules."),
    },
)

def _upstream_impl(mctx):
    for module in mctx.modules:
        for component in module.tags.component:
            _upstream_files(
                name = component.name + "_upstream",
                modules = component.modules,
            )
    return mctx.extension_metadata(reproducible = True)

upstream = module_extension(
    implementation = _upstream_impl,
    doc = "One repository <component>_upstream for each component: upstream's go.mod, and what names its Go version.",
    tag_classes = {
        "component": tag_class(attrs = {
            "modules": attr.label_list(mandatory = True, doc = "Repositories of upstream's main modules, as go_deps names them."),
            "name": attr.string(mandatory = True, doc = "Name of the component, the folder under //components."),
        }),
    },
)
