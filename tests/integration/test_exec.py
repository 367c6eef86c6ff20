# SPDX-License-Identifier: Apache-2.0
"""ExecSync under probes that time out, leave children behind or never stop printing; commands when their container or
crid ends; and many stops of one container at once."""

import concurrent.futures
import os
import random
import signal
import time
import unittest

import crid_harness
from crid_harness import EXITED, RUNNING, NodeCase
from crid_node import wait_for

MIB = 1 << 20
IGNORES = "trap '' TERM; echo ready; while :; do sleep 100000; done"
QUIET = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.2; done"


class ExecCase(NodeCase):
    def setUp(self):
        super().setUp()
        self.pull(self.busybox)

    def container(self, script=QUIET, **more):
        pod, config = self.run_pod()
        return self.start_ready(pod, config, script, **more)

    def inside(self, container):
        return self.exec(container, "ps", "-o", "args")[1].splitlines()

    def memory(self):
        """(resident bytes, heap, descriptors, threads, children that are zombies)"""
        pid = self.node.process.pid
        with open(f"/proc/{pid}/statm") as f:
            resident = int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        heap = crid_harness.inspect(self.node.socket, "/crid/stats")["heap_bytes"]
        return {"resident": resident, "heap": heap, "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
                "threads": len(os.listdir(f"/proc/{pid}/task")),
                "zombies": len(crid_harness.crid_node.descendants(pid, zombies=True))}

    def cpu(self):
        return time.clock_gettime(~self.node.process.pid << 3 | 2)


