"""Rules: the one door for BUILD files."""

load("@rules_cc//cc:defs.bzl", "cc_binary")
load("@rules_go//go:def.bzl", "go_binary")
load("//rules/private:c_library.bzl", _c_library = "c_library")
load("//rules/private:fips_cc_binary.bzl", _fips_cc_binary = "fips_cc_binary")
load("//rules/private:fips_chart.bzl", _fips_chart = "fips_chart")
load("//rules/private:fips_go_binary.bzl", _fips_go_binary = "fips_go_binary")
load("//rules/private:fips_image.bzl", _fips_image = "fips_image")
load("//rules/private:image_layer.bzl", _image_layer = "image_layer")
load("//rules/private:image_set.bzl", _image_bundle = "image_bundle", _image_digests = "image_digests", _image_push_all = "image_push_all")
load("//rules/private:providers.bzl", _FipsBinaryInfo = "FipsBinaryInfo")
load("//rules/private:test_program.bzl", _test_program = "test_program")
load("//rules/private:tool.bzl", _tool = "tool")
load("//rules/private:tool_test.bzl", "tool_test")
load("//rules/private:verified_image.bzl", _fips_report = "fips_report")

# What may be shipped although a check fails, by whom and until when.
_FIPS_POLICY = Label("//tests/fips:policy.yaml")

FipsBinaryInfo = _FipsBinaryInfo
c_library = _c_library
fips_chart = _fips_chart
fips_image = _fips_image
fips_report = _fips_report
image_bundle = _image_bundle
image_digests = _image_digests
image_layer = _image_layer
image_push_all = _image_push_all
tool = _tool

def go_main(name, embed, visibility = None, **_kwargs):  # buildifier: disable=unused-variable
    """Stands in for go_binary in upstream's packages: opens a main package to fips_go_binary.

    Each component's go_deps maps gazelle's go_binary to this macro.

    Args:
      name: name that gazelle gave the binary.
      embed: list of one label, the main package's library.
      visibility: ignored; //components has to see it.
      **_kwargs: what gazelle says of the binary itself.
    """
    native.alias(
        name = name,
        actual = embed[0],
        visibility = ["//visibility:public"],
    )

def fips_go_binary(
        name,
        main,
        upstream,
        gotags = [],
        mode = "boring",
        tls = True,
        x_defs = {},
        visibility = ["//visibility:public"],
        **kwargs):
    """A shipped Go binary: static, with BoringCrypto, and a test that proves it.

    Makes :<name>, the binary, and :<name>_fips_test; in //components also :<name>_modules_test and, once for the
    component, :upstream_test. Building :<name> fails too unless fipscheck passes.

    Args:
      name: upstream's name of the binary.
      main: label of upstream's main package, as opened by go_main.
      upstream: dict UPSTREAM of the component's upstream.bzl: version, Go version, default GODEBUG.
      gotags: upstream's build tags, which the component's README.md names; netgo and osusergo are always set.
      mode: `boring`, or `none` for a program without any cryptography.
      tls: whether the program links crypto/tls; if so it gets the policy of crypto/tls/fipsonly.
      x_defs: dict of import path and variable -> value, set at link time.
      visibility: of the binary.
      **kwargs: passed on to both targets (tags, testonly, ...).
    """
    go = upstream["go"]
    component = native.package_name().rpartition("/")[2]
    _fips_go_binary(
        name = name,
        component = component,
        go = go,
        gotags = gotags,
        linked = _go_linked(name, main, upstream, tls, x_defs, **kwargs),
        mode = mode,
        version = upstream["version"],
        visibility = visibility,
        **kwargs
    )
    _fips_test(name, component, mode, **kwargs)
    if not native.package_name().startswith("components/"):
        return  # a program of our own: there is no upstream to hold it to
    tool_test(
        name = name + "_modules_test",
        size = "small",
        args = [
            "binary",
            "--tags=" + ",".join(gotags),
            native.package_name(),
            "$(rootpath :{})".format(name),
        ],
        data = [":" + name] + _component_files(),
        tool = Label("//tools/upstreamcheck"),
        visibility = ["//visibility:private"],
        **kwargs
    )
    if not native.existing_rule("upstream_test"):
        _upstream_test(component, go)

def go_test_program(
        name,
        main,
        upstream,
        gotags = [],
        tls = True,
        x_defs = {},
        visibility = None,
        **kwargs):
    """A program of upstream's that tests run: built like fips_go_binary's, with which it shares packages, but without a verdict, so no image takes it.

    Args:
      name: target name.
      main: label of the main package.
      upstream: dict UPSTREAM of the component's upstream.bzl.
      gotags: as fips_go_binary's.
      tls: as fips_go_binary's.
      x_defs: as fips_go_binary's.
      visibility: of the program.
      **kwargs: passed on to both targets (tags, ...).
    """
    _test_program(
        name = name,
        testonly = True,
        go = upstream["go"],
        gotags = gotags,
        linked = _go_linked(name, main, upstream, tls, x_defs, testonly = True, **kwargs),
        visibility = visibility,
        **kwargs
    )

