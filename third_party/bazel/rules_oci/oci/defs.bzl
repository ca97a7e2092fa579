"""The part of rules_oci's public interface that this tree uses.

An attribute that rules_oci takes as a file may be given inline: a dict for key=value lines, a list for the others.
"""

load("//oci/private:digest.bzl", "oci_digest")
load("//oci/private:image.bzl", _oci_image = "oci_image")
load("//oci/private:image_index.bzl", _oci_image_index = "oci_image_index")
load("//oci/private:ship.bzl", _oci_load = "oci_load", _oci_push = "oci_push")
load("//oci/private:text.bzl", "text")

# Attributes of every rule, which the targets beside the named one share.
_COMMON = [
    "compatible_with",
    "exec_compatible_with",
    "features",
    "restricted_to",
    "tags",
    "target_compatible_with",
    "testonly",
    "visibility",
]

def _common(kwargs):
    return {key: kwargs[key] for key in _COMMON if key in kwargs}

def _file(name, kind, value, separator, kwargs):
    """A label for the value: the value itself when it is one, else that of a target that writes the lines."""
    if type(value) == type({}):
        value = ["{}={}".format(key, item) for key, item in value.items()]
    if type(value) != type([]):
        return value
    target = "{}_{}".format(name, kind)
    text(
        name = target,
        content = separator.join(value),
        **(_common(kwargs) | {"visibility": ["//visibility:private"]})
    )
    return target

def _arguments(name, kind, value, kwargs):
    if type(value) == type([]):
        value = [argument.replace("\n", "%5Cn") for argument in value]
    return _file(name, kind, value, "\n", kwargs)

def oci_image(
        name,
        annotations = None,
        cmd = None,
        created = None,
        entrypoint = None,
        env = None,
        exposed_ports = None,
        labels = None,
        volumes = None,
        **kwargs):
    """An OCI image; its output is the folder of an OCI layout, and that of :<name>.digest its digest.

    Args:
      name: target name.
      annotations: of the manifest; dict, or a file of key=value lines.
      cmd: list of arguments, or a file with one a line.
      created: file with the time of creation.
      entrypoint: list of arguments, or a file with one a line. Drops the base's cmd.
      env: dict, or a file of NAME=value lines; $NAME stands for what was set before.
      exposed_ports: list, or a file, separated by commas.
      labels: dict, or a file of key=value lines.
      volumes: list, or a file, separated by commas.
      **kwargs: base, tars, user, workdir, os, architecture, variant, and what every rule has.
    """
    _oci_image(
        name = name,
        annotations = _file(name, "annotations", annotations, "\n", kwargs),
        cmd = _arguments(name, "cmd", cmd, kwargs),
        created = created,
        entrypoint = _arguments(name, "entrypoint", entrypoint, kwargs),
        env = _file(name, "env", env, "\n", kwargs),
        exposed_ports = _file(name, "exposed_ports", exposed_ports, ",", kwargs),
        labels = _file(name, "labels", labels, "\n", kwargs),
        volumes = _file(name, "volumes", volumes, ",", kwargs),
        **kwargs
    )
    oci_digest(
        name = name + ".digest",
        image = name,
        out = name + ".json.sha256",
        **_common(kwargs)
    )

def oci_image_index(name, annotations = None, **kwargs):
    """An index over images; its output is the folder of an OCI layout, and that of :<name>.digest its digest.

    Args:
      name: target name.
      annotations: of the index; dict, or a file of key=value lines.
      **kwargs: images, platforms, and what every rule has.
    """
    _oci_image_index(
        name = name,
        annotations = _file(name, "annotations", annotations, "\n", kwargs),
        **kwargs
    )
    oci_digest(
        name = name + ".digest",
        image = name,
        out = name + ".json.sha256",
        **_common(kwargs)
    )

def oci_load(name, repo_tags, **kwargs):
    """`bazel run` loads the image into docker, podman or nerdctl.

    Args:
      name: target name.
      repo_tags: list of repository:tag, or a file with one a line.
      **kwargs: image, loader, and what every rule has.
    """
    _oci_load(
        name = name,
        repo_tags = _file(name, "repo_tags", repo_tags, "\n", kwargs),
        **kwargs
    )

def oci_push(name, remote_tags = None, **kwargs):
    """`bazel run` pushes the image to its repository, by digest, then tags it.

    Args:
      name: target name.
      remote_tags: list of tags, or a file with one a line.
      **kwargs: image, repository, repository_file, and what every rule has.
    """
    _oci_push(
        name = name,
        remote_tags = _file(name, "remote_tags", remote_tags, "\n", kwargs),
        **kwargs
    )
