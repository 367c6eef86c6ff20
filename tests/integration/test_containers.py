# SPDX-License-Identifier: Apache-2.0
"""What a container gets and gives: exit codes, logs, exec, environment, users, mounts, stop signals."""

import os
import time

import grpc
from crid_harness import EXITED, RUNNING, NodeCase, cri_pb2, read_log, send
import crid_node


class ExitsAndLogs(NodeCase):
    def test_exit_codes(self):
        self.pull(self.busybox)
        pod, config = self.run_pod()
        for number, (command, code, reason) in enumerate((
                ("exit 0", 0, "Completed"), ("exit 3", 3, "Error"), ("kill -9 $$", 137, "Error"), ("kill -TERM $$", 143, "Error"))):
            with self.subTest(command=command):
                # The shell is not pid 1, which ignores signals that it does not handle.
                container = self.start_container(pod, config, ["sh", "-c", f"sh -c '{command}'; exit $?"], name=f"c{number}")
                status = self.wait_exit(container)
                self.assertEqual((status.exit_code, status.reason), (code, reason))

    def test_container_killed_from_outside(self):
        self.pull(self.busybox)
        pod, config = self.run_pod()
        container = self.start_container(pod, config, ["sleep", "1000"])
        # the runtime's init becomes it a moment after the start
        pid = crid_node.wait_for(lambda: next((p for p in crid_node.descendants(os.getpid())
                                               if self.command_line(p).endswith(" sleep 1000 ")), None), 10, "the container's process")
        send(pid, "KILL")
        self.assertEqual(self.wait_exit(container).exit_code, 137)

    def test_log_has_streams_in_order_and_partial_last_line(self):
        status, log = self.finish(["sh", "-c", "echo one; echo two >&2; echo; printf 'no newline'"])
        self.assertEqual(status.exit_code, 0)
        self.assertEqual([line for line in log if line[0] == "stdout"],
                         [("stdout", "F", "one"), ("stdout", "F", ""), ("stdout", "P", "no newline")])
        self.assertEqual([line for line in log if line[0] == "stderr"], [("stderr", "F", "two")])

    def test_long_line_comes_in_pieces(self):
        _, log = self.finish(["sh", "-c", "head -c 100000 /dev/zero | tr '\\0' x; echo; echo end"])
        self.assertEqual("".join(text for _, _, text in log[:-1]), "x" * 100000)
        self.assertEqual({tag for _, tag, _ in log[:-2]}, {"P"})
        self.assertEqual(log[-1], ("stdout", "F", "end"))

    def test_tty_output_is_stdout(self):
        _, log = self.finish(["sh", "-c", "tty; echo two >&2"], tty=True)
        self.assertEqual({stream for stream, _, _ in log}, {"stdout"})
        self.assertIn("/dev/pts/0", log[0][2])

    def test_command_that_does_not_exist(self):
        self.pull(self.busybox)
        pod, config = self.run_pod()
        with self.assertRaises(grpc.RpcError) as caught:
            self.start_container(pod, config, ["/no/such/program"])
        self.assertIn("/no/such/program", caught.exception.details())


class Exec(NodeCase):
    def setUp(self):
        super().setUp()
        self.pull(self.busybox)
        self.pod, self.config = self.run_pod()
        self.container = self.start_container(self.pod, self.config, ["sleep", "1000"],
                                              envs=[{"key": "A", "value": b"from the container"}], working_dir="/tmp")

    def test_streams_and_exit_code(self):
        self.assertEqual(self.exec(self.container, "sh", "-c", "echo o; echo e >&2; exit 42"), (42, "o\n", "e\n"))

    def test_no_output(self):
        self.assertEqual(self.exec(self.container, "true"), (0, "", ""))

    def test_output_without_newline_and_with_binary_bytes(self):
        reply = self.cri.ExecSync(container_id=self.container, cmd=["printf", r"a\000\377\nb"])
        self.assertEqual(reply.stdout, b"a\0\xff\nb")

    def test_has_environment_and_directory_of_the_container(self):
        self.assertEqual(self.exec(self.container, "sh", "-c", "echo $A; pwd"), (0, "from the container\n/tmp\n", ""))

    def test_large_output(self):
        code, out, _ = self.exec(self.container, "sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' y")
        self.assertEqual((code, len(out), set(out)), (0, 3000000, {"y"}))

    def test_output_past_the_limit_is_cut(self):
        code, out, _ = self.exec(self.container, "sh", "-c", "head -c 20000000 /dev/zero | tr '\\0' y")
        self.assertEqual(code, 0)
        self.assertGreater(len(out), 15 << 20)
        self.assertLessEqual(len(out), 16 << 20)

    def test_timeout_ends_the_process(self):
        began = time.monotonic()
        code, _, err = self.exec(self.container, "sleep", "77", timeout=1)
        self.assertLess(time.monotonic() - began, 5)
        self.assertEqual(code, -1)
        self.assertIn("timed out", err)
        _, out, _ = self.exec(self.container, "ps", "-o", "args")
        self.assertNotIn("sleep 77", out)

    def test_program_that_does_not_exist(self):
        try:
            reply = self.cri.ExecSync(container_id=self.container, cmd=["/no/such"])
            self.assertNotEqual(reply.exit_code, 0)
            self.assertIn("/no/such", reply.stderr.decode())
        except grpc.RpcError as e:
            self.assertIn("/no/such", e.details())

    def test_errors(self):
        self.assert_code(grpc.StatusCode.INVALID_ARGUMENT, self.cri.ExecSync, container_id=self.container)
        self.assert_code(grpc.StatusCode.NOT_FOUND, self.cri.ExecSync, container_id="f" * 64, cmd=["true"])
        self.cri.StopContainer(container_id=self.container, timeout=0)
        with self.assertRaises(grpc.RpcError) as caught:
            self.cri.ExecSync(container_id=self.container, cmd=["true"])
        self.assertIn(caught.exception.code(), (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION))

    def test_many_at_once(self):
        running = [self.cri.future("ExecSync", container_id=self.container, cmd=["sh", "-c", f"echo {n}; exit {n}"]) for n in range(20)]
        self.assertEqual([(r.result().exit_code, r.result().stdout) for r in running],
                         [(n, f"{n}\n".encode()) for n in range(20)])


