# SPDX-License-Identifier: Apache-2.0
"""What containers and pods use, compared with the kernel's own files: processor, memory, layers, network, processes."""

import os
import shutil
import socket
import time

import grpc
from crid_harness import NodeCase
from crid_node import wait_for

MIB = 1 << 20
V2 = os.path.exists("/sys/fs/cgroup/cgroup.controllers")


def cgroup_file(controller, path, v1, v2=None):
    """Its text, of either version."""
    name = f"/sys/fs/cgroup/{path}/{v2}" if V2 else f"/sys/fs/cgroup/{controller}/{path}/{v1}"
    with open(name) as f:
        return f.read()


def own_cgroup(container):
    return f"crio/crio-{container}"


class Stats(NodeCase):
    def setUp(self):
        super().setUp()
        self.pull(self.busybox)

    def stats(self, container):
        return self.cri.ContainerStats(container_id=container).stats

    def assert_near(self, got, expected, share):
        self.assertLessEqual(abs(got - expected), max(expected, 1) * share, f"{got} is not near {expected}")

    def test_attributes_and_times(self):
        pod, config = self.run_pod()
        before = time.time_ns()
        container = self.start_container(pod, config, ["sleep", "1000"], labels={"a": "b"}, annotations={"c": "d"})
        stats = self.stats(container)
        self.assertEqual((stats.attributes.id, stats.attributes.metadata.name, dict(stats.attributes.labels),
                          dict(stats.attributes.annotations)), (container, "main", {"a": "b"}, {"c": "d"}))
        for part in (stats.cpu, stats.memory, stats.writable_layer):
            self.assertTrue(before <= part.timestamp <= time.time_ns(), part)
        self.assertTrue(stats.writable_layer.fs_id.mountpoint.startswith(self.node.path("")))

    def test_processor(self):
        pod, config = self.run_pod()
        container = self.start_ready(pod, config, "echo ready; while :; do :; done")
        idle = self.start_container(pod, config, ["sleep", "1000"], name="idle")
        first = self.stats(container)
        self.assertFalse(first.cpu.HasField("usage_nano_cores"), "one sample makes no rate")
        self.stats(idle)
        time.sleep(1)       # the time that is measured, not one that is waited
        second = self.stats(container)
        in_kernel = int(cgroup_file("cpuacct", own_cgroup(container), "cpuacct.usage", "cpu.stat").split()[1 if V2 else 0]) * (1000 if V2 else 1)
        used = second.cpu.usage_core_nano_seconds.value - first.cpu.usage_core_nano_seconds.value
        elapsed = second.cpu.timestamp - first.cpu.timestamp
        self.assert_near(second.cpu.usage_core_nano_seconds.value, in_kernel, 0.2)
        self.assertGreater(used, 50_000_000)
        self.assert_near(second.cpu.usage_nano_cores.value, used * 1e9 / elapsed, 0.05)
        self.assertLess(self.stats(idle).cpu.usage_nano_cores.value, second.cpu.usage_nano_cores.value / 10)

    def test_memory(self):
        pod, config = self.run_pod()
        container = self.start_ready(pod, config, "head -c 30000000 /dev/zero > /dev/shm/x; a=$(head -c 20000000 /dev/zero | tr '\\0' x); "
                                     "echo ready; sleep 1000; echo $a > /dev/null",
                                     linux={"resources": {"memory_limit_in_bytes": 200 * MIB}})
        memory = self.stats(container).memory
        in_kernel = int(cgroup_file("memory", own_cgroup(container), "memory.usage_in_bytes", "memory.current"))
        self.assert_near(memory.usage_bytes.value, in_kernel, 0.1)
        self.assertGreater(memory.usage_bytes.value, 50_000_000)
        self.assertGreater(memory.rss_bytes.value, 20_000_000)
        self.assertLess(memory.rss_bytes.value, memory.usage_bytes.value)
        self.assertLessEqual(memory.working_set_bytes.value, memory.usage_bytes.value)
        self.assertEqual(memory.available_bytes.value, 200 * MIB - memory.working_set_bytes.value)
        self.assertGreater(memory.page_faults.value, 1000)       # with huge pages there are few
        swap = self.stats(container).swap
        if os.path.exists("/sys/fs/cgroup/memory/memory.memsw.usage_in_bytes"):
            self.assertEqual((swap.swap_usage_bytes.value, swap.swap_available_bytes.value), (0, 0))

    def test_memory_without_limit_has_nothing_available(self):
        pod, config = self.run_pod()
        container = self.start_container(pod, config, ["sleep", "1000"])
        self.assertFalse(self.stats(container).memory.HasField("available_bytes"))

    def test_writable_layer(self):
        pod, config = self.run_pod()
        empty = self.start_container(pod, config, ["sleep", "1000"], name="empty")
        full = self.start_ready(pod, config, "mkdir /d; for i in 1 2 3 4 5; do head -c 2000000 /dev/zero > /d/$i; done; echo ready; sleep 1000")
        layers = {s.attributes.id: s.writable_layer for s in self.cri.ListContainerStats().stats}
        self.assertLess(layers[empty].used_bytes.value, 100_000)
        self.assert_near(layers[full].used_bytes.value, 10_000_000, 0.05)
        self.assertEqual(layers[full].inodes_used.value - layers[empty].inodes_used.value, 6)
        # measured once, and given again for a while
        self.assertEqual(self.stats(full).writable_layer.timestamp, layers[full].timestamp)

    def test_lists_and_filters(self):
        pod, config = self.run_pod()
        other, other_config = self.run_pod(self.pod_config("other"))
        running = self.start_container(pod, config, ["sleep", "1000"], labels={"a": "b"})
        created = self.create(other, other_config, self.container_config(["true"]))
        ended = self.start_container(other, other_config, ["true"], name="ended")
        self.wait_exit(ended)

        def ids(**fields):
            return {s.attributes.id for s in self.cri.ListContainerStats(**fields).stats}
        self.assertEqual(ids(), {running, created})
        self.assertEqual(ids(filter={"id": running[:12]}), {running})
        self.assertEqual(ids(filter={"pod_sandbox_id": other}), {created})
        self.assertEqual(ids(filter={"label_selector": {"a": "b"}}), {running})
        self.assertEqual(ids(filter={"id": "nothing"}), set())
        streamed = {s.attributes.id for m in self.cri.stream("StreamContainerStats") for s in m.container_stats}
        self.assertEqual(streamed, {running, created})
        self.assert_code(grpc.StatusCode.NOT_FOUND, self.cri.ContainerStats, container_id="f" * 64)
        self.assert_code(grpc.StatusCode.NOT_FOUND, self.cri.PodSandboxStats, pod_sandbox_id="f" * 64)

    def test_pod(self):
        pod, config = self.run_pod(self.pod_config(labels={"a": "b"}))
        container = self.start_container(pod, config, ["sh", "-c", "sleep 1000 & sleep 1000 & wait"])
        wait_for(lambda: self.cri.PodSandboxStats(pod_sandbox_id=pod).stats.linux.process.process_count.value == 3, 10, "processes")
        stats = self.cri.PodSandboxStats(pod_sandbox_id=pod).stats
        self.assertEqual((stats.attributes.id, stats.attributes.labels["a"], [c.attributes.id for c in stats.linux.containers]),
                         (pod, "b", [container]))
        self.assertEqual(stats.linux.cpu.usage_core_nano_seconds.value, stats.linux.containers[0].cpu.usage_core_nano_seconds.value)
        self.assertEqual(stats.linux.memory.usage_bytes.value, stats.linux.containers[0].memory.usage_bytes.value)
        self.assertEqual([s.attributes.id for s in self.cri.ListPodSandboxStats(filter={"label_selector": {"a": "b"}}).stats], [pod])
        self.assertEqual([s.attributes.id for m in self.cri.stream("StreamPodSandboxStats") for s in m.pod_sandbox_stats], [pod])

    def test_pod_with_a_cgroup_of_its_own(self):
        parent = f"/crid-test-{os.getpid()}/pod"
        pod, config = self.run_pod(self.pod_config(linux={
            "cgroup_parent": parent, "security_context": {"namespace_options": {"pid": 1}}}))
        self.start_ready(pod, config, "a=$(head -c 20000000 /dev/zero | tr '\\0' x); echo ready; sleep 1000; echo $a > /dev/null")
        stats = self.cri.PodSandboxStats(pod_sandbox_id=pod).stats.linux
        in_kernel = int(cgroup_file("memory", parent.strip("/"), "memory.usage_in_bytes", "memory.current"))
        self.assertGreater(in_kernel, 20_000_000)
        self.assert_near(stats.memory.usage_bytes.value, in_kernel, 0.1)
        self.assertGreaterEqual(stats.memory.usage_bytes.value, stats.containers[0].memory.usage_bytes.value * 0.9)
        self.remove_pod(pod)
        self.remove_parent(os.path.dirname(parent.strip("/")))

    @staticmethod
    def remove_parent(top):
        """A parent is its maker's: the kubelet's, and here the test's."""
        for hierarchy in ("",) if V2 else os.listdir("/sys/fs/cgroup"):
            if not os.path.ismount(os.path.join("/sys/fs/cgroup", hierarchy)):      # crun makes plain files there
                shutil.rmtree(os.path.join("/sys/fs/cgroup", hierarchy, top), ignore_errors=True)
            for where, _, _ in os.walk(os.path.join("/sys/fs/cgroup", hierarchy, top), topdown=False):
                os.rmdir(where)

    def test_network(self):
        pod, config = self.run_pod()
        ip = self.pod_status(pod).network.ip
        container = self.start_ready(pod, config, "nc -l -p 7000 > /dev/null & echo ready; wait; sleep 1000")

        def network():
            return self.cri.PodSandboxStats(pod_sandbox_id=pod).stats.linux.network
        before = network().default_interface
        self.assertEqual(before.name, "eth0")
        with wait_for(lambda: self.connect(ip), 10, "the listener") as s:
            s.sendall(b"x" * 3_000_000)
        after = wait_for(lambda: network().default_interface
                         if network().default_interface.rx_bytes.value - before.rx_bytes.value > 3_000_000 else None, 10, "the bytes")
        self.assertLess(after.rx_bytes.value - before.rx_bytes.value, 4_000_000)
        self.assertGreater(after.tx_bytes.value, before.tx_bytes.value)
        _, out, _ = self.exec(container, "cat", "/sys/class/net/eth0/statistics/rx_bytes")
        self.assert_near(network().default_interface.rx_bytes.value, int(out), 0.01)
        self.assertEqual(after.rx_errors.value, 0)

    @staticmethod
    def connect(ip):
        try:
            return socket.create_connection((ip, 7000), 5)
        except OSError:
            return None

    def test_network_of_a_pod_without_process(self):
        pod, _ = self.run_pod()
        self.assertEqual(self.cri.PodSandboxStats(pod_sandbox_id=pod).stats.linux.network.default_interface.name, "eth0")

    def test_many_questions_at_once(self):
        pod, config = self.run_pod()
        ids = {self.start_container(pod, config, ["sleep", "1000"], name=f"c{n}") for n in range(5)}
        running = [self.cri.future("ListContainerStats") for _ in range(50)] + [self.cri.future("ListPodSandboxStats") for _ in range(50)]
        for answer in running[:50]:
            self.assertEqual({s.attributes.id for s in answer.result().stats}, ids)
        for answer in running[50:]:
            self.assertEqual({s.attributes.id for s in answer.result().stats[0].linux.containers}, ids)

    def test_caller_that_leaves(self):
        pod, config = self.run_pod()
        self.start_container(pod, config, ["sleep", "1000"])
        for _ in range(20):
            self.cri.future("ListContainerStats").cancel()
        self.assertEqual(len(self.cri.ListContainerStats().stats), 1)


