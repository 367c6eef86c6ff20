# SPDX-License-Identifier: Apache-2.0
"""libcrisvc's server with clients of other people: grpc-go, crictl, nghttp, h2load and curl (grpcio is in the unit suite).

The server is crisvc-echo-server of libcrisvc/examples. $GRPC_PEER is a program over grpc-go and the cri-api module
(tests/interop/grpc_go; tests/run builds it where Go is). The last class puts text that is not UTF-8 under a real crid.
"""

import json
import os
import shutil
import subprocess
import tempfile
import unittest

import grpc
from crid_harness import BUILD, NodeCase, crid_node, wait_for

ECHO = os.path.join(BUILD, "libcrisvc/examples/crisvc-echo-server")
CRICTL = os.environ.get("CRICTL")
PEER = os.environ.get("GRPC_PEER")
NO_CRICTL = os.environ.get("CRICTL_MISSING") or "Go is not on this machine to build crictl, and CRICTL is not set"
NO_PEER = os.environ.get("GRPC_PEER_MISSING") or "Go is not on this machine to build grpc-go's side, and GRPC_PEER is not set"
VERSION = "/runtime.v1.RuntimeService/Version"
PORT = "7070"       # the network namespace is the runner's


@unittest.skipUnless(os.path.exists(ECHO), f"{ECHO} is not built")
class EchoCase(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="grpc-interop-")
        self.addCleanup(shutil.rmtree, self.dir)
        self.socket = os.path.join(self.dir, "sock")
        self.process = subprocess.Popen([ECHO, self.socket, PORT], stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.end)
        self.assertIn("listening", self.process.stdout.readline())

    def end(self):
        self.process.terminate()
        self.assertEqual(self.process.wait(20), 0)
        self.process.stdout.close()

    def run_program(self, *command, **more):
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False, **more)
        self.assertEqual(done.returncode, 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}")
        return done.stdout

    def file(self, name, data):
        path = os.path.join(self.dir, name)
        with open(path, "wb") as f:
            f.write(data)
        return path


@unittest.skipUnless(PEER, NO_PEER)
class GrpcGo(EchoCase):
    def check(self, name):
        self.assertEqual(self.run_program(PEER, name, self.socket), "")

    def test_calls_and_their_errors(self):
        self.check("calls")

    def test_messages_up_to_80_mib(self):
        self.check("messages")

    def test_compression_is_unimplemented(self):
        self.check("compression")

    def test_deadline_and_cancel_reach_the_server(self):
        self.check("deadlines")

    def test_streams_slow_reader_and_cancel(self):
        self.check("streams")

    def test_metadata(self):
        self.check("metadata")

    def test_three_thousand_calls_at_once(self):
        self.check("many")

    def test_signs_of_life(self):
        self.check("life")


@unittest.skipUnless(CRICTL, NO_CRICTL)
class Crictl(EchoCase):
    def crictl(self, *arguments):
        return self.run_program(CRICTL, "--config", "/dev/null", "-r", "unix://" + self.socket, "-i", "unix://" + self.socket, *arguments,
                                env={"PATH": os.environ["PATH"], "HOME": self.dir})

    def test_version(self):
        self.assertIn("RuntimeName:  echo\n", self.crictl("version"))

    def test_thousand_containers(self):
        containers = json.loads(self.crictl("ps", "-a", "-o", "json"))["containers"]
        self.assertEqual([int(c["id"], 16) for c in containers], list(range(999, -1, -1)))      # the newest first
        self.assertEqual(containers[-8]["labels"]["io.kubernetes.example.label.3"], "the-value-of-label-3-of-container-7")

    def test_events_until_it_goes_away(self):
        process = subprocess.Popen([CRICTL, "--config", "/dev/null", "-r", "unix://" + self.socket, "events", "-o", "json"],
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={"PATH": os.environ["PATH"], "HOME": self.dir})
        first = "".join(process.stdout.readline() for _ in range(20))
        process.kill()
        process.wait()
        process.stdout.close()
        self.assertIn("CONTAINER_STARTED_EVENT", first)
        wait_for(lambda: self.run_program("curl", "-s", "--http1.1", "--unix-socket", self.socket, "http://x/sent"), 10, "answers")


