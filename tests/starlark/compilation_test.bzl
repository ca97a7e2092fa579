"""A package is compiled on one processor, and without what only the linker reads of the standard library."""

load("@bazel_skylib//lib:unittest.bzl", "analysistest", "asserts")

def _impl(ctx):
    env = analysistest.begin(ctx)
    actions = {action.mnemonic: action for action in analysistest.target_actions(env)}
    for mnemonic, want in {"GoCompilePkg": ["pkg"], "GoLink": ["link", "pkg"]}.items():
        got = [file.basename for file in actions[mnemonic].inputs.to_list() if file.dirname.endswith("/stdlib_")]
        asserts.equals(env, want, sorted(got), "what {} reads of the standard library".format(mnemonic))

    # The compiler's flags are one argument of rules_go's builder.
    words = " ".join(actions["GoCompilePkg"].argv).split(" ")
    asserts.true(env, "-c=1" in words, "a compilation takes all processors, and Bazel plans one: .bazelrc")
    return analysistest.end(env)

compilation_test = analysistest.make(_impl)
