# SPDX-License-Identifier: Apache-2.0
"""Many at once: pods by parallel clients, the same while crid is killed again and again, plugins that hang."""

import concurrent.futures
import http.client
import json
import os
import random
import re
import signal
import statistics
import threading
import time

import grpc
from crid_harness import CALL_TIMEOUT, CREATED, EXITED, READY, RUNNING, Cri, NodeCase
import crid_node
from crid_node import wait_for

PODS = 50
CLIENTS = 16
ABSENT = re.compile("failed to connect|[Ss]ocket closed|[Cc]onnection reset|Broken pipe")      # grpcio's words
SERVE = "mkdir /www; hostname > /www/index.html; exec httpd -f -p 80 -h /www"


class Client(Cri):
    """One connection of its own, which comes back soon after the daemon."""

    def __init__(self, socket_path):
        super().__init__(socket_path)
        self.channel.close()
        self.channel = grpc.insecure_channel("unix:" + socket_path, [
            ("grpc.use_local_subchannel_pool", 1), ("grpc.initial_reconnect_backoff_ms", 50),
            ("grpc.max_reconnect_backoff_ms", 200)])


def in_parallel(count, work, items):
    """work(client number, item) for all items by count threads; returns the results, raises the first error."""
    left = list(enumerate(items))
    results = [None] * len(left)
    lock = threading.Lock()

    def client(number):
        while True:
            with lock:
                if not left:
                    return
                index, item = left.pop(0)
            results[index] = work(number, item)

    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        for done in [pool.submit(client, number) for number in range(count)]:
            done.result()
    return results


def fetch(address):
    """What the pod's web server says, or None while it does not listen."""
    connection = http.client.HTTPConnection(address, 80, timeout=5)
    try:
        connection.request("GET", "/index.html")
        return connection.getresponse().read().decode().strip()
    except OSError:
        return None
    finally:
        connection.close()


class LoadCase(NodeCase):
    def setUp(self):
        super().setUp()
        self.pull(self.busybox)
        self.clients = [Client(self.node.socket) for _ in range(CLIENTS)]
        for client in self.clients:
            client.ids = self.cri.ids
            self.addCleanup(client.close)

    def named(self, name, **more):
        config = self.pod_config(name, hostname=name, **more)
        config["labels"] = {"uid": config["metadata"]["uid"]}
        return config

    def check_served(self, configs):
        """Each pod is there once, has one running container, an address of its own, and answers on it."""
        pods = {}
        for pod in self.cri.ListPodSandbox().items:
            if pod.state == READY:
                pods.setdefault(pod.metadata.uid, []).append(pod.id)
        self.assertEqual({uid: len(ids) for uid, ids in pods.items()}, {c["metadata"]["uid"]: 1 for c in configs})
        containers = [c.pod_sandbox_id for c in self.cri.ListContainers().containers if c.state == RUNNING]
        self.assertEqual(sorted(containers), sorted(ids[0] for ids in pods.values()))
        addresses = {}
        for config in configs:
            addresses[config["metadata"]["name"]] = self.pod_status(pods[config["metadata"]["uid"]][0]).network.ip
        self.assertEqual(len(set(addresses.values())), len(configs))
        for name, address in addresses.items():
            self.assertEqual(wait_for(lambda a=address: fetch(a), 20, f"{name} answers on {address}"), name)


class Parallel(LoadCase):
    def make(self, number, config):
        client = self.clients[number]
        pod = client.RunPodSandbox(config=config).pod_sandbox_id
        container = client.CreateContainer(pod_sandbox_id=pod, sandbox_config=config,
                                           config=self.container_config(["sh", "-c", SERVE])).container_id
        client.StartContainer(container_id=container)
        return pod, container

    def remove(self, number, made):
        client = self.clients[number]
        client.StopContainer(container_id=made[1], timeout=0)
        client.RemoveContainer(container_id=made[1])
        client.StopPodSandbox(pod_sandbox_id=made[0])
        client.RemovePodSandbox(pod_sandbox_id=made[0])

    def test_fifty_pods_by_sixteen_clients(self):
        configs = [self.named(f"many-{n}") for n in range(PODS)]
        began = time.monotonic()
        made = in_parallel(CLIENTS, self.make, configs)
        print(f"{PODS} pods run after {time.monotonic() - began:.1f} s")
        self.check_served(configs)
        began = time.monotonic()
        in_parallel(CLIENTS, self.remove, made)
        print(f"{PODS} pods removed after {time.monotonic() - began:.1f} s")
        self.assertEqual((list(self.cri.ListPodSandbox().items), list(self.cri.ListContainers().containers)), ([], []))
        self.assertEqual(self.node.left_leases(), [])


