#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The streaming server with a backend of its own, against clients made of raw frames: test_streaming.py SERVER"""

import base64
import contextlib
import json
import os
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from streaming_peer import Refused, Server, Spdy, WebSocket, connect, http, tls_client

PROGRAM = sys.argv.pop(1)
SESSIONS = int(os.environ.get("CRISVC_STREAM_SESSIONS", "300"))


class Streaming(unittest.TestCase):
    options = ()

    def setUp(self):
        self.server = Server(PROGRAM, *self.options)
        self.addCleanup(lambda: self.assertEqual(self.server.stop(), 0))
        self.port = self.server.port

    def spdy(self, path, *more, **options):
        z = Spdy(self.port, path, *more, **options)
        self.addCleanup(z.close)
        return z

    def websocket(self, path, *more):
        w = WebSocket(self.port, path, *more)
        self.addCleanup(w.close)
        return w

    def test_versions_of_remotecommand_over_spdy(self):
        for version, error in (("v4.channel.k8s.io", None), ("v3.channel.k8s.io", b"command terminated"),
                               ("v2.channel.k8s.io", b"command terminated"), ("channel.k8s.io", b"command terminated")):
            z = self.spdy(self.server.exec("oe", "echo out; echo err >&2; exit 3"), "v9.x, " + version)
            self.assertEqual(z.fields["x-stream-protocol-version"], version)
            wires = z.command("stdout", "stderr")
            z.drain()
            self.assertEqual((wires["stdout"].data, wires["stderr"].data), (b"out\n", b"err\n"))
            self.assertTrue(all(w.ended for w in wires.values()))
            if error:
                self.assertTrue(wires["error"].data.startswith(error))
            else:
                status = json.loads(wires["error"].data)
                self.assertEqual(status["details"]["causes"], [{"reason": "ExitCode", "message": "3"}])
                self.assertEqual((status["status"], status["reason"]), ("Failure", "NonZeroExitCode"))

    def test_success_and_failure_to_start(self):
        for command, status in (("true", "Success"), ("FAIL", "Failure")):
            z = self.spdy(self.server.exec("o", command))
            wires = z.command("stdout")
            z.drain()
            self.assertEqual(json.loads(wires["error"].data)["status"], status)

    def test_subprotocols_of_websocket(self):
        for name in (None, "channel.k8s.io", "base64.channel.k8s.io", "v2.channel.k8s.io", "v3.base64.channel.k8s.io",
                     "v4.channel.k8s.io", "v4.base64.channel.k8s.io", "v5.channel.k8s.io", "v5.base64.channel.k8s.io"):
            with self.subTest(name=name):
                w = self.websocket(self.server.exec("io", "head -c 5; exit 4"), name)
                self.assertEqual(w.fields.get("sec-websocket-protocol"), name)
                if name and "base64" in name:
                    w.send(1, b"0" + base64.b64encode(b"hello"))
                else:
                    w.channel(0, b"hello")
                w.drain()
                self.assertEqual((w.channels[1], w.closed), (b"hello", 1000))
                self.assertIn(b"4", w.channels[3])
                self.assertEqual(w.channels[3][:1] == b"{", bool(name) and name[:2] in ("v4", "v5"))

    def test_close_signal_of_v5_ends_stdin(self):
        w = self.websocket(self.server.exec("io", "cat; echo end"), "v5.channel.k8s.io")
        w.channel(0, b"text\n")
        w.send(2, bytes([255, 0]))
        w.drain()
        self.assertEqual(w.channels[1], b"text\nend\n")

    def test_no_byte_is_lost_with_half_close(self):
        data = os.urandom(3_000_000)
        z = self.spdy(self.server.exec("io", "cat"))
        wires = z.command("stdin", "stdout")
        sender = threading.Thread(target=z.send, args=(wires["stdin"], data, True))
        sender.start()
        z.drain()
        sender.join()
        self.assertTrue(wires["stdout"].data == data)

    def test_terminal_and_its_size(self):
        z = self.spdy(self.server.exec("iot", "read x; stty size"))
        wires = z.command("stdin", "stdout", "resize")
        z.send(wires["resize"], b'{"Width":13')
        z.send(wires["resize"], b'2,"Height":50}{"Width":133,"Height":51}')
        z.send(wires["stdin"], b"go\n")
        z.drain()
        self.assertIn(b"51 133", wires["stdout"].data)

    def test_attach_knows_the_packets_of_conmon(self):
        z = self.spdy(self.server.attach("ioe"))
        wires = z.command("stdin", "stdout", "stderr")
        z.send(wires["stdin"], b"x" * 20000)
        z.send(wires["stdin"], b"", True)
        z.drain()
        self.assertEqual(wires["stdout"].data, b"hello\n" + b"x" * 20000 + b"bye\n")
        self.assertEqual(sum(map(int, wires["stderr"].data.split())), 20000)

    def test_port_forward_over_every_wire(self):
        listener = __import__("socket").create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]

        def serve():
            for _ in range(9):
                peer, _ = listener.accept()
                with peer:
                    while data := peer.recv(65536):
                        peer.sendall(data)
        threading.Thread(target=serve, daemon=True).start()
        self.addCleanup(listener.close)
        tunnel = Spdy(0, "", carrier=self.websocket(self.server.forward(), "SPDY/3.1+portforward.k8s.io"))
        for z in (self.spdy(self.server.forward(), "portforward.k8s.io"), tunnel):
            for i in range(3):
                data, error = z.pair(port, i)
                z.send(data, b"hello", True)
                z.until(lambda: data.ended and error.ended)
                self.assertEqual((data.data, error.data), (b"hello", b""))
            data, error = z.pair(1, "x")
            z.until(lambda: error.ended and data.reset)
            self.assertEqual(error.data, b"connection refused")

    def test_tokens_are_good_once_and_limited(self):
        path = self.server.exec("o", "true")
        self.spdy(path).command("stdout")
        for wrong in (path, path[:-1], path + "A", path.replace("exec", "attach"), "/exec/", "/", "/exec/" + "A" * 32):
            self.assertEqual(http(self.port, f"GET {wrong} HTTP/1.1\r\nHost: x\r\n\r\n")[0], 404)
        last = [self.server.exec("o", "true") for _ in range(1001)][-1]
        self.assertTrue(last.startswith("error 1 "), last)
        for flags in ("oet", "", "t"):
            self.assertTrue(self.server.ask("exec", flags or "-", "true").startswith("error 2 "))

    def test_malformed_requests(self):
        for text, status in (("PUT /exec/x HTTP/1.1\r\n\r\n", 405), ("GET /x\r\n\r\n", 400), ("GET / HTTP/1.1\r\nA B: c\r\n\r\n", 400),
                             ("GET / HTTP/1.1\r\nX: " + "a" * 17000, 431), ("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", 400)):
            self.assertEqual(http(self.port, text)[0], status, text[:40])
        with self.assertRaises(Refused) as caught:
            Spdy(self.port, self.server.exec("o", "true"), "v7.channel.k8s.io")
        self.assertEqual(caught.exception.status, 403)

    def test_hostile_frames_end_the_connection_alone(self):
        def syn(z, block, number=1):
            z.control(1, struct.pack(">IIH", number, 0, 0) + block)
        attacks = {
            "version": lambda z: z.control(6, b"\0\0\0\1", version=2),
            "large": lambda z: z.raw(b"\x80\x03\0\1\0\xff\xff\xff"),
            "even": lambda z: syn(z, z.block({"streamtype": "error"}), 2),
            "garbage": lambda z: syn(z, b"garbage" * 9),
            "bomb": lambda z: syn(z, z.block({"x" * 9: "a" * 1000000})),
            "window": lambda z: z.control(9, struct.pack(">II", 0, 0x7fffffff)),
            "settings": lambda z: z.control(4, struct.pack(">I", 1 << 30)),
        }
        for name, attack in attacks.items():
            with self.subTest(name):
                z = self.spdy(self.server.exec("o", "true"))
                attack(z)
                z.drain()
                self.assertEqual(z.goaway, 1)
        for frame in (dict(mask=False), dict(rsv=4)):
            w = self.websocket(self.server.exec("io", "cat"))
            w.send(2, b"\0x", **frame)
            w.drain()
            self.assertEqual(w.closed, 1002)
        self.test_success_and_failure_to_start()

    def test_streams_of_a_connection_have_a_limit(self):
        z = self.spdy(self.server.forward(), "portforward.k8s.io")
        wires = [z.open("error", port="1", requestid=str(i)) for i in range(1003)]
        z.until(lambda: wires[-1].reset)
        self.assertEqual([w.reset for w in wires], [None] * 1000 + [3] * 3)

    def test_base64_messages_have_a_limit(self):
        for size, code in ((90_000, 1000), (100_000, 1009)):
            w = self.websocket(self.server.exec("io", "head -c 90000 | wc -c"), "v4.base64.channel.k8s.io")
            w.send(1, b"0" + base64.b64encode(bytes(size)))
            w.drain()
            self.assertEqual(w.closed, code)

    def memory(self):
        with open(f"/proc/{self.server.process.pid}/statm") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def fill(self, send):
        """Until the other side takes no more for half a second: bytes."""
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 64 << 20:
                send()
                sent += 1 << 16
        return sent

    def test_a_process_that_never_reads_costs_bounded_memory(self):
        for kind in (Spdy, WebSocket):
            client = kind(self.port, self.server.exec("io", "sleep 1000"))
            self.addCleanup(client.close)
            before = self.memory()
            if kind is Spdy:
                wires = client.command("stdin", "stdout")
            client.sock.settimeout(0.5)
            sent = self.fill(lambda: client.send(wires["stdin"], bytes(1 << 16)) if kind is Spdy else client.channel(0, bytes(1 << 16)))
            self.assertLess(sent, 32 << 20)
            self.assertLess(self.memory() - before, 4 << 20)
            self.test_success_and_failure_to_start()            # others are served

    def test_a_client_that_never_reads_costs_bounded_memory(self):
        for kind in (Spdy, WebSocket):
            client = kind(self.port, self.server.exec("o", "cat /dev/zero"))
            self.addCleanup(client.close)
            if kind is Spdy:
                client.open("error")
                client.open("stdout")
            before = self.memory()
            time.sleep(0.5)
            self.assertLess(self.memory() - before, 4 << 20)
            self.test_success_and_failure_to_start()

    def test_sessions_leave_nothing(self):
        def one(i):
            command = ["true", "cat", "yes", "sleep 1000", "exit 9"][i % 5]
            path = self.server.exec("io", command)
            if i % 2:
                z = Spdy(self.port, path)
                wires = z.command("stdin", "stdout") if i % 3 else {}
                if command == "cat" and wires:
                    z.send(wires["stdin"], b"abc", True)
                    z.drain()
                z.close()
            else:
                WebSocket(self.port, path).close()
        one(1)
        before = self.idle()
        for i in range(SESSIONS):
            one(i)
        self.assertEqual(self.idle(), before)

    def idle(self):
        end = time.monotonic() + 30
        while (found := self.server.stat())["busy"] or found["children"]:
            self.assertLess(time.monotonic(), end, found)
            time.sleep(0.02)
        return found