class Metrics(NodeCase):
    """ListMetricDescriptors and ListPodSandboxMetrics."""

    # What the cgroups of this machine need not have.
    DEPENDS = {"container_hugetlb_usage_bytes", "container_hugetlb_max_usage_bytes", "container_memory_swap",
               "container_spec_memory_swap_limit_bytes", "container_memory_kernel_usage", "container_memory_max_usage_bytes",
               "container_fs_reads_bytes_total", "container_fs_reads_total", "container_fs_writes_bytes_total",
               "container_fs_writes_total", "container_blkio_device_usage_total", *(
                   f"container_pressure_{what}_{how}_seconds_total" for what in ("cpu", "memory", "io") for how in ("stalled", "waiting"))}
    BASE = ["id", "image", "namespace", "pod", "container"]

    @classmethod
    def configuration(cls):
        return "[crio.stats]\nincluded_pod_metrics = [ \"all\" ]\n"

    def setUp(self):
        super().setUp()
        self.descriptors_by_name = {d.name: d for d in self.cri.ListMetricDescriptors().descriptors}

    def values(self, metrics):
        """{name: {further labels: value}}"""
        found = {}
        for m in metrics:
            keys = self.descriptors_by_name[m.name].label_keys
            self.assertEqual(len(m.label_values), len(keys), m.name)
            labels = tuple(m.label_values[len(self.BASE):])
            self.assertNotIn(labels, found.setdefault(m.name, {}), m.name)
            found[m.name][labels] = m.value.value
        return found

    def test_descriptors(self):
        self.assertEqual(len(self.descriptors_by_name), 56)
        for descriptor in self.descriptors_by_name.values():
            self.assertTrue(descriptor.help)
            self.assertEqual(list(descriptor.label_keys)[:5], self.BASE)

    def test_values(self):
        self.pull(self.busybox)
        pod, config = self.run_pod()
        container = self.start_ready(pod, config, "ulimit -n 333; head -c 3000000 /dev/zero > /file; i=0; "
                                     "while [ $i -lt 300000 ]; do i=$((i+1)); done; nc -l -p 7000 & echo ready; wait",
                                     linux={"resources": {"memory_limit_in_bytes": 100 * MIB, "cpu_quota": 50000, "cpu_period": 100000,
                                                          "cpu_shares": 512}})
        other = self.start_container(pod, config, ["sleep", "1000"], name="other")
        now = time.time()
        reply = self.cri.ListPodSandboxMetrics().pod_metrics
        self.assertEqual([p.pod_sandbox_id for p in reply], [pod])
        by_container = {c.container_id: c.metrics for c in reply[0].container_metrics}
        self.assertEqual(set(by_container), {container, other})
        one = by_container[container][0]
        self.assertEqual(list(one.label_values)[:5], [container, self.busybox, "test", "pod", "main"])
        values, of_pod = self.values(by_container[container]), self.values(reply[0].metrics)
        self.assertEqual(set(self.descriptors_by_name) - set(values) - set(of_pod) - self.DEPENDS, set())

        def single(name):
            (labels, value), = values["container_" + name].items()
            return value
        self.assertEqual((single("spec_memory_limit_bytes"), single("spec_cpu_quota"), single("spec_cpu_period"), single("spec_cpu_shares")),
                         (100 * MIB, 50000, 100000, 512))
        self.assertLess(abs(single("start_time_seconds") - now), 30)
        self.assertLess(abs(single("last_seen") - now), 5)
        self.assertGreater(single("memory_usage_bytes"), 0)
        self.assertGreaterEqual(single("memory_usage_bytes"), single("memory_working_set_bytes"))
        self.assertEqual((single("processes"), single("threads")), (2, 2))
        self.assertGreaterEqual(single("sockets"), 1)
        self.assertGreaterEqual(single("file_descriptors"), 6)
        self.assertEqual(values["container_ulimits_soft"], {("max_open_files",): 333})
        self.assertGreater(single("cpu_cfs_periods_total"), 0)
        self.assertLess(abs(single("fs_usage_bytes") - 3_000_000), 200_000)
        self.assertGreater(single("fs_inodes_total"), single("fs_inodes_free"))
        self.assertGreater(values["container_memory_failures_total"]["pgfault", "hierarchy"], 100)
        self.assertEqual(single("oom_events_total"), 0)
        self.assertEqual(list(of_pod["container_network_receive_packets_total"]), [("eth0",)])

    def test_stream(self):
        pods = {self.run_pod(self.pod_config(f"p{n}"))[0] for n in range(2)}
        self.assertEqual({p.pod_sandbox_id for m in self.cri.stream("StreamPodSandboxMetrics") for p in m.pod_sandbox_metrics}, pods)


class FewMetrics(NodeCase):
    """Without included_pod_metrics there is one."""

    def test_only_last_seen(self):
        self.pull(self.busybox)
        pod, config = self.run_pod()
        self.start_container(pod, config, ["sleep", "1000"])
        self.assertEqual([d.name for d in self.cri.ListMetricDescriptors().descriptors], ["container_last_seen"])
        metrics = self.cri.ListPodSandboxMetrics().pod_metrics[0]
        self.assertEqual([m.name for m in metrics.metrics] + [m.name for m in metrics.container_metrics[0].metrics],
                         ["container_last_seen"] * 2)


class Period(NodeCase):
    """collection_period: a sample is an answer again."""

    @classmethod
    def configuration(cls):
        return "[crio.stats]\ncollection_period = 3600\n"

    def test_sample_is_given_again(self):
        self.pull(self.busybox)
        pod, config = self.run_pod()
        self.start_container(pod, config, ["sleep", "1000"])
        first = self.cri.ListContainerStats().stats[0]
        self.assertEqual(self.cri.ListContainerStats().stats[0].cpu.timestamp, first.cpu.timestamp)
