"""Images are held to kubefips's policy and its report by its program."""

def _fips_verdict_impl(ctx):
    verdict = ctx.actions.declare_file(ctx.label.name + ".json")
    args = ctx.actions.args()
    args.add("image").add("--policy", ctx.file._policy).add("--artifact", "images/" + ctx.attr.image.label.name)
    report = [file for file in ctx.files._report if file.basename == "fips_report.json"]
    args.add_all(report, before_each = "--verdicts")
    args.add("--output", "json").add("--output-file", verdict)
    args.add_all([ctx.file.image], expand_directories = False)
    ctx.actions.run(
        executable = ctx.executable._fipscheck,
        arguments = [args],
        inputs = [ctx.file.image, ctx.file._policy] + report,
        outputs = [verdict],
        mnemonic = "FipsCheck",
    )
    return [DefaultInfo(files = depset([verdict]))]

fips_verdict = rule(
    implementation = _fips_verdict_impl,
    doc = "The verdict on every file of an image; fails unless it passes.",
    attrs = {
        "image": attr.label(mandatory = True, allow_single_file = True, doc = "OCI layout."),
        "_fipscheck": attr.label(default = "@kubefips//tools/fipscheck", executable = True, cfg = "target", doc = "Judges."),
        "_policy": attr.label(default = "@kubefips//tests/fips:policy.yaml", allow_single_file = True, doc = "What is excused."),
        "_report": attr.label(default = "@kubefips//:fips_report", doc = "The verdicts on all that kubefips ships."),
    },
)
