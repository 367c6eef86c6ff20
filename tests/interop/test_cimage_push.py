# SPDX-License-Identifier: Apache-2.0
"""Pushing to docker-registry in its several dresses: TLS, passwords, tokens, client certificates, through proxies and over connections
that break. skopeo, buildah and umoci read what arrived."""

import http.server
import json
import os
import shutil
import socket
import socketserver
import struct
import subprocess
import tempfile
import threading
import unittest

from forwarding import Forwarding
from test_cimage_copy import CIMAGE, Layout, registries, sha256, tar_of


class Relay(socketserver.ThreadingTCPServer):
    """To the registry; the first connections are reset behind so many bytes of the client's."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, host, limit, times):
        self.target, self.limit, self.times, self.broken = host.split(":"), limit, times, 0
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), None)
        self.host = f"127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def finish_request(self, request, client_address):
        with socket.create_connection((self.target[0], int(self.target[1]))) as out:
            back = threading.Thread(target=self.pump, args=(out, request), daemon=True)
            back.start()
            passed = 0
            while data := request.recv(65536):
                out.sendall(data)
                passed += len(data)
                with self.lock:
                    now = passed > self.limit and self.broken < self.times
                    self.broken += now
                if now:
                    request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return
            out.shutdown(socket.SHUT_WR)
            back.join()

    @staticmethod
    def pump(source, to):
        try:
            while data := source.recv(65536):
                to.sendall(data)
        except OSError:
            pass

    def handle_error(self, *_):
        pass


class Proxy(Forwarding):
    """Takes whatever name is asked for as the registry."""

    def do_CONNECT(self):
        self.server.seen.append(self.requestline)
        host, port = self.server.target.split(":")
        with socket.create_connection((host, int(port))) as out:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=Relay.pump, args=(out, self.connection), daemon=True)
            back.start()
            Relay.pump(self.connection, out)
        self.close_connection = True

    def note(self, _size):
        self.server.seen.append(self.requestline)


class Pushing(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        missing = [p for p in ("skopeo", "docker-registry", "openssl", "htpasswd") if not shutil.which(p)]
        if missing:
            raise unittest.SkipTest("not installed: " + ", ".join(missing))
        if not os.path.exists(CIMAGE):
            raise unittest.SkipTest(f"{CIMAGE} is not built")
        cls.top = tempfile.mkdtemp(prefix="cimage-push-")
        cls.addClassCleanup(shutil.rmtree, cls.top, ignore_errors=True)
        cls.layers = [tar_of({"a": os.urandom(9000000)}), tar_of({"b": b"x" * 10000})]
        layout = Layout(f"{cls.top}/layout")
        entry = layout.image(cls.layers)
        layout.name(entry, "one")
        cls.one, cls.digest = f"oci:{layout.where}:one", entry["digest"]
        registries.make_ca(cls.top)
        registries.make_certificate(cls.top, "server", cls.top)
        registries.make_certificate(cls.top, "client", cls.top, client=True)
        cls.tls = (f"{cls.top}/server.crt", f"{cls.top}/server.key")

    def setUp(self):
        self.dir = tempfile.mkdtemp(dir=self.top)

    def registry(self, **more):
        where = tempfile.mkdtemp(dir=self.dir)
        started = registries.Registry(where, f"{where}/data", **more).start()
        self.addCleanup(started.stop)
        return started

    def certs(self, *files):
        where = f"{self.dir}/certs"
        os.makedirs(where, exist_ok=True)
        for source, name in files:
            shutil.copy(f"{self.top}/{source}", f"{where}/{name}")
        return where

    def run_program(self, *command, **environment):
        return subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
                              env=dict(os.environ, TMPDIR=self.dir, **environment))

    def push(self, name, *options, status=0, source=None, **environment):
        done = self.run_program(CIMAGE, "--insecure-policy", "-q", "--blob-cache", "", "copy", *options, source or self.one, f"docker://{name}",
                                **environment)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stderr

    def arrived(self, name, *options):
        """skopeo reads all of it, and the digest is the one that was sent."""
        back = tempfile.mkdtemp(dir=self.dir)
        done = self.run_program("skopeo", "--insecure-policy", "copy", "-q", *options, f"docker://{name}", f"dir:{back}/x")
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(f"{back}/x/manifest.json", "rb") as f:
            self.assertEqual(sha256(f.read()), self.digest)

    def test_tls_with_an_authority_of_its_own(self):
        host = self.registry(tls=self.tls).host
        self.assertIn("certificate", self.push(f"{host}/x:1", status=1))
        certs = self.certs(("ca.crt", "ca.crt"))
        self.push(f"{host}/x:1", "--dest-cert-dir", certs)
        self.arrived(f"{host}/x:1", "--src-cert-dir", certs)

    def test_client_certificates(self):
        host = self.registry(tls=self.tls, client_ca=f"{self.top}/ca.crt").host
        self.push(f"{host}/x:1", "--dest-cert-dir", self.certs(("ca.crt", "ca.crt")), status=1)
        certs = self.certs(("client.crt", "client.cert"), ("client.key", "client.key"))
        self.push(f"{host}/x:1", "--dest-cert-dir", certs)
        self.arrived(f"{host}/x:1", "--src-cert-dir", certs)

    def test_passwords_given_and_kept(self):
        with open(f"{self.dir}/htpasswd", "w", encoding="ascii") as f:
            f.write(registries.run("htpasswd", "-nbB", "joe", "se:cret").strip() + "\n")
        host = self.registry(auth=f"auth:\n  htpasswd:\n    realm: r\n    path: {self.dir}/htpasswd\n").host
        plain = ("--dest-tls-verify", "false")
        self.assertIn("401", self.push(f"{host}/x:1", *plain, status=1))
        self.push(f"{host}/x:1", *plain, "--dest-creds", "joe:wrong", status=1)
        self.push(f"{host}/x:1", *plain, "--dest-creds", "joe:se:cret")
        self.arrived(f"{host}/x:1", "--src-tls-verify=false", "--src-creds", "joe:se:cret")
        auth = f"{self.dir}/auth.json"
        done = self.run_program("skopeo", "login", "--tls-verify=false", "--authfile", auth, "-u", "joe", "-p", "se:cret", host)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.push(f"{host}/y:1", *plain, "--dest-authfile", auth)
        self.arrived(f"{host}/y:1", "--src-tls-verify=false", "--src-authfile", auth)

    def test_tokens_are_asked_for_what_is_done(self):
        service = registries.TokenService(self.dir, {"joe": "pw"})
        self.addCleanup(service.stop)
        host = self.registry(auth=service.auth_yaml()).host
        plain = ("--dest-tls-verify", "false")
        self.push(f"{host}/lib/x:1", *plain, status=1)
        self.push(f"{host}/lib/x:1", *plain, "--dest-creds", "joe:pw")
        self.assertTrue(any("pull%2cpush" in path.lower() for _, path, _ in service.seen))
        self.arrived(f"{host}/lib/x:1", "--src-tls-verify=false", "--src-creds", "joe:pw")
        # From one repository to the other: blobs are mounted, which takes a scope more.
        service.seen.clear()
        self.push(f"{host}/lib/y:1", *plain, "--dest-creds", "joe:pw", "--src-tls-verify", "false", "--src-creds", "joe:pw",
                  source=f"docker://{host}/lib/x:1")
        self.arrived(f"{host}/lib/y:1", "--src-tls-verify=false", "--src-creds", "joe:pw")

    def proxied(self, target):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
        server.target, server.seen, server.daemon_threads = target, [], True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server, f"http://127.0.0.1:{server.server_address[1]}"

    def test_through_proxies(self):
        plain = self.registry()
        proxy, url = self.proxied(plain.host)
        self.push("registry.test/x:1", "--dest-tls-verify", "false", HTTP_PROXY=url)
        self.assertTrue(any(line.startswith("PUT http://registry.test/v2/x/manifests/1") for line in proxy.seen), proxy.seen)
        self.arrived(f"{plain.host}/x:1", "--src-tls-verify=false")
        proxy.seen.clear()
        self.assertIn("registry.test", self.push("registry.test/x:1", "--dest-tls-verify", "false", status=1, HTTP_PROXY=url, NO_PROXY="registry.test"))
        self.assertEqual(proxy.seen, [])
        encrypted = self.registry(tls=self.tls)
        proxy, url = self.proxied(encrypted.host)
        self.push("registry.test/x:1", "--dest-tls-verify", "false", HTTPS_PROXY=url)
        self.assertTrue(proxy.seen and all(line.startswith("CONNECT registry.test:443") for line in proxy.seen), proxy.seen)
        self.arrived(f"{encrypted.host}/x:1", "--src-cert-dir", self.certs(("ca.crt", "ca.crt")))

    def test_uploads_over_connections_that_break(self):
        registry = self.registry()
        # The first chunk is sent again; in the middle docker-registry cannot go on, and the copy begins again without what is there.
        relay = Relay(registry.host, 3 << 20, 2)
        self.addCleanup(relay.server_close)
        self.addCleanup(relay.shutdown)
        self.push(f"{relay.host}/x:1", "--dest-tls-verify", "false", "--retry-times", "3")
        self.assertEqual(relay.broken, 2)
        self.arrived(f"{registry.host}/x:1", "--src-tls-verify=false")

    @unittest.skipUnless(shutil.which("buildah"), "buildah is not installed")
    def test_buildah_builds_on_what_we_push_and_we_read_its_image(self):
        if os.geteuid():
            self.skipTest("needs root")
        host = self.registry().host
        self.push(f"{host}/base:1", "--dest-tls-verify", "false")
        buildah = ["unshare", "-m", "buildah", "--root", f"{self.dir}/root", "--runroot", f"{self.dir}/run", "--storage-driver", "vfs"]
        done = self.run_program(*buildah, "from", "--tls-verify=false", "--name", "w", f"{host}/base:1")
        self.assertEqual(done.returncode, 0, done.stderr)
        for command in (["config", "--label", "by=buildah", "w"], ["commit", "--tls-verify=false", "w", f"docker://{host}/built:1"]):
            done = self.run_program(*buildah, *command)
            self.assertEqual(done.returncode, 0, done.stderr)
        done = self.run_program(CIMAGE, "--insecure-policy", "inspect", "--tls-verify", "false", f"docker://{host}/built:1")
        self.assertEqual(json.loads(done.stdout)["Labels"]["by"], "buildah", done.stderr)
        done = self.run_program(CIMAGE, "--insecure-policy", "-q", "copy", "--src-tls-verify", "false", f"docker://{host}/built:1", f"dir:{self.dir}/b")
        self.assertEqual(done.returncode, 0, done.stderr)

    @unittest.skipUnless(shutil.which("umoci"), "umoci is not installed")
    def test_what_umoci_made_is_pushed(self):
        layout = f"{self.dir}/o"
        with open(f"{self.dir}/l.tar", "wb") as f:
            f.write(self.layers[1])
        for command in (["init", "--layout", layout], ["new", "--image", f"{layout}:u"],
                        ["raw", "add-layer", "--image", f"{layout}:u", f"{self.dir}/l.tar"], ["config", "--image", f"{layout}:u", "--config.label", "by=umoci"]):
            done = self.run_program("umoci", *command)
            self.assertEqual(done.returncode, 0, done.stderr)
        host = self.registry().host
        self.push(f"{host}/u:1", "--dest-tls-verify", "false", source=f"oci:{layout}:u")
        done = self.run_program("skopeo", "inspect", "--tls-verify=false", f"docker://{host}/u:1")
        self.assertEqual(json.loads(done.stdout)["Labels"], {"by": "umoci"}, done.stderr)


if __name__ == "__main__":
    unittest.main()
