// Wharfinger-build makes the plugin in the current directory: dist/NAME.wasm, named as the module.
//
//	go tool wharfinger-build
//
// Go makes a module for WASI preview 1; wharfinger makes a component of it, whose WASI answers
// itself and asks the host for nothing. It is the wharfinger in PATH, or the one that the environment
// variable WHARFINGER names.
package main

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

func main() {
	if err := build(); err != nil {
		fmt.Fprintln(os.Stderr, "wharfinger-build:", err)
		os.Exit(1)
	}
}

func build() error {
	module, err := exec.Command("go", "list", "-m").Output()
	if err != nil {
		return fmt.Errorf("go list -m: which module is this? %w", err)
	}
	name := path.Base(strings.TrimSpace(string(module)))
	scratch, err := os.MkdirTemp("", "wharfinger-build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	core := filepath.Join(scratch, "core.wasm")
	if err := compile(core); err != nil {
		return err
	}
	world, err := worldOf(core)
	if err != nil {
		return err
	}
	component := filepath.Join("dist", name+".wasm")
	if err := os.MkdirAll("dist", 0o755); err != nil {
		return err
	}
	if err := run(wrap(core, world, component)); err != nil {
		return err
	}
	fmt.Println(component)
	return nil
}

// compile makes the module. The names of functions stay in it, so that a trap can be read; lines
// are in Go's own tables anyway. The support code of the bindings asks for linknames.
func compile(core string) error {
	command := exec.Command("go", "build", "-trimpath", "-buildmode=c-shared",
		"-ldflags=-w -checklinkname=0", "-o", core, ".")
	command.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	return run(command)
}

// worldOf is the contract's world that the module exports.
func worldOf(core string) (string, error) {
	module, err := os.ReadFile(core)
	if err != nil {
		return "", err
	}
	for _, world := range []struct{ export, name string }{
		{"/ipam-remote@0.2.0#released", "ipam-remote-plugin"},
		{"/ipam@0.2.0#allocate", "ipam-plugin"},
		{"/policy@0.2.0#admit", "policy-plugin"},
	} {
		if bytes.Contains(module, []byte("wharfinger:plugin"+world.export)) {
			return world.name, nil
		}
	}
	return "", fmt.Errorf("this program is no plugin: ipam.Export or policy.Export makes it one")
}

// wrap makes a component of the module.
func wrap(core, world, component string) *exec.Cmd {
	wharfinger := cmp.Or(os.Getenv("WHARFINGER"), "wharfinger")
	return exec.Command(wharfinger, "plugin", "component", core, "--world", world, "-o", component)
}

func run(command *exec.Cmd) error {
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("%s: %w", strings.Join(command.Args, " "), err)
	}
	return nil
}