def _go_linked(name, main, upstream, tls, x_defs, **kwargs):
    """Links a program of upstream's, and returns the target's name."""
    linked = name + "_linked"
    go_binary(
        name = linked,
        srcs = [Label("//rules:fipsonly.go")] if tls else [],
        embed = [main],
        # `pure` stays unset: set to "off", rules_go would fail first and say nothing of the fix; fips_go_binary
        # checks what came out of it.
        static = "on",
        # rules_go links no default GODEBUG; the go command derives it from upstream's go.mod.
        x_defs = x_defs | {"runtime.godebugDefault": upstream["godebug"]},
        visibility = ["//visibility:private"],
        # By itself it would be built once more, outside the configuration of what is shipped.
        **(kwargs | {"tags": kwargs.get("tags", []) + ["manual"]})
    )
    return linked

def fips_cc_binary(
        name,
        version,
        srcs,
        copts = [],
        linkopts = [],
        linkshared = False,
        local_defines = [],
        visibility = ["//visibility:public"],
        **kwargs):
    """A shipped C program: static, without cryptography, and a test that proves both.

    Makes :<name>, the program, and :<name>_fips_test. Building :<name> fails too unless fipscheck passes.

    Args:
      name: upstream's name of the program.
      version: upstream's version, as in v3.10.2.
      srcs: list of labels of C files.
      copts: upstream's options for the compiler.
      linkopts: options for the linker.
      linkshared: whether it is a library, for a program of a package to load.
      local_defines: upstream's macros, NAME=value.
      visibility: of the program.
      **kwargs: passed on to all targets (tags, testonly, ...).
    """
    component = native.package_name().rpartition("/")[2]
    linked = name + "_linked"
    cc_binary(
        name = linked,
        srcs = srcs,
        copts = copts,
        linkopts = ["-s"] + linkopts,
        linkshared = linkshared,
        local_defines = local_defines,
        visibility = ["//visibility:private"],
        # By itself it would be built once more, outside the configuration of what is shipped.
        **(kwargs | {"tags": kwargs.get("tags", []) + ["manual"]})
    )
    _fips_cc_binary(
        name = name,
        component = component,
        linked = linked,
        version = version,
        visibility = visibility,
        **kwargs
    )
    _fips_test(name, component, "none", **kwargs)

def _fips_test(name, component, mode, **kwargs):
    """Says as a test what building the program says too: the verdict, in words."""
    tool_test(
        name = name + "_fips_test",
        size = "small",
        args = [
            "--mode",
            mode,
            "--policy",
            "$(rootpath {})".format(_FIPS_POLICY),
            "--artifact",
            "{}/{}".format(component, name),
            "$(rootpath :{})".format(name),
        ],
        data = [
            ":" + name,
            _FIPS_POLICY,
        ],
        tool = Label("//tools/fipscheck/binary"),
        visibility = ["//visibility:private"],
        **kwargs
    )

def _component_files():
    """What of a component's folder its tests compare with upstream."""
    return native.glob(["README.md", "*.MODULE.bazel", "go.mod", "go.sum", "upstream.bzl"], allow_empty = True)

def _upstream_test(component, go):
    """Holds a component to its upstream: modules, Go version, default GODEBUG, build tags."""
    go_command = "@boring_sdk_{}//:bin/go".format(go)
    go_mods = "@{}_upstream//:go_mods".format(component)
    tool_test(
        name = "upstream_test",
        size = "small",
        args = [
            "component",
            "--go",
            "$(rootpath {})".format(go_command),
            native.package_name(),
            "$(rootpaths {})".format(go_mods),
        ],
        data = [
            "@{}_upstream//:files".format(component),
            go_command,
            go_mods,
        ] + _component_files(),
        tool = Label("//tools/upstreamcheck"),
        visibility = ["//visibility:private"],
    )

def upstream_env(upstream):
    """What a component's test compares its programs with.

    Args:
      upstream: dict UPSTREAM of the component's upstream.bzl.

    Returns:
      dict: environment variables UPSTREAM_GO, UPSTREAM_REVISION, UPSTREAM_TIME, UPSTREAM_VERSION.
    """
    return {
        "UPSTREAM_GO": upstream["go"],
        "UPSTREAM_REVISION": upstream["revision"],
        "UPSTREAM_TIME": upstream["time"],
        "UPSTREAM_VERSION": upstream["version"],
    }
