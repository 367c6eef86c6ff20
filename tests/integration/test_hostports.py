# SPDX-License-Identifier: Apache-2.0
"""Host ports: connections from the host, from a pod and from another machine, and the rules that make them."""

import base64
import concurrent.futures
import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import time
import unittest

import grpc

import crid_node
from crid_harness import NodeCase, cri_pb2, firewall

TCP, UDP, SCTP = cri_pb2.TCP, cri_pb2.UDP, cri_pb2.SCTP
HOST4, HOST6 = "192.0.2.1", "2001:db8:1::1"             # of the host, on the link to the client
CLIENT4, CLIENT6 = "192.0.2.2", "2001:db8:1::2"
POD6 = "fd00:c41d::/64"
# In the network namespace of a pod: says "NAME PORT PEER" to who connects to 80 or 81, and the same over UDP on 53.
SERVER = """
import select, socket, sys
def listen(kind, port):
    s = socket.socket(socket.AF_INET6, kind)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("::", port))
    if kind == socket.SOCK_STREAM:
        s.listen()
    return s
tcp = [listen(socket.SOCK_STREAM, p) for p in (80, 81)]
udp = listen(socket.SOCK_DGRAM, 53)
print("ready", flush=True)
def text(s, peer):
    return f"{sys.argv[1]} {s.getsockname()[1]} {peer[0].removeprefix('::ffff:')}".encode()
while True:
    for s in select.select(tcp + [udp], [], [])[0]:
        if s is udp:
            _, peer = s.recvfrom(100)
            s.sendto(text(s, peer), peer)
        else:
            c, peer = s.accept()
            with c:
                c.sendall(text(s, peer))
"""


def ip(*words, netns=None):
    subprocess.run([crid_node.program("ip"), *(["-n", netns] if netns else []), *words], check=True, capture_output=True, text=True)


def nft(*words):
    return subprocess.run([crid_node.program("nft"), *words], capture_output=True, text=True, check=False)


def elements(family="ip"):
    """{comment: {(set, key): value}} of crid's table, as nft prints them; None without the table."""
    done = nft("-j", "-n", "list", "table", family, "crio-hostports")
    if done.returncode:
        return None
    found = {}
    for one in json.loads(done.stdout)["nftables"]:
        for entry in one.get("map", one.get("set", {})).get("elem", []):
            key, value = entry if isinstance(entry, list) else (entry, None)
            if "elem" in key:
                name = one.get("map", one.get("set"))["name"]
                found.setdefault(key["elem"]["comment"], {})[name, tuple(key["elem"]["val"]["concat"])] = value and tuple(value["concat"])
    return found


