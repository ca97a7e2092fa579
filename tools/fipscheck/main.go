// Fipscheck decides from an artifact alone which cryptographic module it uses.
package main

import (
	"os"

	"kubefips.internal/tools/fipscheck/cli"
)

func main() { os.Exit(cli.Run(os.Args[1:], os.Stdout, os.Stderr)) }
