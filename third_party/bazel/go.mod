// The Bazel rulesets that are published as Go modules; read by tools/bazel when there is no Bazel Central Registry.
module kubefips.internal/third_party/bazel

go 1.26.0

require (
	github.com/bazel-contrib/bazel-gazelle/v2 v2.0.0-3
	github.com/bazelbuild/bazel-gazelle v0.54.0
	github.com/bazelbuild/rules_go v0.65.0
)
