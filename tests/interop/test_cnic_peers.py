# SPDX-License-Identifier: Apache-2.0
"""libcnic and others on the same networks: podman's CNI back end, and the configurations that network providers install."""

import base64
import json
import os
import shutil
import subprocess
import unittest

from cnic_case import PATH, PLUGINS, CnicCase, canonical, need_root_network

CACHE = "/var/lib/cni/results"
PROVIDERS = {
    # Flannel: the bridge is made by a plugin it delegates to.
    "flannel": {"name": "cbr0", "cniVersion": "0.3.1", "plugins": [
        {"type": "flannel", "delegate": {"hairpinMode": True, "isDefaultGateway": True}},
        {"type": "portmap", "capabilities": {"portMappings": True}}]},
    # Cilium: one plugin that asks the agent.
    "cilium": {"cniVersion": "0.3.1", "name": "cilium", "plugins": [
        {"type": "cilium-cni", "enable-debug": False, "log-file": "/var/run/cilium/cilium-cni.log"}]},
    # Weave: the plugin has a name of its own, the oldest version of the chained form.
    "weave": {"cniVersion": "0.3.0", "name": "weave", "plugins": [
        {"name": "weave", "type": "weave-net", "hairpinMode": True},
        {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True}]},
}


class Providers(CnicCase):
    def test_their_configurations_are_taken_and_given_to_their_plugins(self):
        for i, (provider, conflist) in enumerate(PROVIDERS.items()):
            self.write(f"conf/{i:02}-{provider}.conflist", json.dumps(conflist, indent=2))
            for plugin in conflist["plugins"]:
                result = {"ips": [{"version": "4", "address": "10.244.0.2/24"}]}
                self.recorder(plugin["type"], ADD_out=json.dumps(result))
        listed = json.loads(self.cnic("list", "--json"))["networks"]
        self.assertEqual([(n["name"], n["cniVersion"], n["default"]) for n in listed],
                         [("cbr0", "0.3.1", True), ("cilium", "0.3.1", False), ("weave", "0.3.0", False)])
        ports = [{"containerPort": 80, "hostPort": 8080, "protocol": "tcp"}]
        for provider, conflist in PROVIDERS.items():
            with self.subTest(provider):
                out = json.loads(self.cnic("add", "--json", "--capabilities", json.dumps({"portMappings": ports}), "pod", "/run/netns/x",
                                           conflist["name"]))
                self.assertEqual(out["ips"], [{"address": "10.244.0.2/24"}])
                for at, plugin in enumerate(conflist["plugins"]):
                    expected = {**plugin, "name": conflist["name"], "cniVersion": conflist["cniVersion"]}
                    if at:
                        expected["prevResult"] = {"cniVersion": conflist["cniVersion"], "dns": {},
                                                  "ips": [{"version": "4", "address": "10.244.0.2/24"}]}
                    if "capabilities" in plugin:
                        expected["runtimeConfig"] = {"portMappings": ports}
                    self.assertEqual(self.read(f"bin/{plugin['type']}.ADD.in").decode(), canonical(expected))
                with open(self.path("cache", f"{conflist['name']}-pod-eth0"), encoding="utf-8") as f:
                    self.assertEqual(base64.b64decode(json.load(f)["config"]).decode(), json.dumps(conflist, indent=2))
                self.cnic("del", "pod", "/run/netns/x", conflist["name"])

    def test_a_provider_whose_plugin_is_not_there_yet_is_skipped_by_name(self):
        self.write("conf/10-flannel.conflist", PROVIDERS["flannel"])
        self.recorder("flannel")
        error = self.cnic("add", "pod", "/run/netns/x", status=1)
        self.assertIn("Has your network provider started?", error)
        self.assertIn('10-flannel.conflist: failed to find plugin "portmap" in path', error)


