"""A program of upstream's that tests run is compiled as what is shipped, so that each package is compiled once for both."""

load("@bazel_skylib//lib:unittest.bzl", "analysistest", "asserts")
load("//rules:defs.bzl", "FipsBinaryInfo")

def _impl(ctx):
    env = analysistest.begin(ctx)
    linked = [
        file
        for action in analysistest.target_actions(env)
        if action.mnemonic.endswith("Symlink")
        for file in action.inputs.to_list()
    ]
    asserts.equals(env, 1, len(linked))
    asserts.equals(env, ctx.attr.shipped[FipsBinaryInfo].binary.root.path, linked[0].root.path)
    asserts.false(env, FipsBinaryInfo in analysistest.target_under_test(env), "an image would take it")
    return analysistest.end(env)

test_program_test = analysistest.make(
    _impl,
    attrs = {"shipped": attr.label(providers = [FipsBinaryInfo], doc = "A shipped program of the same Go version and tags.")},
)
