# SPDX-License-Identifier: Apache-2.0
"""crid comes and goes, containers stay: stopped politely, killed, and what happened in between."""

import os
import subprocess
import time

import grpc
from crid_harness import CREATED, EXITED, READY, RUNNING, NodeCase, read_log, send
import crid_node
from crid_node import wait_for


class Restart(NodeCase):
    def polite(self):
        self.assertTrue(self.node.stop(), "crid ends with status 0 on TERM")
        self.assertFalse(os.path.exists(self.node.socket), "the socket is gone")

    def kill(self):
        self.node.process.kill()
        self.node.process.wait()

    def running_container(self, **more):
        self.pull(self.busybox)
        pod, config = self.run_pod(self.pod_config("stays", labels={"a": "b"}))
        container = self.start_ready(pod, config, "trap 'echo stopped; exit 6' TERM; echo ready; "
                                     "n=0; while :; do n=$((n+1)); echo $n; sleep 0.05; done", **more)
        return pod, config, container

    def check_still_there(self, pod, config, container, before):
        after = self.status(container)
        self.assertEqual(after.state, RUNNING)
        for field in ("id", "metadata", "image", "image_ref", "labels", "annotations", "log_path", "started_at"):
            self.assertEqual(getattr(after, field), getattr(before[1], field), field)
        self.assertEqual(self.pod_status(pod), before[0])
        self.assertEqual([(c.id, c.state) for c in self.cri.ListContainers().containers], [(container, RUNNING)])
        self.assertEqual([(p.id, p.state) for p in self.cri.ListPodSandbox().items], [(pod, READY)])
        self.assertEqual(self.exec(container, "echo", "again"), (0, "again\n", ""))
        seen = len(read_log(after.log_path))
        wait_for(lambda: len(read_log(after.log_path)) > seen, 5, "the container goes on")
        second = self.start_container(pod, config, ["true"], name="second")
        self.assertEqual(self.wait_exit(second).exit_code, 0)
        self.cri.StopContainer(container_id=container, timeout=10)
        self.assertEqual(self.status(container).exit_code, 6)
        self.assertEqual(read_log(after.log_path)[-1], ("stdout", "F", "stopped"))

    def test_after_a_polite_stop_the_container_runs_and_can_be_stopped(self):
        pod, config, container = self.running_container()
        before = (self.pod_status(pod), self.status(container))
        self.polite()
        log = before[1].log_path
        seen = len(read_log(log))
        wait_for(lambda: len(read_log(log)) > seen + 2, 5, "the container writes without crid")
        self.start_crid()
        self.check_still_there(pod, config, container, before)

    def test_after_kill_9_too(self):
        pod, config, container = self.running_container()
        before = (self.pod_status(pod), self.status(container))
        self.kill()
        self.start_crid()
        self.check_still_there(pod, config, container, before)

    def test_container_that_ended_meanwhile(self):
        self.pull(self.busybox)
        pod, config = self.run_pod()
        go = self.node.path("go")
        os.makedirs(go, exist_ok=True)
        container = self.start_container(pod, config, ["sh", "-c", "until [ -e /go/now ]; do sleep 0.05; done; exit 4"],
                                         mounts=[{"container_path": "/go", "host_path": go}])
        self.polite()
        open(os.path.join(go, "now"), "w").close()
        wait_for(lambda: os.path.exists(self.node.path("run/exits", container)), 10, "conmon notes the exit")
        self.start_crid()
        status = self.status(container)
        self.assertEqual((status.state, status.exit_code), (EXITED, 4))
        self.assertGreaterEqual(status.finished_at, status.started_at)

    def test_container_killed_with_its_monitor_meanwhile(self):
        """Nobody noted the exit code: 255, as CRI-O says."""
        pod, _, container = self.running_container()
        below = crid_node.descendants(self.node.process.pid)
        self.kill()
        for pid in below:
            try:
                send(pid, "KILL")
            except ProcessLookupError:
                pass
        self.start_crid()
        status = self.status(container)
        self.assertEqual((status.state, status.exit_code), (EXITED, 255))
        self.assertEqual(self.pod_status(pod).state, READY)

    def test_created_and_exited_containers_are_what_they_were(self):
        self.pull(self.busybox)
        pod, config = self.run_pod()
        created = self.create(pod, config, self.container_config(["sleep", "100"], name="created"))
        exited = self.start_container(pod, config, ["sh", "-c", "exit 3"], name="exited")
        before = self.wait_exit(exited)
        self.polite()
        self.start_crid()
        self.assertEqual(self.status(created).state, CREATED)
        after = self.status(exited)
        self.assertEqual((after.state, after.exit_code, after.finished_at), (EXITED, 3, before.finished_at))
        self.cri.StartContainer(container_id=created)
        self.assertEqual(self.status(created).state, RUNNING)

    def test_stopped_pod_stays_stopped(self):
        pod, _ = self.run_pod()
        self.cri.StopPodSandbox(pod_sandbox_id=pod)
        before = self.pod_status(pod)
        self.polite()
        self.start_crid()
        after = self.pod_status(pod)
        for field in ("id", "metadata", "state", "created_at", "labels", "annotations", "linux"):
            self.assertEqual(getattr(after, field), getattr(before, field), field)

    def test_images_stay(self):
        image = self.pull(self.busybox)
        self.polite()
        self.start_crid()
        self.assertEqual(self.cri.ImageStatus(image={"image": self.busybox}).image.id, image)

    def test_killed_while_it_makes_and_removes_pods(self):
        """kill -9 at some moment of a road, many times: the next start finds or removes what was there."""
        self.pull(self.busybox)
        for n in range(8):
            running = [self.cri.future("RunPodSandbox", config=self.pod_config(f"k{n}-{m}")) for m in range(2)]
            end = time.monotonic() + 0.015 * (n + 1)
            while time.monotonic() < end and not all(r.done() for r in running):
                pass
            self.cri.ids |= self.node.ids()
            self.kill()
            for one in running:
                one.cancel()
            self.cri.ids |= self.node.ids()
            self.start_crid()
            for pod in self.cri.ListPodSandbox().items:
                self.cri.ids.add(pod.id)
                self.remove_pod(pod.id)
        pod, _ = self.run_pod()
        self.assertEqual(self.pod_status(pod).state, READY)

    def test_second_daemon_on_the_same_socket_refuses(self):
        done = subprocess.run(self.node.command(), env=self.node.environment(), stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=20, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("another crid", done.stderr + done.stdout)
        self.assertEqual(self.cri.Version().runtime_api_version, "v1")

    def test_damaged_record_does_not_stop_the_start(self):
        """One pod's config.json is garbage: the others are served, and the damaged one is not deleted silently."""
        pod, _ = self.run_pod(self.pod_config("good"))
        bad, _ = self.run_pod(self.pod_config("bad"))
        self.polite()
        path = self.node.path("storage/overlay-containers", bad, "userdata/config.json")
        with open(path) as f:
            good = f.read()
        with open(path, "w") as f:
            f.write("{\"annotations\": [")
        self.start_crid()
        self.assertEqual(self.pod_status(pod).state, READY)
        self.polite()
        with open(path, "w") as f:
            f.write(good)
        self.start_crid()
        self.assertEqual(self.pod_status(bad).state, READY)
        self.assert_code(grpc.StatusCode.NOT_FOUND, self.cri.PodSandboxStatus, pod_sandbox_id="f" * 64)
