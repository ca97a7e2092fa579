"""Written by `bazel run //tools/update -- crane <version>`; do not edit."""

UPSTREAM = {
    "module": "github.com/google/go-containerregistry",
    "version": "v0.22.1",
    "revision": "h1:RZuuSYhTvlDvtsK+NkutoCZ//C0X2ebLK8X8l3ULs84=",
    "time": "2026-09-04T00:07:21Z",
    "go": "1.26.6",
    "go_from": "go.mod",
    "godebug": "cryptocustomrand=1,tlssecpmlkem=0,urlstrictcolons=0",
}
