# SPDX-License-Identifier: Apache-2.0
"""libcnic with the plugins that Debian ships, in network namespaces of the test's own."""

import concurrent.futures
import glob
import json
import os
import subprocess
import sys
import unittest

from cnic_case import PATH, PLUGINS, CnicCase, need_root_network

AT_ONCE = 32


def sh(command, check=True):
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60, check=False, env={"PATH": PATH})
    if check and done.returncode:
        raise AssertionError(f"{command}: {done.stdout}{done.stderr}")
    return done.stdout


class Plugins(CnicCase):
    plugin_dirs = (PLUGINS,)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        need_root_network(cls)
        if not os.path.exists(f"{PLUGINS}/bridge"):
            raise unittest.SkipTest(f"needs the CNI plugins in {PLUGINS}")

    def setUp(self):
        super().setUp()
        self.addCleanup(self.nothing_left)
        self.namespace("pod")

    def namespace(self, name):
        sh(f"ip netns add {name} && ip -n {name} link set lo up")
        self.addCleanup(sh, f"ip netns del {name}", check=False)

    def nothing_left(self):
        """After the namespaces: neither leases nor host ends, nor a rule that names the networks."""
        self.assertEqual(self.leases(), [])
        self.assertEqual(sh("ip -o link show type veth"), "")
        self.assertEqual(sh("iptables-save | grep -c 10.231", check=False), "0\n", "rules")
        for line in sh("ip -o link show type bridge").splitlines():
            sh("ip link del " + line.split(":")[1].strip())

    def leases(self):
        return [os.path.basename(f) for f in glob.glob(self.path("ipam/*/*")) if os.path.basename(f)[0] in "1f"]

    def ipam(self, *subnets, **more):
        return {"type": "host-local", "dataDir": self.path("ipam"), "ranges": [[{"subnet": s}] for s in subnets or ("10.231.0.0/24",)],
                "routes": [{"dst": "0.0.0.0/0"}], **more}

    def bridge(self, *subnets, **more):
        return {"type": "bridge", "bridge": "tb0", "isGateway": True, "ipam": self.ipam(*subnets), **more}

    def conf(self, *plugins, version="1.0.0", name="net", file="10.conflist"):
        self.write(f"conf/{file}", {"cniVersion": version, "name": name, "plugins": plugins})

    def add(self, *more, container="c1", netns="pod"):
        """Addresses of the attachment, and its result."""
        result = json.loads(self.cnic("add", "--json", container, f"/run/netns/{netns}", *more))
        return [ip["address"] for ip in result.get("ips", [])], result

    def life(self, *more, check=True, container="c1", netns="pod"):
        """ADD, CHECK; then in a with block what is to be seen; then DEL twice."""
        addresses, result = self.add(*more, container=container, netns=netns)
        if check:
            self.cnic("check", container, f"/run/netns/{netns}")
        test = self

        class Life:
            def __enter__(self):
                return addresses, result

            def __exit__(self, *error):
                test.cnic("del", container, f"/run/netns/{netns}")
                test.cnic("del", container, f"/run/netns/{netns}", *more)    # nothing cached: the arguments anew
                test.assertEqual([f for f in os.listdir(test.path("cache")) if f"-{container}-" in f], [])
        return Life()

    def inside(self, command, netns="pod"):
        return sh(f"ip netns exec {netns} {command}")

    def talk(self, server, client, host, port=80, to_port=None):
        """One TCP connection; namespaces by name, "" is the test's own."""
        serve = "import socket; s = socket.create_server(('', %d), family=socket.AF_INET6, dualstack_ipv6=True); print('up', flush=True); " \
                "c, _ = s.accept(); c.sendall(b'hello'); c.close()" % port
        prefix = ["ip", "netns", "exec", server] if server else []
        process = subprocess.Popen([*prefix, sys.executable, "-c", serve], stdout=subprocess.PIPE, text=True, env={"PATH": PATH})
        try:
            self.assertEqual(process.stdout.readline(), "up\n")
            ask = f"import socket; print(socket.create_connection(('{host}', {to_port or port}), 10).recv(9).decode())"
            prefix = f"ip netns exec {client} " if client else ""
            self.assertEqual(sh(f'{prefix}{sys.executable} -c "{ask}"'), "hello\n")
            self.assertEqual(process.wait(10), 0)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()

    def test_bridge_in_every_version_it_speaks(self):
        for version in ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0"):
            with self.subTest(version):
                self.conf(self.bridge(), version=version)
                with self.life(check=version >= "0.4.0") as (addresses, _):
                    self.assertIn(addresses[0], self.inside("ip -o addr show dev eth0"))
                    self.assertEqual(len(self.leases()), 1)

    def test_dual_stack_pods_that_talk(self):
        self.namespace("other")
        self.conf(self.bridge("10.231.0.0/24", "fd00:231::/64", hairpinMode=True))
        with self.life() as (first, _), self.life(container="c2", netns="other") as (second, _):
            self.assertEqual([len(first), len(second)], [2, 2])
            for address in second:
                self.inside("true", "other")
                if ":" in address:
                    sh("for i in $(seq 50); do ip -n other addr show dev eth0 | grep -q tentative || break; sleep 0.1; done")
                self.talk("other", "pod", address.split("/")[0])

    def test_static_addresses_from_the_configuration_and_as_an_argument(self):
        self.conf({**self.bridge(), "ipam": {"type": "static", "addresses": [{"address": "10.231.1.9/24", "gateway": "10.231.1.1"}]},
                   "dns": {"nameservers": ["10.231.1.1"], "search": ["x"]}})
        with self.life() as (addresses, result):
            self.assertEqual(addresses, ["10.231.1.9/24"])
            self.assertEqual(result["dns"], {"nameservers": ["10.231.1.1"], "search": ["x"]})
        self.conf({**self.bridge(), "ipam": {"type": "static"}, "capabilities": {"ips": True}})
        with self.life("--capabilities", '{"ips":["10.231.1.10/24","fd00:231::10/64"]}') as (addresses, _):
            self.assertEqual(addresses, ["10.231.1.10/24", "fd00:231::10/64"])
        self.conf(self.bridge("10.231.1.0/24"))
        with self.life("--arg", "IgnoreUnknown=1", "--arg", "IP=10.231.1.77") as (addresses, _):
            self.assertEqual(addresses, ["10.231.1.77/24"])

    def test_ranges_as_a_capability_argument(self):
        self.conf({**self.bridge(), "capabilities": {"ipRanges": True}, "ipam": {"type": "host-local", "dataDir": self.path("ipam")}})
        with self.life("--capabilities", '{"ipRanges":[[{"subnet":"10.231.9.0/24"}]]}') as (addresses, _):
            self.assertEqual(addresses, ["10.231.9.2/24"])

    def test_ptp_with_masquerade(self):
        self.conf({"type": "ptp", "ipMasq": True, "ipam": self.ipam()})
        with self.life() as (addresses, _):
            self.assertIn("10.231.0.", sh("iptables-save -t nat"))
            self.talk("", "pod", addresses[0].split("/")[0].rpartition(".")[0] + ".1")

    def test_macvlan(self):
        sh("ip link add mp0 type veth peer name mp1 && ip link set mp0 up && ip link set mp1 up")
        self.addCleanup(sh, "ip link del mp0")
        if sh("ip link add link mp0 mtest type macvlan && ip link del mtest && echo yes", check=False) != "yes\n":
            self.skipTest("the kernel has no macvlan")
        self.namespace("other")
        self.conf({"type": "macvlan", "master": "mp0", "mode": "bridge", "ipam": self.ipam()})
        with self.life(), self.life(container="c2", netns="other") as (second, _):
            self.talk("other", "pod", second[0].split("/")[0])

    def test_ipvlan(self):
        sh("ip link add mp0 type veth peer name mp1 && ip link set mp0 up && ip link set mp1 up")
        self.addCleanup(sh, "ip link del mp0")
        if sh("ip link add link mp0 itest type ipvlan && ip link del itest && echo yes", check=False) != "yes\n":
            self.skipTest("the kernel has no ipvlan")
        self.conf({"type": "ipvlan", "master": "mp0", "ipam": self.ipam()})
        with self.life() as (addresses, _):
            self.assertIn(addresses[0], self.inside("ip -o addr show dev eth0"))

    def test_bandwidth(self):
        self.conf(self.bridge(), {"type": "bandwidth", "capabilities": {"bandwidth": True}})
        rates = {"ingressRate": 1000000, "ingressBurst": 800000, "egressRate": 2000000, "egressBurst": 800000}
        with self.life("--capabilities", json.dumps({"bandwidth": rates})) as (_, result):
            shaped = sh("tc qdisc show")
            self.assertIn("rate 1Mbit", shaped)
            self.assertIn("rate 2Mbit", shaped)
            self.assertEqual(len([i for i in result["interfaces"] if i["name"].startswith("bwp")]), 1)
        self.assertNotIn("tbf", sh("tc qdisc show"))

    def test_tuning(self):
        self.conf(self.bridge(), {"type": "tuning", "capabilities": {"mac": True}, "mtu": 1400,
                                  "sysctl": {"net.ipv4.conf.eth0.arp_announce": "2"}})
        with self.life("--capabilities", '{"mac":"02:00:00:00:00:77"}') as (_, result):
            link = self.inside("ip -o link show dev eth0")
            self.assertIn("02:00:00:00:00:77", link)
            self.assertIn("mtu 1400", link)
            self.assertEqual([i["mac"] for i in result["interfaces"] if i["name"] == "eth0"], ["02:00:00:00:00:77"])
            self.assertEqual(self.inside("sysctl -n net.ipv4.conf.eth0.arp_announce"), "2\n")

    def test_portmap_and_firewall_with_a_connection(self):
        self.conf(self.bridge(ipMasq=True), {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True},
                  {"type": "firewall", "backend": "iptables"})
        ports = {"portMappings": [{"hostPort": 18080, "containerPort": 80, "protocol": "tcp"}]}
        with self.life("--capabilities", json.dumps(ports), check=False):
            rules = sh("iptables-save")
            self.assertIn("--dport 18080", rules)
            self.assertRegex(rules, r"-A CNI-FORWARD -s 10\.231\.0\.\d+/32")
            self.talk("pod", "", "10.231.0.1", port=80, to_port=18080)
        self.assertNotIn("18080", sh("iptables-save"))

    def test_loopback(self):
        sh("ip -n pod link set lo down")
        self.conf({"type": "loopback"})
        self.add("--ifname", "lo")
        self.assertIn("127.0.0.1", self.inside("ip -o addr show dev lo"))
        self.cnic("check", "--ifname", "lo", "c1", "/run/netns/pod")
        self.cnic("del", "--ifname", "lo", "c1", "/run/netns/pod")

    def test_check_sees_what_was_changed(self):
        self.conf(self.bridge())
        with self.life():
            sh("ip -n pod addr flush dev eth0")
            self.assertIn('plugin type="bridge" failed (check): ', self.cnic("check", "c1", "/run/netns/pod", status=1))

    def test_networks_at_once_and_all_or_none(self):
        for i in range(3):
            self.conf({**self.bridge(f"10.231.{i}.0/24"), "bridge": f"tb{i}"}, name=f"n{i}", file=f"{i}.conflist")
        self.cnic("add", "c1", "/run/netns/pod", "n0", "n1", "n2")
        self.assertEqual(sh("ip -n pod -o -4 addr show").count("inet 10.231."), 3)
        self.cnic("del", "c1", "/run/netns/pod", "n0:eth0", "n1:eth1", "n2:eth2")
        error = self.cnic("add", "c1", "/run/netns/pod", "n0:eth0", "n1:eth0", status=1)   # one name cannot be twice
        self.assertIn("failed (add)", error)
        self.assertEqual(self.inside("ip -o -4 addr show"), self.inside("ip -o -4 addr show dev lo"))

    def test_many_at_once(self):
        """A process each, on one bridge and one pool of addresses."""
        self.conf(self.bridge("10.231.0.0/24", "fd00:231::/64", ipMasq=True), {"type": "firewall", "backend": "iptables"})
        for i in range(AT_ONCE):
            self.namespace(f"p{i}")
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            added = list(pool.map(lambda i: self.add(container=f"c{i}", netns=f"p{i}")[0], range(AT_ONCE)))
            self.assertEqual(len({a for both in added for a in both}), 2 * AT_ONCE)
            self.assertEqual(sorted(self.leases()), sorted(a.split("/")[0] for both in added for a in both))
            listed = json.loads(self.cnic("list", "--attachments", "--json"))["attachments"]
            self.assertEqual(len(listed), AT_ONCE)
            list(pool.map(lambda i: self.cnic("del", f"c{i}", f"/run/netns/p{i}"), range(AT_ONCE)))
        self.assertEqual(os.listdir(self.path("cache")), [])

    def test_many_at_once_from_one_process(self):
        for i in range(AT_ONCE):
            self.conf({"type": "ptp", "ipam": self.ipam(f"10.231.{i}.0/24")}, name=f"n{i}", file=f"{i:02}.conflist")
        names = [f"n{i}:e{i}" for i in range(AT_ONCE)]
        self.cnic("add", "c1", "/run/netns/pod", *names)
        self.assertEqual(sh("ip -n pod -o -4 addr show").count("inet 10.231."), AT_ONCE)
        self.cnic("del", "c1", "/run/netns/pod", *names)

    def test_gc_releases_the_leases_of_what_is_gone(self):
        self.conf(self.bridge())
        for i in range(3):
            self.namespace(f"g{i}")
            self.add(container=f"c{i}", netns=f"g{i}")
        sh("ip netns del g1")
        self.cnic("gc", "--keep", "c0")
        self.assertEqual(len(self.leases()), 1)
        self.assertNotIn("eth0", sh("ip -n g2 link"))   # still there: taken away, too
        self.assertIn("eth0", sh("ip -n g0 link"))
        self.cnic("del", "c0", "/run/netns/g0")

    def test_del_without_namespace_and_configuration(self):
        self.conf(self.bridge())
        self.add()
        sh("ip netns del pod")
        os.unlink(self.path("conf/10.conflist"))
        self.cnic("del", "c1")
        self.assertEqual(self.leases(), [])

    def test_a_pool_that_is_exhausted_says_so(self):
        self.conf(self.bridge("10.231.0.0/30"))
        with self.life():
            self.namespace("more")
            error = self.cnic("add", "c2", "/run/netns/more", status=1)
            self.assertIn("no IP addresses available in range set", error)
            self.assertNotIn("undo", error)
