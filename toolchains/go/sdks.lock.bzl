"""Go SDKs by version. Written by `bazel run //tools/update -- go <version>`; do not edit."""

GO_SDKS = {
    "1.21.13": {
        "h1": "h1:THKeCuuOK6mnQhbTbvvH9CKU3D4lwUERQax+yRXCVJk=",
        "sha256": "f3568bbc73073440d4e7e2093e37ccc84d1d852454c7bf5e044e809179ea7ab7",
        "boringcrypto": {
            "amd64": "c1dd71f0ea77e385796db11102c461896ee0824825c773979751983e2bf49912",
            "arm64": "4f1a0b9d005dde3b56b3fb11237b107d6aa91fcd0743c5503c11da12a71a5866",
        },
        "certificate": "4407",
    },
    "1.22.12": {
        "h1": "h1:Hdh4VJAlDWzMnhKpqDwqJJr+sE7NgsJ86dyR4wrv2oY=",
        "sha256": "d426bcf50497ae8665e741482aba04fc12782e8860857229d4005dcc480fd89b",
        "boringcrypto": {
            "amd64": "c1dd71f0ea77e385796db11102c461896ee0824825c773979751983e2bf49912",
            "arm64": "4f1a0b9d005dde3b56b3fb11237b107d6aa91fcd0743c5503c11da12a71a5866",
        },
        "certificate": "4407",
    },
    "1.23.12": {
        "h1": "h1:CQZ55qhuGAYcgv4npnr3DsfZP3i8URMjkpv7TYHRIH4=",
        "sha256": "7bf9a01c191c452bf1fa9266a547abe0e437ff46d16adc9ec55fcc4fea24c121",
        "boringcrypto": {
            "amd64": "c1dd71f0ea77e385796db11102c461896ee0824825c773979751983e2bf49912",
            "arm64": "4f1a0b9d005dde3b56b3fb11237b107d6aa91fcd0743c5503c11da12a71a5866",
        },
        "certificate": "4407",
    },
    "1.24.5": {
        "h1": "h1:J3XiuBIiVPnlfCSOjkv8AGhrPIL7w6Y66uTTos547f8=",
        "sha256": "b10ba2160d4c5132f25709331d80d35b6ccc31136eeda584dd7ff5fc40514f2f",
        "boringcrypto": {
            "amd64": "2ace5a99ae43b388845592472026b0225cf1f07c9b28124c23f0f3fef77f0210",
            "arm64": "396762b4e072e0d9dd1668a9c6fbb2fae3226d5e4c26a8b09cf871ee53b9ca72",
        },
        "certificate": "4735",
    },
    "1.24.9": {
        "h1": "h1:XCaHFxbYbAFzirf0FlQ6XUJ3WM+yR7FdDHZvREoPVDI=",
        "sha256": "2a683c9c1d65a0e221519c21850a3ed5fe5ff287d39d74e35e4af7ceb9e333b2",
        "boringcrypto": {
            "amd64": "2ace5a99ae43b388845592472026b0225cf1f07c9b28124c23f0f3fef77f0210",
            "arm64": "396762b4e072e0d9dd1668a9c6fbb2fae3226d5e4c26a8b09cf871ee53b9ca72",
        },
        "certificate": "4735",
    },
    "1.25.0": {
        "h1": "h1:wVC9wx2XOcP5gHiN8ZzfyTfjlrDLSS7Hu1wjI01n68U=",
        "sha256": "891083c63e4d7a5020bdaa1911a9c5a1a966b993d9d3c1137d1727be04435e02",
        "boringcrypto": {
            "amd64": "2ace5a99ae43b388845592472026b0225cf1f07c9b28124c23f0f3fef77f0210",
            "arm64": "396762b4e072e0d9dd1668a9c6fbb2fae3226d5e4c26a8b09cf871ee53b9ca72",
        },
        "certificate": "4735",
    },
    "1.25.12": {
        "h1": "h1:AipLNAZSwISqkbKBzTKHeWQG/R608fShRbc3RaxOL38=",
        "sha256": "d9d4a1114c4c1f65e8e226c7b2f2f556e821c1d0c1740a244ef2bc42fb00c5ad",
        "boringcrypto": {
            "amd64": "2ace5a99ae43b388845592472026b0225cf1f07c9b28124c23f0f3fef77f0210",
            "arm64": "396762b4e072e0d9dd1668a9c6fbb2fae3226d5e4c26a8b09cf871ee53b9ca72",
        },
        "certificate": "4735",
    },
    "1.26.2": {
        "h1": "h1:mCBp0gCL9gQVqXpC60jQ7R46JDxL73qeF8hv6SnV2ss=",
        "sha256": "5c28763f43da5409ea590cf3c3fb1442c6c4e668d8f6af8c44a621a23f39a006",
        "boringcrypto": {
            "amd64": "2ace5a99ae43b388845592472026b0225cf1f07c9b28124c23f0f3fef77f0210",
            "arm64": "396762b4e072e0d9dd1668a9c6fbb2fae3226d5e4c26a8b09cf871ee53b9ca72",
        },
        "certificate": "4735",
    },
    "1.26.4": {
        "h1": "h1:wAoHYF9gHXZdyCyZT4yuWhbjdIC/Iv5dpQsE+H3FgGU=",
        "sha256": "0221cfe82f9c88c717677cb5c1f59f598d177cd7eac18c11f90ae29432d356f9",
        "boringcrypto": {
            "amd64": "2ace5a99ae43b388845592472026b0225cf1f07c9b28124c23f0f3fef77f0210",
            "arm64": "396762b4e072e0d9dd1668a9c6fbb2fae3226d5e4c26a8b09cf871ee53b9ca72",
        },
        "certificate": "4735",
    },
    "1.26.6": {
        "h1": "h1:owmNw4SPM9h46FGOeGJVUWzFEEDSmO6g7gAtWoXp28s=",
        "sha256": "6347bdd1fdc7c659d955d8034cd82ec23a5b776bf48b9dfc3a75088d2dacfe0e",
        "boringcrypto": {
            "amd64": "2ace5a99ae43b388845592472026b0225cf1f07c9b28124c23f0f3fef77f0210",
            "arm64": "396762b4e072e0d9dd1668a9c6fbb2fae3226d5e4c26a8b09cf871ee53b9ca72",
        },
        "certificate": "4735",
    },
    "1.26.8": {
        "h1": "h1:ZOmGe1OnfREDMIdb1Qi4G9JSuDPBLGExZMQ4nis1RXM=",
        "sha256": "30c2b1bf7dcc88d3eb0a1364e47ddd9128edb3110a30e8a0ef61cd5856b31de7",
        "boringcrypto": {
            "amd64": "2ace5a99ae43b388845592472026b0225cf1f07c9b28124c23f0f3fef77f0210",
            "arm64": "396762b4e072e0d9dd1668a9c6fbb2fae3226d5e4c26a8b09cf871ee53b9ca72",
        },
        "certificate": "4735",
    },
    "1.26.10": {
        "h1": "h1:5VAGHlY8yl8pTPVSNIez3SNMy6fWabs+QMR25f3oMT0=",
        "sha256": "f64ecb0807852be2c98899561c45288a9ad57f4e88f3cd002ffabeccbd03bfe1",
        "boringcrypto": {
            "amd64": "2ace5a99ae43b388845592472026b0225cf1f07c9b28124c23f0f3fef77f0210",
            "arm64": "396762b4e072e0d9dd1668a9c6fbb2fae3226d5e4c26a8b09cf871ee53b9ca72",
        },
        "certificate": "4735",
    },
    "1.27.2": {
        "h1": "h1:N6Xv/1OLzI0jVVkUwkrxHRZc/GCTARUo6idcngKwlDE=",
        "sha256": "3a467ed067f27cd55bf3a702f8e2bf12479f53c9d8ae0de548f48ebcb3c67796",
        "boringcrypto": {
            "amd64": "2ace5a99ae43b388845592472026b0225cf1f07c9b28124c23f0f3fef77f0210",
            "arm64": "396762b4e072e0d9dd1668a9c6fbb2fae3226d5e4c26a8b09cf871ee53b9ca72",
        },
        "certificate": "4735",
    },
    "1.27.3": {
        "h1": "h1:r0ub+FnqzZxoWm/dSUOI9DcIqYWn/mNYGFJcv7PyBzs=",
        "sha256": "af4c06478303fdd1bfb335fab86c7ccb9b12e529044a946a16a1c4bcc779f8d7",
        "boringcrypto": {
            "amd64": "2ace5a99ae43b388845592472026b0225cf1f07c9b28124c23f0f3fef77f0210",
            "arm64": "396762b4e072e0d9dd1668a9c6fbb2fae3226d5e4c26a8b09cf871ee53b9ca72",
        },
        "certificate": "4735",
    },
}
