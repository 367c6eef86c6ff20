# SPDX-License-Identifier: Apache-2.0
"""crictl drives the same road as a person would with it. $CRICTL is the program (tests/run builds it)."""

import json
import os
import subprocess
import unittest

from crid_harness import NodeCase

CRICTL = os.environ.get("CRICTL")


@unittest.skipUnless(CRICTL, os.environ.get("CRICTL_MISSING") or "Go is not on this machine to build crictl, and CRICTL is not set")
class Crictl(NodeCase):
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
        self.assertEqual(self.as_json("inspecti", self.busybox)["status"]["repoTags"], [self.busybox])

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
