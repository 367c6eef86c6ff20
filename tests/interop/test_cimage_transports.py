# SPDX-License-Identifier: Apache-2.0
"""Every transport, in both directions, with skopeo as the other side (of ostree: containers/image from when it had it, and ostree's
own tool): what one writes the other reads, and both draw the same conclusions from the same policy.json."""

import gzip
import json
import os
import shutil
import subprocess
import tempfile
import time
import unittest

import crid_node
from test_cimage_copy import CIMAGE, Layout, registries, sha256, tar_of

# How each transport writes a place (T: a directory of its own), what policy.json may call it, and what it may not.
TABLE = {
    "docker": ("docker://{host}/team/{n}:1", ["{host}/team/{n}:1", "{host}/team/{n}", "{host}/team", "{host}", ""], ["{host}/tea", "{host}/team/{n}:2"]),
    "oci": ("oci:{T}/x:{n}", ["{T}/x", "{T}", ""], ["{T}/x:{n}", "{T}/y"]),
    "oci-archive": ("oci-archive:{T}/x:{n}", ["{T}/x", "{T}", ""], ["{T}/x:{n}"]),
    "dir": ("dir:{T}/x", ["{T}/x", "{T}", ""], ["{T}/y"]),
    "docker-archive": ("docker-archive:{T}/x:example.com/team/{n}:1", [""], []),
    "containers-storage": ("containers-storage:[overlay@{T}/root+{T}/run]example.com/team/{n}:1",
                           ["[overlay@{T}/root]example.com/team/{n}:1", "[overlay@{T}/root]example.com/team/{n}", "[overlay@{T}/root]", "[{T}/root]", ""],
                           ["[overlay@{T}/root]example.com/team/other", "[{T}/run]"]),
    "docker-daemon": ("docker-daemon:example.com/team/{n}:1", [""], []),
    "ostree": ("ostree:example.com/team/{n}:1@{T}/repo", ["{T}/repo:example.com/team/{n}", "{T}/repo:example.com/team", ""], ["{T}/repo:example.com/tea"]),
}