class Kubelet:
    """One pod as the kubelet's worker brings it up: looks what is there, does the next step, tries again later."""

    LIMIT = 150         # seconds for one pod to run, or to be gone

    def __init__(self, case, client, config):
        self.case = case
        self.client = client
        self.config = config
        self.uid = config["metadata"]["uid"]
        self.errors = []        # texts of failures that are not the daemon's absence

    def pods(self):
        return self.client.ListPodSandbox(filter={"label_selector": {"uid": self.uid}}).items

    def until(self, step):
        end = time.monotonic() + self.LIMIT
        while True:
            try:
                if step():
                    return
            except grpc.RpcError as e:
                if e.code() != grpc.StatusCode.UNAVAILABLE or not ABSENT.search(e.details()):
                    self.errors.append(f"{e.code().name} {e.details()}")
            if time.monotonic() > end:
                raise AssertionError(f"{self.config['metadata']['name']}: {step.__name__} not after {self.LIMIT} s: {self.errors[-5:]}")
            time.sleep(0.1)

    def next_attempt(self, listed):
        return max((one.metadata.attempt for one in listed), default=-1) + 1

    def bring_up(self):
        pods = self.pods()
        ready = [p for p in pods if p.state == READY]
        self.case.assertLessEqual(len(ready), 1, "two sandboxes of one pod are ready")
        if not ready:
            self.config["metadata"]["attempt"] = self.next_attempt(pods)
            pod = self.client.RunPodSandbox(config=self.config).pod_sandbox_id
        else:
            pod = ready[0].id
            self.config["metadata"]["attempt"] = ready[0].metadata.attempt
        containers = self.client.ListContainers(filter={"pod_sandbox_id": pod}).containers
        running = [c for c in containers if c.state == RUNNING]
        self.case.assertLessEqual(len(running), 1, "two containers of one name run")
        if running:
            return True
        for one in containers:
            self.case.assertIn(one.state, (CREATED, EXITED))
        container_config = self.case.container_config(["sh", "-c", SERVE])
        container_config["metadata"]["attempt"] = self.next_attempt(containers)
        container = self.client.CreateContainer(pod_sandbox_id=pod, sandbox_config=self.config, config=container_config).container_id
        self.client.StartContainer(container_id=container)
        return False            # the list must tell

    def take_down(self):
        pods = self.pods()
        for pod in pods:
            for one in self.client.ListContainers(filter={"pod_sandbox_id": pod.id}).containers:
                self.client.StopContainer(container_id=one.id, timeout=0)
            self.client.StopPodSandbox(pod_sandbox_id=pod.id)
            self.client.RemovePodSandbox(pod_sandbox_id=pod.id)
        return not pods


class Killed(LoadCase):
    EVERY = {"bring_up": (0.5, 2.5), "take_down": (0.1, 0.6)}      # seconds from one start to the next kill

    def kill_often(self, step, enough, kills):
        """kill -9 and start again until enough is set, ever less often, so that it comes; the daemon runs in the end. Seconds of each start."""
        while not enough.is_set():
            enough.wait(random.uniform(*self.EVERY[step]) * (1 + len(kills) / 20))
            self.node.process.kill()
            self.node.process.wait()
            self.cri.ids |= self.node.ids()
            began = time.monotonic()
            self.node.start()
            kills.append(time.monotonic() - began)

    def under_fire(self, kubelets, step):
        enough, kills, began = threading.Event(), [], time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            killer = pool.submit(self.kill_often, step, enough, kills)
            try:
                in_parallel(CLIENTS, lambda number, kubelet: kubelet.go(number, step), kubelets)
            finally:
                enough.set()
            killer.result()
        print(f"{step}: {time.monotonic() - began:.1f} s, killed {len(kills)} times, start took at most {max(kills):.2f} s")
        self.start_client()

    @classmethod
    def start_client(cls):
        """The class's own client, after the daemon was started behind its back."""
        ids = cls.cri.ids
        cls.cri.close()
        cls.cri = Client(cls.node.socket)
        cls.cri.ids = ids
        wait_for(cls.answers, 30, "crid answers")

    @classmethod
    def answers(cls):
        try:
            return cls.cri.Version()
        except grpc.RpcError:
            return None

    def test_killed_again_and_again_while_pods_come_and_go(self):
        kubelets = [Worker(self, self.named(f"killed-{n}")) for n in range(PODS)]
        self.under_fire(kubelets, "bring_up")
        self.check_served([k.config for k in kubelets])
        self.under_fire(kubelets, "take_down")
        errors = [e for k in kubelets for e in k.errors]
        print(f"{len(errors)} errors that went away:", *sorted(set(errors)), sep="\n  ")
        self.assertEqual((list(self.cri.ListPodSandbox().items), list(self.cri.ListContainers().containers)), ([], []))


