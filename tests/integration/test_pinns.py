# SPDX-License-Identifier: Apache-2.0
"""crid-pinns and the pause program by themselves, as root."""

import os
import signal
import subprocess
import tempfile
import unittest

import crid_node
from crid_node import wait_for

TOP = crid_node.TOP
BUILD = os.environ.get("CRID_BUILD", os.path.join(TOP, "build"))
PINNS = os.path.join(BUILD, "crid/pinns/crid-pinns")
PAUSE = os.path.join(BUILD, "crid/pause/pause")
MAP = "0-200000-65536@"


class Pinns(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest("needs root")

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="crid-pinns-")
        self.addCleanup(subprocess.run, ["rm", "-rf", self.dir], check=True)
        self.addCleanup(self.unpin_all)
        with open("/proc/sys/kernel/core_pattern", encoding="latin-1") as f:
            self.core_pattern = f.read()

    def pins(self):
        return sorted(os.path.relpath(os.path.join(d, f), self.dir) for d, _, files in os.walk(self.dir) for f in files)

    def unpin_all(self):
        for pin in self.pins():
            subprocess.run(["umount", "-lq", os.path.join(self.dir, pin)], check=False)

    def run_pinns(self, *arguments):
        return subprocess.run([PINNS, "-d", self.dir, *arguments], capture_output=True, text=True)

    def pin(self, *arguments):
        done = self.run_pinns(*arguments)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def refused(self, *arguments):
        before = self.pins()
        done = self.run_pinns(*arguments)
        self.assertEqual(done.returncode, 1, arguments)
        self.assertTrue(done.stderr.startswith("crid-pinns: "), done.stderr)
        self.assertEqual(self.pins(), before)
        return done.stderr

    def path(self, kind, name):
        return os.path.join(self.dir, kind + "ns", name)

    def inode(self, kind, name):
        return os.stat(self.path(kind, name)).st_ino

    def inside(self, name, kinds, script):
        return subprocess.run(["nsenter"] + [f"--{k}={self.path(k, name)}" for k in kinds] + ["sh", "-ec", script],
                              check=True, capture_output=True, text=True).stdout

    def test_new_namespaces_are_pinned(self):
        self.pin("-f", "a", "--ipc", "--net", "--uts", "-s", "net.ipv4.ip_forward=1", "-s", "kernel.shm_rmid_forced=1",
                 "-s", "kernel.sem=250 32000 32 129")
        self.assertEqual(self.pins(), ["ipcns/a", "netns/a", "utsns/a"])
        for kind in ("ipc", "net", "uts"):
            self.assertNotEqual(self.inode(kind, "a"), os.stat(f"/proc/self/ns/{kind}").st_ino)
        out = self.inside("a", ["ipc", "net"], "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shm_rmid_forced; "
                          "cut -f4 /proc/sys/kernel/sem; ip -o link show up")
        self.assertEqual(out.split("\n")[:3], ["1", "1", "129"])
        self.assertIn("LOOPBACK,UP", out)
        subprocess.run(["umount", self.path("net", "a")], check=True)
        self.assertEqual(os.stat(self.path("net", "a")).st_mode & 0o7777, 0)

    def test_host_namespaces_are_pinned_as_they_are(self):
        self.pin("-f", "h", "--ipc=host", "--net=host", "--uts")
        for kind in ("ipc", "net"):
            self.assertEqual(self.inode(kind, "h"), os.stat(f"/proc/self/ns/{kind}").st_ino)
        self.refused("-f", "i", "--net=host", "--uts", "-s", "net.ipv4.ip_forward=1")
        self.refused("-f", "i", "--ipc=host", "--net", "-s", "kernel.shm_rmid_forced=1")

    def test_user_namespace(self):
        self.pin("-f", "u", "--user", "--ipc", "--net", "--uts", "--uid-mapping=" + MAP, "--gid-mapping=" + MAP,
                 "-s", "net.ipv4.ip_forward=1", "-s", "kernel.shm_rmid_forced=1")
        self.assertEqual(self.pins(), ["ipcns/u", "netns/u", "userns/u", "utsns/u"])
        out = self.inside("u", ["user", "net", "ipc", "uts"], "cat /proc/self/uid_map /proc/self/gid_map; "
                          "cat /proc/sys/kernel/shm_rmid_forced /proc/sys/net/ipv4/ip_forward; ip -o link show up; hostname x")
        self.assertEqual(out.split()[:8], ["0", "200000", "65536", "0", "200000", "65536", "1", "1"])
        self.assertIn("LOOPBACK,UP", out)
        self.assertEqual(subprocess.run(["pgrep", "-f", PINNS], capture_output=True).stdout, b"")

    def test_sysctls_of_the_host_are_refused(self):
        for bad in ("kernel.core_pattern=|/x", "net/../kernel/core_pattern=|/x", "net.//.kernel.core_pattern=|/x",
                    "net.ipv4.ip_forward=1+kernel.core_pattern=|/x", "net.ipv4.ip_forward=1,kernel.core_pattern=|/x",
                    "net.ipv4.ip_forward=1\nkernel.core_pattern=|/x", "fs.file-max=1000000", "vm.swappiness=1",
                    "kernel.hostname=x", "net.no.such.thing=1", "kernel.semx=1", "=", "net.x"):
            with self.subTest(sysctl=bad):
                self.refused("-f", "x", "--ipc", "--net", "--uts", "-s", bad)
        with open("/proc/sys/kernel/core_pattern", encoding="latin-1") as f:
            self.assertEqual(f.read(), self.core_pattern)

    def test_failure_undoes_what_was_pinned(self):
        os.makedirs(os.path.join(self.dir, "netns"))
        with open(self.path("net", "f"), "w"):      # the third of four is in the way
            pass
        self.assertIn("netns/f", self.refused("-f", "f", "--uts", "--ipc", "--net", "--cgroup"))
        with open("/proc/self/mountinfo") as f:
            self.assertNotIn(self.dir, f.read())
        self.refused("-f", "g", "--user", "--net", "--uid-mapping=0-1-1", "--gid-mapping=0-1-1@0-5-1")  # overlap

    def test_arguments_that_make_no_sense(self):
        for bad in (("-f", "../x", "--net"), ("-f", "", "--net"), ("-f", "..", "--net"), ("-f", "x"), ("--net",),
                    ("-f", "x", "--net=other"), ("-f", "x", "--user"), ("-f", "x", "--net", "--uid-mapping=0-1-1"),
                    ("-f", "x", "--user", "--uid-mapping=0-1-1", "--gid-mapping=0 1 1"), ("-f", "x", "--net", "extra")):
            with self.subTest(arguments=bad):
                self.refused(*bad)


