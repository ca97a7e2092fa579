package component

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// goRun runs the machine's go command in dir and returns its standard output.
func goRun(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS="+os.Getenv("GOFLAGS")+" -mod=mod", "GO111MODULE=on", "GOWORK=off")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}

// loads checks that go.mod and go.sum in dir hold every package of its tools for Linux.
func loads(ctx context.Context, dir, arch string) error {
	list := func(mod string) error {
		cmd := exec.CommandContext(ctx, "go", "list", "-mod="+mod, "-deps", "tool")
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOWORK=off", "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=1")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("packages for linux/%s: %w\n%s", arch, err, bytes.TrimSpace(stderr.Bytes()))
		}
		return nil
	}
	err := list("readonly")
	if err != nil {
		// Allowed to look for what is missing, the go command says why it is.
		if why := list("mod"); why != nil {
			return why
		}
	}
	return err
}

// downloaded is a module in the module cache, as `go mod download -json` tells.
type downloaded struct {
	Path, Version, Error  string
	Info, GoMod, Zip, Dir string
	Sum                   string
	Origin                struct{ Hash string }
}

// download fetches a module version into the module cache, checked with the go.sum in
// dir, else with the checksum database.
func download(ctx context.Context, dir, path, version string) (downloaded, error) {
	out, err := goRun(ctx, dir, "mod", "download", "-json", path+"@"+version)
	var d downloaded
	if len(out) > 0 {
		if err := json.Unmarshal(out, &d); err != nil {
			return d, fmt.Errorf("go mod download %s@%s: %w", path, version, err)
		}
	}
	if d.Error != "" {
		return d, fmt.Errorf("module %s %s: %s", path, version, d.Error)
	}
	return d, err
}
