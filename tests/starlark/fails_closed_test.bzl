"""A build that would silently lose BoringCrypto has to fail at analysis, and to say how to mend it."""

load("@bazel_skylib//lib:unittest.bzl", "analysistest", "asserts")
load("//rules/private:fips_cc_binary.bzl", "fips_cc_binary")
load("//rules/private:fips_go_binary.bzl", "fips_go_binary")

_PLATFORMS = "//command_line_option:platforms"

# What is wrong -> (settings, what the message has to say).
_WRONG = {
    "go_as_c": ({}, "is a Go program, which has to be compiled with BoringCrypto"),
    "historical_sdk": ({}, "certificate #4407, which is Historical"),
    "missing_cc_toolchain": ({_PLATFORMS: str(Label(":no_cc_toolchain"))}, "no C++ toolchain resolves"),
    "msan": ({str(Label("@rules_go//go/config:msan")): True}, "go/config:msan makes Go compile its own crypto"),
    "platform_without_cgo": ({_PLATFORMS: str(Label(":no_cgo"))}, "cgo is off on the target platform"),
    "pure": ({str(Label("@rules_go//go/config:pure")): True}, "go/config:pure makes Go compile its own crypto"),
    "race": ({str(Label("@rules_go//go/config:race")): True}, "go/config:race makes Go compile its own crypto"),
    "riscv64": ({_PLATFORMS: str(Label(":linux_riscv64"))}, "linux/amd64 and linux/arm64 only"),
    "unlocked_sdk": ({}, "Go 1.0.0 is not locked"),
    "windows": ({_PLATFORMS: str(Label(":windows_amd64"))}, "exists for Linux only"),
}

def _message_test(settings, message):
    def _impl(ctx):
        env = analysistest.begin(ctx)
        asserts.expect_failure(env, message)
        return analysistest.end(env)

    return analysistest.make(_impl, config_settings = settings, expect_failure = True)

go_as_c_fails_test = _message_test(*_WRONG["go_as_c"])
historical_sdk_fails_test = _message_test(*_WRONG["historical_sdk"])
missing_cc_toolchain_fails_test = _message_test(*_WRONG["missing_cc_toolchain"])
msan_fails_test = _message_test(*_WRONG["msan"])
platform_without_cgo_fails_test = _message_test(*_WRONG["platform_without_cgo"])
pure_fails_test = _message_test(*_WRONG["pure"])
race_fails_test = _message_test(*_WRONG["race"])
riscv64_fails_test = _message_test(*_WRONG["riscv64"])
unlocked_sdk_fails_test = _message_test(*_WRONG["unlocked_sdk"])
windows_fails_test = _message_test(*_WRONG["windows"])

def fails_closed_tests(name, binary, linked):
    """One test for each way to break the build of a FIPS binary.

    Args:
      name: name of the suite.
      binary: label of a fips_go_binary that builds as it stands.
      linked: label of any go_binary.
    """
    tests = {
        "missing_cc_toolchain_fails_test": missing_cc_toolchain_fails_test,
        "msan_fails_test": msan_fails_test,
        "platform_without_cgo_fails_test": platform_without_cgo_fails_test,
        "pure_fails_test": pure_fails_test,
        "race_fails_test": race_fails_test,
        "riscv64_fails_test": riscv64_fails_test,
        "windows_fails_test": windows_fails_test,
    }
    for test, rule in tests.items():
        rule(name = test, size = "small", target_under_test = binary)

    # Wrong uses that are no settings need targets of their own, which only their tests may build.
    for test, rule, go in [
        ("historical_sdk_fails_test", historical_sdk_fails_test, "1.21.13"),
        ("unlocked_sdk_fails_test", unlocked_sdk_fails_test, "1.0.0"),
    ]:
        fips_go_binary(
            name = "{}_go{}".format(name, go),
            component = "none",
            go = go,
            linked = linked,
            tags = ["manual"],
            version = "v0.0.0",
        )
        rule(name = test, size = "small", target_under_test = "{}_go{}".format(name, go))
    go_as_c = name + "_go_as_c"
    fips_cc_binary(
        name = go_as_c,
        component = "none",
        linked = linked,
        tags = ["manual"],
        version = "v0.0.0",
    )
    go_as_c_fails_test(name = "go_as_c_fails_test", size = "small", target_under_test = go_as_c)
    native.test_suite(name = name, tests = tests.keys() + ["go_as_c_fails_test", "historical_sdk_fails_test", "unlocked_sdk_fails_test"])
