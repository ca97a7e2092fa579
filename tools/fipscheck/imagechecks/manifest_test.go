package imagechecks_test

import (
	"slices"
	"testing"

	"kubefips.internal/tools/fipscheck/checks"
	"kubefips.internal/tools/fipscheck/imagechecks"
)

func FuzzManifest(f *testing.F) {
	f.Add([]byte("spec:\n  containers:\n  - args: [--tls-min-version=VersionTLS10]\n    env:\n    - {name: GODEBUG, value: fips140=off}\n"))
	f.Add([]byte("{{- range .x }}\n- {{ . }}\n{{/* c */}}\n{{- end }}\na: &a [*a]\n"))
	f.Add([]byte("hostPath: {path: /usr/bin}\n---\nsecretbox: null\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := imagechecks.Manifest("m.yaml", b)
		if err != nil {
			return
		}
		for _, id := range []string{"O2", "O3", "O8"} {
			if !slices.ContainsFunc(l, func(f checks.Finding) bool { return f.Check == id }) {
				t.Errorf("no finding of %s", id)
			}
		}
	})
}
