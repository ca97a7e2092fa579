"""What must not get into an image fails at analysis, and the message says how to mend it."""

load("@bazel_skylib//lib:unittest.bzl", "analysistest", "asserts")
load("@bazel_skylib//rules:common_settings.bzl", "string_flag")
load("//rules:defs.bzl", "image_layer")

# What is wrong -> what the message has to say.
_MISTAKES = {
    "many_files": "Name one file",
    "mode_of_nothing": "which the layer does not hold",
    "owner_by_name": "Write uid:gid",
    "unverified_binary": "has no FIPS verdict, so no image may hold it",
}

def _message_test(mistake):
    def _impl(ctx):
        env = analysistest.begin(ctx)
        asserts.expect_failure(env, _MISTAKES[mistake])
        return analysistest.end(env)

    return analysistest.make(_impl, config_settings = {str(Label(":image_mistake")): mistake}, expect_failure = True)

many_files_fails_test = _message_test("many_files")
mode_of_nothing_fails_test = _message_test("mode_of_nothing")
owner_by_name_fails_test = _message_test("owner_by_name")
unverified_binary_fails_test = _message_test("unverified_binary")

def _when(mistake, wrong, right):
    return select({":image_with_" + mistake: wrong, "//conditions:default": right})

def image_layer_tests(name, program):
    """A layer that is right until :image_mistake is set, and one test for each mistake.

    Args:
      name: name of the suite.
      program: label of a program without a verdict.
    """
    string_flag(
        name = "image_mistake",
        build_setting_default = "",
        values = [""] + _MISTAKES.keys(),
    )
    for mistake in _MISTAKES:
        native.config_setting(
            name = "image_with_" + mistake,
            flag_values = {":image_mistake": mistake},
        )
    native.filegroup(
        name = "two_files",
        srcs = native.glob(["*_test.bzl"]),
    )
    image_layer(
        name = "layer_under_test",
        binaries = _when("unverified_binary", {program: "/bin/program"}, {}),
        files = {"BUILD.bazel": "/etc/file"} | _when("many_files", {":two_files": "/etc/files"}, {}),
        modes = _when("mode_of_nothing", {"/etc/nothing": "0600"}, {}),
        owners = _when("owner_by_name", {"/etc/file": "root:root"}, {}),
    )
    tests = {
        "many_files_fails_test": many_files_fails_test,
        "mode_of_nothing_fails_test": mode_of_nothing_fails_test,
        "owner_by_name_fails_test": owner_by_name_fails_test,
        "unverified_binary_fails_test": unverified_binary_fails_test,
    }
    for test, rule in tests.items():
        rule(name = test, size = "small", target_under_test = ":layer_under_test")
    native.test_suite(name = name, tests = tests.keys())
