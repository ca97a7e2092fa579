"""The provider that rules_go reads a module's package URL from."""

PackageMetadataInfo = provider(
    doc = "Metadata of the package that a repository was made from.",
    fields = {
        "metadata": "File: JSON object with the key `purl`.",
    },
)
