"""What Bazel 7.7.1 can do, as far as rules_go, gazelle, rules_java and rules_proto ask."""

bazel_features = struct(
    external_deps = struct(
        extension_metadata_has_reproducible = True,
        module_extension_has_os_arch_dependent = True,
    ),
    proto = struct(
        starlark_proto_info = False,
    ),
    rules = struct(
        # Came with Bazel 9.
        instrumented_files_info_has_baseline_coverage_files = False,
    ),
)