class Pause(unittest.TestCase):
    def test_version_and_size(self):
        self.assertRegex(subprocess.run([PAUSE, "-v"], check=True, capture_output=True, text=True).stdout, r"^pause .*\d\n$")
        self.assertEqual(subprocess.run([PAUSE, "x"], capture_output=True).returncode, 2)
        with open(PAUSE, "rb") as f:
            self.assertNotIn(b"ld-linux", f.read())

    def test_signals_end_it_well(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            process = subprocess.Popen([PAUSE])
            self.addCleanup(crid_node.end_process, process)
            wait_for(lambda: self.waits(process.pid), 10, "pause is ready")
            process.send_signal(number)
            self.assertEqual(process.wait(10), 0)

    def waits(self, pid):
        """Asleep: it only ever sleeps in the wait for signals."""
        with open(f"/proc/{pid}/stat", "rb") as f:
            state = f.read().rpartition(b")")[2].split()[0]
        return state == b"S" and os.readlink(f"/proc/{pid}/exe") == os.path.realpath(PAUSE)

    @unittest.skipIf(os.geteuid() != 0, "needs root")
    def test_as_process_1_it_collects_orphans(self):
        outer = subprocess.Popen(["unshare", "--pid", "--fork", "--kill-child", PAUSE])
        self.addCleanup(outer.wait)
        self.addCleanup(outer.kill)
        [inner] = wait_for(lambda: [p for p in crid_node.descendants(outer.pid) if self.waits(p)], 10, "pause runs")
        for _ in range(3):
            # The middle process ends first, so its children become pause's.
            subprocess.run(["nsenter", "--target", str(inner), "--pid", "sh", "-c", "(sleep 0.1; :) & (sleep 0.1; :) &"], check=True)
        wait_for(lambda: not self.children(inner), 10, "orphans are collected, zombies too")
        os.kill(inner, signal.SIGTERM)
        self.assertEqual(outer.wait(10), 0)

    def children(self, pid):
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            return f.read().split()


if __name__ == "__main__":
    unittest.main()
