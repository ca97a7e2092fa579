package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// locale is the C locale with a character for each byte, so that Java can
// name every file, as Bazel expects. In the C locale itself Java takes a name
// that is not ASCII for one that cannot be, and Bazel ends.
const locale = "C.ISO-8859-1"

// makeLocale compiles locale in the root, where glibc looks for it, by the
// root's own localedef and libraries.
func makeLocale(ctx context.Context, root string) error {
	dir := filepath.Join(root, "usr", "lib", "locale", locale)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(root, "usr", "lib64", "ld-linux-x86-64.so.2"),
		"--library-path", filepath.Join(root, "usr", "lib", "x86_64-linux-gnu"),
		filepath.Join(root, "usr", "bin", "localedef"), "--no-archive", "--inputfile=C", "--charmap=ISO-8859-1", dir+"/")
	cmd.Env = append(os.Environ(), "I18NPATH="+filepath.Join(root, "usr", "share", "i18n"), "LC_ALL=C")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("compiling the locale %s: %w\n%s", locale, err, out)
	}
	return nil
}
