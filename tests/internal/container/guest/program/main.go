// Program is the only file in the image of a test's containers. `program report` prints a guest.Report as JSON;
// `program wait` waits for SIGINT or SIGTERM.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"kubefips.internal/tests/internal/container/guest"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: program report|wait")
	}
	switch args[0] {
	case "report":
		r, err := guest.Look()
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(r)
	case "wait":
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
		<-stop
		return nil
	}
	return fmt.Errorf("%q is neither report nor wait", args[0])
}
