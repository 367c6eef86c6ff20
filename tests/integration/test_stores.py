# SPDX-License-Identifier: Apache-2.0
"""Stores that are not one overlay below one root: an image store, an additional one, a transient one, driver vfs."""

import json
import os
import subprocess

import grpc
from crid_harness import NodeCase, cri_pb2, read_log
from crid_node import wait_for


class AnyStore(NodeCase):
    driver = "overlay"
    conf = '[storage]\ndriver = "overlay"\n'            # storage.conf; BASE is the node's directory

    @classmethod
    def configuration(cls):
        cls.node.driver = cls.driver
        cls.node.write("storage.conf", cls.conf.replace("BASE", cls.node.base))
        return super().configuration()

    def ids(self, *path):
        try:
            with open(self.node.path(*path)) as f:
                return sorted(one["id"] for one in json.loads(f.read() or "[]"))
        except FileNotFoundError:
            return []

    def whole_life(self):
        """Image, pod, container, and all of it gone."""
        self.pull(self.busybox)
        pod, config = self.run_pod()
        container = self.start_ready(pod, config, "trap 'exit 3' TERM; echo new > /new; echo ready; while :; do sleep 0.05; done")
        self.assertEqual(self.exec(container, "cat", "/new"), (0, "new\n", ""))
        self.look(container)
        self.cri.StopContainer(container_id=container, timeout=5)
        self.assertEqual(self.status(container).exit_code, 3)
        usage = self.cri.ImageFsInfo()
        self.remove_pod(pod)
        self.cri.RemoveImage(image={"image": self.busybox})
        self.assertFalse([i for i in self.cri.ListImages().images if self.busybox in i.repo_tags])
        return usage

    def look(self, container):
        pass

    def test_a_whole_life(self):
        usage = self.whole_life()
        images, = usage.image_filesystems
        containers, = usage.container_filesystems
        self.assertEqual(images.fs_id.mountpoint, self.node.path("storage", self.driver + "-images"))
        self.assertGreater(images.used_bytes.value, 0)
        self.assertEqual(containers.fs_id, images.fs_id)

    def test_a_restart_keeps_pods(self):
        self.pull(self.busybox)
        pod, config = self.run_pod()
        container = self.start_container(pod, config, ["sleep", "1000"])
        self.assertTrue(self.node.stop())
        self.start_crid()
        self.assertEqual(self.status(container).state, cri_pb2.CONTAINER_RUNNING)
        self.assertEqual(self.exec(container, "echo", "here"), (0, "here\n", ""))


class ImageStore(AnyStore):
    conf = '[storage]\nimagestore = "BASE/images"\n'

    def look(self, container):
        self.assertEqual(self.ids("storage/overlay-images/images.json"), [])
        self.assertEqual(self.ids("storage/overlay-layers/layers.json"), [])
        self.assertEqual(len(self.ids("images/overlay-images/images.json")), 2)
        layers = self.ids("images/overlay-layers/layers.json")
        self.assertEqual(len(layers), 2)
        for layer in layers:
            self.assertTrue(os.path.isdir(self.node.path("images/overlay", layer, "diff")))
            self.assertTrue(os.path.exists(self.node.path("storage/overlay-layers", layer + ".tar-split.gz")))
        self.assertIn(container, self.ids("storage/overlay-containers/volatile-containers.json"))

    def test_a_whole_life(self):
        usage = self.whole_life()
        images, = usage.image_filesystems
        containers, = usage.container_filesystems
        self.assertEqual(images.fs_id.mountpoint, self.node.path("images/overlay-images"))
        self.assertEqual(containers.fs_id.mountpoint, self.node.path("storage/overlay-containers"))
        self.assertGreater(images.used_bytes.value, 100000)
        self.assertGreater(containers.used_bytes.value, 0)
        self.assertLess(containers.used_bytes.value, 100000)

    def test_images_that_others_bring_are_seen(self):
        done = subprocess.run(["skopeo", "copy", "-q", "--src-tls-verify=false", "--policy", self.node.path("policy.json"),
                               "docker://" + self.busybox, f"containers-storage:[overlay@{self.node.path('images')}+{self.node.runroot}]"
                               "localhost/others:1"], capture_output=True, text=True, check=False, env=self.node.environment())
        self.assertEqual(done.returncode, 0, done.stderr)
        subprocess.run(["umount", self.node.path("images/overlay")], check=False, stderr=subprocess.DEVNULL)
        wait_for(lambda: self.cri.ImageStatus(image={"image": "localhost/others:1"}).image.id, 10, "the image is seen")
        self.cri.RemoveImage(image={"image": "localhost/others:1"})


class ImageStoreOfCrio(ImageStore):
    """As crio.conf has it, and over what storage.conf says."""
    conf = '[storage]\nimagestore = "BASE/nowhere"\n'

    @classmethod
    def configuration(cls):
        extra = super().configuration()
        command = cls.node.command()
        cls.node.command = lambda: [*command, "--imagestore", cls.node.path("images")]
        return extra


class Transient(AnyStore):
    conf = "[storage]\ntransient_store = true\n"

    def look(self, container):
        self.assertIn(container, self.ids("run/storage/overlay-containers/volatile-containers.json"))
        self.assertEqual(len(self.ids("run/storage/overlay-layers/volatile-layers.json")), 2)
        self.assertEqual(self.ids("storage/overlay-containers/volatile-containers.json"), [])
        self.assertEqual(len(self.ids("storage/overlay-images/images.json")), 2)


class Vfs(AnyStore):
    driver = "vfs"

    def look(self, container):
        self.assertIn(container, self.ids("storage/vfs-containers/volatile-containers.json"))
        self.assertEqual(len(self.ids("storage/vfs-layers/layers.json")), 2)


class Additional(AnyStore):
    conf = '[storage]\ndriver = "overlay"\n[storage.options]\nadditionalimagestores = ["BASE/shared"]\n'

    @classmethod
    def configuration(cls):
        extra = super().configuration()
        shared = f"containers-storage:[overlay@{cls.node.path('shared')}+{cls.node.path('other-run')}]"
        cls.node.write("policy.json", '{"default": [{"type": "insecureAcceptAnything"}]}')
        subprocess.run(["skopeo", "copy", "-q", "--src-tls-verify=false", "--policy", cls.node.path("policy.json"),
                        "docker://" + cls.busybox, shared + "localhost/shared:1"], check=True, env=cls.node.environment())
        subprocess.run(["umount", cls.node.path("shared/overlay")], check=False, stderr=subprocess.DEVNULL)
        return extra

    def test_its_images_are_used_and_cannot_be_removed(self):
        got = self.cri.ImageStatus(image={"image": "localhost/shared:1"}).image
        self.assertTrue(got.id)
        pod, config = self.run_pod()
        container = self.start_container(pod, config, ["echo", "shared"], image="localhost/shared:1")
        self.assertEqual([t for _, _, t in read_log(self.wait_exit(container).log_path)], ["shared"])
        self.remove_pod(pod)
        if got.id in self.ids("storage/overlay-images/images.json"):       # pulled as well by another test
            self.cri.RemoveImage(image={"image": got.id})
        self.assertIn("additional store", self.assert_code(grpc.StatusCode.FAILED_PRECONDITION, self.cri.RemoveImage,
                                                           image={"image": got.id}))

    def look(self, container):
        """The layer is there already: what was pulled is a record."""
        layers = self.ids("storage/overlay-layers/layers.json")
        self.assertEqual(len(layers), 1, "the pause image's")
        self.assertEqual(len(self.ids("shared/overlay-layers/layers.json")), 1)
