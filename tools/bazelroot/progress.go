package main

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// say prints a line about the set-up.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "tools/bazel: "+format+"\n", args...)
}

// showProgress returns a function that tells people how far the set-up is: in
// one line of a terminal, else in a line every few seconds.
func showProgress() func(fetched, unpacked, total int64) {
	_, err := unix.IoctlGetTermios(int(os.Stderr.Fd()), unix.TCGETS)
	terminal := err == nil
	every := 5 * time.Second
	if terminal {
		every = 200 * time.Millisecond
	}
	var last time.Time
	return func(fetched, unpacked, total int64) {
		done := unpacked == total
		if !done && time.Since(last) < every {
			return
		}
		last = time.Now()
		line := fmt.Sprintf("tools/bazel: Bazel's own root: %d of %d MB fetched, %d%% unpacked",
			min(fetched, total)/1e6, total/1e6, 100*unpacked/total)
		switch {
		case !terminal:
			fmt.Fprintln(os.Stderr, line)
		case done:
			fmt.Fprintf(os.Stderr, "\r%s\n", line)
		default:
			fmt.Fprintf(os.Stderr, "\r%s", line)
		}
	}
}