class Worker(Kubelet):
    """A Kubelet whose client is that of the thread it runs on."""

    def __init__(self, case, config):
        super().__init__(case, None, config)

    def go(self, number, step):
        self.client = self.case.clients[number]
        self.until(getattr(self, step))


HANGS = """#!/usr/bin/python3
# Passes on what the plugin before it gave; of pods named hang-... ADD never ends.
import json, os, signal, sys
config = json.load(sys.stdin)
if os.environ["CNI_COMMAND"] == "VERSION":
    print(json.dumps({"cniVersion": "1.0.0", "supportedVersions": ["0.4.0", "1.0.0"]}))
if os.environ["CNI_COMMAND"] == "ADD":
    if "K8S_POD_NAME=hang-" in os.environ["CNI_ARGS"]:
        while True:
            signal.pause()
    print(json.dumps(config["prevResult"]))
"""


class Hanging(LoadCase):
    STUCK = 5           # pods whose CNI plugin hangs
    STOPPING = 200      # containers whose grace is an hour
    PODS = 4            # that these are in

    @classmethod
    def start_crid(cls):
        """The network of this class has one more plugin, a script."""
        node = cls.node
        plugin = node.write("cni/bin/hangs", HANGS)
        os.chmod(plugin, 0o755)
        with open(node.path("cni/net.d/10-crid.conflist")) as f:
            network = json.load(f)
        if len(network["plugins"]) == 1:
            network["plugins"].append({"type": "hangs"})
            node.write("cni/net.d/10-crid.conflist", json.dumps(network))
            with open(node.path("crio.conf")) as f:
                text = f.read()
            node.write("crio.conf", text.replace("plugin_dirs = [", f'plugin_dirs = ["{node.path("cni/bin")}", '))
        return super().start_crid()

    def plugins(self):
        """pids of plugins that hang."""
        found = []
        for pid in crid_node.descendants(os.getpid()):
            if "cni/bin/hangs" in self.command_line(pid):
                found.append(pid)
        return found

    def release(self, stuck):
        """Kills the plugins; the pods fail and nothing of them stays."""
        for pid in self.plugins():
            os.kill(pid, signal.SIGKILL)
        for one in stuck:
            self.assertIn("hangs", str(one.exception(timeout=CALL_TIMEOUT)))

    def victims(self, pods, count):
        """Running containers whose process ignores TERM, as pid 1 does without a handler."""
        def make(number, n):
            pod, config = pods[n % len(pods)]
            client = self.clients[number]
            container = client.CreateContainer(pod_sandbox_id=pod, sandbox_config=config, config=self.container_config(
                ["sleep", "100000"], name=f"c{n}")).container_id
            client.StartContainer(container_id=container)
            return container
        return in_parallel(CLIENTS, make, range(count))

    def median_ms(self, call, items):
        took = []
        for item in items:
            began = time.monotonic()
            call(item)
            took.append((time.monotonic() - began) * 1000)
            self.assertLess(took[-1], 1000)
        return statistics.median(took)

    def test_hanging_plugins_and_long_stops_hold_up_nobody(self):
        pods = [self.run_pod(self.named(f"stops-{n}")) for n in range(self.PODS)]
        long_stops = self.victims(pods, self.STOPPING)
        others = self.victims([self.run_pod(self.named("other"))], 9)

        stuck = [self.clients[n].future("RunPodSandbox", 600, config=self.named(f"hang-{n}")) for n in range(self.STUCK)]
        wait_for(lambda: len(self.plugins()) == self.STUCK, 30, "the plugins hang")
        stops = [self.clients[n % CLIENTS].future("StopContainer", 600, container_id=one, timeout=3600)
                 for n, one in enumerate(long_stops)]
        # The last of them has arrived when its connection answers a call made behind it.
        for client in self.clients:
            client.Version()

        listed = self.median_ms(lambda _: self.cri.ListContainers(), range(50))
        stopped = self.median_ms(lambda one: self.cri.StopContainer(container_id=one, timeout=0), others)
        print(f"with {self.STUCK} hanging plugins and {self.STOPPING} stops: ListContainers {listed:.1f} ms, "
              f"StopContainer with timeout 0 {stopped:.1f} ms (medians)")
        self.assertEqual([s.done() for s in stops + stuck].count(True), 0)
        self.assertEqual({self.status(one).state for one in others}, {EXITED})

        pod, config = self.run_pod(self.named("meanwhile"))
        self.assertEqual(self.pod_status(pod).state, READY)
        in_parallel(CLIENTS, lambda number, one: self.clients[number].StopContainer(container_id=one, timeout=0), long_stops)
        for one in stops:
            one.result(timeout=CALL_TIMEOUT)
        self.release(stuck)

