// SPDX-License-Identifier: Apache-2.0

// grpc-go, which is what kubelets and crictl speak, as a client of libcrisvc.
//
//	grpc_go CHECK SOCKET
//
// CHECK is one of the names below; they want libcrisvc's echo server on SOCKET, "lists" any CRI server.
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

type peer struct {
	conn    *grpc.ClientConn
	runtime cri.RuntimeServiceClient
	images  cri.ImageServiceClient
}

var background = context.Background()

func must(ok bool, format string, a ...any) {
	if !ok {
		fmt.Printf(format+"\n", a...)
		os.Exit(1)
	}
}

func (p *peer) exec(ctx context.Context, cmd ...string) ([]byte, error) {
	r, err := p.runtime.ExecSync(ctx, &cri.ExecSyncRequest{Cmd: cmd})
	return r.GetStdout(), err
}

func (p *peer) text(cmd ...string) string {
	out, err := p.exec(background, cmd...)
	must(err == nil, "%v: %v", cmd, err)
	return string(out)
}

func code(err error, want codes.Code) {
	must(status.Code(err) == want, "%v, not %v", err, want)
}

func (p *peer) untilCancelled(n string) {
	for i := 0; i < 1000 && p.text("cancelled") != n; i++ {
		time.Sleep(10 * time.Millisecond)
	}
	must(p.text("cancelled") == n, "%s cancelled, not %s", p.text("cancelled"), n)
}

func calls(p *peer) {
	v, err := p.runtime.Version(background, &cri.VersionRequest{Version: "0.1.0"})
	must(err == nil && v.RuntimeName == "echo", "Version: %v %v", v, err)
	must(p.text("echo", "grüße", "日本") == "grüße 日本", "echo")
	_, err = p.exec(background, "fail", "5", "100% größe\n")
	code(err, codes.NotFound)
	must(status.Convert(err).Message() == "100% größe\n", "message %q", err)
	_, err = p.runtime.StopContainer(background, &cri.StopContainerRequest{})
	code(err, codes.Unimplemented)
	_, err = p.exec(background, "echo", string([]byte{'a', 0, 'b'}))
	code(err, codes.InvalidArgument)
}

func messages(p *peer) {
	for _, n := range []int{0, 1, 16384, 1 << 20, 80<<20 - 5} {
		out, err := p.exec(background, "bytes", fmt.Sprint(n))
		must(err == nil && len(out) == n, "%d bytes: %d %v", n, len(out), err)
		for i, b := range out {
			must(int(b) == i%251, "byte %d of %d", i, n)
		}
	}
	must(p.text("count", strings.Repeat("x", 80<<20-20)) == fmt.Sprint(80<<20-20), "large request")
	_, err := p.exec(background, "count", strings.Repeat("x", 80<<20))
	code(err, codes.ResourceExhausted)
	_, err = p.exec(background, "bytes", fmt.Sprint(80<<20))
	code(err, codes.ResourceExhausted)
}

func compression(p *peer) {
	_, err := p.runtime.Version(background, &cri.VersionRequest{Version: strings.Repeat("v", 1000)}, grpc.UseCompressor(gzip.Name))
	code(err, codes.Unimplemented)
	calls(p)
}

func deadlines(p *peer) {
	ctx, cancel := context.WithTimeout(background, 200*time.Millisecond)
	_, err := p.exec(ctx, "never")
	code(err, codes.DeadlineExceeded)
	cancel()
	p.untilCancelled("1")
	ctx, cancel = context.WithCancel(background)
	time.AfterFunc(100*time.Millisecond, cancel)
	_, err = p.exec(ctx, "never")
	code(err, codes.Canceled)
	p.untilCancelled("2")
	ctx, cancel = context.WithTimeout(background, 100*time.Second)
	defer cancel()
	left, _ := p.exec(ctx, "deadline")
	must(len(left) == 5 && left[0] == '9', "%s ms left", left)
}

