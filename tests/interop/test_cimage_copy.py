# SPDX-License-Identifier: Apache-2.0
"""cimage copies between all places; what it writes skopeo, podman, buildah and umoci read, and the other way round."""

import gzip
import hashlib
import http.server
import io
import itertools
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import unittest

import crid_node
from forwarding import Forwarding
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("CRID_BUILD", os.path.join(TOP, "build"))
CIMAGE = os.path.join(BUILD, "tools/cimage/cimage")
ARCH = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
sys.path.insert(0, os.path.join(TOP, "tests/unit/libcimage"))
import registries  # noqa: E402

OCI = "application/vnd.oci.image.manifest.v1+json"
V2S2 = "application/vnd.docker.distribution.manifest.v2+json"
MEMORY_MAX = 64 << 10   # KiB


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


class Layout:
    """An OCI layout made by hand: images by name, and an index over several architectures."""

    def __init__(self, where):
        self.where = where
        self.entries = []
        os.makedirs(f"{where}/blobs/sha256")
        self.write("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')

    def write(self, name, data):
        with open(f"{self.where}/{name}", "wb") as f:
            f.write(data)

    def blob(self, data, kind):
        self.write("blobs/sha256/" + sha256(data)[7:], data)
        return {"mediaType": kind, "digest": sha256(data), "size": len(data)}

    def image(self, layers, arch=ARCH, **extra):
        config = json.dumps({"created": "2026-01-02T03:04:05Z", "architecture": arch, "os": "linux",
                             "config": {"Env": ["A=b"], "Cmd": ["sh"], "Labels": {"z": "1", "a": "<&>"}},
                             "rootfs": {"type": "layers", "diff_ids": [sha256(x) for x in layers]},
                             "history": [{"created_by": f"layer {i}"} for i in range(len(layers))]}).encode()
        manifest = {"schemaVersion": 2, "mediaType": OCI,
                    "config": self.blob(config, "application/vnd.oci.image.config.v1+json"),
                    "layers": [self.blob(gzip.compress(x, 1, mtime=0), "application/vnd.oci.image.layer.v1.tar+gzip")
                               for x in layers], **extra}
        return self.blob(json.dumps(manifest).encode(), OCI)

    def name(self, entry, name):
        self.entries.append(dict(entry, annotations={"org.opencontainers.image.ref.name": name}))
        self.write("index.json", json.dumps({"schemaVersion": 2, "manifests": self.entries}).encode())

    def index(self, entries):
        kind = "application/vnd.oci.image.index.v1+json"
        return self.blob(json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": entries}).encode(), kind)


class Copies(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        missing = [p for p in ("skopeo", "docker-registry") if not shutil.which(p)]
        if missing:
            raise unittest.SkipTest("not installed: " + ", ".join(missing))
        if not os.path.exists(CIMAGE):
            raise unittest.SkipTest(f"{CIMAGE} is not built")
        cls.top = tempfile.mkdtemp(prefix="cimage-copy-")
        cls.addClassCleanup(crid_node.remove_tree, cls.top)     # skopeo leaves a mount in a store
        cls.layers = [tar_of({"etc/a": os.urandom(200000)}), tar_of({"b": b"x" * 3000000, "c": b"y"}),
                      tar_of({"d": os.urandom(6000000)})]
        layout = Layout(f"{cls.top}/layout")
        one = layout.image(cls.layers)
        other = layout.image(cls.layers[:1], arch="s390x")
        layout.name(one, "one")
        layout.name(layout.index([dict(one, platform={"os": "linux", "architecture": ARCH}),
                                  dict(other, platform={"os": "linux", "architecture": "s390x"})]), "both")
        artifact = layout.blob(json.dumps({
            "schemaVersion": 2, "mediaType": OCI, "config": layout.blob(b"{}", "application/x.strange+json"),
            "layers": [layout.blob(b"anything", "text/x-unknown")], "annotations": {"k": "v"}}).encode(), OCI)
        layout.name(artifact, "artifact")
        cls.one, cls.digest = f"oci:{layout.where}:one", one["digest"]
        cls.layout = layout
        cls.registry = registries.Registry(f"{cls.top}/registry", f"{cls.top}/data").start()
        cls.addClassCleanup(cls.registry.stop)
        cls.host = cls.registry.host

    def setUp(self):
        self.dir = tempfile.mkdtemp(dir=self.top)

    def path(self, name):
        return f"{self.dir}/{name}"

    def run_program(self, *command, status=0):
        done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
                              env=dict(os.environ, TMPDIR=self.dir))
        self.assertEqual(done.returncode, status, f"{' '.join(command)}: {done.stdout}{done.stderr}")
        return done.stdout if status == 0 else done.stderr

    def cimage(self, command, *arguments, status=0):
        policy = ["--insecure-policy"] if command in ("copy", "sync") or "copy" in arguments else []
        return self.run_program(CIMAGE, *policy, "-q", command, *arguments, status=status)

    def copy(self, *arguments, status=0):
        both = ["--tls-verify", "false"]
        return self.cimage("copy", *both, *arguments, status=status)

    def skopeo(self, *arguments):
        return self.run_program("skopeo", "--insecure-policy", "copy", "-q", "--src-tls-verify=false",
                                "--dest-tls-verify=false", *arguments)

    def same(self, a, b):
        """Both directories have the same files."""
        def read(where):
            found = {}
            for name in os.listdir(where):
                with open(f"{where}/{name}", "rb") as f:
                    found[name] = f.read()
            return found
        self.assertEqual(read(a), read(b))

    def unpacked(self, place):
        """The diff ids of an image, as skopeo reads it, with the layers uncompressed and digested here."""
        shutil.rmtree(self.path("check"), ignore_errors=True)
        self.skopeo(place, "dir:" + self.path("check"))
        with open(self.path("check/manifest.json"), "rb") as f:
            manifest = json.load(f)
        found = []
        for layer in manifest["layers"]:
            with open(self.path("check/" + layer["digest"][7:]), "rb") as f:
                data = f.read()
            if data[:2] == b"\x1f\x8b":
                data = gzip.decompress(data)
            elif data[:4] == b"\x28\xb5\x2f\xfd":
                data = subprocess.run(["zstd", "-dc"], input=data, check=True, capture_output=True).stdout
            found.append(sha256(data))
        self.assertEqual(found, [sha256(x) for x in self.layers])
        return manifest

    # ---- each transport, both directions ----

    def test_dir_both_ways(self):
        self.copy(self.one, "dir:" + self.path("ours"))
        self.skopeo(self.one, "dir:" + self.path("theirs"))
        self.same(self.path("ours"), self.path("theirs"))
        self.copy("dir:" + self.path("theirs"), "oci:" + self.path("o") + ":x")
        self.unpacked("oci:" + self.path("o") + ":x")

    def test_registry_both_ways(self):
        name = f"docker://{self.host}/both/ways:1"
        self.copy(self.one, name)
        self.assertEqual(self.run_program("skopeo", "inspect", "--tls-verify=false", "--format", "{{.Digest}}", name).strip(), self.digest)
        self.skopeo(self.one, f"docker://{self.host}/theirs:2")
        self.copy(f"docker://{self.host}/theirs:2", "dir:" + self.path("back"))
        self.skopeo(self.one, "dir:" + self.path("expected"))
        self.same(self.path("back"), self.path("expected"))
        tags = json.loads(self.cimage("list-tags", "--tls-verify", "false", name))
        self.assertEqual(tags, {"Repository": f"{self.host}/both/ways", "Tags": ["1"]})

    def test_archives_both_ways(self):
        for kind in ("oci-archive", "docker-archive"):
            with self.subTest(kind):
                ours, theirs = f"{kind}:{self.path(kind + '.ours')}", f"{kind}:{self.path(kind + '.theirs')}"
                self.copy(self.one, ours + ":example.com/x:1")
                self.unpacked(ours + ":example.com/x:1")
                self.skopeo(self.one, theirs + ":example.com/x:1")
                self.copy(theirs + ":example.com/x:1", "dir:" + self.path(kind + "-back"))
                self.unpacked("dir:" + self.path(kind + "-back"))

    def test_a_compressed_archive_is_read(self):
        self.skopeo(self.one, "docker-archive:" + self.path("x.tar") + ":example.com/x:1")
        self.run_program("gzip", self.path("x.tar"))
        self.copy("docker-archive:" + self.path("x.tar.gz"), "oci:" + self.path("o") + ":1")
        self.unpacked("oci:" + self.path("o") + ":1")

    @unittest.skipUnless(shutil.which("podman"), "podman is not installed")
    def test_podman_loads_our_archives_and_we_read_its(self):
        store = ["--root", self.path("root"), "--runroot", self.path("run")]
        for kind in ("oci-archive", "docker-archive"):
            with self.subTest(kind):
                archive = self.path(kind)
                self.copy(self.one, f"{kind}:{archive}:example.com/x:{kind}")
                self.run_program("podman", *store, "load", "-i", archive)
                self.run_program("podman", *store, "save", "--format", kind, "-o", self.path(kind + ".back"),
                                 f"example.com/x:{kind}")
                self.copy(f"{kind}:{self.path(kind + '.back')}", "dir:" + self.path(kind + ".dir"))
                self.unpacked("dir:" + self.path(kind + ".dir"))

    def test_storage_both_ways(self):
        if os.geteuid():
            self.skipTest("needs root")
        store = f"containers-storage:[overlay@{self.path('root')}+{self.path('run')}]"
        self.copy(self.one, store + "example.com/ours:1")
        self.assertEqual(json.loads(self.run_program("skopeo", "inspect", store + "example.com/ours:1"))["Digest"], self.digest)
        self.unpacked(store + "example.com/ours:1")
        self.cimage("delete", store + "example.com/ours:1")
        self.skopeo(self.one, store + "example.com/theirs:1")
        self.copy(store + "example.com/theirs:1", f"docker://{self.host}/from/store:1")
        self.unpacked(f"docker://{self.host}/from/store:1")

    @unittest.skipUnless(shutil.which("umoci"), "umoci is not installed")
    def test_umoci_unpacks_our_layouts(self):
        self.copy(self.one, "oci:" + self.path("layout") + ":x")
        self.run_program("umoci", "unpack", "--rootless", "--image", self.path("layout") + ":x", self.path("bundle"))
        with open(self.path("bundle/rootfs/b"), "rb") as f:
            self.assertEqual(f.read(), b"x" * 3000000)

    # ---- what copying does to an image ----

    def test_conversion_gives_the_manifests_of_skopeo(self):
        self.copy("-f", "v2s2", self.one, "dir:" + self.path("v2"))
        self.skopeo("-f", "v2s2", self.one, "dir:" + self.path("v2.theirs"))
        self.same(self.path("v2"), self.path("v2.theirs"))
        self.copy("-f", "oci", "dir:" + self.path("v2"), "dir:" + self.path("oci"))
        self.skopeo("-f", "oci", "dir:" + self.path("v2"), "dir:" + self.path("oci.theirs"))
        self.same(self.path("oci"), self.path("oci.theirs"))

    def test_schema_1_becomes_what_skopeo_makes_of_it(self):
        os.mkdir(self.path("v1"))
        blobs = [gzip.compress(x, 1, mtime=0) for x in self.layers[:2]]
        empty = gzip.compress(bytes(1024), 9, mtime=0)
        for blob in (*blobs, empty):
            with open(self.path("v1/" + sha256(blob)[7:]), "wb") as f:
                f.write(blob)
        history = [{"id": "c" * 64, "parent": "b" * 64, "created": "2020-01-03T00:00:00Z", "throwaway": True, "os": "linux",
                    "architecture": ARCH, "config": {"Cmd": ["sh"]}, "container_config": {"Cmd": ["/bin/sh", "-c", "#(nop) CMD"]}},
                   {"id": "b" * 64, "parent": "a" * 64, "created": "2020-01-02T00:00:00Z", "container_config": {"Cmd": ["touch", "b"]}},
                   {"id": "a" * 64, "created": "2020-01-01T00:00:00Z", "author": "me", "container_config": {"Cmd": ["touch a"]}}]
        manifest = {"schemaVersion": 1, "name": "x/y", "tag": "1", "architecture": ARCH,
                    "fsLayers": [{"blobSum": sha256(x)} for x in (empty, blobs[1], blobs[0])],
                    "history": [{"v1Compatibility": json.dumps(h)} for h in history]}
        with open(self.path("v1/manifest.json"), "w", encoding="ascii") as f:
            json.dump(manifest, f)
        with open(self.path("v1/version"), "w", encoding="ascii") as f:
            f.write("Directory Transport Version: 1.1\n")
        for form in ("v2s2", "oci"):
            self.copy("-f", form, "dir:" + self.path("v1"), "dir:" + self.path(form))
            self.skopeo("-f", form, "dir:" + self.path("v1"), "dir:" + self.path(form + ".theirs"))
            with open(self.path(form + "/manifest.json"), "rb") as a, open(self.path(form + ".theirs/manifest.json"), "rb") as b:
                ours, theirs = json.load(a), json.load(b)
            self.assertEqual(ours["layers"], theirs["layers"])
            configs = []
            for where, m in ((form, ours), (form + ".theirs", theirs)):
                with open(self.path(where + "/" + m["config"]["digest"][7:]), "rb") as f:
                    configs.append(json.load(f))
            self.assertEqual(configs[0], configs[1])

    def test_a_broken_upload_goes_on_where_it_broke(self):
        got, ranges, breaks, number = {}, [], [1], itertools.count()

        class Registry(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def say(self, status, **headers):
                self.send_response(status)
                for k, v in headers.items():
                    self.send_header(k.replace("_", "-"), v)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_GET(self):
                if self.path == "/v2/":
                    return self.say(200)
                have = len(got.get(self.path, b""))
                return self.say(204, Location=self.path, Range=f"0-{max(have - 1, 0)}")

            def do_HEAD(self):
                self.say(404)

            def do_POST(self):
                name = f"/v2/x/blobs/uploads/{next(number)}"
                got[name] = b""
                self.say(202, Location=name)

            def do_PATCH(self):
                n = int(self.headers["Content-Length"])
                ranges.append((self.headers["Content-Range"], n))
                if breaks and n > 2000000:
                    breaks.pop()
                    got[self.path] += self.rfile.read(1000000)
                    self.close_connection = True
                    return None
                if self.headers["Content-Range"] != f"{len(got[self.path])}-{len(got[self.path]) + n - 1}":
                    self.rfile.read(n)      # libcurl's own second attempt, when the connection had been used before
                    return self.say(416)
                got[self.path] += self.rfile.read(n)
                return self.say(202, Location=self.path, Range=f"0-{len(got[self.path]) - 1}")

            def do_PUT(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                name, _, query = self.path.partition("?")
                got[name] = got.get(name, b"") + body
                wanted = query.replace("digest=", "").replace("%3a", ":").replace("%3A", ":")
                self.say(201 if not query or sha256(got[name]) == wanted else 400)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.copy(self.one, f"docker://127.0.0.1:{server.server_address[1]}/x:1")
        self.assertEqual(breaks, [])
        self.assertTrue(any(r.startswith("1000000-") for r, _ in ranges), ranges)

    @unittest.skipUnless(shutil.which("zstd"), "zstd is not installed")
    def test_layers_are_recompressed(self):
        self.copy("--dest-compress-format", "zstd", self.one, "oci:" + self.path("z") + ":1")
        manifest = self.unpacked("oci:" + self.path("z") + ":1")
        self.assertEqual({x["mediaType"] for x in manifest["layers"]}, {"application/vnd.oci.image.layer.v1.tar+zstd"})
        self.copy("--dest-compress-format", "gzip", "oci:" + self.path("z") + ":1", "oci:" + self.path("g") + ":1")
        manifest = self.unpacked("oci:" + self.path("g") + ":1")
        self.assertEqual({x["mediaType"] for x in manifest["layers"]}, {"application/vnd.oci.image.layer.v1.tar+gzip"})
        said = self.copy("--preserve-digests", "--dest-compress-format", "zstd", self.one, "oci:" + self.path("p") + ":1", status=1)
        self.assertIn("digests are to be preserved", said)

    def test_lists(self):
        both = f"oci:{self.layout.where}:both"
        self.copy("--all", both, f"docker://{self.host}/list:1")
        raw = self.cimage("inspect", "--tls-verify", "false", "--raw", f"docker://{self.host}/list:1")
        self.assertEqual({m["platform"]["architecture"] for m in json.loads(raw)["manifests"]}, {ARCH, "s390x"})
        self.copy(f"docker://{self.host}/list:1", "dir:" + self.path("system"))
        self.unpacked("dir:" + self.path("system"))
        said = self.copy("--all", both, "docker-archive:" + self.path("a.tar"), status=1)
        self.assertIn("holds one image", said)
        self.assertFalse(os.path.exists(self.path("a.tar")))

    def test_os_version_and_features_decide_nothing(self):
        """As in containers/image: the first of its platform is taken, whatever it wants of the system."""
        layout = Layout(self.path("versions"))
        platform = {"os": "linux", "architecture": ARCH}
        wanting = layout.image(self.layers[:1])
        layout.name(layout.index([dict(wanting, platform=dict(platform, **{"os.version": "10.0.1", "os.features": ["win32k"]})),
                                  dict(layout.image(self.layers[:2]), platform=platform)]), "x")
        for copy, where in ((self.copy, "ours"), (self.skopeo, "theirs")):
            copy(f"oci:{layout.where}:x", "dir:" + self.path(where))
            with open(self.path(where + "/manifest.json"), "rb") as f:
                self.assertEqual(sha256(f.read()), wanting["digest"])

    def test_artifacts_and_unknown_types_stay_what_they_are(self):
        self.copy(f"oci:{self.layout.where}:artifact", f"docker://{self.host}/artifact:1")
        self.copy(f"docker://{self.host}/artifact:1", "dir:" + self.path("a"))
        self.skopeo(f"docker://{self.host}/artifact:1", "dir:" + self.path("b"))
        with open(self.path("a/manifest.json"), "rb") as a, open(self.path("b/manifest.json"), "rb") as b:
            self.assertEqual(a.read(), b.read())

    def test_a_damaged_layer_leaves_nothing(self):
        broken = self.path("broken")
        shutil.copytree(self.layout.where, broken)
        with open(f"{broken}/blobs/sha256/{self.digest[7:]}", "rb") as f:
            victim = json.load(f)["layers"][1]["digest"][7:]
        with open(f"{broken}/blobs/sha256/{victim}", "r+b") as f:
            f.write(b"\0\0\0\0")
        for to in ("dir:" + self.path("d"), "oci-archive:" + self.path("a"), "docker-archive:" + self.path("b"),
                   f"docker://{self.host}/broken:1"):
            said = self.copy(f"oci:{broken}:one", to, status=1)
            self.assertIn(victim, said)
        self.copy(f"oci:{broken}:one", "oci:" + self.path("o") + ":x", status=1)
        left = [n for n in os.listdir(self.dir) if n not in ("broken", "o")]
        self.assertEqual(left, [])
        self.assertEqual(os.listdir(self.path("o/blobs/sha256")), [])
        self.cimage("inspect", "--tls-verify", "false", f"docker://{self.host}/broken:1", status=1)

    def proxy(self):
        """In front of the registry; its name, and the requests as they come."""
        seen = []

        class Proxy(Forwarding):
            def note(self, size):
                seen.append((self.command, self.path, size))

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
        server.target = self.host
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return f"127.0.0.1:{server.server_address[1]}", seen

    def test_blobs_are_mounted_and_sent_once(self):
        mine, seen = self.proxy()
        self.copy(self.one, f"docker://{mine}/first:1")
        sent = sum(n for _, _, n in seen)
        self.assertGreater(sent, 6000000)
        self.assertTrue(any(m == "PATCH" for m, _, _ in seen), "a large layer goes in chunks")
        self.assertTrue(all(n <= 4 << 20 for m, _, n in seen if m == "PATCH"))
        seen.clear()
        self.copy(self.one, f"docker://{mine}/first:2")
        self.assertLess(sum(n for _, _, n in seen), 10000, seen)
        seen.clear()
        self.copy(f"docker://{mine}/first:1", f"docker://{mine}/second:1")
        self.assertEqual(sum("mount=" in p for _, p, _ in seen), 3, seen)
        self.assertLess(sum(n for _, _, n in seen), 10000)

    def test_layers_are_compressed_and_sent_once(self):
        """From a place that has them plain: the second time they are found by what the first one remembered."""
        mine, seen = self.proxy()
        plain, cache = "oci:" + self.path("plain") + ":x", self.path("cache/blobs")
        self.copy("--dest-decompress", self.one, plain)
        for where in ("first", "second"):
            seen.clear()
            self.cimage("--blob-cache", cache, "copy", "--tls-verify", "false", plain, f"docker://{mine}/plain/{where}:1")
            self.unpacked(f"docker://{mine}/plain/{where}:1")
        self.assertEqual(sum("mount=" in p for _, p, _ in seen), 3, seen)
        self.assertLess(sum(n for _, _, n in seen), 10000)
        with open(cache, "a", encoding="ascii") as f:
            f.write("what is this\nis x y z\nat\n")
        self.cimage("--blob-cache", cache, "copy", "--tls-verify", "false", plain, f"docker://{mine}/plain/third:1")

    def test_memory_does_not_grow_with_layers(self):
        big = Layout(self.path("big"))
        big.name(big.image([tar_of({"x": os.urandom(1 << 20) * 120}) for _ in range(3)]), "big")
        for arguments in (["oci:" + self.path("big") + ":big", f"docker://{self.host}/big:1"],
                          [f"docker://{self.host}/big:1", "dir:" + self.path("bigdir")],
                          ["--dest-compress-format", "zstd", f"docker://{self.host}/big:1", "oci:" + self.path("bigz") + ":1"]):
            # by a small parent: what the process that forks has, counts
            peak = self.run_program(sys.executable, "-c", "import resource, subprocess, sys\n"
                                    "status = subprocess.call(sys.argv[1:])\n"
                                    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\nsys.exit(status)",
                                    CIMAGE, "--insecure-policy", "-q", "copy", "--tls-verify", "false", *arguments)
            self.assertLess(int(peak), MEMORY_MAX, arguments)

    def test_sync_and_back(self):
        for tag in ("1", "2"):
            self.copy(self.one, f"docker://{self.host}/sync/x:{tag}")
        self.cimage("sync", "--src", "docker", "--dest", "dir", "--src-tls-verify", "false", f"{self.host}/sync/x", self.path("s"))
        self.assertEqual(sorted(os.listdir(self.path("s"))), ["x:1", "x:2"])
        self.cimage("sync", "--src", "dir", "--dest", "docker", "--dest-tls-verify", "false", self.path("s"), f"{self.host}/again")
        tags = json.loads(self.cimage("list-tags", "--tls-verify", "false", f"docker://{self.host}/again/x"))
        self.assertEqual(sorted(tags["Tags"]), ["1", "2"])

    def test_sync_of_what_a_file_lists(self):
        """The same file gives the same directories to both."""
        for name, tags in (("a", ("1", "2")), ("b", ("v1.0", "v1.1", "w")), ("c/d", ("x",))):
            for tag in tags:
                self.copy(self.one, f"docker://{self.host}/yaml/{name}:{tag}")
        with open(self.path("list.yaml"), "w", encoding="ascii") as f:
            f.write(f"""{self.host}:
  tls-verify: false
  images:
    yaml/a: []
    yaml/c/d: [x, "{self.digest}"]
  images-by-tag-regex:
    yaml/b: ^v1[.]
""")
        os.makedirs(self.path("ours"))
        os.makedirs(self.path("theirs"))
        self.cimage("sync", "--scoped", "--src", "yaml", "--dest", "dir", self.path("list.yaml"), self.path("ours"))
        self.run_program("skopeo", "--insecure-policy", "sync", "--scoped", "--src", "yaml", "--dest", "dir", self.path("list.yaml"), self.path("theirs"))
        found = [sorted(os.path.relpath(where, self.path(top)) for where, _, files in os.walk(self.path(top)) if "manifest.json" in files)
                 for top in ("ours", "theirs")]
        self.assertEqual(found[0], found[1])
        self.assertEqual(len(found[0]), 6)
        for text, said in (("x: [", "line"), ("h:\n  imagez: {}\n", "line 2"), ("h:\n  images: []\n", "line 2"), ("h:\n  images:\n    a: x\n", "line 3")):
            with open(self.path("bad.yaml"), "w", encoding="ascii") as f:
                f.write(text)
            self.assertIn(said, self.cimage("sync", "--src", "yaml", "--dest", "dir", self.path("bad.yaml"), self.path("no"), status=1))

    def test_digest_of_a_manifest(self):
        self.copy(self.one, "dir:" + self.path("d"))
        self.assertEqual(self.cimage("manifest-digest", self.path("d/manifest.json")).strip(), self.digest)


if __name__ == "__main__":
    unittest.main()
