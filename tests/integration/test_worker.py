# SPDX-License-Identifier: Apache-2.0
"""crid-worker by itself, started as crid starts it: real pulls, its sandbox, cancelling, kill -9, hostile registries."""

import contextlib
import gzip
import http.server
import io
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tarfile
import tempfile
import threading
import time
import unittest

import crid_node
from crid_node import ARCH, DOCKER, OCI, Image, Index, NodeError, Registry, layer, sha256, wait_for

TOP = crid_node.TOP
BUILD = os.environ.get("CRID_BUILD", os.path.join(TOP, "build"))
WORKER = os.path.join(BUILD, "crid/worker/crid-worker")
(E_NOT_FOUND, E_INVALID, E_LIMIT, E_UNAVAILABLE, E_DENIED, E_POLICY, E_UNSUPPORTED, E_FAILED) = (1, 2, 6, 9, 10, 11, 12, 13)
PATIENCE = 60           # seconds for anything that must happen


class Stub(http.server.ThreadingHTTPServer):
    """A registry that lies, stops in the middle, or asks for a password, on 127.0.0.1."""

    daemon_threads = True

    def __init__(self):
        self.documents = {}             # path -> (content type, bytes)
        self.hold = {}                  # path -> Event: half of the body, then wait
        self.reached = {}               # path -> Event: set when half of the body is out
        self.password = None
        super().__init__(("127.0.0.1", 0), StubHandler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def host(self):
        return f"127.0.0.1:{self.server_address[1]}"

    def put(self, name, tag, image, blobs=None):
        self.documents[f"/v2/{name}/manifests/{tag}"] = (image.media_type, image.manifest)
        self.documents[f"/v2/{name}/manifests/{image.digest}"] = (image.media_type, image.manifest)
        for digest, data in (blobs if blobs is not None else image.blobs).items():
            self.documents[f"/v2/{name}/blobs/{digest}"] = ("application/octet-stream", data)
        return f"{self.host}/{name}:{tag}"

    def hold_blob(self, name, digest):
        path = f"/v2/{name}/blobs/{digest}"
        self.hold[path], self.reached[path] = threading.Event(), threading.Event()
        return self.hold[path], self.reached[path]

    def handle_error(self, request, client_address):
        pass                            # a client that goes away is what the tests do

    def stop(self):
        for event in self.hold.values():
            event.set()
        self.shutdown()
        self.server_close()


class StubHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        stub = self.server
        if stub.password and self.headers.get("Authorization") != stub.password:
            return self.answer(401, "text/plain", b"no", {"WWW-Authenticate": 'Basic realm="x"'})
        if self.path == "/v2/":
            return self.answer(200, "application/json", b"{}")
        if self.path not in stub.documents:
            return self.answer(404, "application/json", b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}')
        kind, data = stub.documents[self.path]
        return self.answer(200, kind, data)

    def answer(self, status, kind, data, headers=None):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.path in self.server.hold:
            self.wfile.write(data[:len(data) // 2])
            self.wfile.flush()
            self.server.reached[self.path].set()
            self.server.hold[self.path].wait(PATIENCE)
            data = data[len(data) // 2:]
        self.wfile.write(data)

    def log_message(self, *args):
        pass


class Worker:
    """One crid-worker with a job; its messages as they come."""

    PROGRAM = [WORKER]

    def __init__(self, job):
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(PATIENCE)
        keep = os.dup(theirs.fileno())
        while keep <= 3:                # 3 itself is where it has to go; Python's own pipe must not lie there
            keep = os.dup(theirs.fileno())
        self.process = subprocess.Popen(self.PROGRAM, pass_fds=(3,), preexec_fn=lambda: os.dup2(keep, 3),
                                        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        os.close(keep)
        theirs.close()
        self.messages = []
        self.socket.send(json.dumps(job).encode())

    def next(self):
        data = self.socket.recv(1 << 17)
        if not data:
            return None
        self.messages.append(json.loads(data))
        return self.messages[-1]

    def end(self):
        """The last message: result or error."""
        while self.next():
            pass
        self.process.wait(PATIENCE)
        self.stderr = self.process.stderr.read().decode()
        self.close()
        return self.messages[-1] if self.messages else None

    def close(self):
        self.socket.close()
        self.process.stderr.close()

    def children(self):
        return crid_node.descendants(self.process.pid)


def status_of(pid):
    with open(f"/proc/{pid}/status") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def hostile_tar(*members):
    """(name, type, link target, data) without any check."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, kind, target, data in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size, info.mode = kind, target, len(data), 0o755
            info.devmajor, info.devminor = 1, 3
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


class WorkerCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest("needs root")
        while (fd := os.open("/dev/null", os.O_RDONLY)) < 3:    # see Worker
            pass
        if fd != 3:
            os.close(fd)

    def setUp(self):
        self.base = tempfile.mkdtemp(prefix="crid-worker-")
        self.addCleanup(crid_node.remove_tree, self.base)
        self.write("policy.json", json.dumps({"default": [{"type": "insecureAcceptAnything"}]}))
        os.mkdir(self.path("conf.d"))
        os.mkdir(self.path("certs.d"))
        self.insecure()

    def stub(self):
        stub = Stub()
        self.addCleanup(stub.stop)
        self.insecure(stub.host)
        return stub

    def path(self, *parts):
        return os.path.join(self.base, *parts)

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)

    def insecure(self, *hosts, search=()):
        self.write("registries.conf", f"unqualified-search-registries = {json.dumps(list(search))}\n" + "".join(
            f'[[registry]]\nlocation = "{h}"\ninsecure = true\n' for h in hosts))

    def job(self, image, **more):
        return dict({
            "job": "pull", "image": image, "graph_root": self.path("root"), "run_root": self.path("run"),
            "driver": "overlay", "driver_options": [], "policy": self.path("policy.json"),
            "registries_conf": self.path("registries.conf"), "registries_conf_dir": self.path("conf.d"),
            "auth_file": self.path("auth.json"), "certs_dir": self.path("certs.d"),
            "short_name_mode": "disabled", "user_agent": "crid-test/1"}, **more)

    def pull(self, image, **more):
        worker = Worker(self.job(image, **more))
        last = worker.end()
        self.assertIsNotNone(last, "the worker died: " + worker.stderr)
        self.assertEqual(worker.process.returncode, 0 if "result" in last else 1)
        return last

    def pull_ok(self, image, **more):
        last = self.pull(image, **more)
        self.assertIn("result", last)
        return last["result"]

    def pull_fails(self, image, code, *words, **more):
        last = self.pull(image, **more)
        self.assertIn("error", last)
        self.assertEqual(last["error"]["code"], code, last)
        for word in words:
            self.assertIn(word, last["error"]["message"])
        self.assert_nothing_left()
        return last["error"]

    def clean(self):
        worker = Worker({"job": "clean", "graph_root": self.path("root"), "run_root": self.path("run"),
                         "driver": "overlay", "driver_options": []})
        self.assertEqual(worker.end(), {"result": {}}, worker.stderr)

    def temps(self):
        found = []
        for directory in ("overlay/tempdirs", "overlay-layers/tmp"):
            if os.path.isdir(self.path("root", directory)):
                found += os.listdir(self.path("root", directory))
        return found

    def layer_dirs(self):
        if not os.path.isdir(self.path("root/overlay")):
            return []
        return [d for d in os.listdir(self.path("root/overlay")) if len(d) == 64]

    def records(self, kind):
        try:
            with open(self.path(f"root/overlay-{kind}/{kind}.json")) as f:
                return json.load(f)
        except FileNotFoundError:
            return []

    def assert_nothing_left(self):
        self.assertEqual(self.temps(), [])
        self.assertEqual(self.records("images"), [])
        self.assertEqual(self.layer_dirs(), [])

    def podman(self, *arguments):
        """In a mount namespace of its own: podman leaves its mounts behind."""
        return subprocess.run(
            ["unshare", "-m", crid_node.program("podman"), "--root", self.path("root"), "--runroot", self.path("run"),
             "--storage-driver", "overlay", "--log-level", "error", *arguments],
            check=True, capture_output=True, text=True).stdout

    def images(self):
        """What podman thinks of the store: {name: id}."""
        listed = json.loads(self.podman("images", "--no-trunc", "--format", "json"))
        return {name: one["Id"] for one in listed for name in one.get("Names") or []}


class RealRegistry(WorkerCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        try:
            cls.registry_base = tempfile.mkdtemp(prefix="crid-worker-registry-")
            cls.registry = Registry(cls.registry_base).start()
        except NodeError as e:
            raise unittest.SkipTest(str(e))
        cls.addClassCleanup(shutil.rmtree, cls.registry_base, True)
        cls.addClassCleanup(cls.registry.stop)

    def setUp(self):
        super().setUp()
        self.insecure(self.registry.host)

    def layers(self):
        noise = random.Random(1).randbytes(3 << 20)
        return [crid_node.busybox_layer(),
                layer([("data", ("dir", 0o755)), ("data/noise", noise), ("data/gone", b"x"), ("data/kept", b"y")]),
                layer([("data/.wh.gone", b""), ("data/new", b"z")])]

    def check_content(self, image_id):
        mounted = subprocess.run(
            ["unshare", "-m", "sh", "-ec", 'p=$("$@"); ls "$p/data"; "$p/bin/busybox" sha256sum "$p/data/noise"', "sh",
             crid_node.program("podman"), "--root", self.path("root"), "--runroot", self.path("run"), "--storage-driver",
             "overlay", "image", "mount", image_id], check=True, capture_output=True, text=True).stdout.split()
        noise = random.Random(1).randbytes(3 << 20)
        self.assertEqual(mounted[:4], ["kept", "new", "noise", sha256(noise)[7:]])

    def test_formats_and_indexes(self):
        for types, kind in ((DOCKER, "docker"), (OCI, "oci")):
            image = Image(self.layers(), {"Labels": {"kind": kind}}, types)
            other = Image([b"not a tar"], {}, types, arch="s390x")
            for name, what in ((kind, image), (kind + "-index", Index([other, image], types))):
                with self.subTest(image=name):
                    reference = self.registry.push(name, ["1"], what)
                    result = self.pull_ok(reference)
                    self.assertEqual(result, {"image": image.id[7:], "name": reference, "digest": what.digest})
                    self.assertEqual(self.images()[reference], image.id[7:])
                    self.check_content(image.id[7:])
        self.assertEqual(self.temps(), [])

    def test_record_is_what_skopeo_writes(self):
        image = Image(self.layers(), {"Env": ["A=1"]})
        index = Index([image, Image([b"x"], {}, arch="s390x")])
        reference = self.registry.push("record", ["1"], index)
        self.pull_ok(reference)
        ours, our_layers = self.records("images")[0], self.records("layers")
        root, run = self.path("skopeo-root"), self.path("skopeo-run")
        subprocess.run(["unshare", "-m", crid_node.program("skopeo"), "--policy", self.path("policy.json"), "copy", "-q",
                        "--src-tls-verify=false", f"docker://{reference}",
                        f"containers-storage:[overlay@{root}+{run}]{reference}"], check=True)
        with open(root + "/overlay-images/images.json") as f:
            theirs = json.load(f)[0]
        # An empty blob of no signatures, which later versions no longer write.
        for field in ("big-data-sizes", "big-data-digests"):
            theirs[field] = {k: v for k, v in theirs[field].items() if not k.startswith("signature")}
        theirs["big-data-names"] = [k for k in theirs["big-data-names"] if not k.startswith("signature")]
        self.assertEqual(ours, theirs)
        with open(root + "/overlay-layers/layers.json") as f:
            their_layers = json.load(f)
        for one in our_layers + their_layers:
            one.pop("created")
        self.assertEqual({one["id"]: one for one in our_layers}, {one["id"]: one for one in their_layers})
        # And skopeo reads ours.
        inspected = json.loads(subprocess.run(
            ["unshare", "-m", crid_node.program("skopeo"), "inspect", "--raw",
             f"containers-storage:[overlay@{self.path('root')}+{self.path('run')}]{reference}"],
            check=True, capture_output=True).stdout)
        self.assertEqual(inspected, json.loads(image.manifest))

    def test_names(self):
        image = crid_node.busybox_image()
        reference = self.registry.push("names", ["a", "b"], image)
        repository = reference[:-2]
        self.pull_ok(reference)
        self.assertEqual(self.pull_ok(f"{repository}@{image.digest}")["name"], f"{repository}@{image.digest}")
        # The digest counts when there are both.
        self.assertEqual(self.pull_ok(f"{repository}:b@{image.digest}")["name"], f"{repository}@{image.digest}")
        self.assertEqual(sorted(self.images()), [f"{repository}:a", f"{repository}@{image.digest}"])
        # A tag that moves takes its name along.
        other = crid_node.busybox_image({"Labels": {"x": "other"}})
        self.registry.push("names", ["a"], other)
        self.assertEqual(self.pull_ok(reference)["image"], other.id[7:])
        self.assertEqual(self.images()[reference], other.id[7:])
        self.assertEqual(self.images()[f"{repository}@{image.digest}"], image.id[7:])

    def test_short_names_try_all_registries(self):
        image = crid_node.busybox_image()
        reference = self.registry.push("short", ["1"], image)
        empty = self.stub()
        self.insecure(self.registry.host, empty.host, search=[empty.host, self.registry.host])
        self.assertEqual(self.pull_ok("short:1")["name"], reference)
        self.assertEqual(self.pull("short:2")["error"]["code"], E_NOT_FOUND)

    def test_layers_there_are_not_fetched_again(self):
        stub = self.stub()
        first, second = Image(self.layers(), {}), Image(self.layers() + [layer([("more", b"1")])], {})
        self.pull_ok(stub.put("a", "1", first))
        reference = stub.put("b", "1", second)
        for digest in first.blobs:
            stub.documents.pop(f"/v2/b/blobs/{digest}", None)
        self.assertEqual(self.pull_ok(reference)["image"], second.id[7:])
        # With everything there it is only the name.
        for digest in second.blobs:
            if digest != second.id:
                stub.documents.pop(f"/v2/b/blobs/{digest}", None)
        self.assertEqual(self.pull_ok(reference)["image"], second.id[7:])
        self.assertEqual(len(self.records("layers")), 4)

    def test_image_without_layers_and_with_many(self):
        none = Image([], {})
        self.assertEqual(self.pull_ok(self.registry.push("none", ["1"], none))["image"], none.id[7:])
        many = Image([layer([(f"file{i}", b"%d" % i)]) for i in range(100)], {})
        self.assertEqual(self.pull_ok(self.registry.push("many", ["1"], many))["image"], many.id[7:])
        self.assertEqual(len(self.records("layers")), 100)

    def test_parallel_pulls_of_one_image(self):
        reference = self.registry.push("parallel", ["1"], Image(self.layers(), {}))
        workers = [Worker(self.job(reference)) for _ in range(4)]
        for worker in workers:
            self.assertIn("result", worker.end(), worker.stderr)
        self.assertEqual(len(self.records("layers")), 3)
        self.assertEqual(len(self.records("images")), 1)
        self.assertEqual(self.temps(), [])
        self.check_content(self.records("images")[0]["id"])

    def test_kill_at_random_moments(self):
        reference = self.registry.push("kill", ["1"], Image(self.layers(), {}))
        start = time.monotonic()
        self.pull_ok(reference)
        whole = time.monotonic() - start
        numbers = random.Random()
        for _ in range(15):
            shutil.rmtree(self.path("root"))
            worker = Worker(self.job(reference))
            time.sleep(numbers.random() * whole * 1.1)  # the point is that nobody knows when
            below = worker.children()
            worker.process.kill()
            worker.process.wait()
            worker.close()
            wait_for(lambda: not any(crid_node.pid_alive(p) for p in below), 10, "fetch dies with the worker")
            # Whole or not at all, and the next one works on what is there.
            names = self.images()
            self.assertIn(list(names), ([], [reference]))
            if names:
                self.check_content(names[reference])
            self.clean()
            self.assertEqual(self.temps(), [])
            self.assertEqual(sorted(self.layer_dirs()), sorted(one["id"] for one in self.records("layers")))
            self.pull_ok(reference)
            self.check_content(self.records("images")[0]["id"])


class Sandbox(WorkerCase):
    def held_image(self):
        return Image([crid_node.busybox_layer(), layer([("noise", random.randbytes(4 << 20))])], {})

    def biggest(self, image):
        return max(image.blobs, key=lambda d: len(image.blobs[d]))

    def start_held(self):
        stub = self.stub()
        image = self.held_image()
        go, reached = stub.hold_blob("held", self.biggest(image))
        reference = stub.put("held", "1", image)
        worker = Worker(self.job(reference, username="someone", password="very-secret"))
        self.addCleanup(worker.close)
        self.assertTrue(reached.wait(PATIENCE))
        while "progress" not in worker.next():
            pass
        [fetch] = worker.children()
        return worker, fetch, go, image, reference

    def memory_has(self, pid, needle):
        with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
            for line in maps:
                span, rights = line.split()[:2]
                low, high = (int(x, 16) for x in span.split("-"))
                if "w" not in rights or high - low > 64 << 20:
                    continue
                memory.seek(low)
                with contextlib.suppress(OSError):      # unmapped by now
                    if needle in (memory.read(high - low) or b""):
                        return True
        return False

    def test_what_the_two_processes_may(self):
        worker, fetch, go, image, _ = self.start_held()
        unpack = worker.process.pid
        u, f, own = status_of(unpack), status_of(fetch), status_of("self")
        caps = sum(1 << c for c in (0, 1, 3, 4, 27, 31, 21))    # CHOWN DAC_OVERRIDE FOWNER FSETID MKNOD SETFCAP SYS_ADMIN
        self.assertEqual(int(u["CapEff"], 16), caps & int(own["CapPrm"], 16))
        self.assertEqual(int(u["CapPrm"], 16), caps & int(own["CapPrm"], 16))
        self.assertEqual(int(u["CapBnd"], 16) & ~caps, 0)
        for field in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb"):
            self.assertEqual(int(f[field], 16), 0, field)
        self.assertEqual(f["Uid"].split(), ["65534"] * 4)
        self.assertEqual(f["Gid"].split(), ["65534"] * 4)
        self.assertEqual(f["Groups"].strip(), "")
        for one in (u, f):
            self.assertEqual(one["NoNewPrivs"], "1")
            self.assertEqual(one["Seccomp"], "2")
        # Every thread, not only the first.
        for thread in os.listdir(f"/proc/{unpack}/task"):
            self.assertEqual(status_of(f"{unpack}/task/{thread}")["Seccomp"], "2")
        self.assertNotEqual(os.readlink(f"/proc/{unpack}/ns/net"), os.readlink("/proc/self/ns/net"))
        self.assertNotEqual(os.readlink(f"/proc/{unpack}/ns/mnt"), os.readlink("/proc/self/ns/mnt"))
        self.assertFalse(self.memory_has(unpack, b"very-secret"), "unpack knows the password")
        # fetch has the control socket and its connections, but nothing of the daemon or the store.
        targets = [os.readlink(f"/proc/{fetch}/fd/{n}") for n in os.listdir(f"/proc/{fetch}/fd")]
        self.assertFalse([t for t in targets if t.startswith(self.base)], targets)
        go.set()
        self.assertEqual(worker.end()["result"]["image"], image.id[7:])

    def test_private_root(self):
        other = self.path("other-mount")
        os.mkdir(other)
        subprocess.run(["mount", "-t", "tmpfs", "none", other], check=True)
        self.addCleanup(subprocess.run, ["umount", "-lq", other])
        worker, fetch, go, image, _ = self.start_held()
        with open(f"/proc/{worker.process.pid}/mountinfo") as f:
            lines = [line.split() for line in f]
        points = {line[4]: line[5].split(",") for line in lines}
        self.assertNotIn(other, points)
        self.assertIn("ro", points["/"])
        self.assertIn("nodev", points["/"])
        for option in ("rw", "nodev", "noexec", "nosuid"):
            self.assertIn(option, points[self.path("root")])
        self.assertFalse([line for line in lines if "nsfs" in line or "shared:" in " ".join(line)], lines)
        # Nothing the worker has keeps a mount of the host from being unmounted.
        subprocess.run(["umount", other], check=True)
        go.set()
        self.assertIn("result", worker.end())

    def test_store_on_mounts_of_its_own(self):
        """The root, the driver's home mounted on itself (as podman leaves it), and a symlink on the way."""
        os.mkdir(self.path("disk"))
        subprocess.run(["mount", "-t", "tmpfs", "none", self.path("disk")], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", self.path("disk")])
        os.makedirs(self.path("disk/store/overlay"))
        os.symlink("disk/store", self.path("root"))
        subprocess.run(["mount", "--bind", self.path("disk/store/overlay"), self.path("disk/store/overlay")], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", self.path("disk/store/overlay")])
        stub = self.stub()
        image = crid_node.busybox_image()
        reference = stub.put("x", "1", image)
        self.assertEqual(self.pull_ok(reference)["image"], image.id[7:])
        self.assertEqual(self.images()[reference], image.id[7:])

    def test_closing_the_socket_cancels(self):
        worker, fetch, go, _, _ = self.start_held()
        self.assertNotEqual(self.temps(), [])
        worker.socket.close()
        worker.process.wait(PATIENCE)
        self.assertFalse(crid_node.pid_alive(fetch))
        self.assert_nothing_left()
        go.set()

    def test_thread_that_started_it_may_end(self):
        """crid starts programs from threads that come and go."""
        stub, started = self.stub(), []
        image = self.held_image()
        go, reached = stub.hold_blob("held", self.biggest(image))
        job = self.job(stub.put("held", "1", image))

        def start():
            started.append(Worker(job))
            reached.wait(PATIENCE)      # the worker is in the middle of it when this thread ends

        thread = threading.Thread(target=start)
        thread.start()
        thread.join()
        self.assertTrue(reached.is_set())
        go.set()
        self.assertEqual(started[0].end()["result"]["image"], image.id[7:])

    def test_fetch_dying_is_an_error(self):
        worker, fetch, go, _, _ = self.start_held()
        os.kill(fetch, signal.SIGKILL)
        self.assertEqual(worker.end()["error"]["code"], E_FAILED)
        self.assert_nothing_left()
        go.set()

    def test_kill_leaves_what_clean_removes(self):
        worker, fetch, go, image, reference = self.start_held()
        worker.process.kill()
        worker.process.wait()
        wait_for(lambda: not crid_node.pid_alive(fetch), 10, "fetch dies with the worker")
        go.set()
        self.assertNotEqual(self.temps(), [])
        self.clean()
        self.assert_nothing_left()
        self.assertEqual(self.pull_ok(reference)["image"], image.id[7:])

    def test_devices_and_capabilities_arrive(self):
        stub = self.stub()
        special = hostile_tar(("dev", tarfile.DIRTYPE, "", b""), ("dev/null", tarfile.CHRTYPE, "", b""),
                              ("fifo", tarfile.FIFOTYPE, "", b""))
        image = Image([crid_node.busybox_layer(), special], {})
        self.pull_ok(stub.put("special", "1", image))
        top = self.records("layers")[-1]["id"]
        st = os.stat(self.path("root/overlay", top, "diff/dev/null"))
        self.assertEqual((st.st_rdev, st.st_mode & 0o170000), (os.makedev(1, 3), 0o020000))


class Hostile(WorkerCase):
    def image(self, *layers):
        return Image(list(layers) or [layer([("a", b"x" * 100000)])], {})

    def test_registry_that_is_not_there(self):
        port = crid_node.free_port()
        self.insecure(f"127.0.0.1:{port}")
        self.pull_fails(f"127.0.0.1:{port}/x:1", E_UNAVAILABLE, "127.0.0.1")

    def test_unknown_image(self):
        self.pull_fails(self.stub().host + "/nothing:1", E_NOT_FOUND, "/nothing:1")

    def test_passwords(self):
        stub = self.stub()
        image = self.image()
        reference = stub.put("private", "1", image)
        stub.password = "Basic dTpw"            # u:p
        self.pull_fails(reference, E_DENIED)
        self.pull_fails(reference, E_DENIED, username="u", password="wrong")
        self.assertEqual(self.pull_ok(reference, username="u", password="p")["image"], image.id[7:])

    def test_policy(self):
        stub = self.stub()
        reference = stub.put("x", "1", self.image())
        self.write("policy.json", json.dumps({"default": [{"type": "reject"}]}))
        self.pull_fails(reference, E_POLICY)

    def test_content_that_has_another_digest(self):
        stub = self.stub()
        for what in ("layer", "config"):
            with self.subTest(what=what):
                image = self.image()
                blobs = dict(image.blobs)
                victim = next(d for d in blobs if (d == image.id) == (what == "config"))
                blobs[victim] = blobs[victim][:-1] + bytes([blobs[victim][-1] ^ 1])
                self.pull_fails(stub.put("bad-" + what, "1", image, blobs), E_FAILED)
        image = self.image()
        stub.documents[f"/v2/pinned/manifests/{image.digest}"] = (image.media_type, image.manifest + b" ")
        self.pull_fails(f"{stub.host}/pinned@{image.digest}", E_FAILED)

    def test_layer_that_is_not_what_the_config_says(self):
        """Right blob digests, wrong diff ids."""
        stub = self.stub()
        good, other = layer([("a", b"1")]), layer([("a", b"2")])
        image = self.image(good)
        config = json.loads(image.blobs[image.id])
        config["rootfs"]["diff_ids"] = [sha256(other)]
        raw = json.dumps(config).encode()
        manifest = json.loads(image.manifest)
        manifest["config"].update(size=len(raw), digest=sha256(raw))
        image.manifest = json.dumps(manifest).encode()
        image.digest = sha256(image.manifest)
        image.blobs[sha256(raw)] = raw
        self.pull_fails(stub.put("diff", "1", image), E_FAILED, "diff")

    def test_broken_archives(self):
        stub = self.stub()
        whole = layer([("a", random.randbytes(200000))])
        tars = {
            "garbage": random.Random(1).randbytes(100000),
            "cut": whole[:50000],
            "climbing": hostile_tar(("../../escaped", tarfile.REGTYPE, "", b"x")),
            "bad-header": whole[:100] + b"\xff" * 100 + whole[200:],
        }
        for name, tar in tars.items():
            with self.subTest(archive=name):
                error = self.pull(stub.put(name, "1", Image([tar], {}))).get("error")
                self.assertIsNotNone(error)
                self.assertIn(error["code"], (E_INVALID, E_FAILED))
                self.assert_nothing_left()
        # A gzip stream that ends early, with digests that fit.
        image = self.image()
        digest = next(d for d in image.blobs if d != image.id)
        cut = image.blobs[digest][:-50]
        manifest = json.loads(image.manifest)
        manifest["layers"][0].update(size=len(cut), digest=sha256(cut))
        image.manifest = json.dumps(manifest).encode()
        image.digest = sha256(image.manifest)
        image.blobs[sha256(cut)] = cut
        self.pull_fails(stub.put("short-gzip", "1", image), E_INVALID)

    def test_links_that_lead_out(self):
        stub = self.stub()
        canary = self.path("canary")
        self.write("canary", "untouched")
        tar = hostile_tar(
            ("abs", tarfile.SYMTYPE, self.base, b""), ("abs/canary", tarfile.REGTYPE, "", b"broken"),
            ("up", tarfile.SYMTYPE, "../" * 20 + self.base[1:], b""), ("up/canary2", tarfile.REGTYPE, "", b"broken"),
            ("dir", tarfile.SYMTYPE, "/", b""), ("dir/tmp/crid-escaped", tarfile.REGTYPE, "", b"broken"))
        self.pull(stub.put("links", "1", Image([tar], {})))
        hard = hostile_tar(("hard", tarfile.LNKTYPE, canary, b""), ("hard", tarfile.REGTYPE, "", b"broken"))
        self.pull(stub.put("hard", "1", Image([hard], {})))
        with open(canary) as f:
            self.assertEqual(f.read(), "untouched")
        self.assertEqual(os.stat(canary).st_nlink, 1)
        self.assertFalse(os.path.exists(self.path("canary2")))
        self.assertFalse(os.path.exists("/tmp/crid-escaped"))
        self.assertEqual(self.temps(), [])

    def test_one_bad_layer_among_good_ones_ends_the_pull(self):
        stub = self.stub()
        image = Image([layer([("a", random.randbytes(2 << 20))]), b"\x01" * 4096, layer([("b", random.randbytes(2 << 20))])], {})
        slow = max(image.blobs, key=lambda d: len(image.blobs[d]))
        go, _ = stub.hold_blob("mixed", slow)
        start = time.monotonic()
        self.pull_fails(stub.put("mixed", "1", image), E_INVALID)
        self.assertLess(time.monotonic() - start, 20, "it waited for the other layers")
        go.set()

    def test_connection_that_breaks(self):
        stub = self.stub()
        image = self.image(layer([("a", random.randbytes(1 << 20))]))
        digest = next(d for d in image.blobs if d != image.id)
        reference = stub.put("breaks", "1", image)
        stub.documents[f"/v2/breaks/blobs/{digest}"] = ("application/octet-stream", image.blobs[digest][:1000])
        error = self.pull(reference)["error"]
        self.assertNotEqual(error["code"], 0, error)
        self.assert_nothing_left()

    def test_jobs_that_are_none(self):
        for job in ({}, {"job": "x"}, {"job": "pull"}, dict(self.job("x"), graph_root="relative"), [], "x",
                    dict(self.job("x"), image=""), dict(self.job("x"), username="only")):
            with self.subTest(job=job):
                worker = Worker(job)
                self.assertEqual(worker.end()["error"]["code"], E_INVALID)
        for store in ({"driver": "btrfs"}, {"driver_options": ["overlay.no_such_option=1"]}):
            self.assertEqual(self.pull("127.0.0.1:1/x:1", **store)["error"]["code"], E_INVALID)
        for image in ("UPPER/case:1", "x:1:2", "127.0.0.1:1/x@sha256:12", "a" * 300, "x y", "../x", "f" * 64):
            with self.subTest(image=image):
                self.assertEqual(self.pull(image)["error"]["code"], E_INVALID)
        self.assert_nothing_left()

    def test_manifests_that_mean_two_things(self):
        stub = self.stub()
        image = self.image()
        both = json.loads(image.manifest)
        both["manifests"] = []
        image.manifest = json.dumps(both).encode()
        image.digest = sha256(image.manifest)
        self.pull_fails(stub.put("two", "1", image), E_INVALID)


if __name__ == "__main__":
    unittest.main()