func streams(p *peer) {
	list, err := p.runtime.ListContainers(background, &cri.ListContainersRequest{})
	must(err == nil && len(list.Containers) == 1000, "ListContainers: %v", err)
	stream, err := p.runtime.StreamContainers(background, &cri.StreamContainersRequest{})
	must(err == nil, "StreamContainers: %v", err)
	for _, c := range list.Containers {
		one, err := stream.Recv()
		must(err == nil && len(one.Containers) == 1 && one.Containers[0].String() == c.String(), "container: %v", err)
	}
	_, err = stream.Recv()
	must(err == io.EOF, "end: %v", err)

	ctx, cancel := context.WithCancel(background)
	events, err := p.runtime.GetContainerEvents(ctx, &cri.GetEventsRequest{})
	must(err == nil, "events: %v", err)
	for i := range int64(50000) {
		if i == 100 {
			time.Sleep(300 * time.Millisecond) // the server has to wait for us
		}
		e, err := events.Recv()
		must(err == nil && e.CreatedAt == i, "event %d: %v %v", i, e, err)
	}
	cancel()
	p.untilCancelled("1")
}

func metadatas(p *peer) {
	var trailer metadata.MD
	ctx := metadata.AppendToOutgoingContext(background, "x-echo-a", "1", "x-echo-bin", "\x00\xff\x01", "x-echo-a", "2")
	_, err := p.runtime.Version(ctx, &cri.VersionRequest{}, grpc.Trailer(&trailer))
	must(err == nil, "%v", err)
	must(fmt.Sprint(trailer["x-echo-a"]) == "[1 2]" && fmt.Sprint(trailer["x-echo-bin"]) == "[\x00\xff\x01]", "%v", trailer)
}

func many(p *peer) {
	var wait sync.WaitGroup
	for i := range 3000 {
		wait.Go(func() {
			out, err := p.exec(background, "sleep", fmt.Sprint(i%50))
			must(err == nil && bytes.Equal(out, []byte("slept")), "call %d: %s %v", i, out, err)
		})
	}
	wait.Wait()
}

// Go's own signs of life come every 10 seconds at most.
func life(p *peer) {
	must(p.text("sleep", "11000") == "slept", "sleep")
}

// What is on any CRI server: every message must come through Go's UTF-8 check.
func lists(p *peer) {
	images, err := p.images.ListImages(background, &cri.ListImagesRequest{})
	must(err == nil, "ListImages: %v", err)
	for _, i := range images.Images {
		s, err := p.images.ImageStatus(background, &cri.ImageStatusRequest{Image: &cri.ImageSpec{Image: i.Id}, Verbose: true})
		must(err == nil && s.Image != nil, "ImageStatus: %v", err)
	}
	pods, err := p.runtime.ListPodSandbox(background, &cri.ListPodSandboxRequest{})
	must(err == nil, "ListPodSandbox: %v", err)
	for _, s := range pods.Items {
		_, err := p.runtime.PodSandboxStatus(background, &cri.PodSandboxStatusRequest{PodSandboxId: s.Id, Verbose: true})
		must(err == nil, "PodSandboxStatus: %v", err)
	}
	containers, err := p.runtime.ListContainers(background, &cri.ListContainersRequest{})
	must(err == nil, "ListContainers: %v", err)
	for _, c := range containers.Containers {
		s, err := p.runtime.ContainerStatus(background, &cri.ContainerStatusRequest{ContainerId: c.Id, Verbose: true})
		must(err == nil, "ContainerStatus: %v", err)
		fmt.Printf("message %q\n", s.Status.Message)
	}
	fmt.Printf("%d images, %d pods, %d containers\n", len(images.Images), len(pods.Items), len(containers.Containers))
}

var checks = map[string]func(*peer){
	"calls": calls, "messages": messages, "compression": compression, "deadlines": deadlines, "streams": streams,
	"metadata": metadatas, "many": many, "life": life, "lists": lists,
}

func main() {
	conn, err := grpc.NewClient("unix://"+os.Args[2], grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(100<<20), grpc.MaxCallSendMsgSize(100<<20)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: time.Second, PermitWithoutStream: true}))
	must(err == nil, "%v", err)
	checks[os.Args[1]](&peer{conn, cri.NewRuntimeServiceClient(conn), cri.NewImageServiceClient(conn)})
	conn.Close()
}
