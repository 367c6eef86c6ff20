# SPDX-License-Identifier: Apache-2.0
"""Lists as streams: the same items as the unary twins, in messages of bounded size, with back-pressure."""

from crid_harness import READY, NodeCase

TWINS = (
    ("ListPodSandbox", "items", "StreamPodSandboxes", "pod_sandboxes"),
    ("ListContainers", "containers", "StreamContainers", "containers"),
    ("ListImages", "images", "StreamImages", "images"),
)


class Streams(NodeCase):
    def streamed(self, name, field, **fields):
        return [item for message in self.cri.stream(name, **fields) for item in getattr(message, field)]

    def test_same_items_as_the_lists(self):
        self.pull(self.busybox)
        pod, config = self.run_pod(self.pod_config(labels={"a": "b"}))
        self.run_pod(self.pod_config("other"))
        for n in range(3):
            self.create(pod, config, self.container_config(["true"], name=f"c{n}"))
        for unary, items, stream, streamed in TWINS:
            with self.subTest(stream=stream):
                expected = list(getattr(getattr(self.cri, unary)(), items))
                self.assertGreater(len(expected), 1)
                self.assertEqual(self.streamed(stream, streamed), expected)
        by_label = self.streamed("StreamPodSandboxes", "pod_sandboxes", filter={"label_selector": {"a": "b"}})
        self.assertEqual([p.id for p in by_label], [pod])
        self.assertEqual(len(self.streamed("StreamPodSandboxes", "pod_sandboxes", filter={"state": {"state": READY}})), 2)
        self.assertEqual(len(self.streamed("StreamContainers", "containers", filter={"pod_sandbox_id": pod[:20]})), 3)
        self.assertEqual([i.repo_tags for i in self.streamed("StreamImages", "images", filter={"image": {"image": self.busybox}})],
                         [[self.busybox]])

    def test_nothing_is_no_message(self):
        self.assertEqual(list(self.cri.stream("StreamContainers")), [])
        self.assertEqual(list(self.cri.stream("StreamPodSandboxes", filter={"id": "nothing"})), [])
