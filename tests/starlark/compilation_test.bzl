"""A package is compiled on one processor, and without what only the linker reads of the standard library."""

load("@bazel_skylib//lib:unittest.bzl", "analysistest", "asserts")

def _impl(ctx):
    env = analysistest.begin(ctx)
    actions = {action.mnemonic: action for action in analysistest.target_actions(env)}
    for mnemonic, want in {"GoCompilePkg": ["pkg"], "GoLink": ["link", "pkg"]}.items():
        got = [file.basename for file in actions[mnemonic].inputs.to_list() if file.dirname.endswith("/stdlib_")]
        asserts.equals(env, want, sorted(got), "what {} reads of the standard library".format(mnemonic))

    flags = [arg for arg in actions["GoCompilePkg"].argv if "-dwarf" in arg]
    asserts.equals(env, ["-dwarf=false -c=1"], flags)
    return analysistest.end(env)

compilation_test = analysistest.make(_impl)
