"""The value of GOPROXY is read as the go command reads it."""

load("@bazel_skylib//lib:unittest.bzl", "asserts", "unittest")
load("//toolchains/go:sdk.bzl", "go_proxies")

def _go_proxies_test_impl(ctx):
    env = unittest.begin(ctx)
    for value, want in {
        "": [],
        "direct": [],
        "https://a.example/,direct": ["https://a.example"],
        "https://a.example|https://b.example/x,off": ["https://a.example", "https://b.example/x"],
        "off": [],
    }.items():
        asserts.equals(env, want, go_proxies(value))
    return unittest.end(env)

go_proxies_test = unittest.make(_go_proxies_test_impl)

def go_proxies_test_suite(name):
    go_proxies_test(name = name, size = "small")
