# SPDX-License-Identifier: Apache-2.0
"""The inspect API: HTTP/1.1 on the CRI socket, CRI-O's paths, statistics, and the progress of pulls."""

import fcntl
import http.client
import json
import os
import pty
import random
import socket
import struct
import subprocess
import termios
import threading
import time
import tomllib

import crid_node
from crid_harness import BUILD, NodeCase, cri_pb2
from crid_node import Image, layer, wait_for
from test_worker import Stub

CTL = os.path.join(BUILD, "tools/crid-ctl")
CONTAINER_KEYS = ["name", "pid", "image", "image_ref", "created_time", "labels", "annotations", "crio_annotations", "log_path",
                  "root", "sandbox", "ip_addresses", "host_network"]
KINDS = ["run_pod", "stop_network", "stop_pod", "remove_pod", "create_container", "start_container", "end_container",
         "remove_container",
         "update_container"]
PATIENCE = 20


def dial(path):
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)             # blocking: with a timeout it would fail when the backlog is full
    s.settimeout(PATIENCE)
    return s


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = dial(self.path)


def cpu_ticks(pid):
    with open(f"/proc/{pid}/stat", "rb") as f:
        fields = f.read().rpartition(b")")[2].split()
    return int(fields[11]) + int(fields[12])


class InspectCase(NodeCase):
    def request(self, path, method="GET", body=None):
        """(status, headers, bytes)"""
        connection = UnixConnection(self.node.socket)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def get(self, path):
        """The JSON of a 200."""
        status, headers, body = self.request(path)
        self.assertEqual((status, headers["Content-Type"]), (200, "application/json"), body)
        return json.loads(body)

    def dial(self):
        s = dial(self.node.socket)
        self.addCleanup(s.close)
        return s

    def raw(self, data):
        """All that comes back."""
        s = self.dial()
        s.sendall(data)
        answer = b""
        try:
            while part := s.recv(65536):
                answer += part
        except ConnectionResetError:
            pass
        return answer


