"""Go SDKs with BoringCrypto, from the Go module proxy, by the lock in sdks.lock.bzl.

The official SDK is published as the Go module golang.org/toolchain. A module zip loses executable bits and
renames go.mod files to _go.mod; both are restored here. The BoringCrypto objects inside are compared with
their pins before anything can be compiled with them.
"""

load("@gazelle//internal:contents_cache.bzl", "contents_cache")
load(":sdks.lock.bzl", "GO_SDKS")

visibility(["//rules/...", "//tests/starlark/..."])

_SELF = Label("//toolchains/go:sdk.bzl")
_LOCK = Label("//toolchains/go:sdks.lock.bzl")
_URL = "{proxy}/golang.org/toolchain/@v/v0.0.1-go{version}.linux-amd64.zip"
_PREFIX = "golang.org/toolchain@v0.0.1-go{version}.linux-amd64"
_BUILD = """package(default_visibility = ["//visibility:public"])

exports_files(["ROOT"] + glob(["bin/*"]))

# Folders, not the thousands of files in them.
filegroup(
    name = "sdk",
    srcs = glob(["*"], exclude_directories = 0),
)

filegroup(
    name = "boringcrypto",
    srcs = glob(["src/crypto/internal/boring/syso/*.syso"]),
)

filegroup(
    name = "fips140",
    srcs = glob(["lib/fips140/*"]),
)
"""
_SYSO = "src/crypto/internal/boring/syso/goboringcrypto_linux_{arch}.syso"

def go_proxies(goproxy):
    """Splits the value of GOPROXY into base URLs.

    Args:
      goproxy: str, in the form that the go command documents (`go help goproxy`).

    Returns:
      list of str: base URLs without a trailing slash; `direct` and `off` are left out.
    """
    return [
        entry.strip().rstrip("/")
        for entry in goproxy.replace("|", ",").split(",")
        if entry.strip() not in ("", "direct", "off")
    ]

# What is left out below src: what tests Go itself, and what only Go's own commands import. Nothing that is compiled here can import it, and
# each folder that is left is compiled with the standard library.
_LEFT_OUT = [
    "*_test.go",
    "testdata/*",
    "*/testdata/*",
    "cmd/*",
    "crypto/internal/cryptotest/*",
    "crypto/internal/fips140/check/checktest/*",
    "crypto/internal/sysrand/internal/seccomp/*",
    "encoding/json/internal/jsontest/*",
    "internal/cgrouptest/*",
    "internal/dag/*",
    "internal/diff/*",
    "internal/obscuretestdata/*",
    "internal/runtime/cgobench/*",
    "internal/runtime/gc/internal/gen/*",
    "internal/runtime/startlinetest/*",
    "internal/testenv/*",
    "internal/testhash/*",
    "internal/testpty/*",
    "internal/trace/*",
    "internal/txtar/*",
    "log/slog/internal/benchmarks/*",
    "log/slog/internal/slogtest/*",
    "math/big/internal/asmgen/*",
    "net/internal/cgotest/*",
    "net/internal/socktest/*",
    "os/exec/internal/fdtest/*",
    "reflect/internal/example*/*",
    "runtime/internal/startlinetest/*",
    "vendor/golang.org/x/net/nettest/*",
]

# Of that, what is needed: rules_go compiles pack and what writes coverage, and the runtime imports tracev2.
_NEEDED = [
    "cmd/internal/archive/*",
    "cmd/internal/bio/*",
    "cmd/internal/cov/*",
    "cmd/internal/goobj/*",
    "cmd/internal/objabi/*",
    "cmd/internal/telemetry/*",
    "cmd/pack/*",
    "cmd/vendor/golang.org/x/telemetry/*",
    "internal/trace/tracev2/*",
]

# A module's zip keeps no modes, and has go.mod files under another name. packages.txt is for rules_go: third_party/bazel/patches/0015.
_TO_SDK = """set -eu
mv "$0"/* .
rm -r golang.org sdk.zip
chmod +x bin/* pkg/tool/*/*
# Not -execdir: find refuses it where PATH has a relative entry.
find . -name _go.mod -exec sh -c 'for file; do mv "$file" "${file%_go.mod}go.mod" || exit; done' sh {} +
find src -mindepth 2 -name '*.go' | sed 's|^src/||; s|/[^/]*$||' | LC_ALL=C sort -u >packages.txt
"""

# The status of unzip where a pattern has no file: not every Go has every folder.
_NO_SUCH_FILE = 11

def _goproxy(rctx):
    value = rctx.getenv("GOPROXY")
    go = rctx.which("go")
    if not value and go:
        value = rctx.execute([go, "env", "GOPROXY"]).stdout.strip()
    proxies = go_proxies(value or "")
    if not proxies:
        fail("no Go module proxy to fetch Go {} from: set GOPROXY to one, for instance with `go env -w GOPROXY=<url>`.".format(rctx.attr.version))
    return proxies

