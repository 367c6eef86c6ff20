# SPDX-License-Identifier: Apache-2.0
"""A bad network link without netem: two TUN devices, one in a network namespace of its own, and a process between them that
holds every packet back for a while and loses some, always the same ones.

	with Link(delay=0.025, loss=0.01) as link:
	    subprocess.run([*link.into, "curl", f"http://{link.near}:8080/"])
"""

import ctypes
import fcntl
import heapq
import os
import random
import select
import signal
import struct
import subprocess
import time

TUNSETIFF, IFF_TUN, IFF_NO_PI, CLONE_NEWNET = 0x400454ca, 1, 0x1000, 0x40000000
PACKET_MAX, QUEUE_MAX = 65536, 1000


def tun(name):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return fd


class Link:
    """delay: seconds one way; loss: part of the packets, each way. near is our address, far that of what runs with into."""

    near, far = "10.77.0.1", "10.77.0.2"

    def __init__(self, delay, loss):
        self.delay, self.loss = delay, loss
        self.holder = self.relay = None

    @property
    def into(self):
        return ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net", "--"]

    def __enter__(self):
        self.holder = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo; exec sleep infinity"], stdout=subprocess.PIPE)
        self.holder.stdout.readline()           # it is in its namespace
        end = os.pidfd_open(os.getpid())
        fds = [tun("near")]
        home = os.open("/proc/self/ns/net", os.O_RDONLY)
        self.enter(f"/proc/{self.holder.pid}/ns/net")
        fds.append(tun("far"))
        self.enter(f"/proc/self/fd/{home}")
        os.close(home)
        for into, name, address, peer in (([], "near", self.near, self.far), (self.into, "far", self.far, self.near)):
            subprocess.run([*into, "ip", "addr", "add", address, "peer", peer, "dev", name], check=True)
            for device in ("lo", name):
                subprocess.run([*into, "ip", "link", "set", device, "up"], check=True)
        self.relay = os.fork()
        if self.relay == 0:
            try:
                self.pass_on(fds, end)
            finally:
                os._exit(0)
        for fd in (*fds, end):
            os.close(fd)
        return self

    @staticmethod
    def enter(path):
        fd = os.open(path, os.O_RDONLY)
        if ctypes.CDLL(None, use_errno=True).setns(fd, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns " + path)
        os.close(fd)

    def pass_on(self, fds, end):
        """Until our maker ends."""
        dice, queue, number = random.Random(1), [], 0
        while True:
            wait = max(0, queue[0][0] - time.monotonic()) if queue else None
            ready = select.select([*fds, end], [], [], wait)[0]
            if end in ready:
                return
            for fd in ready:
                packet = os.read(fd, PACKET_MAX)
                if dice.random() >= self.loss and len(queue) < QUEUE_MAX:
                    number += 1
                    heapq.heappush(queue, (time.monotonic() + self.delay, number, fds[1 - fds.index(fd)], packet))
            while queue and queue[0][0] <= time.monotonic():
                _, _, fd, packet = heapq.heappop(queue)
                os.write(fd, packet)

    def __exit__(self, *_):
        os.kill(self.relay, signal.SIGKILL)
        os.waitpid(self.relay, 0)
        self.holder.kill()
        self.holder.wait()
