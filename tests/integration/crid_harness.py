# SPDX-License-Identifier: Apache-2.0
"""What the integration and interop tests share: images in a registry, a running crid, a CRI client, leak checks.

NodeCase gives each test class one registry and one crid (real conmon, OCI runtime and CNI plugins, in the
mount and network namespace the runner made). Each test starts and ends without pods; whatever a test leaves
behind fails it: processes, zombies, mounts, pins, cgroups, interfaces, firewall rules, leases, cache files,
records, and in the daemon descriptors, threads and heap.

The client is Python's grpcio with messages that protoc makes from cri.proto, so nothing of crid is on its
side. Requests are written as plain dicts.
"""

import collections
import importlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import uuid

import crid_node
from crid_node import DOCKER, OCI, Image, Index, Node, NodeError, Registry, wait_for

try:
    import grpc
    from google.protobuf import symbol_database
except ImportError as missing:
    raise unittest.SkipTest(f"Python has no grpcio or protobuf: {missing}")

TOP = crid_node.TOP
BUILD = os.environ.get("CRID_BUILD", os.path.join(TOP, "build"))
CALL_TIMEOUT = 60 * crid_node.SLOW      # seconds; what no call of a test should take
SETTLE = 10             # seconds until everything must be gone after the last pod
HEAP_NOISE = 1 << 20    # bytes that caches, also of idle threads, may add to the heap; test_footprint.py looks closer


def load_cri():
    """The modules protoc makes of cri.proto: (messages, {method: (path, request class, response class)})."""
    directory = tempfile.mkdtemp(prefix="crid-proto-")
    try:
        source = os.path.join(TOP, "libcrisvc")
        subprocess.run(["protoc", f"--python_out={directory}", f"-I{source}", "cri.proto"], check=True)
        sys.path.insert(0, directory)
        module = importlib.import_module("cri_pb2")
        sys.path.remove(directory)
    finally:
        subprocess.run(["rm", "-rf", directory], check=False)
    database = symbol_database.Default()
    methods = {}
    for service in module.DESCRIPTOR.services_by_name.values():
        for method in service.methods:
            methods[method.name] = (f"/{service.full_name}/{method.name}", database.GetPrototype(method.input_type),
                                    database.GetPrototype(method.output_type))
    return module, methods


cri_pb2, METHODS = load_cri()
READY, NOTREADY = cri_pb2.SANDBOX_READY, cri_pb2.SANDBOX_NOTREADY
CREATED, RUNNING, EXITED = cri_pb2.CONTAINER_CREATED, cri_pb2.CONTAINER_RUNNING, cri_pb2.CONTAINER_EXITED


class Cri:
    """cri.RunPodSandbox(config={...}) -> response message; errors are grpc.RpcError."""

    def __init__(self, socket_path):
        self.channel = grpc.insecure_channel("unix:" + socket_path, [("grpc.max_receive_message_length", 80 << 20)])
        self.ids = set()        # of every pod and container made

    def __getattr__(self, name):
        if name not in METHODS:
            raise AttributeError(name)

        def call(deadline=CALL_TIMEOUT, **fields):
            return self.future(name, deadline, **fields).result()
        return call

    def future(self, name, deadline=CALL_TIMEOUT, **fields):
        """The same without waiting; .result() waits and raises."""
        path, request, response = METHODS[name]
        running = self.channel.unary_unary(path, request.SerializeToString, response.FromString).future(
            request(**fields), timeout=deadline)
        if name in ("RunPodSandbox", "CreateContainer"):
            running.add_done_callback(self.remember)
        return running

    def stream(self, name, deadline=CALL_TIMEOUT, **fields):
        """Of a server-streaming call: an iterator over its messages, with cancel()."""
        path, request, response = METHODS[name]
        return self.channel.unary_stream(path, request.SerializeToString, response.FromString)(request(**fields), timeout=deadline)

    def remember(self, done):
        if done.code() == grpc.StatusCode.OK:
            reply = done.result()
            self.ids.add(getattr(reply, "pod_sandbox_id", None) or reply.container_id)

    def raw(self, path, data, timeout=CALL_TIMEOUT):
        """Bytes to bytes."""
        return self.channel.unary_unary(path, lambda b: b, lambda b: b)(data, timeout=timeout)

    def close(self):
        self.channel.close()