class ExecSync(ExecCase):
    def test_output_is_cut_at_16_mib(self):
        container = self.container()
        reply = self.cri.ExecSync(container_id=container, cmd=["sh", "-c", "yes 0123456789abcdef | head -c 30000000; exit 3"])
        self.assertEqual(reply.exit_code, 3)
        self.assertLessEqual(len(reply.stdout), 16 * MIB)
        self.assertGreater(len(reply.stdout), 4 * MIB)          # conmon's limit counts its own words for each line
        self.assertEqual(set(reply.stdout.split(b"\n")[:-1]), {b"0123456789abcdef"})

    def test_deadline_ends_what_prints_for_ever(self):
        container = self.container()
        began = time.monotonic()
        code, out, err = self.exec(container, "yes", timeout=1)
        self.assertEqual((code, out, err), (-1, "", "command timed out"))
        self.assertLess(time.monotonic() - began, 10)
        wait_for(lambda: "yes" not in self.inside(container), 10, "its end")

    def test_timed_out_command_is_gone_and_the_container_is_not(self):
        container = self.container()
        code, _, err = self.exec(container, "sh", "-c", "trap '' TERM INT HUP; sleep 4321", timeout=1)
        self.assertEqual((code, err), (-1, "command timed out"))
        wait_for(lambda: not any("4321" in line for line in self.inside(container)), 10, "the command's end")
        self.assertEqual(self.status(container).state, RUNNING)
        self.assertEqual(self.exec(container, "echo", "still here"), (0, "still here\n", ""))

    def test_children_that_hold_stdout_hold_nothing_up(self):
        container = self.container()
        for timeout in (0, 5):
            began = time.monotonic()
            self.assertEqual(self.exec(container, "sh", "-c", "sleep 100 & echo done", timeout=timeout), (0, "done\n", ""))
            self.assertLess(time.monotonic() - began, 4)
        self.assertEqual(self.status(container).state, RUNNING)

    def test_a_client_that_leaves_ends_its_command(self):
        container = self.container()
        call = self.cri.future("ExecSync", 60, container_id=container, cmd=["sleep", "4321"])
        wait_for(lambda: "sleep 4321" in self.inside(container), 20, "the command")
        call.cancel()
        wait_for(lambda: "sleep 4321" not in self.inside(container), 20, "its end")

    def test_commands_end_with_their_container(self):
        container = self.container()
        calls = [self.cri.future("ExecSync", 60, container_id=container, cmd=["sh", "-c", "trap '' TERM; sleep 4321"]) for _ in range(3)]
        wait_for(lambda: self.inside(container).count("sleep 4321") == 3, 20, "the commands")
        began = time.monotonic()
        self.cri.StopContainer(container_id=container, timeout=20)
        codes = [call.result().exit_code for call in calls]
        self.assertLess(time.monotonic() - began, 10)
        self.assertEqual(codes, [137] * 3)

    def test_crid_killed_in_the_middle(self):
        container = self.container()
        calls = [self.cri.future("ExecSync", 60, container_id=container, cmd=["sleep", "4321"]) for _ in range(2)]
        wait_for(lambda: self.inside(container).count("sleep 4321") == 2, 20, "the commands")
        os.kill(self.node.process.pid, signal.SIGKILL)
        self.node.process.wait()
        self.start_crid()
        for call in calls:
            self.assertNotEqual(call.code(), None)
        self.assertEqual(self.status(container).state, RUNNING)
        self.assertEqual(self.exec(container, "echo", "after"), (0, "after\n", ""))
        self.cri.StopContainer(container_id=container, timeout=10)

    def test_probes_leave_nothing_behind(self):
        rounds = int(os.environ.get("CRID_EXEC_PROBES", "48"))
        container = self.container()
        probes = (
            (["true"], 5, lambda r: r.exit_code == 0),
            (["sh", "-c", "exit 9"], 5, lambda r: r.exit_code == 9),
            (["sleep", "1000"], 1, lambda r: r.exit_code == -1),                        # times out
            (["sh", "-c", "sleep 3 & echo held"], 5, lambda r: r.stdout == b"held\n"),  # a child holds stdout
            (["yes"], 1, lambda r: r.exit_code == -1),                                  # prints without end
            (["sh", "-c", "sleep 1000 & sleep 1000"], 1, lambda r: r.exit_code == -1),
            (["head", "-c", "300000", "/dev/zero"], 5, lambda r: len(r.stdout) == 300000),
        )
        light = [0, 1, 3, 6]

        def some(n, seed):
            chance = random.Random(seed)
            # those that take a second, or a processor, are one in eight
            order = [chance.choice(light) if i % 8 else (2, 4, 5)[i // 8 % 3] for i in range(n)]
            with concurrent.futures.ThreadPoolExecutor(6) as pool:
                for which, reply in pool.map(self.probe, [container] * n, [(i, probes[i]) for i in order]):
                    self.assertTrue(probes[which][2](reply), (probes[which][0], reply.exit_code, reply.stderr, len(reply.stdout)))

        some(24, 0)
        before = self.settled()
        some(rounds, 1)
        after = self.settled()
        if "CRID_EXEC_PROBES" in os.environ:
            print(f"{rounds} probes: {before} -> {after}", flush=True)
        self.assertEqual(after["zombies"], 0)
        self.assertLessEqual(after["descriptors"], before["descriptors"])
        self.assertLess(after["heap"] - before["heap"], 256 << 10)
        self.assertLess(after["resident"] - before["resident"], 4 * MIB)
        wait_for(lambda: not any("sleep 3" == line for line in self.inside(container)), 20, "what was left in the background")
        self.assertEqual([line for line in self.inside(container) if "yes" in line], [])

    def probe(self, container, one):
        which, (command, timeout, _) = one
        return which, self.cri.ExecSync(container_id=container, cmd=command, timeout=timeout)

    def settled(self):
        def quiet():
            stats = crid_harness.inspect(self.node.socket, "/crid/stats")
            return not stats["execs"] and not stats["operations_running"]
        wait_for(quiet, 30, "the end of all commands")
        return self.memory()


class Stop(ExecCase):
    def test_twelve_stops_of_a_process_that_ignores_signals(self):
        container = self.container(IGNORES)
        cpu, began = self.cpu(), time.monotonic()
        calls = [self.cri.future("StopContainer", 60, container_id=container, timeout=100 - 8 * i) for i in range(12)]
        time.sleep(1.5)                                 # nobody answers, and nobody is busy
        self.assertFalse(any(call.done() for call in calls))
        self.assertLess(self.cpu() - cpu, 0.2)
        self.assertEqual(self.status(container).state, RUNNING)
        self.cri.StopContainer(container_id=container, timeout=1)
        for call in calls:
            call.result()
        self.assertLess(time.monotonic() - began, 15)
        self.assertEqual((self.status(container).state, self.status(container).exit_code), (EXITED, 137))
        self.cri.StopContainer(container_id=container, timeout=1)

    def test_twelve_stops_at_once_all_wait_for_the_kill(self):
        container = self.container(IGNORES)
        began = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            list(pool.map(lambda _: self.cri.StopContainer(container_id=container, timeout=2), range(12)))
        self.assertGreater(time.monotonic() - began, 1.9)
        self.assertLess(time.monotonic() - began, 10)
        self.assertEqual(self.status(container).exit_code, 137)

    def test_a_stop_that_its_caller_left_goes_on(self):
        container = self.container(IGNORES)
        self.assert_code(crid_harness.grpc.StatusCode.DEADLINE_EXCEEDED, self.cri.StopContainer, 0.3,
                         container_id=container, timeout=1)
        self.assertEqual(self.wait_exit(container).exit_code, 137)


if __name__ == "__main__":
    unittest.main()
