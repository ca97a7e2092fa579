"""Programs that take an image elsewhere: to a container engine, to a registry."""

load(":tool.bzl", "OCI")

visibility(["//oci"])

def _runfile(ctx, file):
    """How the program finds a file among its runfiles, wherever it is started from."""
    path = file.short_path
    return "runfile:" + (path[len("../"):] if path.startswith("../") else ctx.workspace_name + "/" + path)

def _program(ctx, args, files):
    """The tool under the target's name, with its arguments in a file beside it."""
    executable = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.symlink(output = executable, target_file = ctx.executable._oci, is_executable = True)
    arguments = ctx.actions.declare_file(ctx.label.name + ".args.json")
    ctx.actions.write(arguments, json.encode(args))
    return DefaultInfo(
        executable = executable,
        files = depset([executable, arguments]),
        runfiles = ctx.runfiles(files + [executable, arguments]).merge(ctx.attr._oci[DefaultInfo].default_runfiles),
    )

def _oci_load_impl(ctx):
    args = ["load", "--layout", _runfile(ctx, ctx.file.image), "--tags-file", _runfile(ctx, ctx.file.repo_tags)]
    files = [ctx.file.image, ctx.file.repo_tags]
    if ctx.executable.loader:
        args += ["--loader", _runfile(ctx, ctx.executable.loader)]
        files.append(ctx.executable.loader)

    tarball = ctx.actions.declare_file(ctx.label.name + ".tar")
    tar_args = ctx.actions.args()
    tar_args.add("load")
    tar_args.add_all(["--layout", ctx.file.image], expand_directories = False)
    tar_args.add("--tags-file", ctx.file.repo_tags).add("--output", tarball)
    ctx.actions.run(
        executable = ctx.executable._oci,
        arguments = [tar_args],
        inputs = [ctx.file.image, ctx.file.repo_tags],
        outputs = [tarball],
        mnemonic = "OCITarball",
    )
    return [
        _program(ctx, args, files),
        OutputGroupInfo(tarball = depset([tarball])),
    ]

oci_load = rule(
    implementation = _oci_load_impl,
    doc = "Loads an image into a container engine; output group `tarball` is the archive that it takes.",
    executable = True,
    attrs = {
        "image": attr.label(mandatory = True, allow_single_file = True, doc = "The image."),
        "loader": attr.label(executable = True, cfg = "target", allow_files = True, doc = "Program to load with, in place of docker, podman or nerdctl."),
        "repo_tags": attr.label(mandatory = True, allow_single_file = [".txt"], doc = "File with one repository:tag a line."),
        "_oci": OCI,
    },
)

def _oci_push_impl(ctx):
    if bool(ctx.attr.repository) == bool(ctx.attr.repository_file):
        fail("{}: give exactly one of `repository` and `repository_file`.".format(ctx.label))
    if "@" in ctx.attr.repository or ":" in ctx.attr.repository.rpartition("/")[2]:
        fail("{}: `repository` must have neither digest nor tag, but is {}. Tags go into `remote_tags`.".format(ctx.label, ctx.attr.repository))
    args = ["push", "--layout", _runfile(ctx, ctx.file.image)]
    files = [ctx.file.image]
    if ctx.attr.repository:
        args += ["--repository", ctx.attr.repository]
    else:
        args += ["--repository-file", _runfile(ctx, ctx.file.repository_file)]
        files.append(ctx.file.repository_file)
    if ctx.file.remote_tags:
        args += ["--tags-file", _runfile(ctx, ctx.file.remote_tags)]
        files.append(ctx.file.remote_tags)
    return [_program(ctx, args, files)]

oci_push = rule(
    implementation = _oci_push_impl,
    doc = "Pushes an image or index to a registry.",
    executable = True,
    attrs = {
        "image": attr.label(mandatory = True, allow_single_file = True, doc = "The image or index."),
        "remote_tags": attr.label(allow_single_file = True, doc = "File with one tag a line."),
        "repository": attr.string(doc = "Repository, with neither tag nor digest."),
        "repository_file": attr.label(allow_single_file = True, doc = "File with the repository."),
        "_oci": OCI,
    },
)
