# SPDX-License-Identifier: Apache-2.0
"""podman and skopeo work in the same store while crid runs: each sees what the other did."""

import json
import os
import subprocess
import unittest

import crid_node
from crid_harness import RUNNING, NodeCase
from crid_node import wait_for

SOON = 1        # seconds in which crid must know of a change by somebody else


class Peers(NodeCase):
    @classmethod
    def setUpClass(cls):
        for name in ("podman", "skopeo"):
            try:
                crid_node.program(name)
            except crid_node.NodeError as e:
                raise unittest.SkipTest(str(e))
        super().setUpClass()

    def tool(self, *command):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd="/", env={
            "PATH": crid_node.PATH, "HOME": self.node.base, "XDG_RUNTIME_DIR": self.node.path("run"),
            "CONTAINERS_STORAGE_CONF": self.storage_conf(), "CONTAINERS_REGISTRIES_CONF": self.node.path("registries.conf"),
            "CONTAINERS_CONF": "/dev/null", "TMPDIR": self.node.base})
        self.assertEqual(done.returncode, 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}")
        return done.stdout

    def storage_conf(self):
        return self.node.write("storage.conf", f'[storage]\ndriver = "overlay"\ngraphroot = "{self.node.root}"\nrunroot = "{self.node.runroot}"\n')

    def podman(self, *arguments):
        return self.tool("podman", "--root", self.node.root, "--runroot", self.node.runroot, "--storage-driver", "overlay",
                         "--tmpdir", self.node.path("podman-tmp"), "--cgroup-manager", "cgroupfs", *arguments)

    def skopeo(self, *arguments):
        return self.tool("skopeo", "--policy", self.node.path("policy.json"), *arguments)

    def stored(self, reference):
        return f"containers-storage:[overlay@{self.node.root}+{self.node.runroot}]{reference}"

    def known(self, reference):
        status = self.cri.ImageStatus(image={"image": reference})
        return status.image.id if status.HasField("image") else None

    def test_podman_lists_and_inspects_what_crid_pulled(self):
        image = self.pull(self.busybox)
        listed = json.loads(self.podman("images", "--format", "json"))
        names = {name: one["Id"] for one in listed for name in one.get("Names") or []}
        self.assertEqual(names.get(self.busybox), image.rpartition(":")[2])
        one = json.loads(self.podman("image", "inspect", self.busybox))[0]
        self.assertEqual((one["Id"], one["Os"], one["Architecture"]), (image.rpartition(":")[2], "linux", crid_node.ARCH))
        self.assertEqual(len(one["RootFS"]["Layers"]), 1)
        self.assertIn(self.cri.ImageStatus(image={"image": image}).image.repo_digests[0], one["RepoDigests"])

    def test_podman_mounts_what_crid_pulled(self):
        self.pull(self.busybox)
        where = self.podman("image", "mount", self.busybox).strip()
        try:
            self.assertTrue(os.path.exists(os.path.join(where, "bin/busybox")))
            self.assertEqual(os.stat(os.path.join(where, "tmp")).st_mode & 0o7777, 0o1777)
        finally:
            self.podman("image", "unmount", self.busybox)

    def test_skopeo_reads_back_the_very_bytes(self):
        """Copied out of the store again, the image has the digests it had in the registry (tar-split works)."""
        image = crid_node.Image([crid_node.busybox_layer(), crid_node.layer([("second", b"layer\n")])], {"Cmd": ["sh"]})
        reference = self.registry.push("back", ["1"], image)
        self.pull(reference)
        raw = self.skopeo("inspect", "--raw", self.stored(reference))
        self.assertEqual(crid_node.sha256(raw.encode()), image.digest)
        out = self.node.path("copied")
        self.skopeo("copy", "-q", self.stored(reference), f"dir:{out}")
        with open(os.path.join(out, "manifest.json")) as f:
            copied = json.load(f)
        self.assertEqual(copied["config"]["digest"], image.id)
        subprocess.run(["rm", "-rf", out], check=True)
        self.cri.RemoveImage(image={"image": reference})

    def manifest(self, name):
        status, _, body = self.registry.request("GET", f"/v2/{name}/manifests/1", headers={
            "Accept": "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"})
        self.assertEqual(status, 200, body)
        return body

    def test_digests_stay_when_others_push_what_crid_pulled(self):
        """Compressed by skopeo, pulled by crid, compressed again by skopeo and podman: only the same bytes give the same manifest."""
        image = crid_node.Image([crid_node.busybox_layer(), crid_node.layer([("pushed", b"on\n")])], {"Cmd": ["sh"]}, crid_node.OCI)
        source = self.registry.push("plain", ["1"], image)
        self.skopeo("copy", "-q", "--src-tls-verify=false", "docker://" + source, self.stored("localhost/plain:1"))
        first = f"{self.registry.host}/first:1"
        self.skopeo("copy", "-q", "--dest-tls-verify=false", self.stored("localhost/plain:1"), "docker://" + first)
        self.podman("rmi", "localhost/plain:1")
        ident = self.pull(first)
        for name, push in (("by-skopeo", lambda to: self.skopeo("copy", "-q", "--dest-tls-verify=false", self.stored(first), to)),
                           ("by-podman", lambda to: self.podman("push", "-q", "--tls-verify=false", first, to))):
            push(f"docker://{self.registry.host}/{name}:1")
            self.assertEqual(crid_node.sha256(self.manifest(name)), crid_node.sha256(self.manifest("first")))
        self.cri.RemoveImage(image={"image": ident})

    def test_crid_sees_what_skopeo_copied_in(self):
        image = crid_node.busybox_image({"Labels": {"x": "copied in"}})
        source = self.registry.push("copied", ["1"], image)
        reference = "localhost/copied:1"
        self.assertIsNone(self.known(reference))
        self.skopeo("copy", "-q", "--src-tls-verify=false", "docker://" + source, self.stored(reference))
        wait_for(lambda: self.known(reference), SOON, "crid knows the image")
        self.assertEqual(self.known(reference).rpartition(":")[2], image.id.rpartition(":")[2])
        self.assertIn(reference, [t for i in self.cri.ListImages().images for t in i.repo_tags])
        pod, config = self.run_pod()
        container = self.start_container(pod, config, ["true"], image=reference)
        self.assertEqual(self.wait_exit(container).exit_code, 0)
        self.remove_pod(pod)
        self.podman("rmi", reference)
        wait_for(lambda: not self.known(reference), SOON, "crid knows that it is gone")

    def test_crid_sees_what_podman_removed_and_tagged(self):
        self.pull(self.busybox)
        self.podman("tag", self.busybox, "localhost/other:2")
        wait_for(lambda: self.known("localhost/other:2"), SOON, "crid knows the new name")
        self.podman("rmi", self.busybox)
        wait_for(lambda: not self.known(self.busybox), SOON, "crid knows that the name is gone")
        self.assertTrue(self.known("localhost/other:2"))
        self.podman("rmi", "localhost/other:2")
        wait_for(lambda: not self.known("localhost/other:2"), SOON, "crid knows that the image is gone")

    def test_image_that_podman_removed_under_a_running_container(self):
        """Debian 12's podman does not read volatile-containers.json, so it takes the image for unused."""
        image = self.pull(self.busybox)
        pod, config = self.run_pod()
        container = self.start_ready(pod, config, "trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done")
        self.podman("rmi", "--force", image.rpartition(":")[2])
        wait_for(lambda: not self.known(self.busybox), SOON, "crid knows that it is gone")
        self.assertEqual(self.status(container).state, RUNNING)
        self.cri.StopContainer(container_id=container, timeout=10)
        self.assertEqual(self.status(container).exit_code, 3)
        self.cri.RemoveContainer(container_id=container)
        self.remove_pod(pod)
        self.pull(self.busybox)

    def test_second_pull_of_layers_that_podman_has_downloads_nothing(self):
        image = crid_node.Image([crid_node.busybox_layer(), crid_node.layer([("mine", b"1\n")])], {"Cmd": ["sh"]})
        source = self.registry.push("shared", ["1"], image)
        self.skopeo("copy", "-q", "--src-tls-verify=false", "docker://" + source, self.stored("localhost/shared:1"))
        got = self.pull(source)
        self.assertEqual(got.rpartition(":")[2], image.id[7:])
        self.assertEqual(sorted(self.cri.ImageStatus(image={"image": got}).image.repo_tags), sorted([source, "localhost/shared:1"]))
        self.cri.RemoveImage(image={"image": got})