def firewall():
    """Rules, chains without a hook and elements of maps, of nft and of the older iptables: what is made for a pod."""
    found = [f"iptables {line}" for line in crid_node.nat_rules()]
    nft = shutil.which("nft", path=crid_node.PATH)
    text = subprocess.run([nft, "-j", "list", "ruleset"], capture_output=True, text=True, check=False).stdout if nft else ""
    for one in json.loads(text or "{}").get("nftables", []):
        for kind in ("rule", "chain"):
            if kind in one and "hook" not in one[kind]:
                found.append(f"nft {kind} " + json.dumps({k: v for k, v in one[kind].items() if k != "handle"}))
        for kind in ("map", "set"):
            found += [f"nft element of {one[kind]['name']} " + json.dumps(element) for element in one.get(kind, {}).get("elem", [])]
    return collections.Counter(found)


def descriptors(pid):
    """What a process has open, by path or kind; sockets and pipes are counted, not told apart."""
    found = collections.Counter()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            found[re.sub(r":\[\d+\]", "", os.readlink(f"/proc/{pid}/fd/{fd}"))] += 1
        except OSError:
            pass            # closed since
    return found


def inspect(socket_path, path):
    """The JSON that crid answers over HTTP/1.1 on its socket."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(CALL_TIMEOUT)
        s.connect(socket_path)
        s.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        answer = b"".join(iter(lambda: s.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n")[0]:
        raise AssertionError(f"{path}: {answer[:200]!r}")
    return json.loads(body)


LOG_LINE = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,9}(?:Z|[+-]\d\d:\d\d)) (stdout|stderr) ([FP]) (.*)$", re.S)


def read_log(path):
    """[(stream, tag, text)] of a log in CRI format; AssertionError on a line that is none."""
    found = []
    with open(path, "rb") as f:
        for line in f.read().decode().split("\n")[:-1]:
            match = LOG_LINE.match(line)
            if not match:
                raise AssertionError(f"not a CRI log line: {line!r}")
            found.append(match.groups()[1:])
    return found


class NodeCase(unittest.TestCase):
    """One crid and one registry for a class. Images are pushed once: see images()."""

    runtime = "runc"
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest("needs root")
        try:
            crid_node.program(cls.runtime)
        except NodeError as e:
            raise unittest.SkipTest(str(e))
        crid_node.become_subreaper()
        crid_node.leave_hybrid_cgroup2()
        base = tempfile.mkdtemp(prefix="crid-test-")
        cls.base = base
        cls.cri = None
        cls.registry = Registry(os.path.join(base, "registry")).start()
        cls.addClassCleanup(crid_node.remove_tree, base)
        cls.addClassCleanup(cls.registry.stop)
        cls.pause = cls.registry.push("pause", ["1"], crid_node.pause_image(BUILD))
        cls.images()
        cls.node = Node(os.path.join(base, "node"), BUILD, cls.runtime, crid_node.unused_subnet(),
                        masquerade=crid_node.masquerade_works())
        os.mkdir(cls.node.base)
        cls.addClassCleanup(cls.node.destroy)
        cls.addClassCleanup(cls.end_crid)
        cls.node.configure(cls.pause, [cls.registry.host], cls.configuration(), cls.registries())
        cls.firewall = firewall()
        cls.start_crid()

    @classmethod
    def end_crid(cls):
        """It must end by itself and with status 0; sanitizers change the status."""
        if not cls.node.stop(60):
            raise AssertionError("crid did not end well:\n" + crid_node.tail(cls.node.path("crid.log")))

    @classmethod
    def images(cls):
        """What every class has in the registry; more is pushed by the tests that need it."""
        cls.busybox = cls.registry.push("busybox", ["latest", "1"], crid_node.busybox_image())

    @classmethod
    def configuration(cls):
        """More lines of [crio.runtime]."""
        return ""

    @classmethod
    def registries(cls):
        """More lines of registries.conf."""
        return ""

    @classmethod
    def start_crid(cls):
        cls.node.start()
        ids = cls.cri.ids if cls.cri else set()
        if cls.cri:
            cls.cri.close()
        cls.cri = Cri(cls.node.socket)
        cls.cri.ids = ids
        # The socket exists before the daemon has restored its pods; an answer means that it has.
        end = time.monotonic() + 30 * crid_node.SLOW
        while True:
            try:
                cls.cri.Version()
                break
            except grpc.RpcError as e:
                if e.code() != grpc.StatusCode.UNAVAILABLE or time.monotonic() > end:
                    raise
                time.sleep(0.02)
        cls.descriptors = descriptors(cls.node.process.pid)
        cls.heap = None

    def setUp(self):
        self.addCleanup(self.check_leaks)
        self.addCleanup(self.show_log, os.path.getsize(self.node.path("crid.log")))

    def show_log(self, since):
        """What the daemon said, when the test failed: the runner shows it."""
        # not _outcome.success: that is the clean-up's own while it runs
        result = self._outcome.result
        failed = [t.id() for t, _ in result.failures + result.errors]
        if self.id() in failed or self.id() in getattr(result, "bad", ()):
            with open(self.node.path("crid.log"), errors="replace") as f:
                f.seek(since)
                print(f"--- crid.log during {self.id()}\n{f.read()[-6000:]}", flush=True)

    # ---- leaks ----

    def leaks(self):
        node = self.node
        found = {
            "namespace pins": node.left_pins(),
            "mounts": node.left_mounts(),
            "address leases": node.left_leases(),
            "CNI cache files": node.left_cni_cache(),
            "interfaces": node.left_interfaces(),
            "cgroups": node.left_cgroups(self.cri.ids),
            "records or directories": sorted(node.ids()),
            "exit files": os.listdir(node.path("run/exits")),
            "attach links": [f for f in os.listdir(node.path("run")) if len(f) == 64],
            "zombies": crid_node.descendants(os.getpid(), zombies=True),
            "firewall rules": list((firewall() - self.firewall).elements()),
            "descriptors of crid": list((descriptors(node.process.pid) - self.descriptors).elements()),
            "processes": [self.command_line(p) for p in crid_node.descendants(os.getpid())
                          if p not in crid_node.HELPERS and p != node.process.pid],
        }
        found.update(self.left_inside())
        return {what: left for what, left in found.items() if left}

    def left_inside(self):
        """What the daemon itself still has: work, threads of no lane, heap."""
        stats = inspect(self.node.socket, "/crid/stats")
        threads = len(os.listdir(f"/proc/{self.node.process.pid}/task"))
        grown = stats["heap_bytes"] - self.heap if self.heap else 0
        return {
            "operations, pulls or execs": [stats[k] for k in ("operations_running", "pulls", "execs") if stats[k]],
            "threads of crid": [threads] if threads > stats["threads"] else [],
            "heap of crid": [f"{grown} bytes"] if grown > HEAP_NOISE else [],
        }

    @staticmethod
    def command_line(pid):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                return f"{pid} " + f.read().replace(b"\0", b" ").decode(errors="replace")[:200]
        except OSError:
            return f"{pid} (gone)"

    def check_leaks(self):
        if self.node.process is None or self.node.process.poll() is not None:
            self.start_crid()
            self.remove_all_pods()
            self.fail("crid is not running at the end of the test")
        left_pods = [p.id for p in self.cri.ListPodSandbox().items]
        self.remove_all_pods()
        self.assertEqual(left_pods, [], "pods left by the test")
        try:
            wait_for(lambda: not self.leaks(), SETTLE, "clean-up")
        except NodeError:
            left = self.leaks()
            self.cri.ids.clear()            # told once, not again by every test after this one
            self.fail(f"left behind: {left}")
        # after the first test of a daemon: then what is loaded or made once is there
        type(self).heap = self.heap or inspect(self.node.socket, "/crid/stats")["heap_bytes"]

    def remove_all_pods(self):
        for pod in self.cri.ListPodSandbox().items:
            self.remove_pod(pod.id)

    # ---- the road, in pieces ----

    def pull(self, reference):
        return self.cri.PullImage(image={"image": reference}).image_ref

    def pod_config(self, name="pod", **more):
        uid = str(uuid.uuid4())
        return {
            "metadata": {"name": name, "uid": uid, "namespace": "test", "attempt": 0},
            "log_directory": self.node.path("log", uid),
            "linux": {"security_context": {"namespace_options": {"pid": cri_pb2.CONTAINER}}},
            **more,
        }

    def run_pod(self, config=None, handler=""):
        """(id, config); the pod is removed after the test."""
        config = config or self.pod_config()
        pod = self.cri.RunPodSandbox(config=config, runtime_handler=handler).pod_sandbox_id
        self.addCleanup(self.remove_pod, pod)
        return pod, config

    def remove_pod(self, pod):
        """Without grace: most containers of the tests are a sleep as pid 1, which ignores TERM."""
        for container in self.cri.ListContainers(filter={"pod_sandbox_id": pod}).containers:
            self.cri.StopContainer(container_id=container.id, timeout=0)
        self.cri.StopPodSandbox(pod_sandbox_id=pod)
        self.cri.RemovePodSandbox(pod_sandbox_id=pod)

    def container_config(self, command, name="main", image=None, **more):
        return {
            "metadata": {"name": name, "attempt": 0},
            "image": {"image": image or self.busybox},
            "command": command,
            "log_path": f"{name}.log",
            **more,
        }

    def create(self, pod, pod_config, container_config):
        return self.cri.CreateContainer(pod_sandbox_id=pod, config=container_config, sandbox_config=pod_config).container_id

    def start_container(self, pod, pod_config, command, **more):
        container = self.create(pod, pod_config, self.container_config(command, **more))
        self.cri.StartContainer(container_id=container)
        return container

    def start_ready(self, pod, pod_config, script, **more):
        """A shell script that says "ready" when its traps are set; returns when it has said so."""
        container = self.start_container(pod, pod_config, ["sh", "-c", script], **more)
        log = self.status(container).log_path
        wait_for(lambda: ("stdout", "F", "ready") in read_log(log), 10, "the container is ready")
        return container

    def status(self, container):
        return self.cri.ContainerStatus(container_id=container).status

    def pod_status(self, pod):
        return self.cri.PodSandboxStatus(pod_sandbox_id=pod).status

    def wait_exit(self, container, timeout=20):
        """The status once it has exited."""
        def exited():
            status = self.status(container)
            return status if status.state == EXITED else None
        return wait_for(exited, timeout, f"container {container[:12]} exits")

    def finish(self, command, **more):
        """Runs one container in a pod of its own to its end: (status, log lines)."""
        self.pull(self.busybox)
        pod, config = self.run_pod()
        container = self.start_container(pod, config, command, **more)
        status = self.wait_exit(container)
        return status, read_log(status.log_path)

    def exec(self, container, *command, timeout=0):
        """(exit code, stdout, stderr) of ExecSync."""
        reply = self.cri.ExecSync(container_id=container, cmd=command, **({"timeout": timeout} if timeout else {}))
        return reply.exit_code, reply.stdout.decode(), reply.stderr.decode()

    def assert_code(self, code, call, *arguments, **fields):
        """The call fails with that gRPC status and a text; returns the text."""
        with self.assertRaises(grpc.RpcError) as caught:
            call(*arguments, **fields)
        self.assertEqual((caught.exception.code(), bool(caught.exception.details())), (code, True),
                         caught.exception.details())
        return caught.exception.details()


def send(pid, name):
    os.kill(pid, getattr(signal, "SIG" + name))