def _pin(rctx, sha256):
    """Says where the lock has a hash of this SDK: file and line."""
    before, entry, after = rctx.read(_LOCK).partition('"{}": {{'.format(rctx.attr.version))
    lines = (before + entry + after.partition(sha256)[0]).count("\n")
    return "{}/{}:{}".format(_LOCK.package, _LOCK.name, lines + 1)

def _unzip(rctx):
    """Unpacks sdk.zip, by unzip, which is faster than rctx.extract (docs/benchmarks.md), without what nothing here needs."""
    version = rctx.attr.version
    if not rctx.which("unzip"):
        fail("no unzip to unpack Go {} with: install the package unzip.".format(version))
    src = _PREFIX.format(version = version) + "/src/"
    unzip = ["unzip", "-q", "sdk.zip"]
    for arguments, accepted in [
        (["-x"] + [src + pattern for pattern in _LEFT_OUT], [0]),
        ([src + pattern for pattern in _NEEDED] + ["-x", src + "*_test.go", src + "*/testdata/*"], [0, _NO_SUCH_FILE]),
    ]:
        unpacked = rctx.execute(unzip + arguments)
        if unpacked.return_code not in accepted:
            fail("Go {}: unpacking the module failed: {}".format(version, unpacked.stderr))

def _unpack(rctx):
    version = rctx.attr.version
    zip = rctx.download(
        allow_fail = True,
        output = "sdk.zip",
        sha256 = rctx.attr.sha256,
        url = [_URL.format(proxy = proxy, version = version) for proxy in _goproxy(rctx)],
    )
    if not zip.success:
        fail("{}: Go {}: the SDK with the sha256 of this line, {}, could not be had from GOPROXY; the warnings above say why. If its checksum is another, the line or what GOPROXY serves is wrong: restore the file from git, or set GOPROXY to another proxy.".format(_pin(rctx, rctx.attr.sha256), version, rctx.attr.sha256))
    _unzip(rctx)
    made = rctx.execute(["sh", "-c", _TO_SDK, _PREFIX.format(version = version)])
    if made.return_code != 0:
        fail("Go {}: making an SDK of the module failed: {}".format(version, made.stderr))
    for arch in rctx.attr.boringcrypto:
        _build_tags(rctx, arch)
    rctx.file("ROOT")
    rctx.file("BUILD.bazel", _BUILD)

def _build_tags(rctx, arch):
    """Writes what this Go takes for true in build constraints: third_party/bazel/patches/0008 reads it."""
    tags = rctx.execute(
        ["bin/go", "list", "-f", '{{join context.ReleaseTags " "}} {{join context.ToolTags " "}}', "unsafe"],
        environment = {
            "GO111MODULE": "off",
            "GOARCH": arch,
            "GOENV": "off",
            "GOEXPERIMENT": "boringcrypto",
            "GOFLAGS": "",
            "GOOS": "linux",
            "GOTOOLCHAIN": "local",
        },
    )
    if tags.return_code != 0:
        fail("Go {}: its build tags for {} could not be asked: {}".format(rctx.attr.version, arch, tags.stderr))
    rctx.file("pkg/tool/linux_amd64/build_tags_" + arch, tags.stdout, executable = False)

def _boring_sdk_impl(rctx):
    version = rctx.attr.version
    cached = contents_cache(rctx, [_SELF])
    if not cached.taken:
        _unpack(rctx)
    for arch, want in rctx.attr.boringcrypto.items():
        syso = rctx.path(_SYSO.format(arch = arch))
        got = rctx.download("file://{}".format(syso), output = "syso-check").sha256
        if got != want:
            fail("{}: Go {}: the BoringCrypto object for {} has sha256 {}, and not that of this line, {}. Nothing is compiled with what is not the module that was validated: restore the file from git.".format(_pin(rctx, want), version, arch, got, want))
    rctx.delete("syso-check")
    if not cached.taken:
        cached.keep()

_boring_sdk = repository_rule(
    implementation = _boring_sdk_impl,
    doc = "One Go SDK whose BoringCrypto objects are the pinned ones.",
    attrs = {
        "boringcrypto": attr.string_dict(mandatory = True, doc = "GOARCH -> sha256 of the BoringCrypto object."),
        "sha256": attr.string(mandatory = True, doc = "sha256 of the module zip."),
        "version": attr.string(mandatory = True, doc = "Go version, as in 1.26.10."),
    },
    environ = ["GOPROXY"],
)

def _boring_sdks_impl(mctx):
    for version, sdk in GO_SDKS.items():
        _boring_sdk(
            name = "boring_sdk_" + version,
            boringcrypto = sdk["boringcrypto"],
            sha256 = sdk["sha256"],
            version = version,
        )
    return mctx.extension_metadata(reproducible = True)

boring_sdks = module_extension(
    implementation = _boring_sdks_impl,
    doc = "One repository boring_sdk_<version> for each Go version in //toolchains/go:sdks.lock.bzl.",
)