class HostPortCase(NodeCase):
    """The host has a link to another machine, which is a network namespace, and pods have both families."""

    @classmethod
    def setUpClass(cls):
        for name in ("nft", "ip"):
            if not shutil.which(name, path=crid_node.PATH):
                raise unittest.SkipTest(f"{name} is not installed")
        super().setUpClass()

    @classmethod
    def start_crid(cls):
        if not hasattr(cls, "client"):
            cls.prepare()
        super().start_crid()

    @classmethod
    def prepare(cls):
        cls.client = "crid-" + os.urandom(3).hex()
        ip("netns", "add", cls.client)
        cls.addClassCleanup(ip, "netns", "del", cls.client)
        ip("link", "add", "c0", "type", "veth", "peer", "name", "c1", "netns", cls.client)
        for address, device, netns in ((HOST4 + "/24", "c0", None), (HOST6 + "/64", "c0", None), (CLIENT4 + "/24", "c1", cls.client),
                                       (CLIENT6 + "/64", "c1", cls.client)):
            ip("address", "add", address, "dev", device, *(["nodad"] if ":" in address else []), netns=netns)
        ip("link", "set", "c0", "up")
        ip("link", "set", "c1", "up", netns=cls.client)
        cls.addClassCleanup(ip, "link", "del", "c0")
        with open("/proc/sys/net/ipv6/conf/all/forwarding", "w") as f:
            f.write("1")
        path = cls.node.path("cni/net.d/10-crid.conflist")
        with open(path) as f:
            network = json.load(f)
        network["plugins"][0]["ipam"]["ranges"].append([{"subnet": POD6}])
        network["plugins"][0]["ipam"]["routes"].append({"dst": "::/0"})
        cls.node.write("cni/net.d/10-crid.conflist", json.dumps(network))

    def port(self):
        return random.randrange(20000, 30000)

    def serving(self, name, *mappings):
        """A pod in which SERVER runs; mappings: dicts of PortMapping."""
        pod, config = self.run_pod(self.pod_config(name, port_mappings=list(mappings)))
        server = subprocess.Popen([*self.inside(pod), "/usr/bin/python3", "-c", SERVER, name], stdout=subprocess.PIPE, text=True)
        crid_node.HELPERS.add(server.pid)
        self.addCleanup(server.stdout.close)
        self.addCleanup(crid_node.end_process, server)
        self.assertEqual(server.stdout.readline(), "ready\n")
        return pod, config

    def inside(self, pod):
        """Before a command: in the pod's network namespace."""
        with open(os.path.join(self.node.root, "overlay-containers", pod, "userdata/config.json")) as f:
            namespaces = json.load(f)["linux"]["namespaces"]
        return ["nsenter", "--net=" + next(one["path"] for one in namespaces if one["type"] == "network")]

    def ips(self, pod):
        network = self.pod_status(pod).network
        return [network.ip] + [one.ip for one in network.additional_ips]

    @staticmethod
    def connect(address, port):
        """What the server says; None when it cannot be reached."""
        try:
            with socket.create_connection((address, port), 2) as s:
                return s.makefile().read()
        except OSError:
            return None

    def says(self, address, port):
        """Its name and port."""
        text = self.connect(address, port)
        return text and " ".join(text.split()[:2])

    @staticmethod
    def connect_from(inside, address, port):
        program = f"import socket; print(socket.create_connection(({address!r}, {port}), 2).makefile().read())"
        done = subprocess.run([*inside, "/usr/bin/python3", "-c", program], capture_output=True, text=True, check=False, timeout=20)
        return done.stdout.strip() or None

    def connect_from_client(self, address, port):
        return self.connect_from(["ip", "netns", "exec", self.client], address, port)

    @staticmethod
    def ask(s, port):
        """What the server says over UDP on 127.0.0.1; None when nothing comes."""
        with contextlib.suppress(OSError):
            s.sendto(b"?", ("127.0.0.1", port))
            return s.recv(100).decode().split()[0]
        return None

    def run_refused(self, *mappings):
        with self.assertRaises(grpc.RpcError) as caught:
            self.cri.RunPodSandbox(config=self.pod_config("refused", port_mappings=list(mappings)))
        return caught.exception.code(), caught.exception.details()


