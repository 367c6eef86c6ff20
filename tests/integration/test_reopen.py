# SPDX-License-Identifier: Apache-2.0
"""ReopenContainerLog as the kubelet uses it: rename, reopen, read both; no line lost, split or doubled."""

import os

import grpc
from crid_harness import NodeCase, inspect, read_log
from crid_node import wait_for

ROTATIONS = int(os.environ.get("CRID_TEST_ROTATIONS", "50"))
# Lines with a number, as fast as the shell can, to both streams until it is told to end.
WRITER = "trap end=1 TERM; i=0; echo ready; while [ -z \"$end\" ]; do echo line $i; echo err $i >&2; i=$((i+1)); done; echo last $i"


class Reopen(NodeCase):
    def setUp(self):
        super().setUp()
        self.pull(self.busybox)
        self.pod, self.config = self.run_pod()

    def reopen(self, container):
        self.cri.ReopenContainerLog(container_id=container)

    def test_every_line_over_many_rotations(self):
        container = self.start_ready(self.pod, self.config, WRITER)
        log = self.status(container).log_path
        for n in range(ROTATIONS):
            os.rename(log, f"{log}.{n}")
            self.reopen(container)
            self.assertTrue(os.path.exists(log), "the new file is there when the call returns")
        self.cri.StopContainer(container_id=container, timeout=10)
        records = [record for n in range(ROTATIONS) for record in read_log(f"{log}.{n}")] + read_log(log)
        lines = {"stdout": [""], "stderr": [""]}
        for stream, tag, text in records:       # conmon cuts a line where its buffer ends: P, and the rest follows
            lines[stream][-1] += text
            if tag == "F":
                lines[stream].append("")
        count = int(lines["stdout"][-2].split()[1])
        self.assertGreater(count, 1000)
        self.assertEqual(lines["stdout"], ["ready", *(f"line {n}" for n in range(count)), f"last {count}", ""])
        self.assertEqual(lines["stderr"], [*(f"err {n}" for n in range(count)), ""])
        self.assertGreater(sum(len(read_log(f"{log}.{n}")) > 1 for n in range(ROTATIONS)), ROTATIONS / 2,
                           "it wrote between the rotations")

    def test_lines_after_the_call_are_in_the_new_file(self):
        container = self.start_ready(self.pod, self.config, "echo ready; trap 'echo told' USR1; while :; do sleep 0.1; done")
        log = self.status(container).log_path
        os.rename(log, log + ".old")
        self.reopen(container)
        self.exec(container, "kill", "-USR1", "1")
        wait_for(lambda: read_log(log) == [("stdout", "F", "told")], 10, "the line in the new file")
        self.assertEqual(read_log(log + ".old"), [("stdout", "F", "ready")])

    def test_deleted_log_comes_back(self):
        container = self.start_ready(self.pod, self.config, "echo ready; sleep 1000")
        log = self.status(container).log_path
        os.unlink(log)
        self.reopen(container)
        self.assertEqual(read_log(log), [])

    def test_errors_make_no_file(self):
        self.assert_code(grpc.StatusCode.NOT_FOUND, self.reopen, "f" * 64)
        created = self.create(self.pod, self.config, self.container_config(["true"], name="created"))
        ended = self.start_container(self.pod, self.config, ["true"], name="ended")
        self.wait_exit(ended)
        for container in created, ended:
            log = self.status(container).log_path
            os.rename(log, log + ".old")
            self.assert_code(grpc.StatusCode.FAILED_PRECONDITION, self.reopen, container)
            self.assertFalse(os.path.exists(log))

    def test_directory_that_is_gone(self):
        container = self.start_ready(self.pod, self.config, "echo ready; sleep 1000")
        directory = os.path.dirname(self.status(container).log_path)
        os.rename(directory, directory + ".gone")
        self.assert_code(grpc.StatusCode.INTERNAL, self.reopen, container)
        os.rename(directory + ".gone", directory)
        self.reopen(container)
        self.assertEqual(self.exec(container, "echo", "alive"), (0, "alive\n", ""))

    def test_nothing_grows(self):
        container = self.start_ready(self.pod, self.config, "echo ready; sleep 1000")
        self.reopen(container)
        before = inspect(self.node.socket, "/crid/stats")["heap_bytes"]
        for _ in range(ROTATIONS):
            self.reopen(container)
        self.assertLess(inspect(self.node.socket, "/crid/stats")["heap_bytes"] - before, 100_000)
