"""Written by `bazel run //tools/update -- cni-plugins <version>`; do not edit."""

UPSTREAM = {
    "module": "github.com/containernetworking/plugins",
    "version": "v1.9.1",
    "revision": "h1:8oU6WsIsU3bpnNZuvHp74a6cE1MJwbj2P7s4/yTUNlA=",
    "time": "2026-02-19T11:31:52Z",
    "go": "1.25.12",
    "go_from": ".github/go-version",
    "godebug": "containermaxprocs=0,decoratemappings=0,tlssha1=1,updatemaxprocs=0,x509sha256skid=0",
}