class Protocol(InspectCase):
    """What the socket does with bytes."""

    def test_text_as_people_type_it(self):
        want = self.request("/info")[2]
        for text in (b"GET /info HTTP/1.1\nHost: crio\n\n", b"GET /info HTTP/1.1\r\nHost: crio\r\n\n",
                     b"GET /info HTTP/1.0\r\n\r\n"):
            with self.subTest(text=text):
                head, _, body = self.raw(text).partition(b"\r\n\r\n")
                self.assertTrue(head.startswith(b"HTTP/1.1 200 OK\r\n"), head)
                self.assertIn(b"\r\nConnection: close", head)
                self.assertEqual(body, want)

    def test_echo_into_a_pipe_that_ends(self):
        """The sender closes its side before the answer comes."""
        s = self.dial()
        s.sendall(b"GET /info HTTP/1.1\nHost: x\n\n")
        s.shutdown(socket.SHUT_WR)
        answer = b""
        while part := s.recv(65536):
            answer += part
        self.assertTrue(answer.endswith(self.request("/info")[2]), answer)

    def test_byte_by_byte(self):
        s = self.dial()
        for byte in b"GET /info HTTP/1.1\r\nHost: x\r\n\r\n":
            s.send(bytes([byte]))
        self.assertTrue(s.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n"))

    def test_unknown_paths(self):
        for path in ("/", "/infos", "/info/", "/containers", "/containers/", "/containers/a/b", "/pause/x", "/crid", "/crid/",
                     "/crid/stats/", "/%69nfo", "/../info", "*"):
            for method in ("GET", "POST"):
                with self.subTest(path=path, method=method):
                    status, headers, body = self.request(path, method)
                    self.assertEqual((status, headers["Content-Type"], body),
                                     (404, "text/plain; charset=utf-8", b"404 page not found\n"))

    def test_other_methods(self):
        for method in ("POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "XYZZY"):
            for path in ("/info", "/config", "/containers/" + "a" * 64, "/crid/stats", "/crid/pulls"):
                with self.subTest(method=method, path=path):
                    status, headers, _ = self.request(path, method, b"x" * 100000 if method in ("POST", "PUT") else None)
                    self.assertEqual((status, headers["Allow"]), (405, "GET"))

    def test_hostile_bytes(self):
        many = b"".join(b"H%d: x\r\n" % i for i in range(5000))
        for data, status in ((b"GET /info\r\n\r\n", 400), (b"GET /info HTTP/1.1\r\n\r\n", 400),
                             (b"GET /in\0fo HTTP/1.1\r\nHost: x\r\n\r\n", 400), (b"GET /info HTTP/3.0\r\nHost: x\r\n\r\n", 505),
                             (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
                             (b"GET /info HTTP/1.1\r\n" + many + b"\r\n", 431), (b"A" * 100000, 414),
                             (b"GET /info HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400)):
            with self.subTest(data=data[:40]):
                self.assertTrue(self.raw(data).startswith(b"HTTP/1.1 %d " % status))
        for data in (b"\x16\x03\x01\x02\x00\x01\x00", b"\r\n\r\n", b"\0" * 1000, b"PRI * HTTP/1.1\r\n\r\n" + b"x" * 100):
            with self.subTest(data=data[:40]):
                self.assertNotIn(b"HTTP/1.1", self.raw(data))
        self.assertEqual(self.cri.Version().version, "0.1.0")

    def test_slow_and_silent_peers_are_cut_after_five_seconds(self):
        began = time.monotonic()
        silent, slow = self.dial(), self.dial()
        slow.sendall(b"GET /info HTTP/1.1\r\n")
        self.assertEqual((silent.recv(1), slow.recv(1)), (b"", b""))
        self.assertAlmostEqual(time.monotonic() - began, 5, delta=1.5)

    def test_many_connections_do_not_keep_grpc_out(self):
        crowd = [self.dial() for _ in range(300)]
        for s in crowd:
            try:
                s.sendall(b"GET /info HT")
            except OSError:
                pass
        self.assertEqual(self.cri.Version().runtime_api_version, "v1")
        for s in crowd:
            s.close()
        wait_for(lambda: self.request("/info")[0] == 200, PATIENCE, "HTTP is served again")

    def test_grpc_and_http_at_the_same_time(self):
        failures = []

        def ask():
            try:
                for _ in range(50):
                    self.assertEqual(self.request("/info")[0], 200)
            except Exception as e:      # pylint: disable=broad-except
                failures.append(e)
        threads = [threading.Thread(target=ask) for _ in range(8)]
        for t in threads:
            t.start()
        for _ in range(100):
            self.cri.Version()
        for t in threads:
            t.join()
        self.assertEqual(failures, [])


class Objects(InspectCase):
    """CRI-O's three paths."""

    def test_info(self):
        self.assertEqual(list(self.get("/info")),
                         ["storage_driver", "storage_image", "storage_root", "cgroup_driver", "default_id_mappings"])
        everything = [{"container_id": 0, "host_id": 0, "size": 4294967295}]
        self.assertEqual(self.get("/info"), {
            "storage_driver": "overlay", "storage_image": "", "storage_root": self.node.root, "cgroup_driver": "cgroupfs",
            "default_id_mappings": {"uids": everything, "gids": everything}})

    def test_config(self):
        status, headers, body = self.request("/config")
        self.assertEqual((status, headers["Content-Type"]), (200, "application/toml"))
        crio = tomllib.loads(body.decode())["crio"]
        self.assertEqual((crio["root"], crio["api"]["listen"], crio["runtime"]["default_runtime"]),
                         (self.node.root, self.node.socket, self.runtime))
        self.assertIn("ctr_stop_timeout", crio["runtime"])      # not set in the file: the default is shown

    def wait_command_line(self, pid, want):
        """The runtime may answer before the process is what it shall be."""
        def read():
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                return f.read()
        wait_for(lambda: read() == want, PATIENCE, f"process {pid} is {want}")

    def check_container(self, **pod_more):
        self.pull(self.busybox)
        pod, config = self.run_pod(self.pod_config(labels={"p": "q"}, annotations={"pod.io/z": "1", "pod.io/a": "<&>"}, **pod_more))
        container = self.start_container(pod, config, ["sleep", "1000"], labels={"b": "2", "a": "1"},
                                         annotations={"some.io/x": "\u00e4\n"})
        status = self.status(container)
        one = self.get("/containers/" + container)
        self.assertEqual(list(one), CONTAINER_KEYS)
        self.wait_command_line(one["pid"], b"sleep\x001000\0")
        self.assertRegex(one["name"], r"^k8s_main_pod_test_[0-9a-f-]{36}_0$")
        self.assertEqual((one["image"], one["image_ref"]), (self.busybox, status.image_ref))
        self.assertEqual(list(one["labels"].items()), [("a", "1"), ("b", "2")])
        self.assertEqual(one["annotations"], {"some.io/x": "\u00e4\n"})
        self.assertEqual((one["log_path"], one["sandbox"]), (status.log_path, pod))
        self.assertTrue(os.path.ismount(one["root"]), one["root"])
        self.assertLess(abs(one["created_time"] - status.created_at), 10**9)
        with open(os.path.join(self.node.root, f"overlay-containers/{container}/userdata/config.json")) as f:
            self.assertEqual(one["crio_annotations"], json.load(f)["annotations"])
        address = self.pod_status(pod).network.ip
        self.assertEqual((one["ip_addresses"], one["host_network"]), ([address], False) if address else (None, True))
        return pod, config, container, one

    def test_container(self):
        pod, _, container, one = self.check_container()
        infra = self.get("/containers/" + pod)
        self.assertEqual(list(infra), CONTAINER_KEYS)
        self.assertEqual(infra["pid"], one["pid"])      # no process of its own: that of a container
        self.assertEqual((infra["annotations"], infra["crio_annotations"], infra["log_path"]),
                         ({"spoofed.crio.io": "true"}, None, ""))
        self.assertEqual((infra["labels"]["p"], infra["sandbox"], infra["ip_addresses"]), ("q", pod, one["ip_addresses"]))
        self.assertEqual(infra["labels"]["io.kubernetes.pod.name"], "pod")
        self.cri.StopContainer(container_id=container, timeout=0)
        self.assertEqual(self.get("/containers/" + container)["pid"], 0)
        self.assertEqual(self.get("/containers/" + pod)["pid"], 0)

    def test_container_on_the_host_network(self):
        options = {"network": cri_pb2.NODE, "pid": cri_pb2.CONTAINER}
        self.check_container(linux={"security_context": {"namespace_options": options}})

    def test_pod_with_a_process(self):
        options = {"pid": cri_pb2.POD}
        pod, config = self.run_pod(self.pod_config(annotations={"a": "b"},
                                                   linux={"security_context": {"namespace_options": options}}))
        infra = self.get("/containers/" + pod)
        self.wait_command_line(infra["pid"], b"/pause\0")
        self.assertEqual(infra["annotations"], {"a": "b"})
        self.assertEqual(infra["log_path"], os.path.join(config["log_directory"], pod + ".log"))
        with open(os.path.join(self.node.root, f"overlay-containers/{pod}/userdata/config.json")) as f:
            self.assertEqual(infra["crio_annotations"], json.load(f)["annotations"])

    def test_the_same_after_a_restart(self):
        pod, _, container, one = self.check_container()
        infra = self.get("/containers/" + pod)
        self.node.stop()
        self.start_crid()
        self.assertEqual(self.get("/containers/" + container), one)
        self.assertEqual(self.get("/containers/" + pod), infra)

    def test_unknown_ids(self):
        self.pull(self.busybox)
        pod, config = self.run_pod()
        container = self.start_container(pod, config, ["sleep", "1000"])
        for bad in (container[:12], container[:-1], container.upper(), "a" * 64, "x", "%00", pod[:13], "?", container + "0"):
            with self.subTest(id=bad):
                status, headers, body = self.request("/containers/" + bad)
                if bad == "?":
                    self.assertEqual((status, body), (404, b"404 page not found\n"))
                    continue
                self.assertEqual((status, headers["Content-Type"]), (404, "text/plain; charset=utf-8"))
                self.assertEqual(body.decode(), f"can't find the container with id {bad}\n")


class Stats(InspectCase):
    def test_shape_and_counts(self):
        before = self.get("/crid/stats")
        self.assertEqual(list(before), ["pods", "containers", "operations_running", "pulls", "execs", "events_dropped", "threads",
                                        "heap_bytes", "operations"])
        self.assertEqual(list(before["operations"]), KINDS)
        self.pull(self.busybox)
        pod, config = self.run_pod()
        container = self.start_container(pod, config, ["sleep", "1000"])
        during = self.get("/crid/stats")
        self.assertEqual((during["pods"], during["containers"], during["operations_running"], during["pulls"]), (1, 1, 0, 0))
        with open(f"/proc/{self.node.process.pid}/status") as f:
            threads = next(int(line.split()[1]) for line in f if line.startswith("Threads:"))
        self.assertLessEqual(abs(during["threads"] - threads), 1)
        self.cri.UpdateContainerResources(container_id=container, linux={"cpu_shares": 100})
        self.cri.StopContainer(container_id=container, timeout=0)
        self.cri.RemoveContainer(container_id=container)
        self.cri.StopPodSandbox(pod_sandbox_id=pod)
        self.cri.RemovePodSandbox(pod_sandbox_id=pod)
        after = self.get("/crid/stats")
        self.assertEqual((after["pods"], after["containers"]), (0, 0))
        for kind in KINDS:
            was, now = before["operations"][kind], after["operations"][kind]
            with self.subTest(kind=kind):
                self.assertEqual(list(now), ["count", "wall_ns", "own_ns"])
                if kind != "end_container":     # may look more than once
                    self.assertEqual(now["count"] - was["count"], 1)
                wall, own = now["wall_ns"] - was["wall_ns"], now["own_ns"] - was["own_ns"]
                self.assertGreater(own, 0)
                self.assertLessEqual(own, wall)

    def test_time_of_children_is_not_the_daemons_own(self):
        """What the operations call takes half a second longer; only the wall time grows by that."""
        self.pull(self.busybox)
        slow = self.slow_runtime()
        was = self.get("/crid/stats")["operations"]
        pod, config = self.run_pod(handler=slow)
        self.start_container(pod, config, ["sleep", "1000"])
        now = self.get("/crid/stats")["operations"]
        for kind in ("create_container", "start_container"):
            wall, own = (now[kind][what] - was[kind][what] for what in ("wall_ns", "own_ns"))
            self.assertGreaterEqual(wall, 500e6, kind)
            self.assertLess(own, 250e6, kind)

    def slow_runtime(self):
        """Name of a handler whose create and start take half a second more."""
        return "slow"

    @classmethod
    def configuration(cls):
        path = os.path.join(cls.base, "slow-runtime")
        with open(path, "w") as f:
            f.write(f'#!/bin/sh\ncase " $* " in *" create "* | *" start "*) sleep 0.5 ;; esac\nexec {crid_node.program(cls.runtime)} "$@"\n')
        os.chmod(path, 0o755)
        return (f'[crio.runtime.runtimes.slow]\nruntime_path = "{path}"\nruntime_type = "oci"\nruntime_root = "{cls.base}/slow"\n'
                f'monitor_path = "{crid_node.program("conmon")}"\nmonitor_cgroup = "pod"\n')


class Pulls(InspectCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.stub = Stub()
        cls.addClassCleanup(cls.stub.stop)
        with open(cls.node.path("registries.conf"), "a") as f:
            f.write(f'\n[[registry]]\nlocation = "{cls.stub.host}"\ninsecure = true\n')

    def tearDown(self):
        for image in self.cri.ListImages().images:
            if self.pause not in image.repo_tags:
                self.cri.RemoveImage(image={"image": image.id})

    def held(self, name, count=2):
        """(reference, [(digest, size, go)]): each layer stops in its middle until go is set."""
        image = Image([layer([(f"{name}{i}", random.randbytes(200000))]) for i in range(count)], {})
        reference = self.stub.put(name, "1", image)
        layers = []
        for digest, data in image.blobs.items():
            if digest != image.id:
                layers.append((digest, len(data), self.stub.hold_blob(name, digest)[0]))
        for _, _, go in layers:
            self.addCleanup(go.set)
        return reference, layers

    def watch(self, answer):
        return self.get(f"/crid/pulls?after={answer['version']}")

    def watch_until(self, answer, true, limit=100):
        for _ in range(limit):
            if true(answer):
                return answer
            answer = self.watch(answer)
        self.fail(f"still {answer}")

    def test_nothing_runs(self):
        answer = self.get("/crid/pulls")
        self.assertEqual(answer, {"version": answer["version"], "pulls": []})
        for query in ("", "after=", "after=x", "after=-1", "after=99999999999999999999999", "before=1"):
            with self.subTest(query=query):
                self.assertEqual(self.get("/crid/pulls?" + query), answer)

    def test_layers_of_a_pull_as_they_come(self):
        answer = self.get("/crid/pulls")
        reference, layers = self.held("watched")
        running = self.cri.future("PullImage", image={"image": reference})
        answer = self.watch_until(answer, lambda a: a["pulls"] and a["pulls"][0]["layers"] and
                                  all(l["done"] for l in a["pulls"][0]["layers"]))
        one = answer["pulls"][0]
        self.assertEqual(list(one), ["image", "reference", "layers"])
        self.assertEqual((one["image"], one["reference"], len(answer["pulls"])), (reference, reference, 1))
        self.assertEqual([(l["layer"], l["size"]) for l in one["layers"]], [(digest, size) for digest, size, _ in layers])
        for l in one["layers"]:
            self.assertLess(l["done"], l["size"])
        self.assertEqual(self.get("/crid/stats")["pulls"], 1)
        layers[0][2].set()
        answer = self.watch_until(answer, lambda a: a["pulls"][0]["layers"][0]["done"] == layers[0][1])
        self.assertLess(answer["pulls"][0]["layers"][1]["done"], layers[1][1])
        layers[1][2].set()
        self.watch_until(answer, lambda a: not a["pulls"])
        running.result()

    def test_who_waits_costs_nothing_and_may_leave(self):
        version = self.get("/crid/pulls")["version"]
        waiting = [self.dial() for _ in range(40)]
        for s in waiting:
            s.sendall(b"GET /crid/pulls?after=%d HTTP/1.1\r\nHost: x\r\n\r\n" % version)
        self.get("/crid/pulls")
        before = cpu_ticks(self.node.process.pid)
        time.sleep(1)
        self.assertLessEqual(cpu_ticks(self.node.process.pid) - before, 1)
        for s in waiting[:20]:
            s.close()
        for s in waiting[20:30]:
            s.shutdown(socket.SHUT_WR)          # still reading
        self.pull(self.busybox)
        for s in waiting[20:]:
            answer = b""
            while part := s.recv(65536):
                answer += part
            self.assertTrue(answer.startswith(b"HTTP/1.1 200 OK\r\n"))

    def test_too_many_wait(self):
        version = self.get("/crid/pulls")["version"]
        waiting = [self.dial() for _ in range(64)]
        for s in waiting:
            s.sendall(b"GET /crid/pulls?after=%d HTTP/1.1\r\nHost: x\r\n\r\n" % version)
        wait_for(lambda: self.request("/info")[0] == 503, PATIENCE, "the limit is reached")
        self.cri.Version()
        for s in waiting:
            s.close()
        wait_for(lambda: self.request("/info")[0] == 200, PATIENCE, "the limit is not reached any more")

    def test_daemon_ends_while_somebody_waits(self):
        version = self.get("/crid/pulls")["version"]
        s = self.dial()
        s.sendall(b"GET /crid/pulls?after=%d HTTP/1.1\r\nHost: x\r\n\r\n" % version)
        self.get("/crid/pulls")
        self.node.stop()
        while s.recv(65536):
            pass
        self.start_crid()

    # ---- crid-ctl pull ----

    def ctl_pull(self, reference, *options, stderr=subprocess.PIPE, **env):
        process = subprocess.Popen([CTL, "--endpoint", "unix://" + self.node.socket, "pull", *options, reference],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr, text=True,
                                   env={"PATH": "/usr/bin:/bin", **env})
        self.addCleanup(process.stdout.close)
        return process

    def release(self, layers):
        """Lets the layers go on when half of each has come, as crid says."""
        self.watch_until(self.get("/crid/pulls"), lambda a: a["pulls"] and a["pulls"][0]["layers"] and
                         all(l["done"] for l in a["pulls"][0]["layers"]))
        for _, _, go in layers:
            go.set()

    def test_ctl_tells_each_layer_once(self):
        reference, layers = self.held("lines")
        process = self.ctl_pull(reference)
        self.release(layers)
        out, err = process.communicate(timeout=PATIENCE)
        self.assertEqual((process.returncode, out), (0, self.cri.ImageStatus(image={"image": reference}).image.id + "\n"))
        self.assertEqual(sorted(err.splitlines()), sorted(f"{digest[7:20]}  200kB" for digest, _, _ in layers))

    def test_ctl_quiet_and_json_tell_nothing(self):
        for option in ("--quiet", "--json"):
            reference, layers = self.held("silent" + option.strip("-"))
            process = self.ctl_pull(reference, option)
            self.release(layers)
            _, err = process.communicate(timeout=PATIENCE)
            self.assertEqual((process.returncode, err), (0, ""))

    def test_ctl_that_fails_tells_why(self):
        process = self.ctl_pull(self.stub.host + "/none:1")
        out, err = process.communicate(timeout=PATIENCE)
        self.assertEqual((process.returncode, out, err.count("\n")), (1, "", 1))
        self.assertIn("none:1", err)

    def test_ctl_draws_bars_on_a_terminal(self):
        reference, layers = self.held("bars")
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 70, 0, 0))
        process = self.ctl_pull(reference, stderr=theirs, TERM="xterm")
        os.close(theirs)
        seen = b""
        # both halves are drawn before the layers may go on
        while not all(f"{digest[7:20]}    100kB /   200kB  [".encode() in seen for digest, _, _ in layers):
            seen += os.read(ours, 65536)
        for _, _, go in layers:
            go.set()
        out, _ = process.communicate(timeout=PATIENCE)
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:             # the other side is closed
                break
            if not part:
                break
            seen += part
        self.assertEqual((process.returncode, len(out)), (0, 65))
        self.assertIn(b"\033[2A\r", seen)
        last = seen.rpartition(b"\033[2A")[2]
        for digest, _, _ in layers:
            self.assertRegex(last, rb"\r%s    200kB /   200kB  \[#+\]  100%%\033\[K\r\n" % digest[7:20].encode())
