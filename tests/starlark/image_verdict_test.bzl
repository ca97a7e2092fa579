"""Building an image is judging it."""

load("@bazel_skylib//lib:unittest.bzl", "analysistest", "asserts")

def _impl(ctx):
    env = analysistest.begin(ctx)
    verdicts = [
        output
        for action in analysistest.target_actions(env)
        if action.mnemonic == "FipsCheckImage"
        for output in action.outputs.to_list()
    ]
    asserts.equals(env, 1, len(verdicts))

    # What is in this group is made whoever builds the image, and whatever is asked of it.
    validated = analysistest.target_under_test(env)[OutputGroupInfo]["_validation"].to_list()
    asserts.true(env, verdicts[0] in validated, "{} is not among the validations {}".format(verdicts[0], validated))
    return analysistest.end(env)

image_verdict_test = analysistest.make(_impl)
