# SPDX-License-Identifier: Apache-2.0
"""Pulled images: formats, indexes, layers over layers, names and ids, repeated and parallel pulls."""

import gzip
import json
import os
import threading

import grpc
from crid_harness import NodeCase, read_log
import crid_node
from crid_node import DOCKER, OCI, Image, Index, layer


class Images(NodeCase):
    def tearDown(self):
        self.remove_all_pods()
        for image in self.cri.ListImages().images:
            if self.pause not in image.repo_tags:
                self.cri.RemoveImage(image={"image": image.id})

    def layers(self):
        """Three layers: the second whites out and replaces, the third has an opaque directory."""
        return [
            crid_node.busybox_layer(),
            layer([("data", ("dir", 0o755)), ("data/kept", b"1\n"), ("data/gone", b"2\n"), ("data/replaced", b"3\n"),
                   ("deep", ("dir", 0o755)), ("deep/a", b"x"), ("deep/b", b"x")]),
            layer([("data/.wh.gone", b""), ("data/replaced", b"4\n"), ("deep", ("dir", 0o755)), ("deep/.wh..wh..opq", b""),
                   ("deep/c", b"y"), ("data/link", ("symlink", "kept"))]),
        ]

    def check_content(self, reference):
        pod, config = self.run_pod()
        container = self.start_container(pod, config, ["sh", "-c", "cd /data && ls && cat kept replaced link && ls /deep"],
                                         image=reference)
        status = self.wait_exit(container)
        self.assertEqual([t for _, _, t in read_log(status.log_path)], ["kept", "link", "replaced", "1", "4", "1", "c"])
        self.remove_pod(pod)

    def test_formats(self):
        for types, kind in ((DOCKER, "docker"), (OCI, "oci")):
            image = Image(self.layers(), {"Cmd": ["sh"], "Labels": {"kind": kind}}, types)
            other = Image([b"not even a tar"], {}, types, arch="s390x")
            for name, what in ((kind, image), (kind + "-index", Index([other, image], types))):
                with self.subTest(image=name):
                    reference = self.registry.push(name, ["1"], what)
                    got = self.pull(reference)
                    self.assertEqual(got.rpartition(":")[2], image.id[7:])
                    status = self.cri.ImageStatus(image={"image": reference}).image
                    self.assertEqual(status.id, got)
                    self.assertIn(f"{self.registry.host}/{name}@{what.digest}", status.repo_digests)
                    self.check_content(reference)

    def test_names_and_ids(self):
        image = crid_node.busybox_image({"Labels": {"x": "names"}})
        first = self.registry.push("names", ["a", "b"], image)
        second = first[:-1] + "b"
        got = self.pull(first)
        self.assertEqual(self.pull(second), got)
        bare = got.rpartition(":")[2]
        by_digest = f"{self.registry.host}/names@{image.digest}"
        for reference in (first, second, got, bare, bare[:12], by_digest):
            with self.subTest(reference=reference):
                self.assertEqual(self.cri.ImageStatus(image={"image": reference}).image.id, got)
        status = self.cri.ImageStatus(image={"image": got}).image
        self.assertEqual(sorted(status.repo_tags), [first, second])
        self.assertEqual(list(status.repo_digests), [by_digest])
        self.cri.RemoveImage(image={"image": first})
        self.assertEqual(list(self.cri.ImageStatus(image={"image": got}).image.repo_tags), [second])
        self.cri.RemoveImage(image={"image": got})
        self.assertFalse(self.cri.ImageStatus(image={"image": second}).HasField("image"))
        self.cri.RemoveImage(image={"image": got})

    def test_pull_by_digest(self):
        image = crid_node.busybox_image({"Labels": {"x": "digest"}})
        self.registry.push("digest", ["1"], image)
        reference = f"{self.registry.host}/digest@{image.digest}"
        got = self.pull(reference)
        status = self.cri.ImageStatus(image={"image": reference}).image
        self.assertEqual((status.id, list(status.repo_tags), list(status.repo_digests)), (got, [], [reference]))
        wrong = f"{self.registry.host}/digest@sha256:{'0' * 64}"
        self.assert_code(grpc.StatusCode.NOT_FOUND, self.cri.PullImage, image={"image": wrong})

    def test_user_and_size_of_the_image(self):
        reference = self.registry.push("user", ["1"], crid_node.busybox_image({"User": "1002:5"}))
        self.pull(reference)
        status = self.cri.ImageStatus(image={"image": reference}).image
        self.assertEqual((status.uid.value, status.username), (1002, ""))
        reference = self.registry.push("username", ["1"], crid_node.busybox_image({"User": "www-data"}))
        self.pull(reference)
        status = self.cri.ImageStatus(image={"image": reference}).image
        self.assertEqual((status.HasField("uid"), status.username), (False, "www-data"))

    def test_verbose_status_has_the_configuration(self):
        config = {"Cmd": ["sh"], "Labels": {"a": "<b>"}}
        reference = self.registry.push("described", ["1"], Image([crid_node.busybox_layer()], config))
        self.pull(reference)
        for name in (reference, self.cri.ImageStatus(image={"image": reference}).image.id):
            with self.subTest(name=name):
                info = json.loads(self.cri.ImageStatus(image={"image": name}, verbose=True).info["info"])
                self.assertEqual((info["labels"], info["imageSpec"]["config"], info["imageSpec"]["os"]), (config["Labels"], config, "linux"))
        self.assertEqual(dict(self.cri.ImageStatus(image={"image": reference}).info), {})
        absent = self.cri.ImageStatus(image={"image": reference + "0"}, verbose=True)
        self.assertEqual((absent.HasField("image"), dict(absent.info)), (False, {}))

    def test_tag_that_moved(self):
        old = crid_node.busybox_image({"Labels": {"x": "old"}})
        new = crid_node.busybox_image({"Labels": {"x": "new"}})
        reference = self.registry.push("moves", ["1"], old)
        first = self.pull(reference)
        self.registry.push("moves", ["1"], new)
        second = self.pull(reference)
        self.assertNotEqual(first, second)
        self.assertEqual(self.cri.ImageStatus(image={"image": reference}).image.id, second)
        self.assertNotIn(reference, self.cri.ImageStatus(image={"image": first}).image.repo_tags)

    def test_broken_layer_leaves_no_image(self):
        """The bytes of a layer do not have the diff id of the config."""
        good = layer([("a", b"a")])
        image = Image([good], {})
        bad = gzip.compress(layer([("a", b"b")]), mtime=0)
        manifest = json.loads(image.manifest)
        manifest["layers"][0].update(digest=crid_node.sha256(bad), size=len(bad))
        image.blobs[crid_node.sha256(bad)] = bad
        image.manifest = json.dumps(manifest).encode()
        image.digest = crid_node.sha256(image.manifest)
        reference = self.registry.push("broken", ["1"], image)
        with self.assertRaises(grpc.RpcError):
            self.pull(reference)
        self.assertFalse(self.cri.ImageStatus(image={"image": reference}).HasField("image"))
        self.assertFalse(self.cri.ImageStatus(image={"image": image.id}).HasField("image"))

    def test_hostile_layer_paths(self):
        """Nothing is written outside of the layer, whatever names and links a tar has."""
        mark = "crid-escape-" + os.urandom(4).hex()
        up = "../" * 12 + "tmp"
        outside = self.node.write("outside", "untouched")
        hostile = {
            "dots": [(f"{up}/{mark}", b"x")],
            "absolute": [(f"/tmp/{mark}", b"x")],
            "absolute symlink": [("out", ("symlink", "/tmp")), (f"out/{mark}", b"x")],
            "relative symlink": [("out", ("symlink", up)), (f"out/{mark}", b"x")],
            "hard link to outside": [("l", ("link", "../" * 12 + outside[1:])), ("l", b"x")],
            "whiteout of outside": [(f"{up}/.wh.{mark}", b"")],
        }
        for n, (name, entries) in enumerate(hostile.items()):
            with self.subTest(name):
                reference = self.registry.push(f"hostile{n}", ["1"], Image([layer(entries)], {}))
                try:
                    self.pull(reference)
                except grpc.RpcError:
                    pass
                self.assertFalse(os.path.lexists("/tmp/" + mark))
                with open(outside) as f:
                    self.assertEqual(f.read(), "untouched")

    def test_parallel_pulls_of_one_image(self):
        image = Image(self.layers(), {"Labels": {"x": "parallel"}})
        reference = self.registry.push("parallel", ["1"], image)
        results = []
        threads = [threading.Thread(target=lambda: results.append(self.pull(reference))) for _ in range(6)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(len(results), 6)
        self.assertEqual(len(set(results)), 1)

    def test_deadline_of_the_caller(self):
        reference = self.registry.push("deadline", ["1"], crid_node.busybox_image({"Labels": {"x": "deadline"}}))
        self.assert_code(grpc.StatusCode.DEADLINE_EXCEEDED, self.cri.PullImage, image={"image": reference}, deadline=0.001)
