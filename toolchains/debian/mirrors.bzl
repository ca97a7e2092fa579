"""Where Debian's archives are: DEBIAN_MIRROR, or the machine's apt configuration. Pure functions.

The Go side (//tools/internal/debian) reads the same two sources in the same way.
"""

visibility([
    "//tests/starlark",
    "//toolchains/debian",
])

# The names that an archive's base has in its path, and in locks.
_ARCHIVES = ["debian", "debian-security"]

def parse_mirrors(value):
    """Splits the value of DEBIAN_MIRROR.

    Args:
      value: str, bases of archives separated by commas or white space.

    Returns:
      list of str: bases without a trailing slash, each once.
    """
    bases = []
    for base in value.replace(",", " ").replace("\n", " ").replace("\t", " ").split(" "):
        base = base.rstrip("/")
        if base and base not in bases:
            bases.append(base)
    return bases

def apt_mirrors(files):
    """Reads apt's source lists.

    Args:
      files: dict of file name -> content, of sources.list and sources.list.d.

    Returns:
      list of str: bases of the enabled deb entries with component main; those that name one of
      Debian's archives come first.
    """
    bases = []
    for name, content in files.items():
        if name.endswith(".list"):
            entries = [_one_line(line) for line in content.splitlines()]
        elif name.endswith(".sources"):
            entries = _deb822(content)
        else:
            entries = []
        for entry in entries:
            if "deb" in entry["types"] and "main" in entry["components"]:
                bases += [uri for uri in entry["uris"] if uri.startswith(("http://", "https://"))]
    bases = parse_mirrors(" ".join(bases))
    return [b for b in bases if _archive_of(b)] + [b for b in bases if not _archive_of(b)]

def mirror_urls(mirrors, archive, path):
    """Lists where a file of an archive may be had.

    Args:
      mirrors: list of str, as the functions above return.
      archive: str, `debian` or `debian-security`.
      path: str, relative to the archive's base.

    Returns:
      list of str: URLs, the most likely first. A mirror of another of Debian's archives stands for its
      sibling as well, since they are usually served side by side.
    """
    own = [m for m in mirrors if _archive_of(m) == archive]
    unknown = [m for m in mirrors if not _archive_of(m)]
    siblings = [_sibling(m, archive) for m in mirrors if _archive_of(m) not in (None, archive)]
    return parse_mirrors(" ".join([m + "/" + path for m in own + unknown + siblings]))

def _archive_of(base):
    for part in reversed(base.split("/")[3:]):
        if part in _ARCHIVES:
            return part
    return None

def _sibling(base, archive):
    parts = base.split("/")
    for i in range(len(parts) - 1, 2, -1):
        if parts[i] in _ARCHIVES:
            return "/".join(parts[:i] + [archive] + parts[i + 1:])
    return base

def _one_line(line):
    line = line.partition("#")[0]
    before, bracket, options = line.partition("[")
    if bracket:
        line = before + options.partition("]")[2]
    fields = line.replace("\t", " ").split(" ")
    fields = [f for f in fields if f]
    return {
        "components": fields[3:],
        "types": fields[:1],
        "uris": fields[1:2],
    }

def _deb822(content):
    entries = []
    fields = {}
    field = ""
    for line in content.splitlines() + [""]:
        if not line.strip():
            if fields and fields.get("enabled") != "no":
                entries.append({
                    key: [v for v in fields.get(key, "").split(" ") if v]
                    for key in ["components", "types", "uris"]
                })
            fields = {}
            field = ""
        elif line.startswith("#"):
            pass
        elif line[0] in " \t":
            fields[field] = fields.get(field, "") + " " + line.strip()
        else:
            name, _, value = line.partition(":")
            field = name.strip().lower()
            fields[field] = value.strip().lower() if field == "enabled" else value.strip()
    return entries
