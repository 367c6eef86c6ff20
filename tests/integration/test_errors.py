# SPDX-License-Identifier: Apache-2.0
"""Wrong, repeated and hostile requests: each gets its gRPC code and leaves nothing behind."""

import grpc
from crid_harness import METHODS, READY, NodeCase, cri_pb2

NOWHERE = "f" * 64
UNSERVED = ("CheckpointContainer", "CheckpointPod", "RestorePod")


def field(number, payload):
    """A length-delimited protobuf field."""
    return bytes([number << 3 | 2, len(payload)]) + payload


class Errors(NodeCase):
    def test_other_methods_are_unimplemented(self):
        for name in UNSERVED:
            with self.subTest(method=name):
                self.assert_code(grpc.StatusCode.UNIMPLEMENTED, self.cri.raw, METHODS[name][0], b"")
        self.assert_code(grpc.StatusCode.UNIMPLEMENTED, self.cri.raw, "/runtime.v1.RuntimeService/NoSuch", b"")
        self.assert_code(grpc.StatusCode.UNIMPLEMENTED, self.cri.raw, "/no.Service/Version", b"")

    def test_served_methods_are_all_served(self):
        for name in ("Version", "Status", "RuntimeConfig", "UpdateRuntimeConfig", "ListPodSandbox", "ListContainers",
                     "ListImages", "ImageFsInfo", "ListContainerStats", "ListPodSandboxStats", "ListMetricDescriptors",
                     "ListPodSandboxMetrics"):
            with self.subTest(method=name):
                getattr(self.cri, name)()

    def test_image_fs_info_names_the_store(self):
        found = self.cri.ImageFsInfo().image_filesystems
        self.assertEqual(len(found), 1)
        self.assertTrue(found[0].fs_id.mountpoint.startswith(self.node.root), found)
        self.assertGreater(found[0].timestamp, 0)

    def test_bytes_that_are_no_message(self):
        path = METHODS["ContainerStatus"][0]
        for data in (b"\xff\xff\xff", b"\x0a\x7f", b"\x0a", b"\x08" * 40, b"\x0b\x0b\x0b"):
            with self.subTest(data=data):
                with self.assertRaises(grpc.RpcError) as caught:
                    self.cri.raw(path, data)
                self.assertIn(caught.exception.code(), (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL))

    def test_strings_that_are_no_utf8_or_have_a_nul(self):
        for text in (b"\xff\xfe", b"\xc0\x80", b"\xed\xa0\x80", b"a\0b"):
            for name in ("ContainerStatus", "StopContainer", "PodSandboxStatus", "RemovePodSandbox"):
                with self.subTest(method=name, text=text):
                    self.assert_code(grpc.StatusCode.INVALID_ARGUMENT, self.cri.raw, METHODS[name][0], field(1, text))
            # deeper: RunPodSandbox config.metadata.name
            nested = field(1, field(1, field(1, text)))
            self.assert_code(grpc.StatusCode.INVALID_ARGUMENT, self.cri.raw, METHODS["RunPodSandbox"][0], nested)
        self.cri.Version()

    def test_unknown_objects(self):
        self.cri.StopContainer(container_id=NOWHERE)
        self.cri.RemoveContainer(container_id=NOWHERE)
        self.cri.StopPodSandbox(pod_sandbox_id=NOWHERE)
        self.cri.RemovePodSandbox(pod_sandbox_id=NOWHERE)
        self.cri.RemoveImage(image={"image": "docker.io/library/no-such:1"})
        for call, fields in ((self.cri.ContainerStatus, {"container_id": NOWHERE}), (self.cri.StartContainer, {"container_id": NOWHERE}),
                             (self.cri.PodSandboxStatus, {"pod_sandbox_id": NOWHERE})):
            self.assert_code(grpc.StatusCode.NOT_FOUND, call, **fields)
        self.assertEqual(list(self.cri.ListContainers(filter={"id": NOWHERE}).containers), [])
        self.assertEqual(list(self.cri.ListPodSandbox(filter={"id": NOWHERE}).items), [])
        self.assertFalse(self.cri.ImageStatus(image={"image": "docker.io/library/no-such:1"}).HasField("image"))

    def test_create_in_an_unknown_pod(self):
        self.assert_code(grpc.StatusCode.NOT_FOUND, self.create, NOWHERE, self.pod_config(), self.container_config(["true"]))

    def test_create_with_an_unknown_image(self):
        pod, config = self.run_pod()
        self.assert_code(grpc.StatusCode.NOT_FOUND, self.create, pod, config,
                         self.container_config(["true"], image="docker.io/library/no-such:1"))

    def test_requests_without_what_they_need(self):
        invalid = grpc.StatusCode.INVALID_ARGUMENT
        self.assert_code(invalid, self.cri.RunPodSandbox)
        self.assert_code(invalid, self.cri.RunPodSandbox, config={})
        self.assert_code(invalid, self.cri.RunPodSandbox, config={"metadata": {"name": "", "uid": "u", "namespace": "n"}})
        self.assert_code(invalid, self.cri.RunPodSandbox, config=self.pod_config(log_directory="relative/path"))
        self.assert_code(invalid, self.cri.PullImage)
        self.pull(self.busybox)
        pod, config = self.run_pod()
        self.assert_code(invalid, self.cri.CreateContainer, pod_sandbox_id=pod)
        self.assert_code(invalid, self.create, pod, config, {})
        self.assert_code(invalid, self.create, pod, config, {**self.container_config(["true"]), "metadata": {"name": ""}})
        self.assert_code(invalid, self.create, pod, config, {**self.container_config(["true"]), "log_path": "../../escape.log"})

    def test_pull_errors(self):
        for reference in ("UPPER/case", "a b", "x:y:z", "", "a@sha256:zz"):
            with self.subTest(reference=reference):
                self.assert_code(grpc.StatusCode.INVALID_ARGUMENT, self.cri.PullImage, image={"image": reference})
        self.assert_code(grpc.StatusCode.NOT_FOUND, self.cri.PullImage, image={"image": f"{self.registry.host}/no-such:1"})
        self.assert_code(grpc.StatusCode.NOT_FOUND, self.cri.PullImage, image={"image": f"{self.registry.host}/busybox:no-such"})
        # Nobody listens on the discard port. The kubelet knows this case by how the text of an UNKNOWN begins.
        text = self.assert_code(grpc.StatusCode.UNKNOWN, self.cri.PullImage, image={"image": "127.0.0.1:9/x:1"})
        self.assertTrue(text.startswith("RegistryUnavailable"), text)

    def test_same_pod_twice_is_the_same_pod(self):
        pod, config = self.run_pod()
        self.assertEqual(self.cri.RunPodSandbox(config=config).pod_sandbox_id, pod)
        self.assertEqual(len(self.cri.ListPodSandbox().items), 1)

    def test_same_container_twice(self):
        self.pull(self.busybox)
        pod, config = self.run_pod()
        wanted = self.container_config(["sleep", "100"])
        container = self.create(pod, config, wanted)
        try:
            self.assertEqual(self.create(pod, config, wanted), container)
        except grpc.RpcError as e:
            self.assertEqual(e.code(), grpc.StatusCode.ALREADY_EXISTS)
        self.assertEqual(len(self.cri.ListContainers().containers), 1)
        other = dict(wanted, metadata={"name": "main", "attempt": 1})
        self.assertNotEqual(self.create(pod, config, other), container)

    def test_start_twice(self):
        self.pull(self.busybox)
        pod, config = self.run_pod()
        container = self.start_container(pod, config, ["sleep", "100"])
        self.assert_code(grpc.StatusCode.FAILED_PRECONDITION, self.cri.StartContainer, container_id=container)

    def test_stop_and_remove_again_and_again(self):
        self.pull(self.busybox)
        pod, config = self.run_pod()
        container = self.start_container(pod, config, ["sleep", "100"])
        for _ in range(3):
            self.cri.StopContainer(container_id=container, timeout=0)
        for _ in range(3):
            self.cri.RemoveContainer(container_id=container)
        for _ in range(3):
            self.cri.StopPodSandbox(pod_sandbox_id=pod)
        self.assert_code(grpc.StatusCode.FAILED_PRECONDITION, self.create, pod, config, self.container_config(["true"]))
        for _ in range(3):
            self.cri.RemovePodSandbox(pod_sandbox_id=pod)

    def test_pod_whose_network_fails_leaves_nothing(self):
        """A plugin that refuses: the error says which, and the leak check says that all was undone."""
        conflist = self.node.path("cni/net.d/10-crid.conflist")
        with open(conflist) as f:
            good = f.read()
        try:
            with open(conflist, "w") as f:
                f.write(good.replace('"host-local"', '"no-such-ipam"'))
            self.restart()
            with self.assertRaises(grpc.RpcError) as caught:
                self.cri.RunPodSandbox(config=self.pod_config(), deadline=20)
            self.assertIn("no-such-ipam", caught.exception.details())
        finally:
            with open(conflist, "w") as f:
                f.write(good)
            self.restart()
        pod, _ = self.run_pod()
        self.assertEqual(self.pod_status(pod).state, READY)

    def restart(self):
        self.assertTrue(self.node.stop())
        self.start_crid()

    def test_image_in_use_stays(self):
        image = self.pull(self.busybox)
        pod, config = self.run_pod()
        self.start_container(pod, config, ["sleep", "100"])
        with self.assertRaises(grpc.RpcError):
            self.cri.RemoveImage(image={"image": image})
        self.assertTrue(self.cri.ImageStatus(image={"image": image}).HasField("image"))

    def test_filters(self):
        self.pull(self.busybox)
        pod, config = self.run_pod(self.pod_config(labels={"a": "1"}))
        container = self.start_container(pod, config, ["sleep", "100"], labels={"b": "2"})
        pods, containers = self.cri.ListPodSandbox, self.cri.ListContainers
        for wanted, fields in ((1, {"id": pod}), (1, {"id": pod[:13]}), (1, {"label_selector": {"a": "1"}}), (0, {"label_selector": {"a": "2"}}),
                               (1, {"state": {"state": READY}}), (0, {"state": {"state": cri_pb2.SANDBOX_NOTREADY}})):
            with self.subTest(pods=fields):
                self.assertEqual(len(pods(filter=fields).items), wanted)
        for wanted, fields in ((1, {"id": container[:13]}), (1, {"pod_sandbox_id": pod}), (0, {"pod_sandbox_id": NOWHERE}),
                               (1, {"label_selector": {"b": "2"}}), (0, {"label_selector": {"b": "2", "c": "3"}}),
                               (1, {"state": {"state": cri_pb2.CONTAINER_RUNNING}}), (0, {"state": {"state": cri_pb2.CONTAINER_EXITED}})):
            with self.subTest(containers=fields):
                self.assertEqual(len(containers(filter=fields).containers), wanted)
