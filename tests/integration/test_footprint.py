# SPDX-License-Identifier: Apache-2.0
"""What an idle daemon costs."""

import os
import time

from crid_harness import NodeCase, inspect
from crid_node import wait_for

PSS_LIMIT = 5 << 20     # bytes; CRI-O needs 57 MB, containerd 40
PODS = 60               # the record of the smallest pod is larger than HEAP_NOISE / PODS
HEAP_NOISE = 60 << 10   # bytes: the store keeps its last records in blocks, libraries keep caches


def pss(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return next(int(line.split()[1]) << 10 for line in f if line.startswith("Pss:"))


def cpu_ticks(pid):
    with open(f"/proc/{pid}/stat", "rb") as f:
        fields = f.read().rpartition(b")")[2].split()
    return int(fields[11]) + int(fields[12])


class Footprint(NodeCase):
    def below_limit(self):
        used = pss(self.node.process.pid)
        self.assertLess(used, PSS_LIMIT, f"{used / 1e6:.1f} MB PSS")

    def test_after_start(self):
        self.below_limit()

    def test_after_work(self):
        self.pull(self.busybox)
        for _ in range(5):
            pod, config = self.run_pod()
            container = self.start_container(pod, config, ["true"])
            self.wait_exit(container)
            self.remove_pod(pod)
        self.below_limit()

    def test_idle_uses_no_cpu(self):
        """Nothing polls: a second without work costs at most one tick of the clock."""
        before = cpu_ticks(self.node.process.pid)
        time.sleep(1)
        self.assertLessEqual(cpu_ticks(self.node.process.pid) - before, 1)

    def test_no_heavy_library_is_mapped(self):
        with open(f"/proc/{self.node.process.pid}/maps") as f:
            mapped = {os.path.basename(line.split()[-1]).split(".so")[0] for line in f if ".so" in line}
        self.assertEqual(mapped & {"libcurl", "libarchive", "libgpgme", "libglib-2.0", "docker"}, set())


class Heap(NodeCase):
    """Read when the threads of the operations have ended, and malloc's caches with them."""

    def quiet_heap(self):
        def quiet():
            stats = inspect(self.node.socket, "/crid/stats")
            return stats if stats["threads"] == 2 else None
        return wait_for(quiet, 30, "the threads of the operations end")["heap_bytes"]

    def pods(self, n):
        for _ in range(n):
            pod, config = self.run_pod()
            container = self.start_container(pod, config, ["sleep", "100"])
            self.exec(container, "true")
            self.status(container)
            self.cri.ListPodSandboxStats()
            self.cri.ListPodSandboxMetrics()
            self.remove_pod(pod)

    def test_pods_that_are_gone_leave_no_heap(self):
        self.pull(self.busybox)
        self.pods(20)
        before = self.quiet_heap()
        self.pods(PODS)
        self.assertLess(self.quiet_heap() - before, HEAP_NOISE)
