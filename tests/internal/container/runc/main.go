// Runc stands between containerd and the real one, which is runc.real in PATH, in tests that run in a user namespace.
//
// containerd gives every terminal file system to group 5. A user namespace that a sandbox has made has no such group, and
// then the kernel refuses the mount; so this takes the group out of the bundle, and goes on as the real runc.
package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
)

func main() {
	err := run()
	fmt.Fprintf(os.Stderr, "runc of the test: %v\n", err)
	os.Exit(1)
}

func run() error {
	if i := slices.Index(os.Args, "--bundle"); i > 0 && i+1 < len(os.Args) {
		file := filepath.Join(os.Args[i+1], "config.json")
		config, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := os.WriteFile(file, bytes.ReplaceAll(config, []byte(`,"gid=5"`), nil), 0o600); err != nil {
			return err
		}
	}
	real, err := exec.LookPath("runc.real")
	if err != nil {
		return err
	}
	return fmt.Errorf("running %s: %w", real, syscall.Exec(real, os.Args, os.Environ()))
}
