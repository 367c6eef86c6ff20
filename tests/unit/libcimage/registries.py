# SPDX-License-Identifier: Apache-2.0
"""Peers for test_registry.py: Debian's docker-registry in several dresses, a token service, and a fake
registry for what a real one does not do. All on 127.0.0.1; certificates and keys are made by openssl."""

import base64
import hashlib
import http.server
import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
import urllib.parse

NEEDED = ("docker-registry", "skopeo", "openssl", "htpasswd")


def missing():
    return [p for p in NEEDED if not shutil.which(p)]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def run(*command, **more):
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout}")
    return done.stdout


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


# ---- certificates ----

def make_ca(where):
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test authority",
        "-keyout", f"{where}/ca.key", "-out", f"{where}/ca.crt")


def make_certificate(where, name, ca, client=False):
    """name.crt and name.key for 127.0.0.1, signed by ca (a directory with ca.crt and ca.key)."""
    with open(f"{where}/{name}.ext", "w", encoding="ascii") as f:
        f.write("extendedKeyUsage=clientAuth\n" if client else "subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    run("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}",
        "-keyout", f"{where}/{name}.key", "-out", f"{where}/{name}.csr")
    run("openssl", "x509", "-req", "-in", f"{where}/{name}.csr", "-CA", f"{ca}/ca.crt", "-CAkey", f"{ca}/ca.key",
        "-CAcreateserial", "-days", "2", "-extfile", f"{where}/{name}.ext", "-out", f"{where}/{name}.crt")


# ---- docker-registry ----

class Registry:
    """The real one. tls: (certificate, key); client_ca: clients need a certificate; auth: YAML text."""

    def __init__(self, where, data, tls=None, client_ca=None, auth=""):
        self.where, self.data, self.tls, self.client_ca, self.auth = where, data, tls, client_ca, auth
        self.process = None
        self.host = None
        os.makedirs(where, exist_ok=True)

    def start(self):
        for _ in range(5):
            self.host = f"127.0.0.1:{free_port()}"
            config = f"version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {self.data}\n"
            config += f"{self.auth}http:\n  addr: {self.host}\n"
            if self.tls:
                config += f"  tls:\n    certificate: {self.tls[0]}\n    key: {self.tls[1]}\n"
            if self.client_ca:
                config += f"    clientcas:\n      - {self.client_ca}\n"
            with open(f"{self.where}/config.yml", "w", encoding="ascii") as f:
                f.write(config)
            with open(f"{self.where}/log", "w", encoding="ascii") as log:
                self.process = subprocess.Popen(["docker-registry", "serve", f"{self.where}/config.yml"],
                                                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            if self.wait():
                return self
        with open(f"{self.where}/log", encoding="utf-8") as log:
            raise RuntimeError("docker-registry does not start: " + log.read())

    def wait(self):
        """Until it listens or is gone."""
        port = int(self.host.rpartition(":")[2])
        end = time.monotonic() + 20
        while time.monotonic() < end and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return True
            except OSError:
                time.sleep(0.02)
        self.stop()
        return False

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait()


# ---- a server for everything else ----

class Server:
    """HTTP(S) on a port of its own. handle(request) answers; every request is kept in self.seen."""

    def __init__(self, handle, tls=None):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self):
                length = int(self.headers.get("Content-Length") or 0)
                self.form = self.rfile.read(length).decode()
                outer.seen.append((self.command, self.path, dict(self.headers)))
                try:
                    outer.handle(self)
                except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
                    self.close_connection = True

            do_GET = do_POST = handle_one

            def answer(self, status, body=b"", headers=()):
                self.send_response(status)
                for name, value in dict(headers).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Quiet(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self.handle = handle
        self.seen = []
        self.http = Quiet(("127.0.0.1", 0), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.http.socket = context.wrap_socket(self.http.socket, server_side=True, do_handshake_on_connect=False)
        self.host = f"127.0.0.1:{self.http.server_address[1]}"
        self.url = ("https://" if tls else "http://") + self.host
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def stop(self):
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()

    def headers_of(self, part):
        """Headers of the requests whose path contains part."""
        return [h for _, p, h in self.seen if part in p]


# ---- the token service of docker-registry ----

def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class TokenService(Server):
    """Signs what is asked for, if the user may: users maps name to password, None allows anonymous pulls."""

    def __init__(self, where, users, tls=None, lifetime=300):
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=token signer",
            "-keyout", f"{where}/token.key", "-out", f"{where}/token.crt")
        self.where, self.users, self.lifetime = where, users, lifetime
        self.refresh_token = "refresh-me"
        super().__init__(self.serve, tls)

    def auth_yaml(self):
        return (f"auth:\n  token:\n    realm: {self.url}/token\n    service: test registry\n    issuer: test issuer\n"
                f"    rootcertbundle: {self.where}/token.crt\n")

    def token(self, scope):
        with open(f"{self.where}/token.crt", encoding="ascii") as f:
            der = ssl.PEM_cert_to_DER_cert(f.read())
        access = []
        if scope:
            kind, name, actions = scope.split(":")
            access = [{"type": kind, "name": name, "actions": actions.split(",")}]
        now = int(time.time())
        header = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(der).decode()]}
        claims = {"iss": "test issuer", "sub": "x", "aud": "test registry", "exp": now + self.lifetime,
                  "nbf": now - 10, "iat": now, "jti": str(time.monotonic_ns()), "access": access}
        text = b64url(json.dumps(header).encode()) + "." + b64url(json.dumps(claims).encode())
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", f"{self.where}/token.key"], check=True,
                                   input=text.encode(), stdout=subprocess.PIPE).stdout
        return text + "." + b64url(signature)

    def allowed(self, request, query):
        if request.command == "POST":
            return query.get("refresh_token") == [self.refresh_token] and query.get("grant_type") == ["refresh_token"]
        header = request.headers.get("Authorization")
        if header is None:
            return self.users is None
        user, _, password = base64.b64decode(header.split()[1]).decode().partition(":")
        return bool(self.users) and self.users.get(user) == password

    def serve(self, request):
        text = request.form if request.command == "POST" else urllib.parse.urlsplit(request.path).query
        query = urllib.parse.parse_qs(text)
        if query.get("service") != ["test registry"] or not self.allowed(request, query):
            request.answer(401, b'{"details":"incorrect username or password"}')
            return
        key = "access_token" if request.command == "POST" else "token"
        request.answer(200, json.dumps({key: self.token(query["scope"][0]), "expires_in": self.lifetime}).encode())


