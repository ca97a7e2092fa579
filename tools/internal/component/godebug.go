package component

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"

	"kubefips.internal/tools/fipscheck/elfbin"
)

// GoCommand is a go command with its environment.
type GoCommand struct {
	Path string
	Env  []string
}

// LocalGo is the go command of an unpacked SDK, cut off from the machine it runs on.
// It needs no more of the SDK than the command itself.
func LocalGo(path string) (GoCommand, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return GoCommand{}, err
	}
	return GoCommand{Path: path, Env: []string{
		"GOENV=off",
		"GOPROXY=off",
		"GOROOT=" + filepath.Dir(filepath.Dir(path)),
		"GOTOOLCHAIN=local",
	}}, nil
}

// DownloadedGo is the machine's go command acting as another version of itself.
func DownloadedGo(version string) GoCommand {
	return GoCommand{Path: "go", Env: append(os.Environ(), "GOTOOLCHAIN=go"+version, "GOFLAGS=", "GOWORK=off")}
}

// DefaultGODEBUG asks a go command which GODEBUG settings it links into a program
// of the module with this go.mod. For a program without //go:debug lines, the answer
// depends on the go and godebug lines and on the go command alone: nothing else of
// the module is needed, not even a standard library.
func DefaultGODEBUG(ctx context.Context, goCommand GoCommand, goMod []byte) (string, error) {
	up, err := modfile.Parse("go.mod", goMod, nil)
	if err != nil {
		return "", err
	}
	probe := new(modfile.File)
	if err := probe.AddModuleStmt("probe"); err != nil {
		return "", err
	}
	if up.Go != nil {
		if err := probe.AddGoStmt(up.Go.Version); err != nil {
			return "", err
		}
	}
	for _, g := range up.Godebug {
		if err := probe.AddGodebug(g.Key, g.Value); err != nil {
			return "", err
		}
	}
	data, err := probe.Format()
	if err != nil {
		return "", err
	}

	dir, err := os.MkdirTemp("", "godebug")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), data, 0o644); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte("package main\n\nfunc main() {}\n"), 0o644); err != nil {
		return "", err
	}

	cmd := exec.CommandContext(ctx, goCommand.Path, "list", "-find", "-f", "{{.DefaultGODEBUG}}", ".")
	cmd.Dir = dir
	cmd.Env = append(slices.Clip(goCommand.Env), "CGO_ENABLED=1", "GOARCH=amd64", "GOCACHE="+filepath.Join(dir, "cache"), "GOEXPERIMENT=boringcrypto", "GOOS=linux")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: default GODEBUG: %w\n%s", goCommand.Path, err, stderr.Bytes())
	}
	return strings.TrimSpace(string(out)), nil
}

// hasGODEBUG reports whether a program has a string variable with exactly this text. Stripped, it has no name for
// runtime.godebugDefault any more; but no other variable holds such a list. An empty one is what Go has when nothing is linked.
func hasGODEBUG(binary, text string) (bool, error) {
	if text == "" {
		return true, nil
	}
	file, err := os.Open(binary)
	if err != nil {
		return false, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return false, err
	}
	program, err := elfbin.Open(file, info.Size())
	if err != nil {
		return false, err
	}
	_, hits, err := elfbin.NewPatterns([]byte(text)).Scan(file, info.Size())
	if err != nil {
		return false, err
	}
	found := false
	for _, hit := range hits[0] {
		if err := program.Strings(func(_ int64, length uint64) error {
			found = found || length == uint64(len(text))
			return nil
		}, hit, hit); err != nil {
			return false, err
		}
	}
	return found, nil
}
