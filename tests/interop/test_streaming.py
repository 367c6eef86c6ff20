# SPDX-License-Identifier: Apache-2.0
"""Exec, attach and port-forward of a running crid by crictl, which is Go's client-go: over SPDY and WebSocket,
with runc and crun. Clients made of raw frames do what crictl cannot: vanish, lie, and come back."""

import collections
import concurrent.futures
import contextlib
import ctypes
import grpc
import hashlib
import json
import os
import pty
import random
import select
import socket
import subprocess
import sys
import termios
import threading
import time
import unittest
import urllib.parse

import crid_harness
from crid_harness import NodeCase, cri_pb2
from crid_node import wait_for

sys.path.insert(0, os.path.join(crid_harness.TOP, "tests/unit/libcrisvc"))
from streaming_peer import Refused, Spdy, WebSocket, http

CRICTL = os.environ.get("CRICTL")
NO_CRICTL = os.environ.get("CRICTL_MISSING") or "Go is not on this machine to build crictl, and CRICTL is not set"
TRANSPORTS = (("--transport", "spdy"), ("--transport", "websocket"))


def listen_in(namespace, port):
    """On a thread of its own, which stays in that network namespace."""
    if ctypes.CDLL(None, use_errno=True).setns(namespace, 0x40000000):
        raise OSError(ctypes.get_errno(), "setns")
    return socket.create_server(("127.0.0.1", port), backlog=128)


def echo(connection):
    with connection, contextlib.suppress(OSError):      # the client may vanish
        while data := connection.recv(1 << 16):
            connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)


def echo_for_ever(server):
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=echo, args=(connection,), daemon=True).start()


# Of a crid whose streaming thread is awake: two loops, their wake-ups and clocks, and the copy of the listening socket.
AWAKE = collections.Counter({"anon_inode:[eventpoll]": 2, "anon_inode:[eventfd]": 1, "anon_inode:[timerfd]": 1, "socket": 1})


class StreamingCase(NodeCase):
    def leaks(self):
        """The streaming thread may be awake: for two seconds after the last stream, or as long as a URL is good."""
        found = super().leaks()
        more = collections.Counter(found.get("descriptors of crid", ()))
        if more == AWAKE:
            del found["descriptors of crid"]
            found.pop("threads of crid", None)          # its own, and those of its operations
        return found

    def setUp(self):
        super().setUp()
        self.pull(self.busybox)

    def sleeper(self, **more):
        pod, config = self.run_pod()
        return pod, self.start_container(pod, config, ["sh", "-c", "trap 'exit 0' TERM; sleep 100000 & wait"], **more)

    def start_echo(self, pod, config):
        """A container, and a server at port 8080 of its pod that sends back what comes."""
        container = self.start_container(pod, config, ["sh", "-c", "trap 'exit 0' TERM; sleep 100000 & wait"])
        status = self.cri.ContainerStatus(container_id=container, verbose=True)
        with open(f"/proc/{json.loads(status.info['info'])['pid']}/ns/net") as ns, concurrent.futures.ThreadPoolExecutor(1) as there:
            server = there.submit(listen_in, ns.fileno(), 8080).result()
        self.addCleanup(server.close)
        self.addCleanup(server.shutdown, socket.SHUT_RDWR)      # wakes accept()
        threading.Thread(target=echo_for_ever, args=(server,), daemon=True).start()
        return container

    def url(self, method, **fields):
        found = urllib.parse.urlsplit(getattr(self.cri, method)(**fields).url)
        return found.port, found.path

    def exec_url(self, container, command, **flags):
        return self.url("Exec", container_id=container, cmd=["sh", "-c", command], **(flags or {"stdout": True, "stderr": True}))

    def open_files(self):
        return len(os.listdir(f"/proc/{self.node.process.pid}/fd"))


