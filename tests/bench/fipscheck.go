package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

func fipscheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "fipscheck PATH...",
		Short:   "Time fipscheck on programs and OCI layouts",
		Long:    "Time fipscheck on programs (files) and images (folders of OCI layouts): all together, and the largest program alone.",
		Example: "  go run ./tests/bench fipscheck $(tools/bazel cquery --output=files 'kind(\"fips_(go|cc)_binary|verified_image\", //components/... + //images/...)')",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, paths []string) error {
			return fipscheck(cmd.Context(), paths)
		},
	}
}

// fipscheck prints the seconds, those of all processors together, and the peak memory of the runs.
func fipscheck(ctx context.Context, paths []string) (err error) {
	scratch, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	program := filepath.Join(scratch, "fipscheck")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, "./tools/fipscheck").CombinedOutput(); err != nil {
		return fmt.Errorf("start it in the root of the source tree: go build: %w\n%s", err, out)
	}
	var programs, images []string
	var largest string
	var total, most int64
	for _, p := range paths {
		st, err := os.Stat(p)
		if err != nil {
			return err
		}
		switch {
		case st.IsDir() && isLayout(p):
			images = append(images, p)
		case st.Mode().IsRegular() && isProgram(p):
			programs = append(programs, p)
			total += st.Size()
			if st.Size() > most {
				most, largest = st.Size(), p
			}
		}
	}
	fmt.Printf("%-20s %8s %8s %8s %8s\n", "", "MB", "seconds", "CPU", "MiB peak")
	for _, run := range []struct {
		what  string
		bytes int64
		args  []string
	}{
		{fmt.Sprintf("%d programs", len(programs)), total, append([]string{"binary"}, programs...)},
		{fmt.Sprintf("%d images", len(images)), 0, append([]string{"image"}, images...)},
		{filepath.Base(largest), most, []string{"binary", largest}},
	} {
		if len(run.args) < 2 || run.args[1] == "" {
			continue
		}
		took, processors, peak, err := timed(ctx, program, run.args)
		if err != nil {
			return err
		}
		size := ""
		if run.bytes > 0 {
			size = fmt.Sprintf("%.1f", float64(run.bytes)/1e6)
		}
		fmt.Printf("%-20s %8s %8.2f %8.2f %8.0f\n", run.what, size, took.Seconds(), processors.Seconds(), float64(peak)/(1<<20))
	}
	return nil
}

// timed runs fipscheck; refused artifacts are as good to measure as others.
func timed(ctx context.Context, program string, args []string) (took, processors time.Duration, peak int64, err error) {
	cmd := exec.CommandContext(ctx, program, append(args, "--output", "json", "--output-file", os.DevNull)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	start := time.Now()
	if err := cmd.Run(); err != nil && cmd.ProcessState.ExitCode() != 1 {
		return 0, 0, 0, fmt.Errorf("fipscheck %s: %w\n%s", args[0], err, &stderr)
	}
	took = time.Since(start)
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0, 0, 0, errors.New("this system does not tell a program's memory")
	}
	return took, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), usage.Maxrss << 10, nil
}

func isLayout(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "oci-layout"))
	return err == nil
}

func isProgram(file string) bool {
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer f.Close()
	magic := make([]byte, 4)
	_, err = f.ReadAt(magic, 0)
	return err == nil && strings.HasPrefix(string(magic), "\x7fELF")
}
