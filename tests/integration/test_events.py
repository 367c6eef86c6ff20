# SPDX-License-Identifier: Apache-2.0
"""GetContainerEvents, as the kubelet's evented PLEG reads it."""

import queue
import threading
import time

import grpc
from crid_harness import CREATED, EXITED, NOTREADY, READY, RUNNING, NodeCase, cri_pb2, inspect
from crid_node import wait_for

NAMES = {cri_pb2.CONTAINER_CREATED_EVENT: "created", cri_pb2.CONTAINER_STARTED_EVENT: "started",
         cri_pb2.CONTAINER_STOPPED_EVENT: "stopped", cri_pb2.CONTAINER_DELETED_EVENT: "deleted"}


class Reader:
    """A stream that is read by a thread of its own."""

    def __init__(self, cri):
        self.stream = cri.stream("GetContainerEvents", deadline=None)
        self.queue = queue.Queue()
        self.code = None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            for event in self.stream:
                self.queue.put(event)
            self.code = grpc.StatusCode.OK
        except grpc.RpcError as e:
            self.code = e.code()

    def next(self):
        return self.queue.get(timeout=20)

    def end(self):
        self.stream.cancel()
        self.thread.join(20)


class Events(NodeCase):
    @classmethod
    def configuration(cls):
        return "enable_pod_events = true\n"

    def setUp(self):
        super().setUp()
        self.pull(self.busybox)

    def reader(self):
        """It is known to be subscribed when it tells of a pod that was made for that."""
        reader = Reader(self.cri)
        self.addCleanup(reader.end)
        while reader.queue.empty():
            pod, _ = self.run_pod(self.pod_config("probe"))
            self.remove_pod(pod)
            time.sleep(0.05)
        wait_for(lambda: reader.queue.qsize() % 4 == 0, 10, "all events of the probes")
        while not reader.queue.empty():
            reader.next()
        return reader

    def test_whole_life(self):
        reader = self.reader()
        began = time.time_ns()
        pod, config = self.run_pod()
        container = self.start_container(pod, config, ["sleep", "1000"])
        self.cri.StopContainer(container_id=container, timeout=0)
        self.cri.RemoveContainer(container_id=container)
        self.cri.StopPodSandbox(pod_sandbox_id=pod)
        self.cri.RemovePodSandbox(pod_sandbox_id=pod)
        expected = [(pod, "created", READY, []), (pod, "started", READY, []),
                    (container, "created", READY, [CREATED]), (container, "started", READY, [RUNNING]),
                    (container, "stopped", READY, [EXITED]), (container, "deleted", READY, []),
                    (pod, "stopped", NOTREADY, []), (pod, "deleted", NOTREADY, [])]
        events = [reader.next() for _ in expected]
        self.assertEqual([(e.container_id, NAMES[e.container_event_type], e.pod_sandbox_status.state,
                           [s.state for s in e.containers_statuses]) for e in events], expected)
        for event in events:
            self.assertEqual((event.pod_sandbox_status.id, event.pod_sandbox_status.metadata.uid), (pod, config["metadata"]["uid"]))
            self.assertTrue(began <= event.created_at <= time.time_ns())
        self.assertEqual(events[4].containers_statuses[0].exit_code, 137)
        self.assertEqual([e.created_at for e in events], sorted(e.created_at for e in events))

    def test_end_of_its_own_and_other_containers_of_the_pod(self):
        reader = self.reader()
        pod, config = self.run_pod()
        stays = self.start_container(pod, config, ["sleep", "1000"], name="stays")
        ends = self.start_container(pod, config, ["sh", "-c", "exit 3"], name="ends")
        events = [reader.next() for _ in range(7)]
        last = events[-1]
        self.assertEqual((last.container_id, NAMES[last.container_event_type]), (ends, "stopped"))
        self.assertEqual({s.id: (s.state, s.exit_code, s.reason) for s in last.containers_statuses},
                         {ends: (EXITED, 3, "Error"), stays: (RUNNING, 0, "")})

    def test_pod_status_has_its_containers(self):
        pod, config = self.run_pod()
        container = self.start_container(pod, config, ["sleep", "1000"])
        before = time.time_ns()
        reply = self.cri.PodSandboxStatus(pod_sandbox_id=pod)
        self.assertEqual([(s.id, s.state) for s in reply.containers_statuses], [(container, RUNNING)])
        self.assertTrue(before <= reply.timestamp <= time.time_ns())

    def test_every_reader_is_told(self):
        readers = [self.reader() for _ in range(3)]
        for reader in readers:          # the probes of the later ones
            while not reader.queue.empty():
                reader.next()
        readers[0].end()
        pod, _ = self.run_pod()
        for reader in readers[1:]:
            self.assertEqual(reader.next().container_id, pod)
        self.assertEqual(readers[0].code, grpc.StatusCode.CANCELLED)

    def test_reader_that_does_not_read_is_cut_off(self):
        """Nobody waits for it, and what it lost is counted."""
        before = inspect(self.node.socket, "/crid/stats")["events_dropped"]
        big = {f"key{n}": "v" * 200_000 for n in range(4)}     # so that some events are enough
        stream = self.cri.stream("GetContainerEvents", deadline=None)   # whose messages nobody takes
        self.addCleanup(stream.cancel)
        for _ in range(10):
            pod, config = self.run_pod(self.pod_config(annotations=big))
            self.start_container(pod, config, ["true"])
            self.remove_pod(pod)
            if inspect(self.node.socket, "/crid/stats")["events_dropped"] > before:
                break
        self.assertGreater(inspect(self.node.socket, "/crid/stats")["events_dropped"], before)
        with self.assertRaises(grpc.RpcError) as caught:
            for _ in stream:
                pass
        self.assertEqual(caught.exception.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)

    def test_end_of_the_daemon_ends_the_stream(self):
        reader = self.reader()
        self.assertTrue(self.node.stop(20))
        reader.thread.join(20)
        self.assertEqual(reader.code, grpc.StatusCode.UNAVAILABLE)
        self.start_crid()


class Disabled(NodeCase):
    def test_stream_ends_at_once(self):
        self.assertEqual(list(self.cri.stream("GetContainerEvents")), [])

    def test_pod_status_is_without_containers(self):
        pod, _ = self.run_pod()
        reply = self.cri.PodSandboxStatus(pod_sandbox_id=pod)
        self.assertEqual((len(reply.containers_statuses), reply.timestamp), (0, 0))
