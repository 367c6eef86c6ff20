# SPDX-License-Identifier: Apache-2.0
"""What the fault tests share on top of the integration tests' harness.

The faults come from outside: stepkill kills crid before a chosen system call, wrappers stand in for the
programs crid starts, files are damaged while crid is down. After each fault crid is started again on the
same directories, the caller repeats its request, and what then exists must be exactly what was asked for.

CRID_FAULT_STEPS: how many steps of each operation are tried (0: all). CRID_FAULT_SEED: which; the same ones
unless told otherwise, so that a change is judged by the change.
"""

import json
import os
import random
import subprocess
import time

import grpc
import crid_node
from crid_harness import BUILD, READY, NodeCase
from crid_node import Node, NodeError, wait_for

STEPKILL = os.path.join(BUILD, "tests/fault/stepkill")
STEPS = int(os.environ.get("CRID_FAULT_STEPS", "7"))
SEED = int(os.environ.get("CRID_FAULT_SEED", "1"))


def choose(count):
    """Numbers of 1..count in a random order: all, or one from each of STEPS parts of equal size."""
    numbers = list(range(1, count + 1))
    rng = random.Random(f"{SEED}-{count}")
    if 0 < STEPS < count:
        numbers = [numbers[int((i + rng.random()) * count / STEPS)] for i in range(STEPS)]
    return sorted(numbers)


