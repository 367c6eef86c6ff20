# SPDX-License-Identifier: Apache-2.0
"""Mounts of a request: read-only to the bottom, id-mapped, of images, with options; with runc and with crun."""

import os
import subprocess
import unittest

import grpc
from crid_harness import NodeCase, cri_pb2
import crid_node

CONTAINER = cri_pb2.CONTAINER
INVALID, UNSUPPORTED = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNIMPLEMENTED
PRIVATE, SLAVE, SHARED = range(3)
FIRST, COUNT = 200000, 65536
MAPPING = [{"host_id": FIRST, "container_id": 0, "length": COUNT}]


class Volumes(NodeCase):
    @classmethod
    def images(cls):
        super().images()
        cls.data = cls.registry.push("data", ["1"], crid_node.Image([crid_node.layer([
            ("dir", ("dir", 0o755)), ("dir/file", b"from the image\n"), ("tool", ("file", b"#!/bin/sh\necho ran\n", 0o755)),
            ("out", ("symlink", "/dir")), ("up", ("symlink", "../../../../../../etc")), ("loop", ("symlink", "loop"))])], {}))
        cls.two = cls.registry.push("two", ["1"], crid_node.Image([crid_node.layer([("a", b"a\n"), ("b", b"old\n")]),
                                                                   crid_node.layer([("b", b"b\n")])], {}))

    def features(self):
        return {h.name: h.features for h in self.cri.Status().runtime_handlers}

    def shared_tree(self):
        """A directory with a tmpfs below it; what is mounted at the directory is shared."""
        top = self.node.path("tree")
        os.makedirs(os.path.join(top, "sub"), exist_ok=True)
        for command in (["mount", "--bind", top, top], ["mount", "--make-shared", top], ["mount", "-t", "tmpfs", "x", os.path.join(top, "sub")]):
            subprocess.run(command, check=True)
        self.addCleanup(subprocess.run, ["umount", "-R", top], check=True)
        return top

    def container(self, mounts, pod=None, config=None, **more):
        self.pull(self.busybox)
        if not pod:
            pod, config = self.run_pod()
        return self.start_container(pod, config, ["sleep", "1000"], mounts=mounts, **more)

    def sh(self, container, script):
        code, out, err = self.exec(container, "sh", "-c", script)
        self.assertEqual((code, err), (0, ""), out)
        return out.splitlines()

    def refused(self, code, mount):
        self.pull(self.busybox)
        pod, config = self.run_pod()
        text = self.assert_code(code, self.create, pod, config, self.container_config(["true"], mounts=[mount]))
        self.assertEqual(list(self.cri.ListContainers(filter={"pod_sandbox_id": pod}).containers), [])
        return text

    def test_features_are_those_of_the_program(self):
        found = {name: (f.recursive_read_only_mounts, f.user_namespaces) for name, f in self.features().items()}
        self.assertEqual(found, {"": (True, self.idmaps()), "crun": (True, True), "runc": (True, False)})
        features = self.cri.Status().features
        self.assertEqual((features.supplemental_groups_policy, features.user_namespaces_host_network, features.mount_options), (True,) * 3)

    def idmaps(self):
        """Debian's runc is too old, crun is not."""
        return self.runtime == "crun"

    def test_read_only_to_the_bottom(self):
        top = self.shared_tree()
        container = self.container([
            {"container_path": "/flat", "host_path": top, "readonly": True},
            {"container_path": "/deep", "host_path": top, "readonly": True, "recursive_read_only": True}])
        self.assertEqual(self.sh(container, "for d in /flat /flat/sub /deep /deep/sub; do touch $d/x 2>/dev/null && echo yes || echo no; done"),
                         ["no", "yes", "no", "no"])
        self.assertEqual([(m.readonly, m.recursive_read_only) for m in self.status(container).mounts], [(True, False), (True, True)])

    def test_propagation(self):
        top = self.shared_tree()
        config = self.pod_config(linux={"security_context": {"privileged": True, "namespace_options": {"pid": CONTAINER}}})
        pod, _ = self.run_pod(config)
        privileged = {"security_context": {"privileged": True}}
        container = self.container([{"container_path": f"/p{n}", "host_path": top, "propagation": n} for n in (PRIVATE, SLAVE, SHARED)],
                                   pod, config, linux=privileged)
        os.mkdir(os.path.join(top, "later"))
        subprocess.run(["mount", "-t", "tmpfs", "later", os.path.join(top, "later")], check=True)
        self.assertEqual(self.sh(container, "for n in 0 1 2; do grep -c \" /p$n/later \" /proc/self/mountinfo; done; true"), ["0", "1", "1"])
        self.sh(container, "mkdir /p2/inside && mount -t tmpfs i /p2/inside")
        self.assertTrue(os.path.ismount(os.path.join(top, "inside")))
        self.assertEqual([m.propagation for m in self.status(container).mounts], [PRIVATE, SLAVE, SHARED])

    def test_options(self):
        top = self.node.path("options")
        os.makedirs(top, exist_ok=True)
        with open(os.path.join(top, "tool"), "w") as f:
            f.write("#!/bin/sh\necho ran\n")
        os.chmod(os.path.join(top, "tool"), 0o755)
        container = self.container([{"container_path": "/a", "host_path": top},
                                    {"container_path": "/b", "host_path": top, "mount_options": ["noexec", "nosuid", "nodev"]}])
        self.assertEqual(self.sh(container, "/a/tool; /b/tool 2>/dev/null || echo no; grep ' /b ' /proc/self/mountinfo | cut -d' ' -f6"),
                         ["ran", "no", "rw,nosuid,nodev,noexec,relatime"])
        self.assertEqual([list(m.mount_options) for m in self.status(container).mounts], [[], ["noexec", "nosuid", "nodev"]])
        for option in ("suid", "exec", "idmap", "noexec,suid", ""):
            self.refused(INVALID, {"container_path": "/x", "host_path": top, "mount_options": [option]})

    def test_id_mapped(self):
        top = self.node.path("mapped")
        os.makedirs(top, exist_ok=True)
        with open(os.path.join(top, "f"), "w") as f:
            f.write("x")
        os.chown(os.path.join(top, "f"), 1000, 1000)
        mount = {"container_path": "/m", "host_path": top, "uidMappings": MAPPING, "gidMappings": MAPPING}
        if not self.idmaps():
            self.refused(UNSUPPORTED, mount)
            return
        config = self.pod_config(linux={"security_context": {"namespace_options": {"pid": CONTAINER, "userns_options": {
            "uids": MAPPING, "gids": MAPPING}}}})
        pod, _ = self.run_pod(config)
        container = self.container([mount, {"container_path": "/n", "host_path": top}], pod, config)
        self.assertEqual(self.sh(container, "stat -c '%u %g' /m /m/f /n /n/f; touch /m/made; touch /n/x 2>/dev/null || echo refused"),
                         ["0 0", "1000 1000", "65534 65534", "65534 65534", "refused"])
        made = os.stat(os.path.join(top, "made"))
        self.assertEqual((made.st_uid, made.st_gid), (0, 0))

    # ---- image volumes ----

    def image(self, reference, path="/v", **more):
        return {"container_path": path, "image": {"image": reference}, "readonly": True, **more}

    def test_image_volumes(self):
        ids = [self.pull(self.data), self.pull(self.two)]
        container = self.container([self.image(self.data), self.image(self.two, "/two"), self.image(ids[1], "/again"),
                                    self.image(self.data, "/dir", image_sub_path="dir"), self.image(self.data, "/f", image_sub_path="dir/file"),
                                    self.image(self.data, "/by-link", image_sub_path="out"), self.image(self.data, "/no", mount_options=["noexec"])])
        self.assertEqual(self.sh(container, "cat /v/dir/file /two/a /two/b /again/b /dir/file /f /by-link/file; /v/tool; /no/tool 2>/dev/null || "
                                            "echo refused; touch /v/x 2>/dev/null || echo refused; touch /two/x 2>/dev/null || echo refused"),
                         ["from the image", "a", "b", "b"] + ["from the image"] * 3 + ["ran", "refused", "refused", "refused"])
        before = self.status(container)
        self.assertEqual([m.image.image for m in before.mounts], [ids[0], ids[1], ids[1]] + [ids[0]] * 4)
        self.assertIn("@sha256:", before.mounts[0].image.image_ref)
        self.assertEqual([m.image_sub_path for m in before.mounts][3:5], ["dir", "dir/file"])
        self.node.process.kill()
        self.node.process.wait()
        self.start_crid()
        self.assertEqual(self.status(container), before)
        self.assertIn(container, self.assert_code(grpc.StatusCode.FAILED_PRECONDITION, self.cri.RemoveImage, image={"image": self.data}))
        self.assertEqual(self.sh(container, "cat /f"), ["from the image"])