class CrictlCase(StreamingCase):
    def command(self, *arguments):
        return [CRICTL, "--config", "/dev/null", "-r", "unix://" + self.node.socket, "-i", "unix://" + self.node.socket,
                "-t", "30s", *arguments]

    def crictl(self, *arguments, stdin=b"", timeout=90):
        return subprocess.run(self.command(*arguments), input=stdin, capture_output=True, timeout=timeout, check=False)

    def forward(self, pod, how, inside, *more):
        """crictl port-forward to a port of the pod: the local port."""
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            local = s.getsockname()[1]
        process = subprocess.Popen(self.command("port-forward", *more, *how, pod, f"{local}:{inside}"), stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.assertIn("Forwarding from", process.stdout.readline())
        return local


@unittest.skipUnless(CRICTL, NO_CRICTL)
class Crictl(CrictlCase):
    def test_exec_tells_output_and_exit_code(self):
        _, container = self.sleeper()
        for how in TRANSPORTS:
            done = self.crictl("exec", *how, container, "sh", "-c", "echo out; echo err >&2; exit 7")
            self.assertEqual(done.stdout, b"out\n")
            self.assertTrue(done.stderr.startswith(b"err\n"), done.stderr)
            self.assertIn(b"command terminated with exit code 7", done.stderr)
            done = self.crictl("exec", *how, container, "true")
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"", b""))
            done = self.crictl("exec", *how, container, "/does/not/exist")
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(b"exec", done.stderr)

    def test_exec_loses_no_byte_in_either_direction(self):
        _, container = self.sleeper()
        data = random.Random(1).randbytes(20_000_000)
        for how in TRANSPORTS:
            done = self.crictl("exec", "-i", *how, container, "cat", stdin=data)
            self.assertEqual((done.returncode, done.stderr), (0, b""))
            self.assertTrue(done.stdout == data, f"{len(done.stdout)} of {len(data)} bytes")
            done = self.crictl("exec", "-i", *how, container, "sh", "-c", "sha256sum; head -c 3000000 /dev/zero", stdin=data)
            self.assertEqual(done.stdout[:64].decode(), hashlib.sha256(data).hexdigest())
            self.assertEqual(done.stdout[68:], bytes(3_000_000))

    def test_exec_ends_with_its_container(self):
        for how in TRANSPORTS:
            _, container = self.sleeper()
            running = subprocess.Popen(self.command("exec", *how, container, "sh", "-c", "trap '' TERM; echo there; sleep 100000"),
                                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            self.addCleanup(running.stdout.close)
            self.assertEqual(running.stdout.readline(), b"there\n")
            self.cri.StopContainer(container_id=container, timeout=10)
            self.assertNotEqual(running.wait(20), 0)
            self.assertEqual(self.status(container).exit_code, 0)

    def terminal(self, *arguments):
        """crictl on a terminal of 24 x 80: (process, master)."""
        master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (24, 80))
        process = subprocess.Popen(self.command(*arguments), stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        self.addCleanup(os.close, master)
        self.addCleanup(process.kill)
        return process, master

    def expect(self, master, text, seconds=20):
        got = b""
        end = time.monotonic() + seconds
        while text not in got:
            ready, _, _ = select.select([master], [], [], max(0, end - time.monotonic()))
            self.assertTrue(ready, got)
            try:
                got += os.read(master, 65536)
            except OSError:
                break
        self.assertIn(text, got)
        return got

    def test_exec_on_a_terminal_follows_its_size(self):
        _, container = self.sleeper()
        for how in TRANSPORTS:
            process, master = self.terminal("exec", "-it", *how, container, "sh")
            self.expect(master, b"# ")
            os.write(master, b"tty; until stty size | grep '24 80'; do sleep 0.1; done\r")
            self.expect(master, b"\n24 80")
            termios.tcsetwinsize(master, (50, 132))
            process.send_signal(28)         # WINCH, which a terminal emulator would cause
            os.write(master, b"until stty size | grep '50 132'; do sleep 0.1; done\r")
            self.expect(master, b"\n50 132")
            os.write(master, b"exit 3\r")
            self.expect(master, b"exit code 3")
            self.assertEqual(process.wait(20), 1)

    def test_attach_to_a_shell(self):
        for how in TRANSPORTS:
            pod, config = self.run_pod()
            container = self.start_container(pod, config, ["sh"], name="shell", stdin=True, stdin_once=True)
            done = self.crictl("attach", "-i", *how, container, stdin=b"echo from $((1+1)); echo to err >&2; exit 5\n")
            self.assertEqual(done.stdout, b"from 2\n")
            self.assertTrue(done.stderr.startswith(b"to err\n"), done.stderr)
            wait_for(lambda: self.cri.ContainerStatus(container_id=container).status.exit_code == 5, 10, "its end")

    def test_attach_to_a_terminal(self):
        for how in TRANSPORTS:
            pod, config = self.run_pod()
            container = self.start_container(pod, config, ["sh"], name="shell", stdin=True, tty=True)
            process, master = self.terminal("attach", "-it", *how, container)
            os.write(master, b"\r")
            self.expect(master, b"# ")
            os.write(master, b"until stty size | grep '24 80'; do sleep 0.1; done\r")
            self.expect(master, b"\n24 80")
            os.write(master, b"exit\r")
            self.assertEqual(process.wait(20), 0)

    def test_many_connections_through_one_port_forward(self):
        pod, config = self.run_pod()
        self.start_echo(pod, config)
        data = [random.Random(i).randbytes(300_000) for i in range(12)]

        def exchange(port, what):
            with socket.create_connection(("127.0.0.1", port), 30) as s:
                with concurrent.futures.ThreadPoolExecutor(1) as sender:
                    sender.submit(lambda: (s.sendall(what), s.shutdown(socket.SHUT_WR)))
                    got = b""
                    while more := s.recv(1 << 16):
                        got += more
            return got

        for how in TRANSPORTS:
            port = self.forward(pod, how, 8080)
            with concurrent.futures.ThreadPoolExecutor(12) as pool:
                for sent, got in zip(data, pool.map(lambda d: exchange(port, d), data)):
                    self.assertTrue(sent == got, f"{len(got)} of {len(sent)} bytes")

    def test_a_refused_port_is_told(self):
        pod, _ = self.run_pod()
        for how in TRANSPORTS:
            port = self.forward(pod, how, 81)
            with socket.create_connection(("127.0.0.1", port), 30) as s:
                self.assertEqual(s.recv(10), b"")


class Frames(StreamingCase):
    def test_urls_are_checked_and_used_once(self):
        pod, container = self.sleeper()
        fail = [
            ("Exec", dict(container_id="0123", cmd=["true"], stdout=True), "NOT_FOUND"),
            ("Exec", dict(cmd=["true"], stdout=True), "INVALID_ARGUMENT"),
            ("Exec", dict(container_id=container, stdout=True), "INVALID_ARGUMENT"),
            ("Exec", dict(container_id=container, cmd=["true"]), "INVALID_ARGUMENT"),
            ("Exec", dict(container_id=container, cmd=["true"], tty=True, stdout=True, stderr=True), "INVALID_ARGUMENT"),
            ("Attach", dict(container_id=container, tty=True, stderr=True), "INVALID_ARGUMENT"),
            ("PortForward", dict(pod_sandbox_id="0123"), "NOT_FOUND"),
            ("PortForward", dict(pod_sandbox_id=pod, port=[70000]), "INVALID_ARGUMENT"),
        ]
        for method, fields, code in fail:
            with self.subTest(method=method, **fields), self.assertRaises(grpc.RpcError) as caught:
                getattr(self.cri, method)(**fields)
            self.assertEqual(caught.exception.code().name, code)
        port, path = self.exec_url(container, "echo once")
        z = Spdy(port, path)
        wires = z.command("stdout", "stderr")
        z.drain()
        z.close()
        self.assertEqual(wires["stdout"].data, b"once\n")
        with self.assertRaises(Refused) as caught:
            Spdy(port, path)
        self.assertEqual(caught.exception.status, 404)
        self.assertEqual(http(port, "GET /exec/x HTTP/1.1\r\nHost: x\r\n\r\n")[0], 404)

    def test_two_attach_and_one_detaches(self):
        pod, config = self.run_pod()
        container = self.start_container(pod, config, ["sh"], name="shell", stdin=True, tty=True)
        clients = []
        for _ in range(2):
            z = Spdy(*self.url("Attach", container_id=container, stdin=True, stdout=True, tty=True))
            clients.append((z, z.command("stdin", "stdout", "resize")))
            self.addCleanup(z.close)
        for z, wires in clients:
            z.send(wires["stdin"], b"echo $((20+1))\n")
            for other, its in clients:
                other.until(lambda: b"\n21" in its["stdout"].data.replace(b"\r", b""))
                its["stdout"].data = b""
        z, wires = clients[0]
        z.send(wires["stdin"], b"\x10")
        z.send(wires["stdin"], b"\x11")
        z.drain()
        self.assertEqual(json.loads(wires["error"].data)["status"], "Success")
        z, wires = clients[1]
        z.send(wires["stdin"], b"echo $((20+2))\n")
        z.until(lambda: b"\n22" in wires["stdout"].data.replace(b"\r", b""))
        self.assertEqual(self.cri.ContainerStatus(container_id=container).status.state, cri_pb2.CONTAINER_RUNNING)

    def test_a_command_dies_with_its_client(self):
        _, container = self.sleeper()
        for runtime in ("spdy", "websocket"):
            flags = dict(stdin=True, stdout=True, stderr=True)
            port, path = self.exec_url(container, "echo ready; sleep 4321 & sleep 4322", **flags)
            if runtime == "spdy":
                client = Spdy(port, path)
                wires = client.command("stdin", "stdout", "stderr")
                client.until(lambda: wires["stdout"].data == b"ready\n")
            else:
                client = WebSocket(port, path)
                client.until(lambda: client.channels.get(1) == b"ready\n")
            self.assertIn("sleep 4322", self.inside(container))
            client.close()
            wait_for(lambda: "432" not in self.inside(container), 20, "the commands' end")

    def inside(self, container):
        out = self.cri.ExecSync(container_id=container, cmd=["ps"]).stdout.decode()
        return "\n".join(line for line in out.splitlines() if "ps" not in line.split())

    def test_a_client_that_never_reads_holds_nothing_up(self):
        _, container = self.sleeper()
        port, path = self.exec_url(container, "cat /dev/zero", stdout=True)
        z = Spdy(port, path)
        z.command("stdout")
        before = self.memory()
        time.sleep(1)
        slow = []
        for _ in range(50):
            began = time.monotonic()
            self.cri.ListContainers()
            slow.append(time.monotonic() - began)
        self.assertLess(sorted(slow)[25], 0.05)
        self.assertLess(self.memory() - before, 4 << 20)
        self.cri.StopContainer(container_id=container, timeout=5)
        z.close()

    def memory(self):
        with open(f"/proc/{self.node.process.pid}/statm") as f:
            return int(f.read().split()[1]) * 4096

    def session(self, what, how, chance):
        """One stream of a client that vanishes at some moment: before it asks, while it starts, in the middle; or stays."""
        commands = ["true", "exit 3", "cat", "yes", "sleep 1000"]
        if what == "exec":
            port, path = self.exec_url(self.target, commands[chance.randrange(len(commands))], stdin=True, stdout=True)
        elif what == "attach":
            port, path = self.url("Attach", container_id=self.shell, stdin=True, stdout=True, stderr=True)
        else:
            port, path = self.url("PortForward", pod_sandbox_id=self.target_pod, port=[8080] if how == "websocket" else [])
        client = self.client(what, how, port, path)
        fate = chance.randrange(4)
        if fate == 1:
            time.sleep(chance.random() * 0.02)
        elif fate == 2:                                 # it has its whole say, and hears something
            self.talk(client, what, how)
        client.close()

    def client(self, what, how, port, path):
        if how == "websocket":
            return WebSocket(port, path)
        if what == "forward":
            z = Spdy(port, path, "portforward.k8s.io")
            z.data, _ = z.pair(8080, 1)
            return z
        z = Spdy(port, path)
        for name in ("error", "stdin", "stdout", *(("stderr",) if what == "attach" else ())):
            z.open(name)
        z.data = z.wires[3]
        return z

    def talk(self, client, what, how):
        text = b"echo here\n"
        try:
            if how == "websocket":
                client.channel(0, text)
                client.step()
            else:
                client.send(client.data, text, what != "attach")
                client.frame()
        except (EOFError, OSError):
            pass                                        # the command has ended already

    def measure(self):
        """Once everything has gone: what might have been left, and the memory."""
        stats = crid_harness.inspect(self.node.socket, "/crid/stats")
        return {"descriptors": self.open_files(), "heap": stats["heap_bytes"], "memory": self.memory(),
                "inside": self.inside(self.target).count("\n"), "mounts": len(self.node.left_mounts())}

    def test_sessions_leave_nothing_behind(self):
        rounds = int(os.environ.get("CRID_STREAM_SESSIONS", "120"))
        self.target_pod, config = self.run_pod()
        self.target = self.start_echo(self.target_pod, config)
        self.shell = self.start_container(self.target_pod, config, ["sh", "-c", "while read x; do echo $x; done; sleep 1000000"],
                                          name="shell", stdin=True)
        chance = random.Random(rounds)
        kinds = [(what, how) for what in ("exec", "attach", "forward") for how in ("spdy", "websocket")]

        def some(n):
            with concurrent.futures.ThreadPoolExecutor(6) as pool:
                list(pool.map(lambda i: self.session(*kinds[i % len(kinds)], random.Random(chance.random())), range(n)))

        def settled():
            return not self.inside(self.target).count("sleep 1000\n") and self.open_files() <= before["descriptors"]
        some(30)
        before = {"descriptors": self.open_files()}
        time.sleep(2)
        before = self.measure()
        some(rounds)
        wait_for(settled, 30, lambda: f"the end of all: {self.measure()}, {before} before")
        after = self.measure()
        if "CRID_STREAM_SESSIONS" in os.environ:
            print(f"{rounds} sessions: {before} -> {after}")
        self.assertEqual({k: after[k] for k in ("inside", "mounts")}, {k: before[k] for k in ("inside", "mounts")})
        self.assertLess(after["heap"] - before["heap"], 256 << 10)
        self.assertLess(after["memory"] - before["memory"], 2 << 20)

    def test_the_thread_goes_when_nobody_streams(self):
        _, container = self.sleeper()
        wait_for(lambda: (crid_harness.descriptors(self.node.process.pid) - self.descriptors)["anon_inode:[eventpoll]"] == 0,
                 40, "no other test's streams")
        before = self.open_files()
        port, path = self.exec_url(container, "echo", stdout=True)
        z = Spdy(port, path)
        z.command("stdout")
        z.drain()
        z.close()
        wait_for(lambda: self.open_files() <= before, 40, "only what it had before")
        port, path = self.exec_url(container, "echo again", stdout=True)
        z = Spdy(port, path)
        wires = z.command("stdout")
        z.drain()
        z.close()
        self.assertEqual(wires["stdout"].data, b"again\n")

    def test_no_descriptor_gets_into_the_container(self):
        _, container = self.sleeper()
        port, path = self.exec_url(container, "ls /proc/self/fd | wc -l", stdout=True)
        z = Spdy(port, path)
        wires = z.command("stdout")
        z.drain()
        z.close()
        self.assertEqual(wires["stdout"].data.strip(), b"4")      # 0, 1, 2 and that of the directory

    def test_port_forward_over_websocket_channels(self):
        pod, config = self.run_pod()
        self.start_echo(pod, config)
        port, path = self.url("PortForward", pod_sandbox_id=pod, port=[8080, 8081])
        w = WebSocket(port, path)
        w.until(lambda: len(w.channels.get(3, b"")) > 2)
        self.assertEqual(w.channels[0][:2], b"\x90\x1f")
        self.assertIn(b"failed to connect to localhost:8081 inside of pod " + pod.encode(), w.channels[3])
        w.channel(0, b"hello")
        w.until(lambda: w.channels[0][2:] == b"hello")
        w.close()


class Limits(StreamingCase):
    """In a crid of its own, which has no more URLs to give afterwards."""

    def test_only_a_thousand_urls_at_once(self):
        _, container = self.sleeper()
        with self.assertRaises(grpc.RpcError) as caught:
            for _ in range(1001):
                self.exec_url(container, "true")
        self.assertEqual(caught.exception.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)
        self.node.stop()
        self.start_crid()


class Crun(Crictl):
    """What depends on the OCI runtime."""

    runtime = "crun"

    def test_why_a_terminal_does_not_start(self):
        _, container = self.sleeper()
        for how in TRANSPORTS:
            process, master = self.terminal("exec", "-it", *how, container, "/does/not/exist")
            self.expect(master, b"/does/not/exist")
            self.assertNotEqual(process.wait(20), 0)

    test_attach_to_a_terminal = test_many_connections_through_one_port_forward = test_a_refused_port_is_told = None
    test_a_command_dies_with_its_client = Frames.test_a_command_dies_with_its_client
    inside = Frames.inside
