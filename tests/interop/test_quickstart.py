# SPDX-License-Identifier: Apache-2.0
"""tools/quickstart as a newcomer types it, and what it leaves: nothing."""

import glob
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
import unittest

import crid_node
from crid_node import wait_for

QUICKSTART = os.path.join(crid_node.TOP, "tools/quickstart")


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


class Quickstart(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest("needs root")
        crid_node.become_subreaper()
        crid_node.leave_hybrid_cgroup2()

    def setUp(self):
        self.tmp = tempfile.mkdtemp(prefix="quickstart-test-")
        self.addCleanup(subprocess.run, ["rm", "-rf", "--one-file-system", self.tmp], check=False)
        before = self.machine()
        self.addCleanup(self.check_same, before)
        self.ids = set()
        stop = threading.Event()
        watcher = threading.Thread(target=self.collect_ids, args=[stop])
        watcher.start()
        self.addCleanup(watcher.join)
        self.addCleanup(stop.set)

    def collect_ids(self, stop):
        """Of the pods and containers while they are there: whose cgroups are ours, others may have theirs."""
        while not stop.wait(0.01):
            found = glob.glob(self.tmp + "/crid-quickstart-*/storage/overlay-containers/*")
            self.ids.update(name for name in map(os.path.basename, found) if len(name) == 64)

    def machine(self):
        """Everything a quickstart could change and not put back. Files: it makes all of them under TMPDIR."""
        with open("/proc/sys/net/ipv4/ip_forward") as f:
            forward = f.read()
        return {
            "interfaces": sorted(os.path.basename(line.split(":")[1]) for line in output("ip", "-o", "link").splitlines()),
            "routes": output("ip", "route"), "nat": crid_node.nat_rules(), "nft": output("nft", "list", "ruleset"),
            "ip_forward": forward, "mounts": sorted(m[1] for m in crid_node.mounts()),
            "processes": [p for p in crid_node.descendants(os.getpid())], "files": os.listdir(self.tmp),
            "namespaces": sorted(glob.glob("/run/netns/*") + glob.glob("/var/lib/cni/*/*")), "tree": self.tree(),
        }

    @staticmethod
    def tree():
        """The working tree as git sees it, and Python's caches."""
        return output("git", "-C", crid_node.TOP, "status", "--short"), glob.glob(os.path.join(crid_node.TOP, "tools/__pycache__"))

    def check_same(self, before):
        after = self.machine()
        for what, value in before.items():
            self.assertEqual(after[what], value, f"{what} changed")
        left = [os.path.join(d, one) for top in crid_node.cgroup_mounts() for d, dirs, _ in os.walk(top) for one in dirs
                if any(i in one for i in self.ids)]
        self.assertEqual(left, [], "cgroups left")

    def start(self, *arguments):
        return subprocess.Popen([QUICKSTART, *arguments], env=dict(os.environ, TMPDIR=self.tmp), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)

    def quickstart(self, *arguments, status=0):
        process = self.start(*arguments)
        out, _ = process.communicate(timeout=150)
        self.assertEqual(process.returncode, status, out)
        return out

    def test_without_arguments(self):
        out = self.quickstart()
        self.assertIn("Hello from a container under crid", out)
        self.assertEqual(len(self.ids), 2, "the check of cgroups knows the pod and the container")
        address = re.search(r"my address is (10\.\d+\.\d+\.\d+)/24", out)
        self.assertTrue(address, out)
        self.assertGreaterEqual(out.count(address.group(1)), 2, "the pod's address is shown besides the log")
        for step in ("registry", "serves", "pull", "pod", "create", "start", "gone"):
            self.assertRegex(out, rf"(?m)^(.*\d ms .*{step}.*|{step} +\d+\.\d+ s)$", "a time for each step")

    def test_with_crun(self):
        self.assertIn("Hello from a container under crid", self.quickstart("--runtime", "crun"))

    def test_with_an_image_and_a_command(self):
        registry = crid_node.Registry(os.path.join(self.tmp, "registry")).start()
        try:
            image = registry.push("mine/busybox", ["1"], crid_node.busybox_image())
            out = self.quickstart(image, "sh", "-c", "echo my own words; exit 7", status=7)
            self.assertIn("my own words", out)
        finally:
            registry.stop()
            crid_node.HELPERS.clear()
            subprocess.run(["rm", "-rf", os.path.join(self.tmp, "registry")], check=True)

    def test_image_that_does_not_exist(self):
        out = self.quickstart("127.0.0.1:9/none:1", status=125)
        self.assertIn("127.0.0.1:9", out)

    def interrupted(self, send, expected):
        process = self.start()
        base = wait_for(lambda: glob.glob(self.tmp + "/*/crid.sock"), 60, "crid runs")
        send(process)
        out, _ = process.communicate(timeout=60)
        self.assertIn(process.returncode, expected, out)
        self.assertFalse(os.path.exists(os.path.dirname(base[0])), "the directory is gone")

    def test_ctrl_c(self):
        """The terminal sends SIGINT to the whole group."""
        self.interrupted(lambda p: os.killpg(p.pid, signal.SIGINT), (130,))

    def test_terminated(self):
        self.interrupted(lambda p: p.terminate(), (143,))

    def test_ctrl_c_while_the_container_runs(self):
        registry = crid_node.Registry(os.path.join(self.tmp, "registry")).start()
        try:
            image = registry.push("busybox", ["1"], crid_node.busybox_image())
            process = self.start(image, "sh", "-c", "echo ready; sleep 1000")
            for line in process.stdout:
                if "ready" in line:
                    break
            os.killpg(process.pid, signal.SIGINT)
            out, _ = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 130, out)
        finally:
            registry.stop()
            crid_node.HELPERS.clear()
            subprocess.run(["rm", "-rf", os.path.join(self.tmp, "registry")], check=True)

    def test_keep_and_remove(self):
        out = self.quickstart("--keep")
        socket = re.search(r"-e (\S+) ps", out).group(1)
        ctl = os.path.join(crid_node.TOP, "build/tools/crid-ctl")
        self.assertEqual(len(output(ctl, "-e", socket, "pods", "-q").split()), 1)
        remove = re.search(r"--remove (\S+)", out).group(1)
        self.quickstart("--remove", remove)
        self.assertFalse(os.path.exists(remove))

    def test_remove_after_kill_9(self):
        process = self.start()
        base = os.path.dirname(wait_for(lambda: glob.glob(self.tmp + "/*/crid.sock"), 60, "crid runs")[0])
        process.kill()
        process.wait()
        process.stdout.close()
        self.quickstart("--remove", base)
        self.assertFalse(os.path.exists(base))

    def test_remove_of_something_else(self):
        other = os.path.join(self.tmp, "precious")
        os.mkdir(other)
        self.quickstart("--remove", other, status=1)
        self.assertTrue(os.path.isdir(other))
        os.rmdir(other)

    def test_second_run_is_quick(self):
        """Nothing to install and nothing to build: from the command to the end of the pod."""
        began = time.monotonic()
        self.quickstart()
        self.assertLess(time.monotonic() - began, 15)
