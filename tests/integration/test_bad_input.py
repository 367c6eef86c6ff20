# SPDX-License-Identifier: Apache-2.0
"""Bad input, from the client, the registry and the node: the right code, a text that names the object and the
reason, and (by the leak check, and by looking at the store) nothing left behind.
"""

import os
import shutil

import crid_node
import grpc
from crid_harness import METHODS, READY, NodeCase
from crid_node import Image, Index, layer

INVALID, NOT_FOUND = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
MESSAGE_LIMIT = 80 << 20        # bytes of a request; what CRI-O takes


class BadInput(NodeCase):
    def refused(self, code, words, call, *arguments, **fields):
        text = self.assert_code(code, call, *arguments, **fields)
        for word in words:
            self.assertIn(word, text)
        return text


class Images(BadInput):
    def files(self):
        """Every file and directory of the store but for locks and what a record's rewriting touches."""
        found = set()
        for top, directories, files in os.walk(self.node.root):
            found.update(os.path.join(top, f) for f in directories + files if not f.endswith(".lock"))
        return found

    def refused_pull(self, code, words, reference):
        before = self.files()
        text = self.refused(code, words, self.cri.PullImage, image={"image": reference})
        crid_node.wait_for(lambda: self.files() <= before, 10, f"nothing new in the store: {sorted(self.files() - before)[:5]}")
        self.assertFalse(self.cri.ImageStatus(image={"image": reference}).HasField("image"))
        return text

    def setUp(self):
        super().setUp()
        self.pull(self.busybox)         # the store has all its directories

    def corrupt(self, name, change):
        """The reference of an image whose layer is changed in the registry after it was pushed."""
        image = Image([layer([("data", os.urandom(300000))])], {"Labels": {"x": name}})
        reference = self.registry.push(name, ["1"], image)
        digest = next(d for d, data in image.blobs.items() if data[:2] == b"\x1f\x8b").split(":")[1]
        for top, _, files in os.walk(os.path.join(self.base, "registry")):
            if digest in top and "data" in files:
                with open(os.path.join(top, "data"), "r+b") as f:
                    change(f)
                return reference, digest
        raise AssertionError(f"the registry has no blob {digest}")

    def test_image_that_the_registry_does_not_have(self):
        self.refused_pull(NOT_FOUND, ["no-such"], f"{self.registry.host}/no-such:1")
        self.refused_pull(NOT_FOUND, ["busybox", "no-such"], f"{self.registry.host}/busybox:no-such")

    def test_registry_that_is_not_there(self):
        # UNKNOWN: only then does the kubelet read the text, for the word at its beginning
        text = self.refused_pull(grpc.StatusCode.UNKNOWN, ["127.0.0.1:9"], "127.0.0.1:9/x:1")
        self.assertTrue(text.startswith("RegistryUnavailable"), text)

    def test_layer_with_another_digest(self):
        def flip(f):
            f.seek(1000)
            byte = f.read(1)
            f.seek(1000)
            f.write(bytes([byte[0] ^ 1]))
        reference, digest = self.corrupt("flipped", flip)
        self.refused_pull(grpc.StatusCode.UNKNOWN, [digest[:12]], reference)

    def test_truncated_layer(self):
        reference, digest = self.corrupt("cut", lambda f: f.truncate(100000))
        self.refused_pull(grpc.StatusCode.UNKNOWN, [digest[:12]], reference)

    def test_index_without_this_platform(self):
        other = Image([layer([("a", b"a")])], {}, arch="s390x")
        reference = self.registry.push("elsewhere", ["1"], Index([other]))
        self.refused_pull(NOT_FOUND, ["elsewhere", crid_node.ARCH], reference)

    def test_manifest_that_is_none(self):
        image = Image([layer([("a", b"a")])], {"Labels": {"x": "none"}})
        self.registry.push("none", ["1"], image)
        for top, _, files in os.walk(os.path.join(self.base, "registry")):
            if image.digest.split(":")[1] in top and "data" in files:
                with open(os.path.join(top, "data"), "wb") as f:
                    f.write(b'{"schemaVersion": 2, "layers"')
        with self.assertRaises(grpc.RpcError):
            self.pull(f"{self.registry.host}/none:1")
        self.assertFalse(self.cri.ImageStatus(image={"image": f"{self.registry.host}/none:1"}).HasField("image"))