@unittest.skipUnless(shutil.which("curl"), "curl is not on this machine")
class Curl(EchoCase):
    def curl(self, *arguments):
        return self.run_program("curl", "-s", "--max-time", "30", "--unix-socket", self.socket, *arguments)

    def test_http1_beside_grpc(self):
        self.assertEqual(self.curl("--http1.1", "http://x/some/path?and=query"), "GET /some/path?and=query\n")
        self.assertEqual(self.curl("--http1.0", "http://x/"), "GET /?\n")
        head = self.curl("--http1.1", "-I", "http://x/")
        self.assertRegex(head, r"^HTTP/1.1 200 OK\n")
        self.assertRegex(head, r"\nContent-Type: text/plain\n")

    def test_http1_with_a_body(self):
        data = self.file("body", b"x" * 3000000)
        self.assertEqual(self.curl("--http1.1", "-H", "Expect:", "--data-binary", "@" + data, "http://x/up"), "POST /up?\n")

    def test_http1_over_tcp(self):
        self.assertEqual(self.run_program("curl", "-s", "--http1.1", f"http://127.0.0.1:{PORT}/tcp"), "GET /tcp?\n")

    def test_grpc_by_hand(self):
        request, answer, headers = self.file("request", bytes(5)), os.path.join(self.dir, "answer"), os.path.join(self.dir, "headers")
        common = ("--http2-prior-knowledge", "-H", "te: trailers", "-D", headers, "-o", answer)
        grpc = (*common, "-H", "content-type: application/grpc+proto")
        self.curl(*grpc, "--data-binary", "@" + request, "http://localhost" + VERSION)
        with open(answer, "rb") as f:
            message = f.read()
        self.assertEqual(message[:5], bytes([0]) + (len(message) - 5).to_bytes(4, "big"))
        self.assertIn(b"echo", message)
        with open(headers) as f:
            self.assertRegex(f.read(), r"(?s)HTTP/2 200.*content-type: application/grpc\s.*grpc-status: 0")
        # without a body: curl 7.88 waits for ever when the whole answer comes before it has sent one
        self.curl(*grpc, "-X", "POST", "http://localhost/no.Such/Method")
        with open(headers) as f:
            self.assertRegex(f.read(), r"(?s)HTTP/2 200.*grpc-status: 12\s.*grpc-message: unknown method /no.Such/Method")
        self.curl(*common, "-X", "POST", "-H", "content-type: text/plain", "http://localhost" + VERSION)
        with open(headers) as f:
            self.assertIn("HTTP/2 415", f.read())


@unittest.skipUnless(shutil.which("nghttp") and shutil.which("h2load"), "nghttp2-client is not on this machine")
class Nghttp(EchoCase):
    HEADERS = ("-H", "content-type: application/grpc", "-H", "te: trailers")

    def test_every_frame_of_a_call(self):
        out = self.run_program("nghttp", "-v", "-d", self.file("request", bytes(5)), *self.HEADERS, f"http://127.0.0.1:{PORT}{VERSION}")
        self.assertRegex(out, r"SETTINGS_MAX_CONCURRENT_STREAMS\(0x03\):4096")
        self.assertRegex(out, r"recv \(stream_id=\d+\) :status: 200")
        self.assertRegex(out, r"recv \(stream_id=\d+\) grpc-status: 0")

    def test_h2load_over_both_sockets(self):
        request = self.file("request", bytes(5))
        for target in ("-B", f"unix:{self.socket}", "http://localhost" + VERSION), (f"http://127.0.0.1:{PORT}{VERSION}",):
            for clients, streams in (1, 1), (200, 1), (10, 100), (2, 3000):
                out = self.run_program("h2load", "-n", "6000", "-c", str(clients), "-m", str(streams), "-d", request, *self.HEADERS, *target)
                self.assertIn("6000 succeeded, 0 failed", out)

    def test_large_lists_through_small_windows(self):
        out = self.run_program("h2load", "-n", "20", "-c", "4", "-m", "5", "-w", "16", "-W", "17", "-d", self.file("request", bytes(5)), *self.HEADERS,
                               f"http://127.0.0.1:{PORT}/runtime.v1.RuntimeService/ListContainers")
        self.assertIn("20 succeeded, 0 failed", out)


