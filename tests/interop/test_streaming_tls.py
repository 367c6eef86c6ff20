# SPDX-License-Identifier: Apache-2.0
"""Exec, attach and port-forward over TLS: crictl and a running crid with a certificate of its own, an authority for
clients, a least version and chosen cipher suites; and new files under a running crid."""

import os
import re
import socket
import ssl
import subprocess
import time
import unittest

from crid_node import wait_for
from test_streaming import CRICTL, NO_CRICTL, TRANSPORTS, CrictlCase
from streaming_peer import Refused, Spdy, connect, tls_client

SUITE = "ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"


class TlsCase(CrictlCase):
    least = "VersionTLS12"

    @classmethod
    def start_crid(cls):
        path = cls.node.path("crio.conf")
        for name in ("server", "client", "other"):
            cls.certificate(name)
        with open(path) as f:
            text = f.read()
        with open(path, "w") as f:
            f.write(re.sub(r"\[crio.api\]\n", f"""[crio.api]
stream_enable_tls = true
stream_tls_cert = "{cls.file("server.pem")}"
stream_tls_key = "{cls.file("server.key")}"
stream_tls_ca = "{cls.file("client.pem")}"
tls_min_version = "{cls.least}"
tls_cipher_suites = ["TLS_{SUITE}"]
""", text))
        super().start_crid()

    @classmethod
    def file(cls, name):
        return os.path.join(cls.base, name)

    @classmethod
    def certificate(cls, name, to=None):
        """A key and what it signs itself; written beside and moved, so that crid sees whole files."""
        for suffix in ("key", "pem"):
            if os.path.exists(cls.file(f"new.{suffix}")):
                os.unlink(cls.file(f"new.{suffix}"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                        "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                        "-keyout", cls.file("new.key"), "-out", cls.file("new.pem")], check=True, capture_output=True)
        for suffix in ("key", "pem"):
            os.rename(cls.file(f"new.{suffix}"), cls.file(f"{to or name}.{suffix}"))

    def crictl_tls(self, command, *arguments, who="client", **more):
        return self.crictl(command, "--tls-ca", self.file("server.pem"), "--tls-cert", self.file(who + ".pem"),
                           "--tls-key", self.file(who + ".key"), *arguments, **more)

    def handshake(self, container, most=None, who="client"):
        """Runs a command over a connection of ours: (version, suite)."""
        context = tls_client(self.file("server.pem"), self.file(who + ".pem"), self.file(who + ".key"), most)
        port, path = self.exec_url(container, "echo secret", stdout=True)
        sock = connect(port, context)
        self.addCleanup(sock.close)
        z = Spdy(port, path, sock=sock)
        wires = z.command("stdout")
        z.drain()
        self.assertEqual(wires["stdout"].data, b"secret\n")
        return sock.version(), sock.cipher()[0]

    def refused(self, *arguments, **more):
        with self.assertRaises((OSError, EOFError, Refused, IndexError)):
            self.handshake(*arguments, **more)


@unittest.skipUnless(CRICTL, NO_CRICTL)
class Tls(TlsCase):
    def test_crictl_over_tls(self):
        pod, container = self.sleeper()
        self.assertTrue(self.cri.Exec(container_id=container, cmd=["true"], stdout=True).url.startswith("https://127.0.0.1:"))
        data = os.urandom(2_000_000)
        for how in TRANSPORTS:
            done = self.crictl_tls("exec", "-i", *how, container, "cat", stdin=data)
            self.assertEqual((done.returncode, done.stderr, done.stdout == data), (0, b"", True))
            done = self.crictl_tls("exec", *how, container, "sh", "-c", "echo err >&2; exit 7")
            self.assertIn(b"command terminated with exit code 7", done.stderr)
            done = self.crictl_tls("exec", *how, container, "true", who="other")
            self.assertNotEqual(done.returncode, 0)
            self.assertRegex(done.stderr, b"tls: |connection reset by peer")    # it may write before it reads why
            done = self.crictl("exec", *how, container, "true")         # without a certificate
            self.assertNotEqual(done.returncode, 0)
            shell = self.start_container(*self.run_pod(), ["sh"], name="shell", stdin=True, stdin_once=True)
            done = self.crictl_tls("attach", "-i", *how, shell, stdin=b"echo from $((1+1)); exit 5\n")
            self.assertEqual(done.stdout, b"from 2\n")

    def test_crictl_forwards_a_port_over_tls(self):
        pod, config = self.run_pod()
        self.start_echo(pod, config)
        for how in TRANSPORTS:
            local = self.forward(pod, how, 8080, "--tls-ca", self.file("server.pem"), "--tls-cert", self.file("client.pem"),
                                 "--tls-key", self.file("client.key"))
            with socket.create_connection(("127.0.0.1", local), 30) as s:
                s.sendall(b"x" * 100_000)
                s.shutdown(socket.SHUT_WR)
                self.assertEqual(b"".join(iter(lambda: s.recv(1 << 16), b"")), b"x" * 100_000)

    def test_versions_and_suites(self):
        _, container = self.sleeper()
        self.assertEqual(self.handshake(container)[0], "TLSv1.3")
        self.assertEqual(self.handshake(container, ssl.TLSVersion.TLSv1_2),
                         ("TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384"))
        self.refused(container, who="other")

    def test_new_files_under_a_running_crid(self):
        _, container = self.sleeper()
        self.handshake(container)
        old = self.file("server.pem")
        os.rename(old, self.file("first.pem"))
        os.rename(self.file("first.pem"), old)          # another time of change, the same certificate
        self.certificate("renewed", "server")
        self.certificate("renewed client", "client")
        time.sleep(1.1)                                 # the files are looked at once a second
        self.assertIn("renewed", self.subject(container))
        self.handshake(container)                       # with the new authority of clients, too
        self.refused(container, who="other")
        done = self.crictl_tls("exec", container, "echo", "still")
        self.assertEqual(done.stdout, b"still\n")

    def subject(self, container):
        context = tls_client(self.file("server.pem"), self.file("client.pem"), self.file("client.key"))
        with connect(self.exec_url(container, "true", stdout=True)[0], context) as sock:
            return str(sock.getpeercert()["subject"])


class Tls13(TlsCase):
    least = "VersionTLS13"

    def test_the_least_version(self):
        _, container = self.sleeper()
        self.assertEqual(self.handshake(container)[0], "TLSv1.3")
        self.refused(container, ssl.TLSVersion.TLSv1_2)
