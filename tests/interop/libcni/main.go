// SPDX-License-Identifier: Apache-2.0

// The reference for libcnic: one operation of libcni, asked for by a JSON document on stdin and answered
// by one on stdout. Errors of libcni are part of the answer.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
)

type request struct {
	Do           string                 `json:"do"`
	Path         []string               `json:"path"`
	Cache        string                 `json:"cache"` // its parent: libcni adds "results"
	File         string                 `json:"file"`
	ID           string                 `json:"id"`
	NetNS        string                 `json:"netns"`
	IfName       string                 `json:"ifname"`
	Args         [][2]string            `json:"args"`
	Capabilities map[string]interface{} `json:"capabilities"`
	Valid        []types.GCAttachment   `json:"valid"`
	Timeout      int                    `json:"timeout"` // ms; 0: none
}

type answer struct {
	Error   string   `json:"error"`
	Code    uint     `json:"code"`
	Result  string   `json:"result"` // the text, in CNI 1.1.0
	Name    string   `json:"name"`
	Version string   `json:"version"`
	Plugins []string `json:"plugins"` // their types
}

func load(file string) (*libcni.NetworkConfigList, error) {
	if strings.HasSuffix(file, ".conflist") {
		return libcni.NetworkConfFromFile(file)
	}
	conf, err := libcni.ConfFromFile(file)
	if err != nil {
		return nil, err
	}
	return libcni.ConfListFromConf(conf)
}

func newest(r types.Result) (string, error) {
	result, err := current.NewResultFromResult(r)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(result)
	return string(text), err
}

func do(ctx context.Context, q *request, a *answer) error {
	list, err := load(q.File)
	if err != nil {
		return err
	}
	a.Name, a.Version = list.Name, list.CNIVersion
	for _, p := range list.Plugins {
		a.Plugins = append(a.Plugins, p.Network.Type)
	}
	cni := libcni.NewCNIConfigWithCacheDir(q.Path, q.Cache, nil)
	rt := &libcni.RuntimeConf{ContainerID: q.ID, NetNS: q.NetNS, IfName: q.IfName, Args: q.Args, CapabilityArgs: q.Capabilities}
	switch q.Do {
	case "load":
		return nil
	case "validate":
		_, err = cni.ValidateNetworkList(ctx, list)
		return err
	case "add":
		result, err := cni.AddNetworkList(ctx, list, rt)
		if err != nil {
			return err
		}
		a.Result, err = newest(result)
		return err
	case "del":
		return cni.DelNetworkList(ctx, list, rt)
	case "check":
		return cni.CheckNetworkList(ctx, list, rt)
	case "status":
		return cni.GetStatusNetworkList(ctx, list)
	case "gc":
		return cni.GCNetworkList(ctx, list, &libcni.GCArgs{ValidAttachments: q.Valid})
	}
	return errors.New("unknown operation " + q.Do)
}

func main() {
	var q request
	var a answer
	if err := json.NewDecoder(os.Stdin).Decode(&q); err != nil {
		panic(err)
	}
	ctx := context.Background()
	if q.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(q.Timeout)*time.Millisecond)
		defer cancel()
	}
	if err := do(ctx, &q, &a); err != nil {
		a.Error = err.Error()
		var plugin *types.Error
		if errors.As(err, &plugin) {
			a.Code = plugin.Code
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(&a); err != nil {
		panic(err)
	}
}