class Steps:
    """stepkill on a running crid: with Steps(node, 5) as s: ...; s.calls says what was counted."""

    def __init__(self, node, at):
        self.node = node
        self.at = at
        self.calls = []
        self.log = node.path("stepkill.log")

    def __enter__(self):
        self.process = subprocess.Popen([STEPKILL, str(self.at), self.log, str(self.node.process.pid)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        crid_node.HELPERS.add(self.process.pid)
        if self.process.stdout.readline() != b"ready\n":
            raise NodeError("stepkill does not trace crid")
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        crid_node.HELPERS.discard(self.process.pid)
        with open(self.log, errors="replace") as f:
            self.calls = f.read().splitlines()


class FaultCase(NodeCase):
    """NodeCase with faults, and with a leak check that also knows every file of the store."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.warm_up()

    @classmethod
    def warm_up(cls):
        """Once through everything, so that what stays for good (lock files, directories) is there."""
        cls.clean_files = None
        case = cls("nothing")
        case.pull(cls.busybox)
        config = case.pod_config("warm", linux={})
        pod = cls.cri.RunPodSandbox(config=config).pod_sandbox_id
        case.start_container(pod, config, ["true"])
        case.remove_pod(pod)
        wait_for(lambda: not case.leaks(), 10, "clean-up")
        cls.clean_files = case.files()

    def nothing(self):
        """Only for warm_up(), which needs an object."""

    def setUp(self):
        self.addCleanup(self.renew)     # last of all
        super().setUp()

    def renew(self):
        """A new node after a test that left something, so that the next one is not blamed for it."""
        if self.node.process.poll() is None and not self.leaks():
            return
        cls = type(self)
        cls.cri.close()
        cls.cri = None
        old = cls.node
        old.destroy()
        cls.node = Node(old.base + "-", BUILD, cls.runtime, crid_node.unused_subnet())
        os.mkdir(cls.node.base)
        cls.addClassCleanup(cls.node.destroy)
        cls.node.configure(cls.pause, [cls.registry.host], cls.configuration())
        cls.start_crid()
        cls.warm_up()

    # ---- what exists ----

    def files(self):
        """Every path below the store and run directories, without the content of layers and logs."""
        found = set()
        for top in ("storage", "run", "cni"):
            for d, dirs, files in os.walk(self.node.path(top)):
                if os.path.basename(d) in ("diff", "merged"):
                    dirs[:] = []
                    continue
                found.update(os.path.relpath(os.path.join(d, one), self.node.base) for one in dirs + files)
        return found

    def records(self, *parts):
        """The list in one of the store's JSON files."""
        try:
            with open(self.node.path(*parts)) as f:
                return json.loads(f.read() or "[]")
        except FileNotFoundError:
            return []

    def leaks(self):
        self.reap_orphans()
        found = super().leaks()
        found["zombies"] = self.zombies_of(self.node.process.pid)
        found["mounted layers"] = self.records("run/storage/overlay-layers/mountpoints.json")
        found["volatile layers"] = self.records("storage/overlay-layers/volatile-layers.json")
        if self.clean_files is not None:
            found["files"] = sorted(self.files() - self.clean_files)
            found["lost files"] = sorted(f for f in self.clean_files - self.files() if not f.startswith("run/"))
        return {what: left for what, left in found.items() if left}

    @staticmethod
    def zombies_of(parent):
        found = []
        for pid in os.listdir("/proc"):
            if pid.isdigit():
                try:
                    with open(f"/proc/{pid}/stat", "rb") as f:
                        fields = f.read().rpartition(b")")[2].split()
                except OSError:
                    continue
                if fields[0] == b"Z" and int(fields[1]) == parent:
                    found.append(int(pid))
        return found

    def reap_orphans(self):
        """We are what init is elsewhere; the first process of a PID namespace cannot end before its others are reaped."""
        for pid in self.zombies_of(os.getpid()):
            if pid not in crid_node.HELPERS and pid != self.node.process.pid:
                os.waitpid(pid, 0)

    def check_known(self, pods, containers):
        """Exactly these exist, for the caller and on disk; only ready pods have an address."""
        self.assertEqual({p.id for p in self.cri.ListPodSandbox().items}, set(pods), "pods")
        self.assertEqual({c.id for c in self.cri.ListContainers().containers}, set(containers), "containers")
        self.assertEqual(self.node.ids(), set(pods) | set(containers), "records")
        ready = [p.id for p in self.cri.ListPodSandbox().items if p.state == READY]
        addresses = sorted(self.pod_status(p).network.ip for p in ready)
        self.assertEqual(self.node.left_leases(), addresses, "address leases")
        self.assertEqual(len(self.node.left_cni_cache()), len(ready), "CNI cache files")
        for name in self.node.left_cni_cache():
            self.assertTrue(any(p in name for p in ready), f"CNI cache of nobody: {name}")
        self.assertEqual(len(self.records("storage/overlay-layers/volatile-layers.json")),
                         len(pods) + len(containers), "writable layers")

    def check_gone(self):
        """Nothing is left of any pod."""
        try:
            wait_for(lambda: not self.leaks(), 10, "clean-up")
        except NodeError:
            self.fail(f"left behind: {self.leaks()}")

    # ---- faults ----

    def kill(self):
        self.node.process.kill()
        self.node.process.wait()
        self.cri.ids |= self.node.ids()

    def dead(self):
        return self.node.process.poll() is not None

    def crash(self, at, method, **fields):
        """The call, with crid killed before its step number at: (reply or None, steps seen)."""
        with Steps(self.node, at) as steps:
            call = self.cri.future(method, **fields)
            wait_for(lambda: call.done() or self.dead(), 60, f"{method} ends or crid dies")
            if at:      # the answer may be on its way when the daemon's last step comes; without one it is about to die
                answered = call.done() and call.code() != grpc.StatusCode.UNAVAILABLE
                try:
                    wait_for(self.dead, 0.2 if answered else 20, "crid dies")
                except NodeError:
                    pass
            self.cri.ids |= self.node.ids()
        if self.dead():
            self.node.process.wait()
            call.cancel()
            return None, steps.calls
        return call.result(), steps.calls

    def each_step(self, method, prepare, check):
        """prepare() -> fields of the call; check(fields, reply) after it, the second time when crid was killed."""
        fields = prepare()
        reply, steps = self.crash(0, method, **fields)
        check(fields, reply)
        chosen = choose(len(steps))
        print(f"{method}: {len(steps)} steps, seed {SEED}, killed at {chosen}", flush=True)
        for at in chosen:
            fields = prepare()
            reply, steps = self.crash(at, method, **fields)
            where = f"{method} killed at step {at}, {steps[-1] if steps else 'none'}"
            if reply is not None:
                where += " (not reached)"
            began = time.monotonic()
            try:
                if reply is None:
                    self.start_crid()
                    reply = getattr(self.cri, method)(**fields)
                check(fields, reply)
            except (AssertionError, NodeError, grpc.RpcError) as e:
                self.fail(f"{where}: {e.details() if isinstance(e, grpc.RpcError) else e}")
            if os.environ.get("V"):
                print(f"  {where}: {time.monotonic() - began:.2f} s", flush=True)
