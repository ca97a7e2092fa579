"""Module extensions: the one door for MODULE.bazel files."""

load("//rules/private:upstream.bzl", _upstream = "upstream")
load("//toolchains/debian:debian.bzl", _debian = "debian")
load("//toolchains/go:sdk.bzl", _boring_sdks = "boring_sdks")

boring_sdks = _boring_sdks
debian = _debian
upstream = _upstream
