"""Debian packages and sources by the locks beside this file, as Bazel repositories.

Packages are unpacked, never installed: no maintainer script runs. What is unpacked is what the lock's
sha256 names; where it comes from does not matter.
"""

load("@gazelle//internal:contents_cache.bzl", "contents_cache")
load(":mirrors.bzl", "apt_mirrors", "mirror_urls", "parse_mirrors")

visibility(["//rules/..."])

_SELF = Label("//toolchains/debian:debian.bzl")
_LOCK = "//toolchains/debian:{}.lock.json"

_RELOCK = "If the archive has replaced it by a newer one, run `go run ./tools/update debian`, or add an archive that keeps old packages to DEBIAN_MIRROR. If its checksum is another, the line or what the archive serves is wrong: restore the file from git, or set DEBIAN_MIRROR to another archive."

_BUILD_FILE = attr.label(mandatory = True, allow_single_file = True, doc = "The repository's BUILD file.")

def _mirrors(rctx):
    value = rctx.getenv("DEBIAN_MIRROR") or ""
    mirrors = parse_mirrors(value)
    if mirrors:
        return mirrors
    files = [rctx.path("/etc/apt/sources.list")]
    parts = rctx.path("/etc/apt/sources.list.d")
    if parts.exists:
        files += sorted(parts.readdir(watch = "no"), key = str)

    # Not watched: where a file comes from does not change what it is.
    mirrors = apt_mirrors({
        file.basename: rctx.read(file, watch = "no")
        for file in files
        if file.exists
    })
    if not mirrors:
        fail("no Debian archive is known: set DEBIAN_MIRROR to the base of one (the URL above dists/ and pool/), or several separated by commas. There is no enabled deb entry with component main in /etc/apt/sources.list or /etc/apt/sources.list.d either.")
    return mirrors

def _read_lock(rctx, lock):
    path = rctx.path(lock)
    if not path.exists:
        fail("{}: there is no such lock; sets are defined in //toolchains/debian:sets.yaml and locked by `bazel run //tools/update -- debian`.".format(lock))
    return json.decode(rctx.read(path))

def _download(rctx, lock, downloads):
    """Downloads files in parallel.

    Args:
      rctx: repository_ctx.
      lock: Label of the lock, for messages.
      downloads: list of struct(file, output, what): the lock's file entry, where to put it, and what
        it is for people.
    """
    mirrors = _mirrors(rctx)
    pending = []
    for d in downloads:
        urls = mirror_urls(mirrors, d.file["archive"], d.file["path"])
        pending.append((d, urls, rctx.download(
            allow_fail = True,
            block = False,
            output = d.output,
            sha256 = d.file["sha256"],
            url = urls,
        )))
    for d, urls, token in pending:
        if not token.wait().success:
            fail("{}/{}:{}: {} with the sha256 of this line, {}, could not be had from\n  {}\nThe warnings above say why. {}".format(
                lock.package,
                lock.name,
                rctx.read(lock).partition(d.file["sha256"])[0].count("\n") + 1,
                d.what,
                d.file["sha256"],
                "\n  ".join(urls),
                _RELOCK,
            ))

def _extract_member(rctx, folder, stem, output):
    members = [p for p in rctx.path(folder).readdir() if p.basename.startswith(stem)]
    if len(members) != 1:
        fail("{}: expected one {}*, found {}".format(folder, stem, members))
    rctx.extract(members[0], output = output)

def _debian_packages_impl(rctx):
    cached = contents_cache(rctx, [_SELF, rctx.attr.build_file] + rctx.attr.locks + rctx.attr.scripts.keys())
    if cached.taken:
        return
    for lock in rctx.attr.locks:
        content = _read_lock(rctx, lock)
        downloads = []
        for package in content["packages"]:
            what = "Debian package {name} {version} ({architecture})".format(**package)
            downloads.append(struct(
                architectures = content["set"]["architectures"] if package["architecture"] == "all" else [package["architecture"]],
                file = package,
                output = "_/{name}_{architecture}.deb".format(**package),
                what = what,
            ))
        _download(rctx, lock, downloads)
        for d in downloads:
            unpacked = d.output.removesuffix(".deb")
            rctx.extract(d.output, output = unpacked)
            for architecture in d.architectures:
                _extract_member(rctx, unpacked, "data.tar", architecture)
            rctx.delete(unpacked)
        rctx.delete("_")
    for path in rctx.attr.exclude:
        rctx.delete(path)
    for script, paths in rctx.attr.scripts.items():
        for path in paths.split(" "):
            rctx.file(path, rctx.read(script), executable = True)
    rctx.file("BUILD.bazel", rctx.read(rctx.attr.build_file))
    cached.keep()

_debian_packages = repository_rule(
    implementation = _debian_packages_impl,
    doc = "The packages of one or more sets, unpacked over each other into a folder for each architecture.",
    attrs = {
        "build_file": _BUILD_FILE,
        "exclude": attr.string_list(doc = "Files and folders to leave out, as in amd64/usr/share/doc."),
        "locks": attr.label_list(mandatory = True, allow_files = [".lock.json"], doc = "Locks of the sets."),
        "scripts": attr.label_keyed_string_dict(allow_files = True, doc = "Script -> where copies of it stand in the repository, separated by spaces."),
    },
    environ = ["DEBIAN_MIRROR"],
)

