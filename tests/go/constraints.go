// Command constraints prints the Go version that it is compiled by, and which build constraints are true for it: each tag has a file of its own.
package main

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
)

var tags []string

func main() {
	slices.Sort(tags)
	fmt.Println(runtime.Version(), strings.Join(tags, " "))
}
