# SPDX-License-Identifier: Apache-2.0
"""Code planted in both halves of a pull that is under way: what it may do is what its sandbox says, and that is little."""

import ctypes
import os
import signal
import socket
import struct
import unittest

import crid_node
from crid_node import wait_for
from plant import POSSIBLE, Plant
from test_worker import Sandbox as WorkerSandbox

RDONLY, WRONLY, CREAT, TRUNC = os.O_RDONLY, os.O_WRONLY, os.O_CREAT, os.O_TRUNC
# How a call may be refused. EROFS: the private root; ENOENT: it is not even there.
REFUSED = {"EACCES", "EPERM", "EROFS", "ENOENT", "ESRCH", "EXDEV", "ENOSYS", "ELOOP", "ECONNREFUSED"}


class Planted(WorkerSandbox):
    def setUp(self):
        super().setUp()
        if not POSSIBLE:
            self.skipTest("planting code is written for x86-64")
        self.secret = self.path("secret")
        self.write("secret", "host secret")
        os.chmod(self.secret, 0o600)
        self.canary = self.path("canary")
        self.write("canary", "untouched")
        os.chmod(self.canary, 0o666)
        self.before = os.stat(self.canary)
        self.listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(self.listener.close)
        self.listener.bind(self.path("crid.sock"))
        self.listener.listen()
        os.chmod(self.path("crid.sock"), 0o660)
        self.abstract = socket.socket(socket.AF_UNIX)
        self.addCleanup(self.abstract.close)
        self.name = b"\0crid-planted-" + os.urandom(4).hex().encode()
        self.abstract.bind(self.name)
        self.abstract.listen()
        self.worker, self.fetch, self.go, self.image, _ = self.start_held()
        self.unpack = self.worker.process.pid
        wait_for(lambda: len(self.threads()) > 1, 30, "unpack has threads that extract")

    def threads(self):
        return sorted(int(t) for t in os.listdir(f"/proc/{self.unpack}/task"))

    def extractor(self):
        """One that reads a pipe, not the one that talks to fetch and publishes."""
        return [t for t in self.threads() if t != self.unpack][0]

    def after(self):
        """Nothing happened, and the pull goes on as if nothing had."""
        with open(self.canary) as f:
            self.assertEqual(f.read(), "untouched")
        now = os.stat(self.canary)
        self.assertEqual((now.st_mode, now.st_uid, now.st_mtime_ns), (self.before.st_mode, self.before.st_uid, self.before.st_mtime_ns))
        self.assertEqual(os.listxattr(self.canary), [])
        with open(self.secret) as f:
            self.assertEqual(f.read(), "host secret")
        self.assertEqual(sorted(n for n in os.listdir(self.base) if n.startswith("new")), [])
        self.listener.setblocking(False)
        self.abstract.setblocking(False)
        for one in (self.listener, self.abstract):
            with self.assertRaises(BlockingIOError):
                one.accept()
        self.go.set()
        self.assertEqual(self.worker.end().get("result", {}).get("image"), self.image.id[7:])

    def refused(self, what, result):
        self.assertIn(result, REFUSED, what)

    def try_secrets(self, p):
        me = os.getpid()
        for path in (self.secret, "/etc/shadow", f"/proc/{me}/environ", f"/proc/{me}/mem", f"/proc/{me}/maps", "/proc/1/environ",
                     f"/proc/{me}/root{self.secret}", f"/proc/{me}/cwd", "/proc/kcore", "/dev/mem", "/root/.ssh", "/dev/sda",
                     self.path("policy.json") if p.getuid() == 0 else self.secret):
            self.refused(path, p.open(path.encode(), RDONLY))

    def try_writes(self, p):
        base = self.base.encode()
        canary = self.canary.encode()
        self.refused("open", p.open(canary, WRONLY))
        self.refused("truncate", p.open(canary, WRONLY | TRUNC))
        self.refused("truncate", p.truncate(canary, 0))
        self.refused("create", p.open(base + b"/new", WRONLY | CREAT, 0o600))
        self.refused("create", p.open(b"/tmp/new-planted", WRONLY | CREAT, 0o600))
        self.refused("create", p.open(b"/etc/new-planted", WRONLY | CREAT, 0o600))
        self.refused("mkdir", p.mkdir(base + b"/newdir", 0o700))
        self.refused("unlink", p.unlink(canary))
        self.refused("symlink", p.symlink(b"/etc/passwd", base + b"/newlink"))
        self.refused("link", p.link(canary, base + b"/newhard"))
        self.refused("rename", p.rename(canary, base + b"/newname"))
        self.refused("mknod", p.mknod(base + b"/newnode", 0o020666, os.makedev(1, 3)))
        self.refused("chmod", p.chmod(canary, 0o777))
        self.refused("chown", p.chown(canary, 12, 34))
        self.refused("utimensat", p.utimensat(-100, canary, 0, 0))
        self.refused("setxattr", p.setxattr(canary, b"user.x", b"y", 1, 0))
        self.refused("memory of others", p.open(f"/proc/{os.getpid()}/mem".encode(), os.O_RDWR))
        self.refused("kernel", p.open(b"/proc/sys/kernel/core_pattern", WRONLY))
        self.refused("oom", p.open(f"/proc/{os.getpid()}/oom_score_adj".encode(), WRONLY))

    def try_signals(self, p):
        me = os.getpid()
        for number in (0, signal.SIGTERM, signal.SIGKILL):
            self.refused("kill", p.kill(me, number))
            self.refused("kill all", p.kill(-1, number))
            self.refused("tgkill", p.tgkill(me, me, number))
        self.refused("sigqueue", p.rt_sigqueueinfo(me, signal.SIGTERM, b"\0" * 128))
        self.refused("prlimit", p.prlimit64(me, 7, struct.pack("QQ", 0, 0), 0))
        self.refused("ptrace", p.ptrace(16, me, 0, 0))
        self.refused("process_vm_readv", p.process_vm_readv(me, b"\0" * 16, 1, b"\0" * 16, 1, 0))
        fd = p.pidfd_open(me, 0)
        if isinstance(fd, int):
            self.refused("pidfd_send_signal", p.pidfd_send_signal(fd, signal.SIGTERM, 0, 0))
            self.refused("pidfd_getfd", p.pidfd_getfd(fd, 0, 0))
            p.close(fd)

    def try_sockets(self, p):
        fd = p.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0)
        if isinstance(fd, str):
            return self.refused("socket", fd)
        path = struct.pack("H", socket.AF_UNIX) + self.path("crid.sock").encode() + b"\0"
        self.refused("socket of the daemon", p.connect(fd, path, len(path)))
        name = struct.pack("H", socket.AF_UNIX) + self.name
        if self.landlock() >= 6:
            self.refused("abstract socket", p.connect(fd, name, len(name)))
        p.close(fd)
        return None

    def landlock(self):
        return ctypes.CDLL(None).syscall(444, None, 0, 1)

    def try_escapes(self, p):
        self.refused("execve", p.execve(b"/bin/true", 0, 0))
        self.refused("fork", p.fork())
        self.refused("unshare", p.unshare(0x10000000))
        self.refused("mount", p.mount(b"none", b"/tmp", b"tmpfs", 0, 0))
        self.refused("chroot", p.chroot(b"/"))
        self.refused("open_tree", p.open_tree(-100, b"/", 1))
        self.refused("bpf", p.bpf(0, 0, 0))
        self.refused("io_uring", p.io_uring_setup(1, b"\0" * 120))

    def test_fetch(self):
        with Plant(self.fetch) as p:
            self.assertEqual(p.getuid(), 65534)
            self.try_secrets(p)
            self.try_writes(p)
            self.try_signals(p)
            self.try_sockets(p)
            self.try_escapes(p)
            # Nothing of the store either.
            self.refused("store", p.open(self.path("root/overlay").encode(), RDONLY))
        self.after()

    def test_thread_that_extracts(self):
        with Plant(self.extractor()) as p:
            self.try_secrets(p)
            self.try_writes(p)
            self.try_signals(p)
            self.try_sockets(p)
            self.try_escapes(p)
            # Of the store it may write where things are staged.
            root = self.path("root").encode()
            for path in (b"/overlay-layers/layers.json", b"/overlay-images/images.json", b"/overlay/new", b"/overlay/l/new", b"/new"):
                self.refused(path, p.open(root + path, WRONLY | CREAT, 0o600))
        self.assertFalse(os.path.exists(self.path("root/overlay/new")))
        self.after()

    def test_thread_that_publishes(self):
        with Plant(self.unpack) as p:
            self.try_secrets(p)
            self.try_writes(p)
            self.try_signals(p)
            self.try_sockets(p)
            self.try_escapes(p)
            self.refused("beside the store", p.open(self.path("root/new").encode(), WRONLY | CREAT, 0o600))
        self.after()

    def test_planting_works(self):
        """The same calls do something where nothing forbids them."""
        child = crid_node.subprocess.Popen(["sleep", "100"])
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        with Plant(child.pid) as p:
            self.assertEqual(p.getuid(), 0)
            self.assertIsInstance(p.open(self.secret.encode(), RDONLY), int)
            self.assertIsInstance(p.open(self.path("new-by-plant").encode(), WRONLY | CREAT, 0o600), int)
            self.assertEqual(p.kill(os.getpid(), 0), 0)
            fd = p.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0)
            path = struct.pack("H", socket.AF_UNIX) + self.path("crid.sock").encode() + b"\0"
            self.assertEqual(p.connect(fd, path, len(path)), 0)
        os.unlink(self.path("new-by-plant"))
        self.go.set()
        self.worker.end()


# Only the tests of this file.
for _name in [n for n in dir(WorkerSandbox) if n.startswith("test_")]:
    setattr(Planted, _name, None)
del WorkerSandbox


if __name__ == "__main__":
    unittest.main()