class Requests(BadInput):
    def test_names_with_control_bytes(self):
        for bad in ("a\nb", "\x1b[2J", "a\x7f", "\x01"):
            with self.subTest(bad=bad):
                config = self.pod_config()
                config["metadata"]["name"] = bad
                self.refused(INVALID, ["metadata.name"], self.cri.RunPodSandbox, config=config)
                config = self.pod_config(hostname=bad)
                self.refused(INVALID, ["hostname"], self.cri.RunPodSandbox, config=config)

    def test_container_names_with_control_bytes(self):
        self.pull(self.busybox)
        pod, config = self.run_pod()
        for bad in ("a\nb", "\x1b[2J"):
            self.refused(INVALID, ["metadata.name"], self.create, pod, config, self.container_config(["true"], name=bad))

    def test_empty_metadata(self):
        for missing in ("name", "uid", "namespace"):
            config = self.pod_config()
            config["metadata"][missing] = ""
            self.refused(INVALID, ["metadata"], self.cri.RunPodSandbox, config=config)

    def test_unknown_ids_are_named(self):
        nowhere = "e" * 64
        for call, fields in ((self.cri.ContainerStatus, {"container_id": nowhere}), (self.cri.StartContainer, {"container_id": nowhere}),
                             (self.cri.ExecSync, {"container_id": nowhere, "cmd": ["true"]}),
                             (self.cri.PodSandboxStatus, {"pod_sandbox_id": nowhere})):
            self.refused(NOT_FOUND, [nowhere], call, **fields)

    def test_ids_that_are_paths(self):
        for bad in ("../../etc", "/", ".", "a/b"):
            for call, key in ((self.cri.ContainerStatus, "container_id"), (self.cri.PodSandboxStatus, "pod_sandbox_id")):
                self.refused(NOT_FOUND, [], call, **{key: bad})

    def test_oversized_message(self):
        rss = self.memory()
        self.refused(grpc.StatusCode.RESOURCE_EXHAUSTED, [], self.cri.raw, METHODS["RunPodSandbox"][0],
                     b"\x0a" + b"\xff" * (MESSAGE_LIMIT + 1))
        self.cri.Version()
        self.assertLess(self.memory() - rss, 8 << 20, "the daemon kept it")

    def memory(self):
        with open(f"/proc/{self.node.process.pid}/status") as f:
            return next(int(line.split()[1]) << 10 for line in f if line.startswith("VmRSS:"))

    def test_unknown_handler(self):
        self.refused(NOT_FOUND, ["no-such-handler"], self.cri.RunPodSandbox, config=self.pod_config(), runtime_handler="no-such-handler")


class NodeThatLacksSomething(BadInput):
    @classmethod
    def configuration(cls):
        cls.ghost = shutil.copy(crid_node.program("runc"), os.path.join(cls.base, "ghost"))
        return (f'\n[crio.runtime.runtimes.ghost]\nruntime_path = "{cls.ghost}"\nruntime_root = "{cls.base}/ghost.d"\n'
                f'monitor_path = "{crid_node.program("conmon")}"\nmonitor_cgroup = "pod"\n')

    def test_runtime_that_vanished(self):
        self.pull(self.busybox)
        pod, config = self.run_pod(handler="ghost")
        os.rename(self.ghost, self.ghost + ".gone")
        try:
            with self.assertRaises(grpc.RpcError) as caught:
                self.create(pod, config, self.container_config(["true"]))
            self.assertIn("ghost", caught.exception.details())
            self.assertEqual(list(self.cri.ListContainers().containers), [])
        finally:
            os.rename(self.ghost + ".gone", self.ghost)
        self.create(pod, config, self.container_config(["true"]))       # the name is free

    def test_runtime_that_is_not_there_at_the_start(self):
        """Its handler is left out with a warning; the daemon serves the others."""
        self.assertTrue(self.node.stop())
        os.rename(self.ghost, self.ghost + ".gone")
        try:
            self.start_crid()
            with open(self.node.path("crid.log")) as f:
                self.assertIn(self.ghost, f.read())
            self.refused(NOT_FOUND, ["ghost"], self.cri.RunPodSandbox, config=self.pod_config(), runtime_handler="ghost")
            pod, _ = self.run_pod()
            self.assertEqual(self.pod_status(pod).state, READY)
        finally:
            os.rename(self.ghost + ".gone", self.ghost)
            self.assertTrue(self.node.stop())
            self.start_crid()

    def test_no_network_configuration(self):
        path = self.node.path("cni/net.d/10-crid.conflist")
        os.rename(path, path + ".away")
        try:
            self.assertTrue(self.node.stop())
            self.start_crid()
            condition = {c.type: c for c in self.cri.Status().status.conditions}["NetworkReady"]
            self.assertFalse(condition.status)
            self.assertIn(self.node.path("cni/net.d"), condition.message)
            with self.assertRaises(grpc.RpcError) as caught:
                self.cri.RunPodSandbox(config=self.pod_config(), deadline=3)
            self.assertIn(caught.exception.code(), (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED))
        finally:
            os.rename(path + ".away", path)
            self.assertTrue(self.node.stop())
            self.start_crid()
