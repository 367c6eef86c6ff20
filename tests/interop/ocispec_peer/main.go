// SPDX-License-Identifier: Apache-2.0

// What the Go libraries of podman and CRI-O make of a config.json: OCI hooks of directories, CDI devices.
//
//	peer hooks CONFIG BINDMOUNTS DIR... [-- KEY VALUE...]	(annotations)
//	peer cdi CONFIG DIR... -- DEVICE...
//	peer regex < lines		"1" or "0" for each expression that Go compiles
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"

	rspec "github.com/opencontainers/runtime-spec/specs-go"
	"go.podman.io/common/pkg/hooks"
	"tags.cncf.io/container-device-interface/pkg/cdi"
)

func split(args []string) ([]string, []string) {
	for i, a := range args {
		if a == "--" {
			return args[:i], args[i+1:]
		}
	}
	return args, nil
}

func applyHooks(spec *rspec.Spec, args []string) error {
	dirs, pairs := split(args[1:])
	annotations := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		annotations[pairs[i]] = pairs[i+1]
	}
	m, err := hooks.New(context.Background(), dirs, nil)
	if err != nil {
		return err
	}
	_, err = m.Hooks(spec, annotations, args[0] == "1")
	return err
}

func injectDevices(spec *rspec.Spec, args []string) error {
	dirs, devices := split(args)
	cache, err := cdi.NewCache(cdi.WithSpecDirs(dirs...), cdi.WithAutoRefresh(false))
	if err != nil {
		return err
	}
	_, err = cache.InjectDevices(spec, devices...)
	return err
}

func compileLines() {
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		_, err := regexp.Compile(in.Text())
		fmt.Println(strings.TrimSuffix(fmt.Sprintf("%d", map[bool]int{true: 1, false: 0}[err == nil]), "\n"))
	}
}

func run(args []string) error {
	var spec rspec.Spec
	text, err := os.ReadFile(args[1])
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &spec); err != nil {
		return err
	}
	if args[0] == "hooks" {
		err = applyHooks(&spec, args[2:])
	} else {
		err = injectDevices(&spec, args[2:])
	}
	if err != nil {
		return err
	}
	out, err := json.Marshal(&spec)
	fmt.Println(string(out))
	return err
}

func main() {
	if os.Args[1] == "regex" {
		compileLines()
		return
	}
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
