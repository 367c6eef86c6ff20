# SPDX-License-Identifier: Apache-2.0
"""UpdateContainerResources: the kernel's files change, the status shows it, also after a restart."""

import os

import grpc
from crid_harness import NodeCase

MIB = 1 << 20
V2 = os.path.exists("/sys/fs/cgroup/cgroup.controllers")
SHOWN = ("cpu_shares", "cpu_quota", "cpu_period", "memory_limit_in_bytes", "cpuset_cpus")


class Update(NodeCase):
    def setUp(self):
        super().setUp()
        self.pull(self.busybox)
        self.pod, self.config = self.run_pod()

    def update(self, container, **resources):
        self.cri.UpdateContainerResources(container_id=container, linux=resources)

    def in_kernel(self, container):
        """(quota and period, memory limit, processors) as the cgroup has them."""
        def read(controller, v1, v2):
            with open(f"/sys/fs/cgroup/{'' if V2 else controller + '/'}crio/crio-{container}/{v2 if V2 else v1}") as f:
                return f.read().strip()
        cpu = read("cpu", "cpu.cfs_quota_us", "cpu.max").split()
        cpu = cpu if V2 else cpu + [read("cpu", "cpu.cfs_period_us", "")]
        return " ".join(cpu), int(read("memory", "memory.limit_in_bytes", "memory.max")), read("cpuset", "cpuset.cpus", "cpuset.cpus")

    def shown(self, container):
        linux = self.status(container).resources.linux
        return {name: getattr(linux, name) for name in SHOWN}

    def test_limits_change_and_stay(self):
        container = self.start_container(self.pod, self.config, ["sleep", "1000"], linux={"resources": {
            "cpu_shares": 512, "cpu_quota": 50000, "cpu_period": 100000, "memory_limit_in_bytes": 100 * MIB}})
        self.assertEqual(self.in_kernel(container)[:2], ("50000 100000", 100 * MIB))
        self.update(container, cpu_quota=20000, cpu_period=100000, memory_limit_in_bytes=200 * MIB, cpuset_cpus="0")
        expected = dict(zip(SHOWN, (512, 20000, 100000, 200 * MIB, "0")))
        self.assertEqual(self.in_kernel(container), ("20000 100000", 200 * MIB, "0"))
        self.assertEqual(self.shown(container), expected)
        swap = self.status(container).resources.linux.memory_swap_limit_in_bytes
        self.assertIn(swap, (0, 200 * MIB))
        before = self.status(container)
        self.node.stop(20)
        self.start_crid()
        self.assertEqual(self.status(container), before)
        # what is left out stays
        self.update(container, cpu_shares=1024)
        self.assertEqual(self.in_kernel(container), ("20000 100000", 200 * MIB, "0"))
        self.assertEqual(self.shown(container), {**expected, "cpu_shares": 1024})
        if self.runtime != "crun":      # before 1.9 it writes -1 as a number without sign, which v1 refuses
            self.update(container, cpu_quota=-1)
            self.assertEqual(self.shown(container)["cpu_quota"], -1)

    def test_created_container(self):
        container = self.create(self.pod, self.config, self.container_config(["sleep", "1000"]))
        self.update(container, memory_limit_in_bytes=64 * MIB)
        self.cri.StartContainer(container_id=container)
        self.assertEqual(self.in_kernel(container)[1], 64 * MIB)

    def test_refused(self):
        container = self.start_ready(self.pod, self.config, "a=$(head -c 30000000 /dev/zero | tr '\\0' x); echo ready; sleep 1000; echo $a",
                                     linux={"resources": {"memory_limit_in_bytes": 200 * MIB}})
        before = self.status(container)
        for code, resources in ((grpc.StatusCode.INVALID_ARGUMENT, {"memory_limit_in_bytes": -5}),
                                (grpc.StatusCode.INVALID_ARGUMENT, {"cpu_shares": -1}),
                                (grpc.StatusCode.INVALID_ARGUMENT, {"memory_limit_in_bytes": 1000}),
                                (grpc.StatusCode.INVALID_ARGUMENT, {"memory_limit_in_bytes": 300 * MIB, "memory_swap_limit_in_bytes": 200 * MIB}),
                                (grpc.StatusCode.FAILED_PRECONDITION, {"memory_limit_in_bytes": 20 * MIB})):
            with self.subTest(resources=resources):
                self.assert_code(code, self.update, container, **resources)
                self.assertEqual(self.in_kernel(container)[1], 200 * MIB)
        # the kernel's word: the runtime is asked, fails, and nothing is remembered
        self.assert_code(grpc.StatusCode.UNKNOWN, self.update, container, cpuset_cpus="4000")
        self.assertEqual(self.status(container), before)
        self.assertEqual(self.exec(container, "echo", "alive"), (0, "alive\n", ""))

    def test_wrong_states(self):
        self.assert_code(grpc.StatusCode.NOT_FOUND, self.update, "f" * 64, cpu_shares=2)
        container = self.start_container(self.pod, self.config, ["true"])
        self.wait_exit(container)
        self.assert_code(grpc.StatusCode.FAILED_PRECONDITION, self.update, container, cpu_shares=2)
        self.assert_code(grpc.StatusCode.INVALID_ARGUMENT, self.cri.UpdateContainerResources, container_id=container)

    def test_many_at_once_come_in_order(self):
        container = self.start_container(self.pod, self.config, ["sleep", "1000"])
        running = [self.cri.future("UpdateContainerResources", container_id=container, linux={"cpu_shares": 100 + n}) for n in range(10)]
        for call in running:
            call.result()
        self.assertEqual(self.shown(container)["cpu_shares"], 109)

    def test_stop_does_not_wait_for_updates(self):
        container = self.start_container(self.pod, self.config, ["sleep", "1000"])
        running = [self.cri.future("UpdateContainerResources", container_id=container, linux={"cpu_shares": 100 + n}) for n in range(5)]
        self.cri.StopContainer(container_id=container, timeout=0)
        for call in running:
            self.assertIn(call.code(), (grpc.StatusCode.OK, grpc.StatusCode.FAILED_PRECONDITION))

    def test_pod(self):
        self.cri.UpdatePodSandboxResources(pod_sandbox_id=self.pod, resources={"cpu_shares": 100})
        self.assert_code(grpc.StatusCode.NOT_FOUND, self.cri.UpdatePodSandboxResources, pod_sandbox_id="f" * 64)


class Crun(Update):
    runtime = "crun"
