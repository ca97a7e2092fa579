"""The program that does the work of every rule here."""

visibility(["//oci/private"])

OCI = attr.label(
    default = "@kubefips//tools/oci:tool",
    executable = True,
    # It has a configuration of its own, the one of every tool there; from "exec" it would be compiled once more.
    cfg = "target",
    doc = "Builds, pushes and loads images.",
)
