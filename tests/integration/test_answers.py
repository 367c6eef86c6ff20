# SPDX-License-Identifier: Apache-2.0
"""A restart of crid between any two calls changes no answer: every read is asked before and after, and compared whole."""

import difflib
import itertools
import json

from crid_harness import EXITED, NodeCase, cri_pb2, inspect


class Answers(NodeCase):
    """One long life of a rich pod, with crid stopped politely and killed in turns after every call of it."""

    def answers(self):
        """Every read there is, as {what: text}."""
        cri, found = self.cri, {}

        def note(what, reply):
            found[what] = str(reply)
        for name in ("Version", "RuntimeConfig", "ListImages", "ListPodSandbox", "ListContainers"):
            note(name, getattr(cri, name)())
        note("Status", cri.Status(verbose=True))
        for image in cri.ListImages().images:
            note(f"ImageStatus {image.id}", cri.ImageStatus(image={"image": image.id}, verbose=True))
        for pod in cri.ListPodSandbox().items:
            reply = cri.PodSandboxStatus(pod_sandbox_id=pod.id, verbose=True)
            reply.timestamp = 0             # of the answer itself
            note(f"PodSandboxStatus {pod.metadata.name}", reply)
            note(f"inspect {pod.metadata.name}", json.dumps(inspect(self.node.socket, f"/containers/{pod.id}"), indent=1, sort_keys=True))
        for container in cri.ListContainers().containers:
            note(f"ContainerStatus {container.metadata.name}", cri.ContainerStatus(container_id=container.id, verbose=True))
            note(f"inspect {container.metadata.name}", json.dumps(inspect(self.node.socket, f"/containers/{container.id}"), indent=1, sort_keys=True))
        return found

    def restart(self, kill):
        before = self.answers()
        if kill:
            self.node.process.kill()
            self.node.process.wait()
        else:
            self.assertTrue(self.node.stop())
        self.start_crid()
        after = self.answers()
        self.assertEqual(before.keys(), after.keys())
        for what, text in before.items():
            difference = difflib.unified_diff(*(one.replace("\\n", "\n").split("\n") for one in (text, after[what])), n=0, lineterm="")
            self.assertEqual(list(difference), [], what)

    def rich_pod(self):
        return self.pod_config(
            "rich", hostname="rich-host", labels={"app": "web", "tier": "β"}, annotations={"note": "two\nlines", "n": "1"},
            dns_config={"servers": ["192.0.2.53"], "searches": ["a.test"], "options": ["ndots:3"]},
            port_mappings=[{"protocol": cri_pb2.TCP, "container_port": 80, "host_port": 18080}],
            linux={
                "sysctls": {"net.ipv4.ip_forward": "1"},
                "overhead": {"memory_limit_in_bytes": 1 << 20}, "resources": {"cpu_shares": 100},
                "security_context": {"namespace_options": {"pid": cri_pb2.CONTAINER, "ipc": cri_pb2.POD},
                                     "run_as_user": {"value": 1000}, "supplemental_groups": [7]},
            })

    def rich_container(self, name, command):
        return self.container_config(
            command, name=name, labels={"app": "web"}, annotations={"why": "test"}, working_dir="/tmp",
            envs=[{"key": "A", "value": b"b c"}], stdin=True, stop_signal=cri_pb2.SIGNAL_SIGUSR1,
            mounts=[{"container_path": "/logs", "host_path": self.node.path("log"), "readonly": True}],
            linux={
                "resources": {"cpu_period": 100000, "cpu_quota": 50000, "cpu_shares": 512, "memory_limit_in_bytes": 64 << 20,
                              "oom_score_adj": 500},
                "security_context": {"run_as_user": {"value": 1001}, "run_as_group": {"value": 1002}, "supplemental_groups": [5, 6],
                                     "capabilities": {"drop_capabilities": ["NET_RAW"]}, "readonly_rootfs": True,
                                     "no_new_privs": True, "masked_paths": ["/proc/kcore"]},
            })

    def test_no_answer_changes(self):
        kills = itertools.cycle([False, True])
        image = self.pull(self.busybox)
        self.restart(next(kills))
        pod, config = self.run_pod(self.rich_pod())
        self.restart(next(kills))
        containers = []
        for name, command in (("server", ["sh", "-c", "trap 'exit 9' USR1; while :; do sleep 0.05; done"]), ("job", ["sh", "-c", "exit 3"])):
            containers.append(self.create(pod, config, self.rich_container(name, command)))
            self.restart(next(kills))
            self.cri.StartContainer(container_id=containers[-1])
            if name == "job":
                self.assertEqual(self.wait_exit(containers[-1]).exit_code, 3)
            self.restart(next(kills))
        for field, value in (("cpu_shares", 256), ("memory_limit_in_bytes", 80 << 20)):
            self.cri.UpdateContainerResources(container_id=containers[0], linux={field: value})
            self.assertEqual(getattr(self.status(containers[0]).resources.linux, field), value)
            self.restart(next(kills))
        self.cri.ExecSync(container_id=containers[0], cmd=["true"])
        self.restart(next(kills))
        self.cri.StopContainer(container_id=containers[0], timeout=10)
        self.assertEqual(self.status(containers[0]).state, EXITED)
        self.restart(next(kills))
        self.cri.RemoveContainer(container_id=containers[1])
        self.restart(next(kills))
        self.cri.StopPodSandbox(pod_sandbox_id=pod)
        self.restart(next(kills))
        self.cri.RemovePodSandbox(pod_sandbox_id=pod)
        self.restart(next(kills))
        self.cri.RemoveImage(image={"image": image})
        self.restart(next(kills))
        config = json.loads(self.cri.Status(verbose=True).info["config"])
        self.assertEqual(config["sandboxImage"], self.pause)
        crio = config["crio"]
        self.assertEqual((crio["DefaultRuntime"], crio["PauseImage"], crio["Listen"], crio["DropInfraCtr"], crio["PidsLimit"], crio["StreamTLSCA"]),
                         (self.runtime, self.pause, self.node.socket, True, -1, ""))
        self.assertEqual(crio["NetworkDir"], self.node.path("cni/net.d"))
        self.assertTrue(crio["Runtimes"][self.runtime]["RuntimePath"].endswith("/" + self.runtime))
        self.assertIn("CHOWN", crio["DefaultCapabilities"])
