// Command compiler compares the processor time of Go's compiler as it is with that under other environment variables:
//
//	go run ./tests/bench/compiler --env=GOGC=off --env=GOMEMLIMIT=3GiB std
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
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// In the environment of this program when the go command starts it before each tool: where results go, and the variables.
const (
	logVariable = "KUBEFIPS_BENCH_LOG"
	envVariable = "KUBEFIPS_BENCH_ENV"
)

// measured is what one compilation took.
type measured struct {
	Changed   bool // with the variables
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
	var env []string
	cmd := &cobra.Command{
		Use:           "compiler --env=NAME=VALUE... PACKAGE...",
		Short:         "Compare the compiler's processor time with and without environment variables",
		Example:       "  go run ./tests/bench/compiler --env=GOGC=off --env=GOMEMLIMIT=3GiB std",
		Args:          cobra.MinimumNArgs(1),
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(cmd *cobra.Command, packages []string) error { return compare(cmd.Context(), env, packages) },
	}
	cmd.Flags().StringArrayVar(&env, "env", nil, "a variable that one of the two has")
	cobra.CheckErr(cmd.MarkFlagRequired("env"))
	return cmd
}

func compare(ctx context.Context, env, packages []string) error {
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
	variables, err := json.Marshal(env)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", append([]string{"build", "-toolexec", self}, packages...)...)
	cmd.Env = append(os.Environ(), "GOCACHE="+filepath.Join(scratch, "cache"), logVariable+"="+log, envVariable+"="+string(variables))
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go build: %w", err)
	}
	results, err := os.ReadFile(log)
	if err != nil {
		return err
	}
	return report(results, env)
}

// report writes a table in Markdown.
func report(results []byte, env []string) error {
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
	for i, name := range []string{"as it is", fmt.Sprint(env)} {
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
	var env []string
	if err := json.Unmarshal([]byte(os.Getenv(envVariable)), &env); err != nil {
		return err
	}
	variants := [2]bool{false, true}
	rand.Shuffle(len(variants), func(i, j int) { variants[i], variants[j] = variants[j], variants[i] })
	for _, changed := range variants {
		cmd := exec.Command(args[0], args[1:]...)
		if cmd.Env = os.Environ(); changed {
			cmd.Env = append(cmd.Env, env...)
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