class Reach(HostPortCase):
    def test_pod_is_reached_on_every_address_of_the_host(self):
        port = self.port()
        pod, _ = self.serving("alpha", {"protocol": TCP, "host_port": port, "container_port": 80})
        four, six = self.ips(pod)
        for address in ("127.0.0.1", HOST4, HOST6):
            self.assertEqual(self.says(address, port), "alpha 80", address)
        # another machine is seen with its own address
        self.assertEqual(self.connect_from_client(HOST4, port), f"alpha 80 {CLIENT4}")
        self.assertEqual(self.connect_from_client(HOST6, port), f"alpha 80 {CLIENT6}")
        # the pod itself, and through the host's port
        self.assertEqual([self.says(four, 80), self.says(six, 80)], ["alpha 80"] * 2)
        self.assertTrue(self.connect_from(self.inside(pod), HOST4, port).startswith("alpha 80"))
        self.assertTrue(self.connect_from(self.inside(pod), HOST6, port).startswith("alpha 80"))
        # from ::1 no packet leaves the host: there is nothing, and nobody waits for it
        begun = time.monotonic()
        self.assertIsNone(self.connect("::1", port))
        self.assertLess(time.monotonic() - begun, 1)

    def test_host_ip_limits_where_it_is_reached(self):
        port = self.port()
        self.serving("local", {"protocol": TCP, "host_port": port, "container_port": 80, "host_ip": "127.0.0.1"},
                     {"protocol": TCP, "host_port": port + 1, "container_port": 81, "host_ip": HOST4})
        self.assertEqual(self.says("127.0.0.1", port), "local 80")
        self.assertIsNone(self.connect(HOST4, port))
        self.assertIsNone(self.connect_from_client(HOST4, port))
        self.assertEqual(self.connect_from_client(HOST4, port + 1), f"local 81 {CLIENT4}")
        self.assertIsNone(self.connect("127.0.0.1", port + 1))

    def test_loopback_of_the_host_stays_closed_to_others(self):
        """127.0.0.1 of the host cannot be reached by a packet from a pod, though route_localnet is on."""
        port = self.port()
        with socket.socket() as private:
            private.bind(("127.0.0.1", 0))
            private.listen()
            pod, _ = self.serving("curious", {"protocol": TCP, "host_port": port, "container_port": 80})
            gateway = ".".join(self.ips(pod)[0].split(".")[:3] + ["1"])
            script = (f"ip route del local 127.0.0.0/8 dev lo table local 2>/dev/null; ip addr del 127.0.0.1/8 dev lo; "
                      f"echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet; echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet; "
                      f"ip route add 127.0.0.1/32 via {gateway}; "
                      f"timeout 2 busybox nc -w 1 127.0.0.1 {private.getsockname()[1]} </dev/null")
            done = subprocess.run([*self.inside(pod), "sh", "-c", script], capture_output=True, text=True, check=False)
            private.settimeout(0.2)
            with self.assertRaises(TimeoutError, msg=done.stderr):
                private.accept()
            self.assertEqual(self.says("127.0.0.1", port), "curious 80")

    def test_udp_and_sctp_have_their_entries(self):
        port = self.port()
        pod, _ = self.serving("other", {"protocol": UDP, "host_port": port, "container_port": 53},
                              {"protocol": SCTP, "host_port": port, "container_port": 99})
        four, six = self.ips(pod)
        (_, v4), = elements("ip").items()
        self.assertEqual(v4, {("hostports", (17, port)): (four, 53), ("hostports", (132, port)): (four, 99), ("hairpins", (four, four)): None})
        (_, v6), = elements("ip6").items()
        self.assertEqual(v6, {("hostports", (17, port)): (six, 53), ("hostports", (132, port)): (six, 99), ("hairpins", (six, six)): None})
        with socket.socket(type=socket.SOCK_DGRAM) as s:
            s.settimeout(2)
            self.assertEqual(self.ask(s, port), "other")


