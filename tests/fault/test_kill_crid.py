# SPDX-License-Identifier: Apache-2.0
"""kill -9 of crid before each state-changing system call of each operation; the caller asks again."""

import json
import os

from crid_harness import CREATED, EXITED, NOTREADY, READY, RUNNING, cri_pb2, firewall, read_log
from crid_node import Image, layer, wait_for
from fault_harness import FaultCase

POD_PID, CONTAINER_PID = cri_pb2.POD, cri_pb2.CONTAINER
SCRIPT = "trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done"


class KillCrid(FaultCase):
    def setUp(self):
        super().setUp()
        self.serial = 0

    def config(self, pid=CONTAINER_PID):
        self.serial += 1
        return self.pod_config(f"p{self.serial}", linux={"security_context": {"namespace_options": {"pid": pid}}})

    def new_container(self, pod, config):
        self.serial += 1
        return self.create(pod, config, self.container_config(["sh", "-c", SCRIPT], name=f"c{self.serial}"))

    def started(self, pod, config):
        container = self.new_container(pod, config)
        self.cri.StartContainer(container_id=container)
        log = self.status(container).log_path
        wait_for(lambda: ("stdout", "F", "ready") in read_log(log), 10, "the container is ready")
        return container

    def drop(self, container):
        self.cri.StopContainer(container_id=container, timeout=0)
        self.cri.RemoveContainer(container_id=container)

    # ---- pods ----

    def run_steps(self, pid):
        def check(fields, reply):
            pod = reply.pod_sandbox_id
            self.cri.ids.add(pod)
            self.check_known([pod], [])
            status = self.pod_status(pod)
            self.assertEqual((status.state, status.metadata.name), (READY, fields["config"]["metadata"]["name"]))
            self.remove_pod(pod)
            self.check_gone()
        self.each_step("RunPodSandbox", lambda: {"config": self.config(pid)}, check)

    def test_run_pod(self):
        self.run_steps(CONTAINER_PID)

    def test_run_pod_with_an_infra_container(self):
        self.run_steps(POD_PID)

    def stop_pod_steps(self, pid):
        def prepare():
            config = self.config(pid)
            pod = self.cri.RunPodSandbox(config=config).pod_sandbox_id
            self.container = self.started(pod, config)
            return {"pod_sandbox_id": pod}

        def check(fields, _):
            pod = fields["pod_sandbox_id"]
            self.check_known([pod], [self.container])
            self.assertEqual(self.pod_status(pod).state, NOTREADY)
            self.assertEqual(self.status(self.container).state, EXITED)
            self.assertEqual((self.node.left_pins(), self.node.left_interfaces()), ([], []))
            self.remove_pod(pod)
            self.check_gone()
        self.each_step("StopPodSandbox", prepare, check)

    def test_stop_pod(self):
        self.stop_pod_steps(CONTAINER_PID)

    def test_stop_pod_with_an_infra_container(self):
        self.stop_pod_steps(POD_PID)

    def remove_pod_steps(self, pid):
        def prepare():
            config = self.config(pid)
            pod = self.cri.RunPodSandbox(config=config).pod_sandbox_id
            self.new_container(pod, config)
            self.cri.StopPodSandbox(pod_sandbox_id=pod)
            return {"pod_sandbox_id": pod}

        def check(_fields, _reply):
            self.check_known([], [])
            self.check_gone()
        self.each_step("RemovePodSandbox", prepare, check)

    def test_remove_pod(self):
        self.remove_pod_steps(CONTAINER_PID)

    def test_remove_pod_with_an_infra_container(self):
        self.remove_pod_steps(POD_PID)

    def test_run_pod_with_a_host_port(self):
        """Whoever listens in the pod, the rules are there with it and gone without it."""
        def prepare():
            config = self.config()
            config["port_mappings"] = [{"protocol": cri_pb2.TCP, "container_port": 80, "host_port": 12345}]
            return {"config": config}

        def check(_fields, reply):
            pod = reply.pod_sandbox_id
            self.cri.ids.add(pod)
            self.check_known([pod], [])
            rules = "\n".join(firewall())
            self.assertEqual((rules.count("12345") > 0, pod in rules or self.pod_status(pod).network.ip in rules), (True, True))
            self.remove_pod(pod)
            self.check_gone()           # it looks for rules, too
        self.each_step("RunPodSandbox", prepare, check)

    # ---- containers ----

    def container_steps(self, method, prepare, check):
        """All in one pod, which must not notice."""
        pod, config = self.run_pod()

        def check_all(fields, reply):
            check(pod, fields, reply)
            self.check_known([pod], [])
            self.assertEqual(self.pod_status(pod).state, READY)
        self.each_step(method, lambda: prepare(pod, config), check_all)

    def test_create_container(self):
        def prepare(pod, config):
            self.serial += 1
            return {"pod_sandbox_id": pod, "sandbox_config": config,
                    "config": self.container_config(["sh", "-c", SCRIPT], name=f"c{self.serial}")}

        def check(pod, fields, reply):
            container = reply.container_id
            self.check_known([pod], [container])
            status = self.status(container)
            self.assertEqual((status.state, status.metadata.name), (CREATED, fields["config"]["metadata"]["name"]))
            self.cri.StartContainer(container_id=container)
            self.assertEqual(self.status(container).state, RUNNING)
            self.drop(container)
        self.container_steps("CreateContainer", prepare, check)

    def test_start_container(self):
        def check(pod, fields, _):
            container = fields["container_id"]
            self.check_known([pod], [container])
            self.assertEqual(self.status(container).state, RUNNING)
            self.assertEqual(self.exec(container, "echo", "hi"), (0, "hi\n", ""))
            log = self.status(container).log_path
            self.assertEqual(read_log(log).count(("stdout", "F", "ready")), 1)
            self.drop(container)
        self.container_steps("StartContainer", lambda *p: {"container_id": self.new_container(*p)}, check)

    def test_stop_container(self):
        def check(pod, fields, _):
            container = fields["container_id"]
            self.check_known([pod], [container])
            status = self.status(container)
            self.assertEqual((status.state, status.exit_code), (EXITED, 3))
            self.drop(container)
        self.container_steps("StopContainer", lambda *p: {"container_id": self.started(*p), "timeout": 10}, check)

    def test_update_container(self):
        def check(pod, fields, _):
            container = fields["container_id"]
            self.check_known([pod], [container])
            self.assertEqual(self.status(container).resources.linux.memory_limit_in_bytes, 99 << 20)
            with open(self.node.path("storage/overlay-containers", container, "userdata/config.json")) as f:
                self.assertEqual(json.load(f)["linux"]["resources"]["memory"]["limit"], 99 << 20)
            limits = [d for d in self.node.left_cgroups({container}) if d.startswith("/sys/fs/cgroup/memory/")]
            for d in limits:
                with open(os.path.join(d, "memory.limit_in_bytes")) as f:
                    self.assertEqual(int(f.read()), 99 << 20)
            self.assertTrue(limits or not os.path.isdir("/sys/fs/cgroup/memory"))
            self.drop(container)
        self.container_steps("UpdateContainerResources", lambda *p: {
            "container_id": self.started(*p), "linux": {"memory_limit_in_bytes": 99 << 20}}, check)

    def test_remove_container(self):
        def prepare(pod, config):
            container = self.started(pod, config)
            self.cri.StopContainer(container_id=container, timeout=10)
            return {"container_id": container}
        self.container_steps("RemoveContainer", prepare, lambda pod, *_: self.check_known([pod], []))

    def test_remove_running_container(self):
        self.container_steps("RemoveContainer", lambda *p: {"container_id": self.started(*p)},
                             lambda pod, *_: self.check_known([pod], []))

    # ---- images ----

    def image(self):
        self.serial += 1
        tag = f"t{self.serial}"
        return self.registry.push("steps", [tag], Image(
            [layer([(f"{tag}-{n}", os.urandom(1000)) for n in range(20)]), layer([(f"{tag}-x", b"x")])], {"Cmd": ["/x"]}))

    def only_the_usual_images(self):
        self.assertEqual({t for i in self.cri.ListImages().images for t in i.repo_tags}, {self.busybox, self.pause})

    def test_pull_image(self):
        def check(fields, reply):
            reference = fields["image"]["image"]
            self.assertEqual(self.cri.ImageStatus(image={"image": reference}).image.id, reply.image_ref.split("@")[-1])
            self.assertEqual(self.cri.PullImage(image={"image": reference}).image_ref, reply.image_ref)
            self.cri.RemoveImage(image={"image": reference})
            self.only_the_usual_images()
            self.check_gone()
        self.each_step("PullImage", lambda: {"image": {"image": self.image()}}, check)

    def test_remove_image(self):
        def prepare():
            reference = self.image()
            self.cri.PullImage(image={"image": reference})
            return {"image": {"image": reference}}

        def check(_fields, _reply):
            self.only_the_usual_images()
            self.check_gone()
        self.each_step("RemoveImage", prepare, check)
