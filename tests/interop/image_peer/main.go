// SPDX-License-Identifier: Apache-2.0

// sigstore_peer copies an image as containers/image does: the other side for what Debian's skopeo was
// built without.
//
//	sigstore_peer -policy FILE -registries.d DIR [-sign KEY -passphrase TEXT] SOURCE DESTINATION
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/containers/image/v5/copy"
	"github.com/containers/image/v5/directory"
	"github.com/containers/image/v5/docker"
	"github.com/containers/image/v5/signature"
	"github.com/containers/image/v5/signature/signer"
	"github.com/containers/image/v5/signature/sigstore"
	"github.com/containers/image/v5/types"
)

func parse(s string) (types.ImageReference, error) {
	if len(s) > 9 && s[:9] == "docker://" {
		return docker.ParseReference(s[7:])
	}
	return directory.NewReference(s[4:])
}

func run() error {
	policyPath := flag.String("policy", "", "policy.json")
	registries := flag.String("registries.d", "", "registries.d")
	key := flag.String("sign", "", "private key")
	passphrase := flag.String("passphrase", "", "its passphrase")
	flag.Parse()
	policy, err := signature.NewPolicyFromFile(*policyPath)
	if err != nil {
		return err
	}
	pc, err := signature.NewPolicyContext(policy)
	if err != nil {
		return err
	}
	src, err := parse(flag.Arg(0))
	if err != nil {
		return err
	}
	dst, err := parse(flag.Arg(1))
	if err != nil {
		return err
	}
	sys := &types.SystemContext{RegistriesDirPath: *registries, DockerInsecureSkipTLSVerify: types.OptionalBoolTrue}
	options := &copy.Options{SourceCtx: sys, DestinationCtx: sys}
	if *key != "" {
		s, err := sigstore.NewSigner(sigstore.WithPrivateKeyFile(*key, []byte(*passphrase)))
		if err != nil {
			return err
		}
		options.Signers = []*signer.Signer{s}
	}
	_, err = copy.Image(context.Background(), pc, dst, src, options)
	return err
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
