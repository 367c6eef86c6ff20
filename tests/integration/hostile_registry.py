#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A registry that does what no registry should. The repository's name chooses the fault: HOST/FAULT:1.

By itself (hostile_registry.py) it serves until it is interrupted, and says what it has. Every request is kept with its
headers, so that a test can see who was told a password. All answers to /v2/ want Basic authorization, or a
token where the fault is about tokens."""

import base64
import email.utils
import fcntl
import gzip
import hashlib
import http.server
import io
import itertools
import json
import random
import socket
import ssl
import struct
import sys
import tarfile
import termios
import threading
import time
import urllib.parse

USER, PASSWORD = "bait", "s3cret"
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
OCI = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
MIB = 1 << 20


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def tar_of(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as t:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o644
            t.addfile(info, io.BytesIO(data))
    return out.getvalue()


class Picture:
    """One image as bytes; change() edits the manifest, raw_config replaces the config's bytes."""

    def __init__(self, tar, packed=None, raw_config=None, change=None):
        self.layer = gzip.compress(tar, 1, mtime=0) if packed is None else packed
        self.config = raw_config or json.dumps({
            "os": "linux", "architecture": "amd64", "config": {"Cmd": ["sh"]},
            "rootfs": {"type": "layers", "diff_ids": [sha256(tar)]}}).encode()
        document = {
            "schemaVersion": 2, "mediaType": OCI,
            "config": {"mediaType": CONFIG, "digest": sha256(self.config), "size": len(self.config)},
            "layers": [{"mediaType": LAYER, "digest": sha256(self.layer), "size": len(self.layer)}]}
        if change:
            change(document)
        self.manifest = json.dumps(document).encode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_any(self):
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.seen.append((self.command, self.path, dict(self.headers)))
        try:
            self.server.serve(self)
        except OSError:
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_any

    def answer(self, status, body=b"", kind="application/octet-stream", **headers):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        return True

    def content(self, body, kind="application/octet-stream"):
        """The body, or the range of it that was asked for."""
        wanted = self.headers.get("Range")
        if not wanted:
            return self.answer(200, body, kind)
        start = int(wanted[len("bytes="):-1])
        return self.answer(206, body[start:], kind, Content_Range=f"bytes {start}-{len(body) - 1}/{len(body)}")

    def reset(self):
        """RST instead of an end."""
        waiting = bytearray(4)
        for _ in range(1000):           # what was sent shall arrive: an RST overtakes it
            fcntl.ioctl(self.connection, termios.TIOCOUTQ, waiting)
            if not any(waiting):
                break
            time.sleep(0.002)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        raise OSError

    def cut(self, body, n, kind="application/octet-stream"):
        """The answer to this request, but a reset behind n bytes of what is sent as its body."""
        start = int((self.headers.get("Range") or "bytes=0-")[len("bytes="):-1])
        self.send_response(206 if start else 200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.end_headers()
        self.wfile.write(body[start:start + n])
        if len(body) - start > n:
            self.reset()
        return True

    def endless(self, byte=b" ", status=200):
        self.send_response(status)
        self.end_headers()
        self.close_connection = True
        while True:
            self.wfile.write(byte * 65536)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, serve, tls=None):
        self.serve, self.seen = serve, []
        super().__init__(("127.0.0.1", 0), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server_address[1]
        self.host = f"127.0.0.1:{self.port}"
        self.url = f"{'https' if tls else 'http'}://{self.host}"
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def handle_error(self, *_):
        pass

    def stop(self):
        self.shutdown()
        self.server_close()
        self.thread.join()


class Hostile:
    """The registry, and two servers that it leads to: another port, and another scheme if there is a certificate."""

    def __init__(self, tls=None):
        self.good = Picture(tar_of({"a": random.Random(7).randbytes(3 * MIB)}))
        self.pictures, self.faults, self.pings = {}, {}, {}
        self.lock, self.counts = threading.Lock(), {}
        self.elsewhere = Server(self.serve_elsewhere)
        self.encrypted = Server(self.serve_elsewhere, tls) if tls else None
        self.registry = Server(self.serve)
        self.host = self.registry.host
        # the same machine and port under another name: not the same origin
        self.alias = f"localhost:{self.registry.port}"
        for name in dir(self):
            if name.startswith("add_"):
                getattr(self, name)()

    def stop(self):
        for server in (self.registry, self.elsewhere, self.encrypted, *self.pings.values()):
            if server:
                server.stop()

    def add(self, name, what=None, fault=None, picture=None):
        """fault(request, body) is true if it answered. One about /v2/ gets a server of its own, since that has no name."""
        if picture:
            self.pictures[name] = picture
        if what == "ping":
            self.pings[name] = Server(lambda q: (q.path == "/v2/" and fault(q, b"")) or self.serve(q))
        else:
            self.faults[name] = (what, fault)

    def place(self, name):
        return f"{self.pings[name].host if name in self.pings else self.host}/{name}:1"

    def hosts(self):
        return [s.host for s in (self.registry, self.elsewhere, self.encrypted, *self.pings.values()) if s] + [self.alias]

    def told(self):
        """Who else was told the password, but for the registry and who it names as its token service: the requests."""
        others = [(s.host, r) for s in (self.elsewhere, self.encrypted) if s for r in s.seen
                  if "Authorization" in r[2] and not r[1].startswith("/token")]
        return others + [(self.alias, r) for r in self.registry.seen if r[2].get("Host") == self.alias and "Authorization" in r[2]]

    def count(self, *key):
        """0, 1, 2 ... for the same key."""
        with self.lock:
            self.counts[key] = self.counts.get(key, -1) + 1
            return self.counts[key]

    # ---- answering ----

    def serve(self, q):
        path = urllib.parse.urlsplit(q.path).path
        parts = path.split("/")
        if path == "/v2/":
            if q.headers.get("Authorization") != BASIC:
                return q.answer(401, b"", WWW_Authenticate='Basic realm="x"')
            return q.answer(200, b"{}")
        if q.headers.get("Authorization") != BASIC and q.headers.get("Host") != self.alias:
            return q.answer(401, b"", WWW_Authenticate='Basic realm="x"')
        name = parts[2]
        picture = self.pictures.get(name, self.good)
        kind, body = "application/octet-stream", None
        if parts[3] == "manifests":
            what, kind, body = "manifest", json.loads(picture.manifest).get("mediaType", OCI), picture.manifest
        elif parts[-1] == sha256(picture.config):
            what, body = "config", picture.config
        elif parts[-1] == sha256(picture.layer):
            what, body = "layer", picture.layer
        elif parts[4] == "uploads":
            what, body = "upload", b""
        else:
            what = "other"
        wanted, fault = self.faults.get(name, (None, None))
        if fault and what == wanted and fault(q, body):
            return None
        if q.command in ("PUT", "HEAD") or body is None:
            return q.answer(201 if q.command == "PUT" else 404, b"")
        return q.content(body, kind)

    def serve_elsewhere(self, q):
        """/give/FAULT/layer gives what is asked for; /take takes an upload; /ask wants a password."""
        parts = urllib.parse.urlsplit(q.path).path.split("/")
        if parts[1] == "token":
            return q.answer(307, b"", Location=f"http://{self.alias}/v2/") if parts[2] == "lead" else q.answer(404)
        if parts[1] == "ask":
            return q.answer(401, b"", WWW_Authenticate='Basic realm="x"')
        if parts[1] == "take":
            return q.answer(202 if q.command == "PATCH" else 201, b"", Location=f"{self.elsewhere.url}/take/x?n=1",
                            Range=f"0-{len(q.body)}")
        picture = self.pictures.get(parts[2], self.good) if len(parts) > 2 else self.good
        if parts[1] == "give":
            return q.content(getattr(picture, parts[3]), OCI if parts[3] == "manifest" else "application/octet-stream")
        return q.answer(404)

    # ---- passwords wanted elsewhere ----

    def add_bait(self):
        def lead(where):
            return lambda q, _: q.answer(307, b"", Location=where)

        self.add("lead-layer", "layer", lead(f"{self.elsewhere.url}/give/x/layer"))
        self.add("lead-config", "config", lead(f"{self.elsewhere.url}/give/x/config"))
        self.add("lead-manifest", "manifest", lead(f"{self.elsewhere.url}/give/x/manifest"))
        self.add("lead-name", "layer", lambda q, _: q.headers["Host"] != self.alias and q.answer(
            307, b"", Location=f"http://{self.alias}{q.path}"))
        self.add("lead-ask", "layer", lead(f"{self.elsewhere.url}/ask"))
        if self.encrypted:
            self.add("lead-scheme", "layer", lead(f"{self.encrypted.url}/give/x/layer"))
        self.add("lead-upload", "upload", lambda q, _: q.command == "POST" and q.answer(
            202, b"", Location=f"{self.elsewhere.url}/take/x"))
        self.add("foreign", None, None, Picture(tar_of({"a": b"x" * 5000}), change=lambda d: d["layers"][0].update(
            mediaType="application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
            urls=[f"{self.elsewhere.url}/give/foreign/layer"])))

    # ---- wrong content ----

    def add_content(self):
        for what in ("config", "layer"):
            self.add(f"digest-{what}", what, lambda q, body: q.content(bytes([body[0] ^ 1]) + body[1:]))
            self.add(f"longer-{what}", what, lambda q, body: q.content(body + b"x"))
            self.add(f"shorter-{what}", what, lambda q, body: q.content(body[:-1]))
            self.add(f"endless-{what}", what, lambda q, body: q.endless())
        self.add("digest-manifest", "manifest", lambda q, body: q.content(body + b" ", OCI))
        self.add("endless-manifest", "manifest", lambda q, body: q.endless())
        self.add("endless-error", "manifest", lambda q, body: q.endless(status=403))
        self.add("endless-headers", "manifest", self.endless_headers)
        self.add("manifest-100m", "manifest", self.large_manifest)
        self.add("size-layer", None, None, Picture(tar_of({"a": b"x"}), change=lambda d: d["layers"][0].update(size=10 ** 15)))
        self.add("size-negative", None, None, Picture(tar_of({"a": b"x"}), change=lambda d: d["layers"][0].update(size=-1)))

    @staticmethod
    def endless_headers(q, _):
        q.send_response(200)
        for i in itertools.count():
            q.wfile.write(f"X-{i}: {'x' * 1000}\r\n".encode())

    @staticmethod
    def large_manifest(q, _):
        q.send_response(200)
        q.send_header("Content-Length", str(100 * MIB))
        q.end_headers()
        for _ in range(100):
            q.wfile.write(b" " * MIB)
        return True

    def add_manifests(self):
        """What could be read in two ways."""
        digest = sha256(b"")
        entry = {"mediaType": OCI, "digest": digest, "size": 1, "platform": {"os": "linux", "architecture": "amd64"}}
        for name, change in {
                "dual-list": {"manifests": [entry]}, "dual-v1": {"fsLayers": [{"blobSum": digest}], "history": []},
                "dual-type": {"mediaType": INDEX}, "dual-docker": {"mediaType": LIST}, "dual-case": {"Layers": []},
                "dual-schema": {"schemaVersion": 1}}.items():
            self.add(name, None, None, Picture(tar_of({"a": b"x"}), change=lambda d, c=change: d.update(c)))
        twice = Picture(tar_of({"a": b"x"}))
        twice.manifest = twice.manifest[:-1] + b',"layers":[]}'
        self.add("dual-twice", None, None, twice)

    def add_digests(self):
        """Paths and other things in the place of digests."""
        hexes = "0" * 64
        for i, digest in enumerate((
                "sha256:../../../../etc/passwd", f"sha256:{hexes}/../../x", "sha256:" + "A" * 64, "sha256:" + "0" * 63, "md5:" + "0" * 32,
                "sha512:" + hexes, "", "sha256:", f"../sha256:{hexes}", f"sha256:{hexes}?x=y", f"sha256:{hexes}%2f..", "sha256:" + "/" * 64)):
            self.add(f"path-layer-{i}", None, None, Picture(tar_of({"a": b"x"}), change=lambda d, v=digest: d["layers"][0].update(digest=v)))
            self.add(f"path-config-{i}", None, None, Picture(tar_of({"a": b"x"}), change=lambda d, v=digest: d["config"].update(digest=v)))

            def index(d, v=digest):
                d.clear()
                d.update(schemaVersion=2, mediaType=INDEX, manifests=[
                    {"mediaType": OCI, "digest": v, "size": 9, "platform": {"os": "linux", "architecture": "amd64"}}])
            self.add(f"path-index-{i}", None, None, Picture(tar_of({"a": b"x"}), change=index))

    def add_bombs(self):
        """A few kilobytes that become gigabytes: zeros behind the archive's end, zeros as a file."""
        zeros = gzip.compress(bytes(16 * MIB), 9, mtime=0)
        header = tarfile.TarInfo("zeros")
        header.size = 4096 * MIB
        self.add("bomb-behind", None, None, Picture(b"", packed=gzip.compress(tar_of({"a": b"x"}), mtime=0) + zeros * 256))
        self.add("bomb-file", None, None, Picture(b"", packed=gzip.compress(header.tobuf(), mtime=0) + zeros * 256))

    def add_text(self):
        def config(label):
            return (b'{"os":"linux","architecture":"amd64","config":{"Labels":{"k' + label + b'":"v' + label + b'"}},'
                    b'"rootfs":{"type":"layers","diff_ids":["' + sha256(tar_of({"a": b"x"})).encode() + b'"]}}')

        for name, label in (("label-ff", b"\xff"), ("label-00", b"\0"), ("label-escape", b"\\u0000"), ("label-half", b"\\udc00")):
            self.add(name, None, None, Picture(tar_of({"a": b"x"}), raw_config=config(label)))

    # ---- slow, broken, busy ----

    def add_breaks(self):
        for what in ("manifest", "config", "layer"):
            kind = OCI if what == "manifest" else "application/octet-stream"
            self.add(f"reset-once-{what}", what, lambda q, body, w=what, k=kind: not self.count("once", w, q.headers["User-Agent"]) and
                     q.cut(body, len(body) // 2, k))
            self.add(f"reset-early-{what}", what, lambda q, body, w=what: not self.count("early", w, q.headers["User-Agent"]) and q.reset())
        for n in (0, 1, 1000):
            self.add(f"reset-{n}", "layer", lambda q, body, n=n: q.cut(body, n))
        self.add("reset-large", "layer", lambda q, body: q.cut(body, MIB + 7))
        self.add("drip", "layer", self.drip)

    @staticmethod
    def drip(q, body):
        q.send_response(200)
        q.send_header("Content-Length", str(len(body)))
        q.end_headers()
        for i in range(0, 200):
            q.wfile.write(body[i:i + 1])
            time.sleep(0.2)
        return True

    def add_busy(self):
        """Each fault: the answers in their order, the last one for ever; None: the right one."""
        date = email.utils.formatdate(time.time() + 1, usegmt=True)
        for name, what, answers in (
                ("busy-manifest", "manifest", [(429, "1"), (503, None), None]), ("busy-config", "config", [(502, None), (429, "soon"), None]),
                ("busy-layer", "layer", [(429, date), (504, "1"), None]), ("busy-ping", "ping", [(503, "0"), (500, "-5"), None]),
                ("busy-always", "manifest", [(503, "1")]), ("refused-layer", "layer", [(403, None)])):
            self.add(name, what, lambda q, _, n=name, a=answers: self.busy(q, a[min(self.count(n, q.headers["User-Agent"]), len(a) - 1)]))

    @staticmethod
    def busy(q, answer):
        return answer and q.answer(answer[0], b'{"errors":[{"code":"X","message":"come back later"}]}', "application/json",
                                   **({"Retry_After": answer[1]} if answer[1] else {}))

    def add_challenges(self):
        where = self.elsewhere.url
        for i, text in enumerate((
                "", "Bearer", "Bearer realm", 'Bearer realm="', "Bearer realm=\"\"", ",,,,,", 'Bearer realm="http://[::1"', "Bearer realm=file:///etc/passwd",
                f'Bearer realm="http://u:p@{self.elsewhere.host}/ask"', "Negotiate", "\xff\xfe", "Bearer " + 'a="b",' * 4000,
                'Digest realm="x",nonce="y"', f'Bearer realm="{where}/token/none"',
                f'Bearer realm="{where}/token/lead"', f'bEaReR rEaLm="{where}/token/none",service="\\"')):
            self.add(f"challenge-{i}", "ping", lambda q, _, t=text: q.answer(401, b"", WWW_Authenticate=t.encode().decode("latin-1")))


def main():
    hostile = Hostile()
    print(f"registry {hostile.host}, user {USER}, password {PASSWORD}")
    for name in sorted([*hostile.faults, *hostile.pings]):
        print(f"  {hostile.place(name)}")
    sys.stdout.flush()
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        hostile.stop()


if __name__ == "__main__":
    main()
