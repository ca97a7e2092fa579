package main

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A pair is one program, built by both sides with one Go SDK, as in go1.26.10.
type pair struct{ plain, fips, sdk string }

// build builds a program of a component.
func build(ctx context.Context, scratch, component, name, main string) (*pair, error) {
	p := &pair{plain: filepath.Join(scratch, name+"-plain"), fips: filepath.Join(scratch, name+"-fips")}
	fmt.Fprintf(os.Stderr, "building %s\n", name)
	if err := p.buildFIPS(ctx, "//components/"+component+":"+name); err != nil {
		return nil, err
	}
	return p, p.buildPlain(ctx, filepath.Join("components", component), main)
}

// buildFIPS copies a program that this tree builds.
func (p *pair) buildFIPS(ctx context.Context, target string) error {
	if _, err := output(exec.CommandContext(ctx, "tools/bazel", "build", target)); err != nil {
		return err
	}
	root, err := output(exec.CommandContext(ctx, "tools/bazel", "info", "execution_root"))
	if err != nil {
		return err
	}
	built, err := output(exec.CommandContext(ctx, "tools/bazel", "cquery", "--output=files", target))
	if err != nil {
		return err
	}
	source, err := os.Open(filepath.Join(root, built))
	if err != nil {
		return err
	}
	defer source.Close()
	copied, err := os.OpenFile(p.fips, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(copied, source)
	return errors.Join(err, copied.Close())
}

// buildPlain builds the modules that the go.mod in dir locks with the SDK of the other side.
func (p *pair) buildPlain(ctx context.Context, dir, main string) error {
	const experiment = "X:boringcrypto"
	info, err := buildinfo.ReadFile(p.fips)
	if err != nil {
		return err
	}
	sdk, _, boring := strings.Cut(info.GoVersion, experiment)
	if !boring {
		return fmt.Errorf("%s was built by %s, want %s", p.fips, info.GoVersion, experiment)
	}
	p.sdk = strings.TrimRight(sdk, " -")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", p.plain, main)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOTOOLCHAIN="+p.sdk, "GOEXPERIMENT=", "GOFLAGS=", "GOWORK=off", "CGO_ENABLED=0")
	if _, err := output(cmd); err != nil {
		return err
	}
	if info, err = buildinfo.ReadFile(p.plain); err == nil && info.GoVersion != p.sdk {
		err = fmt.Errorf("plain go build used %s, want %s", info.GoVersion, p.sdk)
	}
	return err
}

// output returns what a program prints; its error has what it complained of.
func output(cmd *exec.Cmd) (string, error) {
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out)), err
}
