// Command compiler compares the processor time of Go's compiler as it is with that under other environment variables or
// flags:
//
//	go run ./tests/bench/compiler --env=GOGC=off --env=GOMEMLIMIT=3GiB std
//	go run ./tests/bench/compiler --flag=-c=1 std
//
// It builds packages from nothing, and runs each compilation twice, one right after the other, in random order. So it sees
// differences that are smaller than those in speed of a virtual machine from one minute to the next.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// In the environment of this program when the go command starts it before each tool: where results go, and the change.
const (
	logVariable    = "KUBEFIPS_BENCH_LOG"
	changeVariable = "KUBEFIPS_BENCH_CHANGE"
)

// change is what one of the two compilations has and the other has not.
type change struct {
	Env, Flags []string
}

// measured is what one compilation took.
type measured struct {
	Changed   bool
	CPU, Wall time.Duration
	Memory    int64 // KiB, at most
}

func main() {
	var err error
	if log := os.Getenv(logVariable); log != "" {
		err = tool(log, os.Args[1:])
	} else {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		err = command().ExecuteContext(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "compiler:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	var c change
	cmd := &cobra.Command{
		Use:           "compiler [--env=NAME=VALUE]... [--flag=FLAG]... PACKAGE...",
		Short:         "Compare the compiler's processor time with and without environment variables or flags",
		Example:       "  go run ./tests/bench/compiler --env=GOGC=off --env=GOMEMLIMIT=3GiB std\n  go run ./tests/bench/compiler --flag=-c=1 std",
		Args:          cobra.MinimumNArgs(1),
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(cmd *cobra.Command, packages []string) error { return compare(cmd.Context(), c, packages) },
	}
	cmd.Flags().StringArrayVar(&c.Env, "env", nil, "a variable that one of the two has")
	cmd.Flags().StringArrayVar(&c.Flags, "flag", nil, "a flag of the compiler that one of the two has")
	cmd.MarkFlagsOneRequired("env", "flag")
	return cmd
}

func compare(ctx context.Context, c change, packages []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "compiler-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	log := filepath.Join(scratch, "log")
	encoded, err := json.Marshal(c)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", append([]string{"build", "-toolexec", self}, packages...)...)
	cmd.Env = append(os.Environ(), "GOCACHE="+filepath.Join(scratch, "cache"), logVariable+"="+log, changeVariable+"="+string(encoded))
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go build: %w", err)
	}
	results, err := os.ReadFile(log)
	if err != nil {
		return err
	}
	return report(results, c)
}

// report writes a table in Markdown.
func report(results []byte, c change) error {
	var sums [2]measured
	count := 0
	for decoder := json.NewDecoder(bytes.NewReader(results)); ; count++ {
		var m measured
		if err := decoder.Decode(&m); err == io.EOF {
			break
		} else if err != nil {
			return err
		}
		sum := &sums[0]
		if m.Changed {
			sum = &sums[1]
		}
		sum.CPU += m.CPU
		sum.Wall += m.Wall
		sum.Memory = max(sum.Memory, m.Memory)
	}
	fmt.Printf("%d compilations\n\n| | processor, s | wall, s | memory at most, MB |\n|---|--:|--:|--:|\n", count/2)
	for i, name := range []string{"as it is", fmt.Sprint(slices.Concat(c.Env, c.Flags))} {
		fmt.Printf("| %s | %.1f | %.1f | %d |\n", name, sums[i].CPU.Seconds(), sums[i].Wall.Seconds(), sums[i].Memory>>10)
	}
	fmt.Printf("\nprocessor time with them: %.3f of that without\n", sums[1].CPU.Seconds()/sums[0].CPU.Seconds())
	return nil
}

// tool is what the go command starts in place of a tool: it runs the compiler twice, and others once.
func tool(log string, args []string) error {
	if filepath.Base(args[0]) != "compile" || len(args) == 2 && args[1] == "-V=full" {
		return syscall.Exec(args[0], args, os.Environ())
	}
	var c change
	if err := json.Unmarshal([]byte(os.Getenv(changeVariable)), &c); err != nil {
		return err
	}
	variants := [2]bool{false, true}
	rand.Shuffle(len(variants), func(i, j int) { variants[i], variants[j] = variants[j], variants[i] })
	for _, changed := range variants {
		cmd := exec.Command(args[0], args[1:]...)
		if cmd.Env = os.Environ(); changed {
			cmd.Env = append(cmd.Env, c.Env...)
			// Behind the go command's own flags, so that these win; its last one is -pack.
			last := slices.Index(cmd.Args, "-pack")
			if last < 0 {
				return fmt.Errorf("the go command started the compiler without -pack: %q", args)
			}
			cmd.Args = slices.Insert(cmd.Args, last, c.Flags...)
		}
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		start := time.Now()
		if err := cmd.Run(); err != nil {
			return err
		}
		state := cmd.ProcessState
		line, err := json.Marshal(measured{
			Changed: changed,
			CPU:     state.UserTime() + state.SystemTime(),
			Wall:    time.Since(start),
			Memory:  state.SysUsage().(*syscall.Rusage).Maxrss,
		})
		if err != nil {
			return err
		}
		if err := appendLine(log, line); err != nil {
			return err
		}
	}
	return nil
}

func appendLine(name string, line []byte) error {
	file, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(append(line, '\n'))
	return errors.Join(err, file.Close())
}