def _debian_source_impl(rctx):
    lock = rctx.attr.lock
    cached = contents_cache(rctx, [_SELF, rctx.attr.build_file, lock] + rctx.attr.patches)
    if cached.taken:
        return
    sources = [s for s in _read_lock(rctx, lock)["sources"] if s["name"] == rctx.attr.source]
    if len(sources) != 1:
        fail("{}: {} is not locked; add it to its set in //toolchains/debian:sets.yaml and run `bazel run //tools/update -- debian`.".format(lock, rctx.attr.source))
    files = sources[0]["files"]
    what = "Debian source {name} {version}".format(**sources[0])
    _download(rctx, lock, [
        struct(file = f, output = "_/" + f["path"].rpartition("/")[2], what = "{} ({})".format(what, f["path"]))
        for f in files
    ])
    for f in files:
        name = f["path"].rpartition("/")[2]
        if ".orig.tar." in name:
            # The folder inside has a name of upstream's choice, usually with the version.
            rctx.extract("_/" + name, output = "_/orig")
            folders = rctx.path("_/orig").readdir()
            if len(folders) != 1:
                fail("{}: expected one folder in {}, found {}".format(what, name, folders))
            rctx.extract("_/" + name, stripPrefix = folders[0].basename)
        elif ".debian.tar." in name:
            rctx.extract("_/" + name)
    rctx.delete("_")
    patch = rctx.which("patch")
    if not patch:
        fail("{}: Debian's patches need the program patch, which is not on this machine; install it, or use tools/bazel.".format(what))
    for file in ["debian/patches/" + name for name in _series(rctx)] + rctx.attr.patches:
        # Bazel's own patching refuses hunks that have moved by a line, as some of Debian's have.
        patched = rctx.execute([patch, "--strip=1", "--fuzz=0", "--batch", "--input", rctx.path(file)])
        if patched.return_code != 0:
            fail("{}: {} does not apply:\n{}{}".format(what, file, patched.stdout, patched.stderr))

    # Upstream's own BUILD files would hide what is below them.
    rctx.delete("BUILD")
    rctx.file("BUILD.bazel", rctx.read(rctx.attr.build_file))
    cached.keep()

def _series(rctx):
    series = rctx.path("debian/patches/series")
    if not series.exists:
        return []
    lines = [line.partition("#")[0].strip() for line in rctx.read(series).splitlines()]
    return [line for line in lines if line]

_debian_source = repository_rule(
    implementation = _debian_source_impl,
    doc = "One source package: upstream's files with Debian's patches applied, and ours after them.",
    attrs = {
        "build_file": _BUILD_FILE,
        "lock": attr.label(mandatory = True, allow_single_file = [".lock.json"], doc = "Lock of the set."),
        "patches": attr.label_list(allow_files = [".patch"], doc = "Patches with a/ and b/ prefixes."),
        "source": attr.string(mandatory = True, doc = "Name of the source package."),
    },
    environ = ["DEBIAN_MIRROR"],
)

def _debian_impl(mctx):
    for module in mctx.modules:
        for tag in module.tags.packages:
            _debian_packages(
                name = tag.name,
                build_file = tag.build_file,
                exclude = tag.exclude,
                locks = [Label(_LOCK.format(set)) for set in tag.sets],
                scripts = tag.scripts,
            )
        for tag in module.tags.source:
            _debian_source(
                name = tag.name,
                build_file = tag.build_file,
                lock = Label(_LOCK.format(tag.set)),
                patches = tag.patches,
                source = tag.source or tag.name,
            )
    return mctx.extension_metadata(reproducible = True)

_packages = tag_class(
    doc = "A repository with the packages of sets, unpacked into <architecture>/.",
    attrs = {
        "build_file": attr.label(mandatory = True, doc = "The repository's BUILD file."),
        "exclude": attr.string_list(doc = "Files and folders to leave out, as in amd64/usr/share/doc."),
        "name": attr.string(mandatory = True, doc = "Name of the repository."),
        "scripts": attr.label_keyed_string_dict(doc = "Script -> where copies of it stand in the repository, separated by spaces."),
        "sets": attr.string_list(mandatory = True, doc = "Sets of //toolchains/debian:sets.yaml."),
    },
)

_source = tag_class(
    doc = "A repository with one source package, Debian's patches applied.",
    attrs = {
        "build_file": attr.label(mandatory = True, doc = "The repository's BUILD file."),
        "name": attr.string(mandatory = True, doc = "Name of the repository."),
        "patches": attr.label_list(doc = "Patches of ours, applied after Debian's."),
        "set": attr.string(default = "c_sources", doc = "Set of //toolchains/debian:sets.yaml that has the source."),
        "source": attr.string(doc = "Name of the source package; the repository's name when empty."),
    },
)

debian = module_extension(
    implementation = _debian_impl,
    doc = "Repositories of Debian packages and sources, by the locks in //toolchains/debian.",
    tag_classes = {
        "packages": _packages,
        "source": _source,
    },
)
