# SPDX-License-Identifier: Apache-2.0
"""The whole road by grpcio, step by step as a kubelet goes it: once with runc, once with crun."""

import ipaddress
import os
import time
import unittest

import grpc
from crid_harness import CREATED, EXITED, NOTREADY, READY, RUNNING, NodeCase, cri_pb2, read_log


class Road:
    def test_from_pull_to_nothing(self):
        cri, began = self.cri, time.time_ns()
        version = cri.Version()
        self.assertEqual((version.version, version.runtime_api_version), ("0.1.0", "v1"))
        self.assertTrue(version.runtime_name and version.runtime_version)
        conditions = {c.type: c for c in cri.Status().status.conditions}
        self.assertTrue(conditions["RuntimeReady"].status)
        self.assertTrue(conditions["NetworkReady"].status, conditions["NetworkReady"].message)

        image = self.pull(self.busybox)
        self.assertRegex(image, r"^(sha256:)?[0-9a-f]{64}$")
        listed = [i for i in cri.ListImages().images if self.busybox in i.repo_tags]
        self.assertEqual([i.id for i in listed], [image])
        self.assertGreater(listed[0].size, 500000)
        self.assertEqual(cri.ImageStatus(image={"image": self.busybox}).image, listed[0])

        config = self.pod_config("road", labels={"app": "road"}, annotations={"note": "a"},
                                 dns_config={"servers": ["192.0.2.53"], "searches": ["example.test"], "options": ["ndots:3"]})
        pod, _ = self.run_pod(config)
        self.assertRegex(pod, r"^[0-9a-f]{64}$")
        status = self.pod_status(pod)
        self.assertEqual(status.state, READY)
        self.assertEqual(status.metadata.name, "road")
        self.assertEqual(status.metadata.uid, config["metadata"]["uid"])
        self.assertEqual(dict(status.labels)["app"], "road")
        self.assertEqual(dict(status.annotations)["note"], "a")
        self.assertGreaterEqual(status.created_at, began)
        address = status.network.ip
        self.assertIn(ipaddress.ip_address(address), ipaddress.ip_network(self.node.subnet))
        self.assertEqual([(p.id, p.state) for p in cri.ListPodSandbox().items], [(pod, READY)])

        container = self.create(pod, config, self.container_config(
            ["sh", "-c", "echo out; echo err >&2; cat /etc/resolv.conf; trap 'exit 7' TERM; while :; do sleep 0.05; done"],
            labels={"part": "main"}))
        self.assertEqual(self.status(container).state, CREATED)
        cri.StartContainer(container_id=container)
        status = self.status(container)
        self.assertEqual(status.state, RUNNING)
        self.assertEqual(status.image_id or status.image_ref, image)
        self.assertEqual(dict(status.labels)["part"], "main")
        self.assertGreaterEqual(status.started_at, status.created_at)
        self.assertEqual(status.finished_at, 0)
        self.assertEqual([(c.id, c.pod_sandbox_id, c.state) for c in cri.ListContainers().containers], [(container, pod, RUNNING)])

        code, out, err = self.exec(container, "sh", "-c", "ip -4 -o addr show eth0; echo bad >&2; exit 5")
        self.assertEqual((code, err), (5, "bad\n"))
        self.assertIn(f" {address}/24 ", out)
        code, out, _ = self.exec(container, "hostname")
        self.assertEqual((code, out.strip()), (0, pod[:12]))

        cri.StopContainer(container_id=container, timeout=10)
        status = self.status(container)
        self.assertEqual((status.state, status.exit_code, status.reason), (EXITED, 7, "Error"))
        self.assertGreaterEqual(status.finished_at, status.started_at)
        log = read_log(status.log_path)
        self.assertEqual([line for line in log if line[0] == "stderr"], [("stderr", "F", "err")])
        self.assertEqual([line[1:] for line in log if line[0] == "stdout"], [
            ("F", "out"), ("F", "search example.test"), ("F", "nameserver 192.0.2.53"), ("F", "options ndots:3")])

        cri.RemoveContainer(container_id=container)
        self.assertEqual(list(cri.ListContainers().containers), [])
        self.assert_code(grpc.StatusCode.NOT_FOUND, cri.ContainerStatus, container_id=container)
        cri.StopPodSandbox(pod_sandbox_id=pod)
        self.assertEqual(self.pod_status(pod).state, NOTREADY)
        self.assertEqual(self.node.left_leases(), [], "the address is free when the pod is stopped")
        cri.RemovePodSandbox(pod_sandbox_id=pod)
        self.assertEqual(list(cri.ListPodSandbox().items), [])
        self.assert_code(grpc.StatusCode.NOT_FOUND, cri.PodSandboxStatus, pod_sandbox_id=pod)

        cri.RemoveImage(image={"image": image})
        self.assertFalse(cri.ImageStatus(image={"image": self.busybox}).HasField("image"))
        self.assertNotIn(image, [i.id for i in cri.ListImages().images])

    def test_ten_pods_at_once(self):
        """Pods made and removed in parallel have each an address of their own and leave nothing."""
        self.pull(self.busybox)
        configs = [self.pod_config(f"many-{n}") for n in range(10)]
        calls = [self.cri.future("RunPodSandbox", config=c) for c in configs]
        pods = [c.result().pod_sandbox_id for c in calls]
        for pod in pods:
            self.addCleanup(self.remove_pod, pod)
        addresses = {self.pod_status(p).network.ip for p in pods}
        self.assertEqual(len(addresses), 10)
        containers = [self.start_container(p, c, ["sleep", "100"]) for p, c in zip(pods, configs)]
        self.assertEqual({c.state for c in self.cri.ListContainers().containers}, {RUNNING})
        for container in containers:
            self.cri.StopContainer(container_id=container, timeout=0)
        for call in [self.cri.future("RemovePodSandbox", pod_sandbox_id=p) for p in pods]:
            call.result()
        self.assertEqual(list(self.cri.ListPodSandbox().items), [])

    def test_pod_with_a_shared_pid_namespace(self):
        """Then, and only then, the pause program runs: it is pid 1 for all containers."""
        self.pull(self.busybox)
        shared = {"security_context": {"namespace_options": {"pid": cri_pb2.POD}}}
        config = self.pod_config("shared", linux=shared)
        pod, _ = self.run_pod(config)
        container = self.start_container(pod, config, ["sleep", "100"], linux=shared)
        code, out, _ = self.exec(container, "cat", "/proc/1/cmdline")
        self.assertEqual((code, out.split("\0")[0]), (0, "/pause"))

    def test_pod_on_the_host_network(self):
        self.pull(self.busybox)
        config = self.pod_config("host", linux={"security_context": {"namespace_options": {"network": cri_pb2.NODE, "pid": cri_pb2.CONTAINER}}})
        pod, _ = self.run_pod(config)
        container = self.start_container(pod, config, ["sleep", "100"])
        code, out, _ = self.exec(container, "readlink", "/proc/self/ns/net")
        self.assertEqual((code, out.strip()), (0, os.readlink("/proc/self/ns/net")))
        self.assertEqual(self.node.left_leases(), [])

    def test_pods_reach_each_other(self):
        self.pull(self.busybox)
        first, config = self.run_pod()
        self.start_container(first, config, ["sh", "-c", "echo hello | nc -l -p 8080; sleep 100"])
        address = self.pod_status(first).network.ip
        status, log = self.finish(["sh", "-c", f"for i in 1 2 3 4 5 6 7 8 9; do nc -w 2 {address} 8080 && exit 0; sleep 0.2; done; exit 1"])
        self.assertEqual((status.exit_code, log[-1:]), (0, [("stdout", "F", "hello")]))


class Runc(Road, NodeCase):
    runtime = "runc"


class Crun(Road, NodeCase):
    runtime = "crun"

    def test_one_node_with_both_runtimes(self):
        """The handler of the request decides, whatever the default is."""
        self.pull(self.busybox)
        pod, config = self.run_pod(handler="runc")
        container = self.start_container(pod, config, ["sleep", "100"])
        self.assertEqual(os.listdir(self.node.path("run/runc")), [container])
        self.assert_code(grpc.StatusCode.NOT_FOUND, self.cri.RunPodSandbox, config=self.pod_config(), runtime_handler="none-such")


if __name__ == "__main__":
    unittest.main()