class Surroundings(NodeCase):
    """Environment, arguments, users, mounts."""

    @classmethod
    def images(cls):
        super().images()
        layer = crid_node.busybox_layer()
        cls.entry = cls.registry.push("entry", ["1"], crid_node.Image([layer], {
            "Env": ["PATH=/bin", "FROM=image", "BOTH=image"], "Entrypoint": ["echo", "entry"], "Cmd": ["cmd"],
            "WorkingDir": "/var/made", "User": "www-data"}))

    def lines(self, command, **more):
        status, log = self.finish(command, **more)
        self.assertEqual(status.exit_code, 0, log)
        return [text for _, _, text in log]

    def test_entrypoint_and_arguments(self):
        self.pull(self.entry)
        for more, expected in (({}, "entry cmd"), ({"args": ["x"]}, "entry x"), ({"command": ["echo", "own"]}, "own"),
                               ({"command": ["echo"], "args": ["a", "b c"]}, "a b c")):
            with self.subTest(more=more):
                pod, config = self.run_pod()
                container = self.create(pod, config, {**self.container_config(None, image=self.entry), "command": [], **more})
                self.cri.StartContainer(container_id=container)
                self.assertEqual(read_log(self.wait_exit(container).log_path), [("stdout", "F", expected)])

    def test_image_gives_environment_user_and_directory(self):
        self.pull(self.entry)
        out = self.lines(["sh", "-c", "echo $FROM $BOTH; id -u; pwd"], image=self.entry,
                         envs=[{"key": "BOTH", "value": b"request"}])
        self.assertEqual(out, ["image request", "33", "/var/made"])

    def test_user_of_the_request(self):
        def context(**fields):
            return {"linux": {"security_context": fields}}
        self.assertEqual(self.lines(["id", "-u"], **context(run_as_user={"value": 1234})), ["1234"])
        self.assertEqual(self.lines(["id", "-un"], **context(run_as_username="www-data")), ["www-data"])
        self.assertEqual(self.lines(["sh", "-c", "id -u; id -g; id -G"], **context(
            run_as_user={"value": 1001}, run_as_group={"value": 1002}, supplemental_groups=[1003])), ["1001", "1002", "1002 1003"])

    def test_defaults_are_confined(self):
        out = self.lines(["sh", "-c", "grep -E 'CapEff|CapBnd|Seccomp:' /proc/self/status; echo $$; ls /sys/firmware | wc -l; "
                                      "(echo x > /proc/sys/kernel/domainname) 2>/dev/null || echo ro; ls /dev"],
                         linux={"security_context": {"seccomp": {"profile_type": cri_pb2.SecurityProfile.RuntimeDefault},
                                                     "masked_paths": ["/sys/firmware"], "readonly_paths": ["/proc/sys"]}})
        self.assertEqual(out[0].split(), ["CapEff:", "00000000000005fb"])
        self.assertEqual(out[1].split(), ["CapBnd:", "00000000000005fb"])
        self.assertEqual(out[2].split(), ["Seccomp:", "2"])
        self.assertEqual(out[3:6], ["1", "0", "ro"])
        self.assertEqual(sorted(set(out[6:]) - {"core"}), sorted("fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero".split()))

    def test_no_seccomp_profile_means_unconfined(self):
        self.assertEqual(self.lines(["grep", "Seccomp:", "/proc/self/status"])[0].split()[1], "0")

    def test_privileged(self):
        self.pull(self.busybox)
        config = self.pod_config(linux={"security_context": {"privileged": True, "namespace_options": {"pid": 1}}})
        pod, _ = self.run_pod(config)
        container = self.start_container(pod, config, ["sh", "-c", "grep Seccomp: /proc/self/status; mount -t tmpfs x /tmp && echo mounted"],
                                         linux={"security_context": {"privileged": True}})
        status = self.wait_exit(container)
        self.assertEqual([t.split()[-1] for _, _, t in read_log(status.log_path)], ["0", "mounted"])

    def test_mounts(self):
        data = self.node.path("data")
        os.makedirs(data, exist_ok=True)
        with open(os.path.join(data, "in"), "w") as f:
            f.write("hello\n")
        mounts = [{"container_path": "/rw", "host_path": data}, {"container_path": "/ro", "host_path": data, "readonly": True}]
        out = self.lines(["sh", "-c", "cat /rw/in; echo made > /rw/out; touch /ro/x 2>/dev/null || echo refused"], mounts=mounts)
        self.assertEqual(out, ["hello", "refused"])
        with open(os.path.join(data, "out")) as f:
            self.assertEqual(f.read(), "made\n")

    def test_read_only_root(self):
        out = self.lines(["sh", "-c", "touch /x 2>/dev/null || echo refused; touch /dev/shm/x && echo shm"],
                         linux={"security_context": {"readonly_rootfs": True}})
        self.assertEqual(out, ["refused", "shm"])

    def test_resources(self):
        self.pull(self.busybox)
        pod, config = self.run_pod()
        limits = {"memory_limit_in_bytes": 64 << 20, "cpu_period": 100000, "cpu_quota": 50000, "cpu_shares": 512}
        container = self.start_container(pod, config, ["sleep", "100"], linux={"resources": limits})
        limit = [d for d in self.node.left_cgroups([container]) if "conmon" not in d and (
            os.path.exists(d + "/memory.limit_in_bytes") or os.path.exists(d + "/memory.max"))]
        self.assertEqual(len(limit), 1)
        name = "memory.max" if os.path.exists(limit[0] + "/memory.max") else "memory.limit_in_bytes"
        with open(os.path.join(limit[0], name)) as f:
            self.assertEqual(int(f.read()), 64 << 20)
        self.assertEqual(self.status(container).resources.linux.memory_limit_in_bytes, 64 << 20)