class Daemon:
    """A docker daemon without network, on a socket of its own."""

    def __init__(self, where):
        self.where, self.socket = where, f"{where}/sock"
        self.process = subprocess.Popen(
            ["dockerd", "--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=vfs", f"--data-root={where}/data",
             f"--exec-root={where}/exec", f"--pidfile={where}/pid", "-H", f"unix://{self.socket}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=open(f"{where}/log", "w", encoding="utf-8"))
        end = time.monotonic() + 30
        while not self.answers():
            if time.monotonic() > end or self.process.poll() is not None:
                self.stop()
                with open(f"{where}/log", encoding="utf-8") as f:
                    raise unittest.SkipTest("dockerd does not run here: " + f.read()[-500:])
            time.sleep(0.05)

    def answers(self):
        return os.path.exists(self.socket) and subprocess.call(
            ["curl", "-s", "-o", "/dev/null", "--unix-socket", self.socket, "http://d/_ping"]) == 0

    def stop(self):
        self.process.terminate()
        self.process.wait(20)


class Transports(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        missing = [p for p in ("skopeo", "docker-registry") if not shutil.which(p)]
        if missing:
            raise unittest.SkipTest("not installed: " + ", ".join(missing))
        if not os.path.exists(CIMAGE):
            raise unittest.SkipTest(f"{CIMAGE} is not built")
        cls.top = tempfile.mkdtemp(prefix="cimage-transports-")
        cls.addClassCleanup(crid_node.remove_tree, cls.top)     # skopeo leaves a mount in a store
        cls.layers = [tar_of({"etc/a": os.urandom(20000), "etc/" + "n" * 120: b"long"}), tar_of({"b": b"x" * 30000, "c": b""})]
        layout = Layout(f"{cls.top}/layout")
        layout.name(layout.image(cls.layers), "one")
        cls.one = f"oci:{layout.where}:one"
        cls.registry = registries.Registry(f"{cls.top}/registry", f"{cls.top}/data").start()
        cls.addClassCleanup(cls.registry.stop)
        cls.daemon = None

    def setUp(self):
        self.dir = tempfile.mkdtemp(dir=self.top)
        self.docker_host = None

    def need(self, transport):
        """Skips what this machine has no other side for."""
        if transport in ("containers-storage", "docker-daemon") and os.geteuid():
            self.skipTest("needs root")
        if transport == "docker-daemon":
            if not shutil.which("dockerd"):
                self.skipTest("dockerd is not installed")
            if not self.daemon:
                where = tempfile.mkdtemp(dir=self.top)
                type(self).daemon = Daemon(where)
                self.addClassCleanup(self.daemon.stop)
            self.docker_host = f"unix://{self.daemon.socket}"
        if transport == "ostree" and not shutil.which("ostree"):
            self.skipTest("ostree is not installed")

    def places(self, transport, n):
        where = f"{self.dir}/{transport}-{n}"
        os.mkdir(where)
        if transport == "ostree":
            subprocess.run(["ostree", "init", f"--repo={where}/repo", "--mode=bare" if os.geteuid() == 0 else "--mode=bare-user"], check=True)
        pattern, named, other = TABLE[transport]
        fill = {"T": where, "n": n, "host": self.registry.host}
        return pattern.format(**fill), [x.format(**fill) for x in named], [x.format(**fill) for x in other]

    def run_program(self, *command):
        environment = dict(os.environ, TMPDIR=self.dir)
        if self.docker_host:
            environment["DOCKER_HOST"] = self.docker_host
        return subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, env=environment)

    def cimage(self, source, destination, policy=("--insecure-policy",)):
        return self.run_program(CIMAGE, *policy, "-q", "copy", "--tls-verify", "false", source, destination)

    def theirs(self, source, destination, policy=("--insecure-policy",)):
        if "ostree:" in source + destination:
            if "OSTREE_PEER" not in os.environ:
                self.skipTest(os.environ.get("OSTREE_PEER_MISSING", "Go is not installed"))
            return self.run_program(os.environ["OSTREE_PEER"], source, destination)
        more = []
        for place, option in ((source, "--src-daemon-host"), (destination, "--dest-daemon-host")):
            if place.startswith("docker-daemon:"):
                more += [option, self.docker_host]
        return self.run_program("skopeo", *policy, "copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false", *more, source, destination)

    def good(self, done):
        self.assertEqual(done.returncode, 0, f"{' '.join(done.args)}: {done.stdout}{done.stderr}")

    def content(self, directory):
        """The uncompressed layers, and what the config says of a container."""
        with open(f"{directory}/manifest.json", "rb") as f:
            manifest = json.load(f)
        found = []
        for layer in manifest["layers"]:
            with open(f"{directory}/{layer['digest'][7:]}", "rb") as f:
                data = f.read()
            self.assertEqual(sha256(data), layer["digest"])
            found.append(sha256(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data))
        with open(f"{directory}/{manifest['config']['digest'][7:]}", "rb") as f:
            config = json.load(f)
        return found, config["config"]["Labels"], config["rootfs"]["diff_ids"]

    def check(self, directory):
        expected = [sha256(x) for x in self.layers]
        self.assertEqual(self.content(directory), (expected, {"z": "1", "a": "<&>"}, expected))

    def source_for(self, transport):
        """containers/image gave OSTree only schema 2."""
        if transport != "ostree":
            return self.one
        place = f"dir:{self.dir}/v2s2"
        self.good(self.run_program(CIMAGE, "--insecure-policy", "-q", "copy", "-f", "v2s2", self.one, place))
        return place

    def test_what_we_write_they_read(self):
        for transport in TABLE:
            with self.subTest(transport):
                self.need(transport)
                place, _, _ = self.places(transport, "ours")
                self.good(self.cimage(self.one, place))
                if transport == "ostree":
                    done = self.run_program("ostree", f"--repo={place.partition('@')[2]}", "fsck")
                    self.assertIn("no errors found", done.stdout)
                self.good(self.theirs(place, f"dir:{self.dir}/read-{transport}"))
                self.check(f"{self.dir}/read-{transport}")

    def test_what_they_write_we_read(self):
        for transport in TABLE:
            with self.subTest(transport):
                self.need(transport)
                place, _, _ = self.places(transport, "theirs")
                self.good(self.theirs(self.source_for(transport), place))
                self.good(self.cimage(place, f"dir:{self.dir}/read-{transport}"))
                self.check(f"{self.dir}/read-{transport}")

    def test_one_policy_means_the_same_to_both(self):
        accept, reject = [{"type": "insecureAcceptAnything"}], [{"type": "reject"}]
        for transport in TABLE:
            with self.subTest(transport):
                self.need(transport)
                place, named, other = self.places(transport, "policy")
                self.good(self.cimage(self.one, place))
                for i, (scope, means) in enumerate([(s, True) for s in named] + [(s, False) for s in other]):
                    policy = f"{self.dir}/policy.json"
                    with open(policy, "w", encoding="utf-8") as f:
                        json.dump({"default": reject, "transports": {transport: {scope: accept}}}, f)
                    ours = self.cimage(place, f"dir:{self.dir}/o-{transport}-{i}", ("--policy", policy))
                    self.assertEqual(ours.returncode == 0, means, f"{scope}: {ours.stderr}")
                    if transport != "ostree":       # the peer has no --policy
                        theirs = self.theirs(place, f"dir:{self.dir}/t-{transport}-{i}", ("--policy", policy))
                        self.assertEqual(theirs.returncode == 0, means, f"{scope}: {theirs.stderr}")

    def test_what_is_not_there_is_said_so(self):
        for transport in TABLE:
            with self.subTest(transport):
                self.need(transport)
                place, _, _ = self.places(transport, "none")
                done = self.cimage(place, f"dir:{self.dir}/nothing")
                self.assertEqual(done.returncode, 1)
                self.assertRegex(done.stderr, r"(no such|does not exist|not found|unknown|there is no|has no|reference does not|No such)")
                self.assertFalse(os.path.exists(f"{self.dir}/nothing"))


if __name__ == "__main__":
    unittest.main()
