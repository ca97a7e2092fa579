package main

import "testing"

func TestSource(t *testing.T) {
	for _, tc := range []struct{ name, source, want string }{
		{"a/BUILD.bazel", "cc_library(name='x',srcs=['b.c','a.c'])\n", "cc_library(\n    name = \"x\",\n    srcs = [\n        \"a.c\",\n        \"b.c\",\n    ],\n)\n"},
		{"a/x.bzl", "x=1\n", "x = 1\n"},
		{"x.go", "package x\nvar  y = 1\n", "package x\n\nvar y = 1\n"},
		{"x.md", "#  as it is\n", "#  as it is\n"},
	} {
		got, err := Source(tc.name, []byte(tc.source))
		if err != nil || string(got) != tc.want {
			t.Errorf("Source(%s) = %q, %v; want %q", tc.name, got, err, tc.want)
		}
	}
}

func TestSourceReportsTheFile(t *testing.T) {
	for _, name := range []string{"broken.go", "broken.bzl"} {
		if _, err := Source(name, []byte("def (")); err == nil {
			t.Errorf("Source(%s) of broken source gave no error", name)
		}
	}
}