class Idle(Streaming):
    """The idle timeout; the tests of the others are not run again."""

    options = ("--idle", "300")

    def test_ends_what_says_nothing(self):
        z = self.spdy(self.server.exec("io", "cat"))
        z.command("stdin", "stdout")
        z.drain()
        self.assertEqual(z.goaway, 0)


class Tls(Streaming):
    def setUp(self):
        self.dir = tempfile.mkdtemp()
        self.addCleanup(lambda: subprocess.run(["rm", "-rf", self.dir], check=False))
        for name in ("server", "client", "other"):
            self.certificate(name)
        self.options = ("--tls", self.file("server.pem"), self.file("server.key"), self.file("client.pem"), "13")
        super().setUp()

    def file(self, name):
        return os.path.join(self.dir, name)

    def certificate(self, name, to=None):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                        "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost", "-keyout", self.file((to or name) + ".key"),
                        "-out", self.file((to or name) + ".pem")], check=True, capture_output=True)

    def run_true(self, context):
        z = Spdy(self.port, self.server.exec("o", "echo secret"), tls=context)
        wires = z.command("stdout")
        z.drain()
        z.close()
        self.assertEqual(wires["stdout"].data, b"secret\n")

    def test_client_certificates_versions_and_reload(self):
        import ssl
        mine = (self.file("client.pem"), self.file("client.key"))
        self.run_true(tls_client(self.file("server.pem"), *mine))
        for bad in (tls_client(self.file("server.pem")), tls_client(self.file("server.pem"), self.file("other.pem"), self.file("other.key")),
                    tls_client(self.file("server.pem"), *mine, most=ssl.TLSVersion.TLSv1_2)):
            with self.assertRaises((OSError, EOFError, Refused, IndexError)):
                self.run_true(bad)
        old = tls_client(self.file("server.pem"), *mine)
        self.certificate("renewed", "server")
        time.sleep(1.1)                 # the files are looked at once a second
        with self.assertRaises(ssl.SSLError):
            self.run_true(old)
        self.run_true(tls_client(self.file("server.pem"), *mine))


    def suites(self, ciphers, most=None):
        """What a client without a certificate agrees on with a server of these: (version, suite); or the server's words."""
        command = ("--ciphers", ciphers, "--tls", self.file("server.pem"), self.file("server.key"), "-", "12")
        try:
            server = Server(PROGRAM, *command)
        except ValueError:              # it has ended: it says why to stderr
            return subprocess.run([PROGRAM, *command], capture_output=True, text=True, check=False).stderr
        try:
            sock = connect(server.port, tls_client(self.file("server.pem"), most=most))
            found = sock.version(), sock.cipher()[0]
            sock.close()
            return found
        finally:
            self.assertEqual(server.stop(), 0)

    def test_cipher_suites_by_their_names(self):
        import ssl
        old = ssl.TLSVersion.TLSv1_2
        for name, openssl in (("AES_256_GCM_SHA384", "AES256-GCM-SHA384"), ("CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305")):
            suites = f"TLS_AES_128_GCM_SHA256,TLS_ECDHE_ECDSA_WITH_{name}"
            self.assertEqual(self.suites(suites, old), ("TLSv1.2", "ECDHE-ECDSA-" + openssl))
            self.assertEqual(self.suites(suites)[0], "TLSv1.3")
        with self.assertRaises(ssl.SSLError):
            self.suites("TLS_AES_128_GCM_SHA256", old)
        self.assertIn("cipher suite TLS_X is not known", self.suites("TLS_X"))


for derived in (Idle, Tls):
    for test in [t for t in dir(Streaming) if t.startswith("test_")]:
        setattr(derived, test, None)

if __name__ == "__main__":
    unittest.main()