class Podman(CnicCase):
    plugin_dirs = (PLUGINS,)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for program in ("podman", "crun", "busybox"):
            if not shutil.which(program):
                raise unittest.SkipTest(f"needs {program}")
        if not os.path.exists(f"{PLUGINS}/bridge"):
            raise unittest.SkipTest(f"needs the CNI plugins in {PLUGINS}")
        need_root_network(cls)
        os.makedirs("/var/lib/cni", exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/var/lib/cni"], check=True)
        cls.addClassCleanup(subprocess.run, ["umount", "-l", "/var/lib/cni"], check=False)

    def setUp(self):
        super().setUp()
        os.makedirs(self.path("rootfs/bin"))
        for name in ("proc", "dev", "sys", "etc", "tmp"):
            os.mkdir(self.path("rootfs", name))
        shutil.copy(shutil.which("busybox"), self.path("rootfs/bin/busybox"))
        os.symlink("busybox", self.path("rootfs/bin/sleep"))
        self.write("containers.conf", f'[network]\nnetwork_backend = "cni"\ncni_plugin_dirs = ["{self.path("bin")}", "{PLUGINS}"]\n'
                   f'network_config_dir = "{self.path("conf")}"\n[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "none"\nruntime = "crun"\n')

    def podman(self, *arguments):
        done = subprocess.run(["podman", "--root", self.path("root"), "--runroot", self.path("runroot"), "--tmpdir", self.path("tmp"),
                               "--storage-driver", "vfs", *arguments], capture_output=True, text=True, timeout=60, check=False, cwd="/",
                              env={"PATH": PATH, "HOME": self.base, "CONTAINERS_CONF": self.path("containers.conf")})
        self.assertEqual(done.returncode, 0, f"podman {' '.join(arguments)}\n{done.stdout}{done.stderr}")
        return done.stdout.strip()

    def run_one(self, network, *more):
        """A container; its id and namespace."""
        container = self.podman("run", "-d", "--name", "one", "--network", network, "--cgroups=disabled", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024",
                                *more, "--rootfs", self.path("rootfs"), "sleep", "1000")
        self.addCleanup(self.podman, "rm", "-f", "-t", "0", "-i", "one")
        return container, self.podman("inspect", "one", "--format", "{{.NetworkSettings.SandboxKey}}")

    def ours(self, *arguments, status=0):
        done = subprocess.run([CnicCase.command(self)[0], "--conf-dir", self.path("conf"), "--plugin-dir", self.path("bin"), "--plugin-dir",
                               PLUGINS, *arguments], capture_output=True, text=True, timeout=60, check=False, env={"PATH": PATH})
        self.assertEqual(done.returncode, status, f"cnic {' '.join(arguments)}\n{done.stdout}{done.stderr}")
        return done.stdout

    def cached(self, network, container):
        with open(f"{CACHE}/{network}-{container}-eth0", encoding="utf-8") as f:
            return f.read()

    def test_a_cache_file_is_the_same_bytes(self):
        """The plugins always say the same here, so that both sides get the same results."""
        result = {"cniVersion": "0.4.0", "interfaces": [{"name": "eth0", "mac": "02:00:00:00:00:01", "sandbox": "/x"}],
                  "ips": [{"version": "4", "interface": 0, "address": "10.9.0.2/16", "gateway": "10.9.0.1"}],
                  "routes": [{"dst": "0.0.0.0/0"}], "dns": {}}
        plugins = [{"type": "bridge", "bridge": "fixed0", "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.9.0.0/16"}]]}},
                   {"type": "portmap", "capabilities": {"portMappings": True, "aliases": True}}]
        for plugin in plugins:
            self.recorder(plugin["type"], ADD_out=json.dumps(result))
        self.write("conf/fixed.conflist", json.dumps({"cniVersion": "0.4.0", "name": "fixed", "plugins": plugins}, indent=3))
        container, netns = self.run_one("fixed", "-p", "18081:80", "--network-alias", "other")
        theirs = self.cached("fixed", container)
        their_input = [json.loads(self.read(f"bin/{p['type']}.ADD.in")) for p in plugins]
        record = json.loads(theirs)
        os.unlink(f"{CACHE}/fixed-{container}-eth0")
        arguments = [part for key, value in record["cniArgs"] for part in ("--arg", f"{key}={value}")]
        self.ours("add", *arguments, "--capabilities", json.dumps(record["capabilityArgs"]), container, netns, "fixed")
        # libcni names the namespace since 1.3; this podman has an older one
        ours = self.cached("fixed", container)
        self.assertEqual(ours if "netns" in record else ours.replace(f'"netns":"{netns}",', ""), theirs)
        self.assertEqual([json.loads(self.read(f"bin/{p['type']}.ADD.in")) for p in plugins], their_input)
        self.assertIn("portMappings", their_input[1]["runtimeConfig"])

    def conf(self):
        with open("/usr/share/doc/podman/examples/cni/net.d/87-podman-bridge.conflist", encoding="utf-8") as f:
            self.write("conf/87-podman-bridge.conflist", f.read().replace("10.88.", "10.231."))

    def rules(self):
        return subprocess.run(["iptables-save"], capture_output=True, text=True, check=True).stdout

    def test_what_podman_attached_is_listed_checked_and_detached(self):
        self.conf()
        container, netns = self.run_one("podman", "-p", "18082:80")
        listed = json.loads(self.ours("list", "--json", container))["attachments"]
        address = self.podman("inspect", "one", "--format", "{{.NetworkSettings.Networks.podman.IPAddress}}")
        self.assertEqual([(a["network"], a["addresses"]) for a in listed], [("podman", [address])])
        self.assertIn("18082", self.rules())
        self.ours("del", container, netns)
        self.assertNotIn("18082", self.rules())
        self.assertFalse(os.path.exists(f"{CACHE}/podman-{container}-eth0"))
        self.assertFalse(os.path.exists(f"/var/lib/cni/networks/podman/{address}"))

    def test_podman_detaches_what_cnic_attached_in_its_place(self):
        self.conf()
        container, netns = self.run_one("podman")
        record = json.loads(self.cached("podman", container))
        arguments = [part for key, value in record["cniArgs"] for part in ("--arg", f"{key}={value}")]
        self.ours("del", container, netns)
        self.ours("add", *arguments, "--capabilities", json.dumps(record.get("capabilityArgs", {})), container, netns, "podman")
        self.assertEqual(len(self.leases()), 1)
        self.podman("rm", "-f", "-t", "0", "one")
        self.assertEqual(self.leases(), [])
        self.assertFalse(os.path.exists(f"{CACHE}/podman-{container}-eth0"))

    def leases(self):
        return [f for f in os.listdir("/var/lib/cni/networks/podman") if f.startswith("10.231.")]

    def test_podmans_other_examples_load(self):
        for name in ("87-podman-bridge_l2", "87-podman-ptp"):
            path = f"/usr/share/doc/podman/examples/cni/net.d/{name}.conflist"
            with self.subTest(name):
                with open(path, encoding="utf-8") as f:
                    self.write("conf/10.conflist", f.read())
                networks = json.loads(self.ours("list", "--json"))["networks"]
                self.assertEqual([(n["name"], n["cniVersion"]) for n in networks], [("podman", "0.4.0")])