class Rules(HostPortCase):
    def test_removed_exactly_with_their_pod(self):
        a, b = self.port(), self.port() + 10000
        first, _ = self.serving("one", {"host_port": a, "container_port": 80})
        second, _ = self.serving("two", {"host_port": b, "container_port": 80}, {"host_port": b + 1, "container_port": 81})
        self.assertEqual(len(elements()), 2)
        self.cri.StopPodSandbox(pod_sandbox_id=first)
        self.cri.StopPodSandbox(pod_sandbox_id=first)           # again
        self.assertIsNone(self.connect("127.0.0.1", a))
        self.assertEqual([self.says("127.0.0.1", b), self.says("127.0.0.1", b + 1)], ["two 80", "two 81"])
        self.assertEqual(len(elements()), 1)
        self.cri.RemovePodSandbox(pod_sandbox_id=first)
        self.remove_pod(second)
        self.assertEqual((elements("ip"), elements("ip6")), (None, None), "the tables are gone")
        with open(f"/proc/sys/net/ipv4/conf/{self.node.bridge}/route_localnet") as f:
            self.assertEqual(f.read(), "0\n")

    def test_names_and_comments_are_those_of_crio(self):
        port = self.port()
        pod, _ = self.run_pod(self.pod_config("named", port_mappings=[{"host_port": port, "container_port": 80}]))
        comment = base64.b32encode(hashlib.sha256(pod.encode()).digest()).decode()[:16]
        self.assertEqual(list(elements()), [comment])
        with open(os.path.join(self.node.root, "overlay-containers", pod, "userdata/config.json")) as f:
            annotation = json.load(f)["annotations"]["io.kubernetes.cri-o.PortMappings"]
        self.assertEqual(json.loads(annotation), [{"HostPort": port, "ContainerPort": 80, "Protocol": "TCP", "HostIP": ""}])

    def test_port_of_another_pod_is_refused_with_its_name(self):
        port = self.port()
        pod, _ = self.run_pod(self.pod_config("owner", port_mappings=[{"host_port": port, "container_port": 80}]))
        code, text = self.run_refused({"host_port": port, "container_port": 8080, "host_ip": HOST4})
        self.assertEqual(code, grpc.StatusCode.ALREADY_EXISTS)
        self.assertIn(f"host port {HOST4} port {port} (TCP) is in use by pod test/owner ({pod})", text)
        # the same number of another protocol is another port
        self.run_pod(self.pod_config("udp", port_mappings=[{"host_port": port, "container_port": 80, "protocol": UDP}]))
        self.remove_pod(pod)
        self.run_pod(self.pod_config("heir", port_mappings=[{"host_port": port, "container_port": 80}]))

    def test_nonsense_is_refused(self):
        for mapping in ({"host_port": 70000, "container_port": 80}, {"host_port": -1, "container_port": 80}, {"host_port": 80},
                        {"host_port": 80, "container_port": 80, "host_ip": "1.2.3"}, {"host_port": 80, "container_port": 80, "protocol": 7},
                        {"host_port": 80, "container_port": 80, "host_ip": "1.2.3.4; flush ruleset"}):
            code, text = self.run_refused(mapping)
            self.assertEqual(code, grpc.StatusCode.INVALID_ARGUMENT, text)
            self.assertIn("port_mappings", text)

    def test_mappings_without_host_port_make_nothing(self):
        self.run_pod(self.pod_config("none", port_mappings=[{"container_port": 80}]))
        self.assertIsNone(elements())

    def test_two_pods_at_once(self):
        base = self.port()
        configs = [self.pod_config(f"p{i}", port_mappings=[{"host_port": base + i, "container_port": 80 + i}]) for i in range(6)]
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            pods = [p for p, _ in pool.map(self.run_pod, configs)]
        self.assertEqual(sorted(k[1][1] for e in elements().values() for k in e if k[0] == "hostports"), [base + i for i in range(6)])
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            list(pool.map(self.remove_pod, pods))
        self.assertIsNone(elements())

    def test_failure_after_them_takes_them_away(self):
        """A file of the pod that cannot be written: the step after the network."""
        config = self.pod_config("bad", port_mappings=[{"host_port": self.port(), "container_port": 80}],
                                 dns_config={"servers": ["a b"]})
        with self.assertRaises(grpc.RpcError):
            self.cri.RunPodSandbox(config=config)
        self.assertEqual((elements("ip"), elements("ip6")), (None, None))

    def test_failure_to_make_them_gives_the_address_back(self):
        """Somebody else's entry is in the way."""
        port = self.port()
        self.run_pod(self.pod_config("first", port_mappings=[{"host_port": port, "container_port": 80}]))
        nft("add", "element", "ip", "crio-hostports", "hostports", "{ tcp . %d comment \"NOBODY\" : 10.9.9.9 . 9 }" % (port + 1))
        leases = os.listdir(self.node.path("cni/ipam", self.node.bridge))
        self.addCleanup(nft, "delete", "element", "ip", "crio-hostports", "hostports", "{ tcp . %d }" % (port + 1))
        code, text = self.run_refused({"host_port": port + 1, "container_port": 80})
        self.assertEqual(code, grpc.StatusCode.UNKNOWN)
        self.assertIn("NOBODY", text)
        self.assertEqual(os.listdir(self.node.path("cni/ipam", self.node.bridge)), leases)

    def test_old_udp_connection_goes_to_the_new_pod(self):
        port = self.port()
        with socket.socket(type=socket.SOCK_DGRAM) as s:
            s.bind(("127.0.0.1", 0))
            s.settimeout(0.3)
            with contextlib.suppress(OSError):
                s.sendto(b"nobody", ("127.0.0.1", port))        # the kernel remembers that this is not translated
            for name in ("first", "second"):
                pod, _ = self.serving(name, {"host_port": port, "container_port": 53, "protocol": UDP})
                self.assertEqual(self.ask(s, port), name)
                self.cri.StopPodSandbox(pod_sandbox_id=pod)


