// SPDX-License-Identifier: Apache-2.0

// ostree_peer SOURCE DESTINATION copies an image as containers/image did while it had OSTree repositories:
// between dir:PATH and ostree:NAME@/REPO. Built with the tag containers_image_ostree.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/containers/image/v5/copy"
	"github.com/containers/image/v5/directory"
	"github.com/containers/image/v5/ostree"
	"github.com/containers/image/v5/signature"
	"github.com/containers/image/v5/types"
)

func parse(s string) (types.ImageReference, error) {
	if rest, ok := strings.CutPrefix(s, "ostree:"); ok {
		return ostree.Transport.ParseReference(rest)
	}
	return directory.NewReference(strings.TrimPrefix(s, "dir:"))
}

func run() error {
	src, err := parse(os.Args[1])
	if err != nil {
		return err
	}
	dst, err := parse(os.Args[2])
	if err != nil {
		return err
	}
	pc, err := signature.NewPolicyContext(&signature.Policy{Default: []signature.PolicyRequirement{signature.NewPRInsecureAcceptAnything()}})
	if err != nil {
		return err
	}
	_, err = copy.Image(context.Background(), pc, dst, src, &copy.Options{})
	return err
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
