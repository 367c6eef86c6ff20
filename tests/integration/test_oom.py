# SPDX-License-Identifier: Apache-2.0
"""The reason of an end: OOMKilled when the kernel killed for want of memory, and only then."""

import json
import os
import signal

from crid_harness import NodeCase
from crid_node import wait_for

MIB = 1 << 20
LIMIT = {"linux": {"resources": {"memory_limit_in_bytes": 20 * MIB}}}
EAT = "(echo 1000 > /proc/self/oom_score_adj; exec tail /dev/zero)"     # the kernel's choice must be sure


class Oom(NodeCase):
    def setUp(self):
        super().setUp()
        self.pull(self.busybox)
        self.pod, self.config = self.run_pod()

    def end_of(self, script, name="main", **more):
        status = self.wait_exit(self.start_container(self.pod, self.config, ["sh", "-c", script], name=name, **more))
        return status.exit_code, status.reason

    def pid(self, container):
        return json.loads(self.cri.ContainerStatus(container_id=container, verbose=True).info["info"])["pid"]

    def test_init_that_eats_all(self):
        for n in range(5):          # a race with the exit must not change the answer
            self.assertEqual(self.end_of("exec tail /dev/zero", f"c{n}", **LIMIT), (137, "OOMKilled"))

    def test_child_that_takes_its_parent_along(self):
        self.assertEqual(self.end_of(f"{EAT}; exit $?", **LIMIT), (137, "OOMKilled"))

    def test_child_that_died_long_ago(self):
        self.assertEqual(self.end_of(f"{EAT}; exit 0", "zero", **LIMIT), (0, "Completed"))
        self.assertEqual(self.end_of(f"{EAT}; exit 3", "three", **LIMIT), (3, "Error"))
        container = self.start_ready(self.pod, self.config, f"{EAT}; echo ready; sleep 1000", name="stopped", **LIMIT)
        self.cri.StopContainer(container_id=container, timeout=0)
        status = self.status(container)
        self.assertEqual((status.exit_code, status.reason), (137, "Error"))

    def test_killed_from_outside(self):
        container = self.start_ready(self.pod, self.config, "echo ready; sleep 1000", **LIMIT)
        os.kill(self.pid(container), signal.SIGKILL)
        status = self.wait_exit(container)
        self.assertEqual((status.exit_code, status.reason), (137, "Error"))

    def test_end_while_no_daemon_runs(self):
        container = self.start_ready(self.pod, self.config, "echo ready; while [ ! -e /go ]; do sleep 0.1; done; exec tail /dev/zero", **LIMIT)
        pid = self.pid(container)
        with open(f"/proc/{pid}/root/go", "w"):
            pass
        self.node.stop(20)
        wait_for(lambda: not os.path.exists(f"/proc/{pid}"), 20, "its end")
        self.start_crid()
        status = self.wait_exit(container)
        self.assertEqual((status.exit_code, status.reason), (137, "OOMKilled"))


class Crun(NodeCase):
    runtime = "crun"

    def test_init_that_eats_all(self):
        status, _ = self.finish(["tail", "/dev/zero"], **LIMIT)
        self.assertEqual((status.exit_code, status.reason), (137, "OOMKilled"))
