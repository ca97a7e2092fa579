// Command install-cni copies the CNI plugins of its image to the folder in which a node looks for them.
//
// It runs as an init container with that folder mounted. Each plugin appears whole or not at all: a kubelet may start the old
// one while the new one is being written.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

func main() {
	source := flag.String("source", "/opt/cni/bin", "folder of the plugins")
	target := flag.String("target", "/host/opt/cni/bin", "folder of the node, mounted here")
	flag.Parse()
	installed, err := install(*source, *target)
	if err != nil {
		fmt.Fprintln(os.Stderr, "install-cni:", err)
		os.Exit(1)
	}
	fmt.Printf("install-cni: %d plugins are in %s\n", installed, *target)
}

// install copies every file of source to target, which has to be there: a missing one is a mount that was forgotten.
func install(source, target string) (int, error) {
	info, err := os.Stat(target)
	if err != nil || !info.IsDir() {
		return 0, fmt.Errorf("%s is not a folder: mount the node's CNI folder there, or name another with -target", target)
	}
	plugins, err := os.ReadDir(source)
	if err != nil {
		return 0, err
	}
	if len(plugins) == 0 {
		return 0, fmt.Errorf("no plugin in %s", source)
	}
	for _, plugin := range plugins {
		if err := replace(filepath.Join(source, plugin.Name()), filepath.Join(target, plugin.Name())); err != nil {
			return 0, fmt.Errorf("installing %s: %w", plugin.Name(), err)
		}
	}
	return len(plugins), nil
}

// replace writes a copy beside the target and renames it.
func replace(source, target string) error {
	from, err := os.Open(source)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.CreateTemp(filepath.Dir(target), "."+filepath.Base(target)+"-")
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	err = errors.Join(err, to.Chmod(0o755), to.Sync(), to.Close())
	if err == nil {
		err = os.Rename(to.Name(), target)
	}
	if err != nil {
		return errors.Join(err, os.Remove(to.Name()))
	}
	return nil
}
