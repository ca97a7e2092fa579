package main

import (
	"fmt"

	"kubefips.internal/tools/bazelroot/contents"
)

// contentsCommand is this program's second use, by repository rules:
// third_party/bazel/patches/0006.
const contentsCommand = "contents"

// runContents does one of them in the repository that is the current folder:
//
//	contents take ROOT   prints the entry for it and, on a second line, "taken"
//	contents keep ENTRY
func runContents(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("usage: bazelroot %s take ROOT, or keep ENTRY", contentsCommand)
	}
	switch args[0] {
	case "take":
		entry, err := contents.Entry(args[1], ".")
		if err != nil {
			return err
		}
		fmt.Println(entry)
		taken, err := contents.Take(entry, ".")
		if taken {
			fmt.Println("taken")
		}
		return err
	case "keep":
		return contents.Keep(args[1], ".")
	}
	return fmt.Errorf("%s %s: there is take, and there is keep", contentsCommand, args[0])
}