def hostile_image():
    """Labels and environment with bytes that are not UTF-8, and with NULs."""
    image = crid_node.busybox_image({"Labels": {"ff": "bad-FF", "nul": "a\0b", "key-FF": "x"}, "Env": ["PATH=/bin", "FF=bad-FF", "NUL=a\0b"]})
    config = image.blobs.pop(image.id).replace(b"-FF", b"\xff\xfe\xc0")
    name = crid_node.sha256(config)
    image.blobs[name] = config
    image.manifest = image.manifest.replace(image.id.encode(), name.encode())
    image.id, image.digest = name, crid_node.sha256(image.manifest)
    return image


@unittest.skipUnless(PEER, NO_PEER)
class HostileText(NodeCase):
    """A list with one bad string is refused whole by Go's clients; so there must be none."""

    @classmethod
    def configuration(cls):
        """A runtime that fails to start, with a stderr that is no text."""
        cls.tongue = os.path.join(cls.base, "tongue")
        with open(cls.tongue, "w") as f:
            f.write("#!/bin/sh\nfor a; do [ \"$a\" = start ] && { printf 'bad \\377\\376 and \\000 tongue\\n' >&2; exit 1; }; done\n"
                    f"exec {crid_node.program('runc')} \"$@\"\n")
        os.chmod(cls.tongue, 0o755)
        q = json.dumps
        return (f"\n[crio.runtime.runtimes.tongue]\nruntime_path = {q(cls.tongue)}\nruntime_type = \"oci\"\n"
                f"runtime_root = {q(os.path.join(cls.base, 'node/run/tongue'))}\nmonitor_path = {q(crid_node.program('conmon'))}\n"
                f"monitor_cgroup = \"pod\"\n")

    def lists(self):
        done = subprocess.run([PEER, "lists", self.node.socket], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def skopeo(self, reference, name):
        """Copies an image into the store past crid."""
        conf = self.node.write("storage.conf", f'[storage]\ndriver = "overlay"\ngraphroot = "{self.node.root}"\nrunroot = "{self.node.runroot}"\n')
        subprocess.run([crid_node.program("skopeo"), "--policy", self.node.path("policy.json"), "copy", "-q", "--src-tls-verify=false",
                        "docker://" + reference, f"containers-storage:[overlay@{self.node.root}+{self.node.runroot}]{name}"],
                       check=True, timeout=60, env={"PATH": crid_node.PATH, "HOME": self.node.base, "CONTAINERS_STORAGE_CONF": conf,
                                                    "TMPDIR": self.node.base})

    def known(self, name):
        return self.cri.ImageStatus(image={"image": name}).HasField("image")

    @unittest.skipUnless(shutil.which("skopeo"), "skopeo is not on this machine")
    def test_go_lists_images_with_such_labels_and_environment(self):
        reference = self.registry.push("hostile", ["1"], hostile_image())
        name = "localhost/hostile:1"
        self.pull(reference)
        self.lists()
        self.cri.RemoveImage(image={"image": reference})
        self.skopeo(reference, name)        # Go's tools keep the bytes as they are
        wait_for(lambda: self.known(name), 10, "crid knows the image")
        self.assertRegex(self.lists(), r"[1-9]\d* images, 0 pods, 0 containers")
        pod, config = self.run_pod()
        try:
            self.create(pod, config, self.container_config(["sleep", "100"], image=name))
        except grpc.RpcError as e:
            self.assertIn("UTF-8", e.details())
        self.assertRegex(self.lists(), r"images, 1 pods, [01] containers")
        self.remove_pod(pod)

    def test_go_lists_containers_whose_runtime_says_such_things(self):
        self.pull(self.busybox)
        pod, config = self.run_pod(handler="tongue")
        container = self.create(pod, config, self.container_config(["sleep", "100"]))
        with self.assertRaises(grpc.RpcError) as caught:
            self.cri.StartContainer(container_id=container)
        self.assertRegex(caught.exception.details(), r"bad .* tongue")
        self.assertRegex(self.lists(), r"images, 1 pods, 1 containers")
        self.remove_pod(pod)
