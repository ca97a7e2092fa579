"""Debian's archives are found as //tools/internal/debian finds them."""

load("@bazel_skylib//lib:unittest.bzl", "asserts", "unittest")
load("//toolchains/debian:mirrors.bzl", "apt_mirrors", "mirror_urls", "parse_mirrors")

def _parse_mirrors_test_impl(ctx):
    env = unittest.begin(ctx)
    for value, want in {
        "": [],
        " , ": [],
        "http://a.example/debian": ["http://a.example/debian"],
        "http://a.example/debian/,http://b.example/debian http://a.example/debian": ["http://a.example/debian", "http://b.example/debian"],
    }.items():
        asserts.equals(env, want, parse_mirrors(value))
    return unittest.end(env)

_DEB822 = """# the distribution
Types: deb deb-src
URIs: http://a.example/debian
 http://b.example/debian/
Suites: stable
Components: main contrib

Types: deb
Enabled: no
URIs: http://disabled.example/debian
Suites: stable
Components: main

Types: deb-src
URIs: http://source.example/debian
Suites: stable
Components: main
"""

_ONE_LINE = """deb http://vendor.example/apt stable main
deb [arch=amd64 signed-by=/k.gpg] https://c.example/debian-security stable-security main # security
#deb http://disabled.example/debian stable main
deb http://nonfree.example/debian stable non-free
deb cdrom:[Debian]/ stable main
"""

def _apt_mirrors_test_impl(ctx):
    env = unittest.begin(ctx)
    asserts.equals(env, ["http://a.example/debian", "http://b.example/debian"], apt_mirrors({"debian.sources": _DEB822}))
    asserts.equals(env, ["https://c.example/debian-security", "http://vendor.example/apt"], apt_mirrors({"sources.list": _ONE_LINE}))
    asserts.equals(env, [], apt_mirrors({"debian.sources.bak": _DEB822}))
    return unittest.end(env)

def _mirror_urls_test_impl(ctx):
    env = unittest.begin(ctx)
    mirrors = [
        "http://a.example/debian",
        "http://old.example/archive/debian/20260101T000000Z",
        "http://any.example/mirror",
        "http://s.example/debian-security",
    ]
    asserts.equals(env, [
        "http://a.example/debian/pool/p",
        "http://old.example/archive/debian/20260101T000000Z/pool/p",
        "http://any.example/mirror/pool/p",
        "http://s.example/debian/pool/p",
    ], mirror_urls(mirrors, "debian", "pool/p"))
    asserts.equals(env, [
        "http://s.example/debian-security/pool/p",
        "http://any.example/mirror/pool/p",
        "http://a.example/debian-security/pool/p",
        "http://old.example/archive/debian-security/20260101T000000Z/pool/p",
    ], mirror_urls(mirrors, "debian-security", "pool/p"))
    return unittest.end(env)

parse_mirrors_test = unittest.make(_parse_mirrors_test_impl)
apt_mirrors_test = unittest.make(_apt_mirrors_test_impl)
mirror_urls_test = unittest.make(_mirror_urls_test_impl)

def debian_mirrors_test_suite(name):
    unittest.suite(name, parse_mirrors_test, apt_mirrors_test, mirror_urls_test)