IGNORES_TERM = "trap '' TERM; echo ready; while :; do sleep 0.1; done"


class Stopping(NodeCase):
    def test_container_that_ignores_the_signal_is_killed_after_the_grace_period(self):
        self.pull(self.busybox)
        pod, config = self.run_pod()
        container = self.start_ready(pod, config, IGNORES_TERM)
        began = time.monotonic()
        self.cri.StopContainer(container_id=container, timeout=1)
        took = time.monotonic() - began
        self.assertGreaterEqual(took, 0.9)
        self.assertLess(took, 6)
        self.assertEqual(self.status(container).exit_code, 137)

    def test_stop_without_grace(self):
        self.pull(self.busybox)
        pod, config = self.run_pod()
        container = self.start_ready(pod, config, IGNORES_TERM)
        began = time.monotonic()
        self.cri.StopContainer(container_id=container, timeout=0)
        self.assertLess(time.monotonic() - began, 3)
        self.assertEqual(self.status(container).exit_code, 137)

    def test_second_stop_shortens_the_first(self):
        self.pull(self.busybox)
        pod, config = self.run_pod()
        container = self.start_ready(pod, config, IGNORES_TERM)
        first = self.cri.future("StopContainer", container_id=container, timeout=50)
        began = time.monotonic()
        self.cri.StopContainer(container_id=container, timeout=1)
        self.assertLess(time.monotonic() - began, 10)
        first.result(5)

    def test_image_stop_signal(self):
        image = self.registry.push("stopsignal", ["1"], crid_node.busybox_image({"StopSignal": "SIGUSR1"}))
        self.pull(image)
        pod, config = self.run_pod()
        container = self.start_ready(pod, config, "trap 'exit 9' USR1; echo ready; while :; do sleep 0.05; done", image=image)
        self.cri.StopContainer(container_id=container, timeout=10)
        self.assertEqual(self.status(container).exit_code, 9)

    def test_pod_stop_ends_its_containers(self):
        self.pull(self.busybox)
        pod, config = self.run_pod()
        script = "trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done"
        containers = [self.start_ready(pod, config, script, name=f"c{n}") for n in range(3)]
        began = time.monotonic()
        self.cri.StopPodSandbox(pod_sandbox_id=pod)
        self.assertLess(time.monotonic() - began, 3)
        self.assertEqual([(self.status(c).state, self.status(c).exit_code) for c in containers], [(EXITED, 5)] * 3)

    def test_remove_of_a_running_container(self):
        self.pull(self.busybox)
        pod, config = self.run_pod()
        container = self.start_ready(pod, config, "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done")
        self.assertEqual(self.status(container).state, RUNNING)
        self.cri.RemoveContainer(container_id=container)
        self.assertEqual(list(self.cri.ListContainers().containers), [])