# ---- a registry that does as it is told ----

class Fake(Server):
    """One image at x/y:1. Faults are functions by request path's end ("manifest", "config", "layer", "ping")."""

    def __init__(self, layer=b"layer" * 1000, tls=None):
        self.layer = layer
        self.config = json.dumps({"os": "linux", "architecture": "amd64", "config": {},
                                  "rootfs": {"type": "layers", "diff_ids": [sha256(layer)]}}).encode()
        self.faults = {}
        self.manifest = self.make_manifest()
        super().__init__(self.serve, tls)

    def make_manifest(self, **change):
        document = {
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": sha256(self.config),
                       "size": len(self.config)},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": sha256(self.layer),
                        "size": len(self.layer)}]}
        document.update(change)
        return json.dumps(document).encode()

    @property
    def name(self):
        return f"{self.host}/x/y:1"

    def serve(self, request):
        path = request.path
        if path == "/v2/":
            what, body = "ping", b"{}"
        elif "/manifests/" in path:
            what, body = "manifest", self.manifest
        elif path.endswith(sha256(self.config)):
            what, body = "config", self.config
        elif path.endswith(sha256(self.layer)):
            what, body = "layer", self.layer
        else:
            request.answer(404, b'{"errors":[{"code":"BLOB_UNKNOWN","message":"no such thing"}]}')
            return
        fault = self.faults.get(what)
        if fault and fault(request):
            return
        kind = "application/vnd.oci.image.manifest.v1+json" if what == "manifest" else "application/octet-stream"
        self.send(request, body, kind)

    @staticmethod
    def send(request, body, kind="application/octet-stream"):
        first = request.headers.get("Range")
        if not first:
            request.answer(200, body, {"Content-Type": kind})
            return
        start = int(first[len("bytes="):].rstrip("-"))
        request.answer(206, body[start:], {"Content-Type": kind,
                                           "Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"})
