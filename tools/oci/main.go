// Command oci builds, describes, pushes and loads OCI images; the image rules run it.
package main

import (
	"fmt"
	"os"

	"kubefips.internal/tools/oci/cli"
)

func main() {
	args, err := cli.Arguments(os.Args)
	if err == nil {
		err = cli.New().Run(args)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "oci:", err)
		os.Exit(1)
	}
}