class VolumesCrun(Volumes):
    runtime = "crun"

    # what no runtime has a say in

    def test_read_only_to_the_bottom_is_strict(self):
        top = self.shared_tree()
        for more in ({"readonly": False}, {"propagation": SLAVE}, {"propagation": SHARED}):
            with self.subTest(more=more):
                self.refused(INVALID, {"container_path": "/x", "host_path": top, "readonly": True, "recursive_read_only": True, **more})

    def test_propagation_that_the_host_does_not_have(self):
        top = self.node.path("private")
        os.makedirs(top, exist_ok=True)
        subprocess.run(["mount", "--bind", "--make-private", top, top], check=True)
        self.addCleanup(subprocess.run, ["umount", top], check=True)
        for propagation in (SLAVE, SHARED):
            self.refused(INVALID, {"container_path": "/x", "host_path": top, "propagation": propagation})

    def test_sources(self):
        base = self.node.path("sources")
        os.makedirs(os.path.join(base, "real"), exist_ok=True)
        with open(os.path.join(base, "real", "f"), "w") as f:
            f.write("real\n")
        os.symlink("real", os.path.join(base, "link"))
        missing = os.path.join(base, "not/there/yet")
        container = self.container([{"container_path": "/link", "host_path": os.path.join(base, "link")},
                                    {"container_path": "/made", "host_path": missing},
                                    {"container_path": "/one", "host_path": os.path.join(base, "real/f")}])
        self.assertEqual(self.sh(container, "cat /link/f /one; touch /made/x"), ["real", "real"])
        self.assertEqual(os.listdir(missing), ["x"])
        self.assertEqual(os.stat(missing).st_mode & 0o7777, 0o755)

    def test_mappings_that_make_no_sense(self):
        good, top = MAPPING, self.node.path("run")
        for uids, gids in ((good, []), ([], good), ([{"host_id": 1, "container_id": 0, "length": 0}], good),
                           ([{"host_id": 4294967295, "container_id": 0, "length": 2}], good),
                           (good, [{"host_id": 0, "container_id": 4294967000, "length": 4294967295}])):
            with self.subTest(uids=uids, gids=gids):
                self.refused(INVALID, {"container_path": "/x", "host_path": top, "uidMappings": uids, "gidMappings": gids})
        self.refused(grpc.StatusCode.RESOURCE_EXHAUSTED, {"container_path": "/x", "host_path": top, "uidMappings": good * 341, "gidMappings": good})

    def test_image_may_go_when_the_container_has(self):
        image = self.registry.push("goes", ["1"], crid_node.Image([crid_node.layer([("x", b"x\n")])], {}))
        self.pull(image)
        container = self.container([self.image(image)])
        self.assert_code(grpc.StatusCode.FAILED_PRECONDITION, self.cri.RemoveImage, image={"image": image})
        self.cri.StopContainer(container_id=container, timeout=0)
        self.cri.RemoveContainer(container_id=container)
        self.cri.RemoveImage(image={"image": image})
        self.assertEqual(self.cri.ImageStatus(image={"image": image}).image.id, "")

    def test_image_volumes_that_make_no_sense(self):
        self.pull(self.data)
        for mount in (self.image(self.data, readonly=False), self.image(self.data, host_path="/tmp"), self.image(self.data, "v"),
                      {"container_path": "/v", "host_path": "/tmp", "image_sub_path": "x"}, {"container_path": "/v", "image": {}},
                      self.image(self.data, image_sub_path="nothing"), self.image(self.data, image_sub_path="loop"),
                      self.image(self.data, image_sub_path="up"), self.image(self.data, image_sub_path="dir/file/x"),
                      self.image(self.data, image_sub_path="../../../../etc")):
            with self.subTest(mount=mount):
                self.refused(INVALID, mount)
        text = self.refused(grpc.StatusCode.NOT_FOUND, self.image(self.registry.host + "/not-here:1"))
        self.assertIn("ImageVolumeMountFailed", text)


if __name__ == "__main__":
    unittest.main()