class Restart(HostPortCase):
    def restart(self, how=signal.SIGKILL):
        self.node.process.send_signal(how)
        self.node.process.wait(30)
        self.start_crid()

    def test_they_live_on_and_are_removed_by_the_next_daemon(self):
        port = self.port()
        pod, _ = self.serving("survivor", {"host_port": port, "container_port": 80})
        self.restart(signal.SIGTERM)
        self.assertEqual(self.says("127.0.0.1", port), "survivor 80")
        self.assertEqual(self.run_refused({"host_port": port, "container_port": 80})[0], grpc.StatusCode.ALREADY_EXISTS)
        self.remove_pod(pod)
        self.assertIsNone(elements())

    def test_flushed_rules_come_back_with_the_next_start(self):
        port = self.port()
        self.serving("phoenix", {"host_port": port, "container_port": 80})
        nft("delete", "table", "ip", "crio-hostports")
        self.assertIsNone(self.connect("127.0.0.1", port))
        self.restart()
        self.assertEqual(self.says("127.0.0.1", port), "phoenix 80")

    def test_rules_of_pods_that_are_gone_are_removed_at_start(self):
        port = self.port()
        self.serving("alive", {"host_port": port, "container_port": 80})
        nft("add", "element", "ip", "crio-hostports", "hostports", "{ tcp . %d comment \"AAAABBBBCCCCDDDD\" : 10.9.9.9 . 9 }" % (port + 1))
        self.assertEqual(len(elements()), 2)
        self.restart()
        self.assertEqual(len(elements()), 1)
        self.assertEqual(self.says("127.0.0.1", port), "alive 80")

    def test_changed_boot_leaves_none(self):
        port = self.port()
        self.run_pod(self.pod_config("before", port_mappings=[{"host_port": port, "container_port": 80}]))
        self.node.process.kill()
        self.node.process.wait()
        os.unlink(self.node.path("run/version"))
        self.start_crid()
        self.assertEqual(len(self.cri.ListPodSandbox().items), 0)
        self.assertIsNone(elements())

    def test_killed_while_making_them(self):
        """At any moment: afterwards there is the whole pod or nothing."""
        for delay in (0.05, 0.1, 0.15, 0.2, 0.3):
            port = self.port()
            config = self.pod_config("torn", port_mappings=[{"host_port": port, "container_port": 80}])
            call = self.cri.future("RunPodSandbox", config=config)
            time.sleep(delay)           # the moment is what is varied
            self.restart()
            with contextlib.suppress(grpc.RpcError):
                call.result()
            made = self.cri.ListPodSandbox().items
            self.assertEqual(len(elements() or {}), len(made))
            for pod in made:
                self.remove_pod(pod.id)
            self.assertIsNone(elements())


class Disabled(HostPortCase):
    @classmethod
    def configuration(cls):
        return "disable_hostport_mapping = true\n"

    def test_option_turns_them_off(self):
        before = firewall()
        self.run_pod(self.pod_config("plain", port_mappings=[{"host_port": self.port(), "container_port": 80}]))
        self.assertIsNone(elements())
        self.assertEqual([line for line in firewall() - before if "crio-hostports" in line], [])
