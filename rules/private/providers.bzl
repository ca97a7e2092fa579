"""Providers of the FIPS rules."""

visibility(["//rules/...", "//tests/..."])

FipsBinaryInfo = provider(
    doc = "A shipped program together with what was measured on it. Images accept nothing without it.",
    fields = {
        "binary": "File: the static ELF executable.",
        "component": "str: name of the component, the folder under //components.",
        "mode": "str: declared cryptography, `boring` or `none`; the verdict proves it.",
        "verdict": "File: fipscheck's report on the binary, JSON; its action fails unless every check passes.",
        "version": "str: upstream's version, as in v3.7.3.",
    },
)

FipsImageInfo = provider(
    doc = "What was measured on an image and on the programs in it.",
    fields = {"verdicts": "depset of File: fipscheck's reports, JSON."},
)

ImageLayerInfo = provider(
    doc = "What a layer of an image brings along beside its archive.",
    fields = {"verdicts": "depset of File: fipscheck's reports on the programs in it, JSON."},
)
