# SPDX-License-Identifier: Apache-2.0
"""crictl drives the same road as a person would with it. $CRICTL is the program (tests/run builds it)."""

import json
import os
import re
import subprocess
import unittest
import urllib.request

import crid_node
from crid_harness import NodeCase

CRICTL = os.environ.get("CRICTL")


@unittest.skipUnless(CRICTL, os.environ.get("CRICTL_MISSING") or "Go is not on this machine to build crictl, and CRICTL is not set")
class Crictl(NodeCase):
    @classmethod
    def configuration(cls):
        return "enable_pod_events = true\n"

    def run_crictl(self, *arguments, status=0):
        done = subprocess.run([CRICTL, "--config", "/dev/null", "-r", "unix://" + self.node.socket, "-i", "unix://" + self.node.socket,
                               "-t", "30s", *arguments], capture_output=True, text=True, timeout=60, check=False,
                              env={"PATH": os.environ["PATH"], "HOME": self.node.base})
        self.assertEqual(done.returncode, status, f"crictl {' '.join(arguments)}\n{done.stdout}{done.stderr}")
        return done.stdout.strip()

    def as_json(self, *arguments):
        return json.loads(self.run_crictl(arguments[0], "-o", "json", *arguments[1:]))

    def file(self, name, content):
        return self.node.write(name, json.dumps(content))

    def test_the_road(self):
        crictl = self.run_crictl
        self.assertIn("RuntimeApiVersion:  v1", crictl("version"))
        info = json.loads(crictl("info"))
        self.assertEqual({c["type"]: c["status"] for c in info["status"]["conditions"]},
                         {"RuntimeReady": True, "NetworkReady": True})
        image = crictl("pull", self.busybox).split()[-1]
        self.assertIn(image, [i["id"] for i in self.as_json("images")["images"]])
        inspected = self.as_json("inspecti", self.busybox)
        self.assertEqual(inspected["status"]["repoTags"], [self.busybox])
        self.assertEqual(inspected["info"]["imageSpec"]["config"]["Cmd"], ["sh"])

        pod_file = self.file("pod.json", {
            "metadata": {"name": "crictl", "namespace": "default", "uid": "crictl-uid", "attempt": 1},
            "log_directory": self.node.path("log/crictl"), "linux": {}})
        container_file = self.file("container.json", {
            "metadata": {"name": "one"}, "image": {"image": self.busybox}, "log_path": "one.log",
            "command": ["sh", "-c", "echo to stdout; echo to stderr >&2; exec sleep 1000"], "linux": {}})
        pod = crictl("runp", pod_file)
        self.cri.ids.add(pod)
        self.assertEqual([p["state"] for p in self.as_json("pods")["items"]], ["SANDBOX_READY"])
        self.assertEqual(self.as_json("inspectp", pod)["status"]["metadata"]["name"], "crictl")
        container = crictl("create", pod, container_file, pod_file)
        self.cri.ids.add(container)
        crictl("start", container)
        self.assertEqual([(c["id"], c["state"]) for c in self.as_json("ps")["containers"]], [(container, "CONTAINER_RUNNING")])
        self.assertEqual(self.as_json("inspect", container)["status"]["state"], "CONTAINER_RUNNING")
        self.assertEqual(sorted(crictl("exec", "-s", container, "sh", "-c", "echo a b").split()), ["a", "b"])
        crictl("exec", "-s", container, "sh", "-c", "exit 9", status=1)
        self.assertIn("to stdout", crictl("logs", container))
        crictl("stop", "-t", "1", container)
        self.assertEqual(self.as_json("ps")["containers"], [])
        self.assertEqual([c["state"] for c in self.as_json("ps", "-a")["containers"]], ["CONTAINER_EXITED"])
        crictl("rm", container)
        crictl("stopp", pod)
        crictl("rmp", pod)
        self.assertEqual(self.as_json("pods")["items"], [])
        crictl("rmi", self.busybox)
        self.assertNotIn(image, [i["id"] for i in self.as_json("images")["images"]])

    def test_errors_are_readable(self):
        for arguments, text in ((["inspect", "0123456789ab"], "0123456789ab"), (["pull", f"{self.registry.host}/none:1"], "none")):
            done = subprocess.run([CRICTL, "--config", "/dev/null", "-r", "unix://" + self.node.socket, "-i", "unix://" + self.node.socket,
                                   *arguments], capture_output=True, text=True, timeout=60, check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(text, done.stderr)

    def crictl_running(self, *arguments):
        """A crictl that goes on until it is told to end."""
        process = subprocess.Popen([CRICTL, "--config", "/dev/null", "-r", "unix://" + self.node.socket, *arguments], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(crid_node.end_process, process)
        return process

    def test_what_containers_use(self):
        self.pull(self.busybox)
        pod, config = self.run_pod(self.pod_config("uses"))
        container = self.start_container(pod, config, ["sleep", "1000"], labels={"k": "v"})
        one, = self.as_json("stats", container)["stats"]
        self.assertEqual((one["attributes"]["id"], one["attributes"]["labels"]), (container, {"k": "v"}))
        self.assertGreater(int(one["memory"]["workingSetBytes"]["value"]), 0)
        self.assertGreater(int(one["cpu"]["usageCoreNanoSeconds"]["value"]), 0)
        self.assertIn(container[:13], self.run_crictl("stats"))
        one, = self.as_json("statsp", "--id", pod)["stats"]
        self.assertEqual((one["attributes"]["id"], [c["attributes"]["id"] for c in one["linux"]["containers"]]), (pod, [container]))
        self.assertEqual(one["linux"]["network"]["defaultInterface"]["name"], "eth0")
        named = {d["name"] for d in json.loads(self.run_crictl("metricdescs"))["descriptors"]}
        metrics, = json.loads(self.run_crictl("metricsp"))["podMetrics"]
        self.assertEqual((metrics["podSandboxId"], [c["containerId"] for c in metrics["containerMetrics"]]), (pod, [container]))
        self.assertLessEqual({m["name"] for c in metrics["containerMetrics"] for m in c["metrics"]}, named)
        self.run_crictl("update", "--cpu-share", "512", "--memory", str(64 << 20), container)
        self.assertEqual(self.as_json("inspect", container)["status"]["resources"]["linux"]["memoryLimitInBytes"], str(64 << 20))
        self.assertEqual(self.run_crictl("runtime-config").split()[-1], "CGROUPFS")
        self.assertEqual(self.as_json("imagefsinfo")["status"]["imageFilesystems"][0]["fsId"]["mountpoint"],
                         os.path.join(self.node.root, "overlay-images"))

    def test_lists_are_filtered(self):
        self.pull(self.busybox)
        pod, config = self.run_pod(self.pod_config("one", labels={"app": "a"}))
        other, _ = self.run_pod(self.pod_config("two"))
        made = self.create(pod, config, self.container_config(["true"], name="made"))
        for arguments, ids in ((["--label", "app=a"], [pod]), (["--name", "two"], [other]), (["--namespace", "test"], [other, pod]),
                               (["--label", "io.kubernetes.pod.name=two"], [other]), (["--state", "NotReady"], []), (["--id", pod[:9]], [pod])):
            with self.subTest(arguments=arguments):
                self.assertEqual(sorted(self.run_crictl("pods", "-q", "--no-trunc", *arguments).split()), sorted(ids))
        self.assertEqual(self.run_crictl("ps", "-q", "--no-trunc", "--state", "Created", "--pod", pod), made)
        self.assertEqual(self.run_crictl("ps", "-q", "--no-trunc", "-a", "--pod", other), "")

    def test_events_are_followed(self):
        events = self.crictl_running("events", "-o", "json")
        pod, config = self.run_pod()
        self.cri.StopPodSandbox(pod_sandbox_id=pod)
        text, seen = "", []
        while len(seen) < 2:
            line = events.stdout.readline()
            self.assertTrue(line, text)
            text += line
            seen = re.findall(r'"containerEventType": *"([A-Z_]+)"', text)
        self.assertEqual(seen[:2], ["CONTAINER_CREATED_EVENT", "CONTAINER_STARTED_EVENT"])

    def test_a_port_is_forwarded(self):
        self.pull(self.busybox)
        pod, config = self.run_pod()
        self.start_container(pod, config, ["sh", "-c", "mkdir /w; echo from the pod > /w/index.html; exec httpd -f -p 80 -h /w"])
        port = crid_node.free_port()
        forward = self.crictl_running("port-forward", pod, f"{port}:80")
        self.assertIn("Forwarding from", forward.stdout.readline())

        def answer():
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as reply:
                    return reply.read()
            except OSError:
                return None
        self.assertEqual(crid_node.wait_for(answer, 20, "the server in the pod answers"), b"from the pod\n")
