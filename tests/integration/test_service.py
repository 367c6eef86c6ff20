# SPDX-License-Identifier: Apache-2.0
"""crid as a service: what it tells the service manager, how it ends, what signals do, and its unit."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import unittest

import grpc

import crid_node
from crid_harness import BUILD, READY, RUNNING, NodeCase, send
from crid_node import wait_for

WATCHDOG = 400000       # microseconds
CRID = os.path.join(BUILD, "crid/crid")


def http_get(path, target):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)
        s.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        return b"".join(iter(lambda: s.recv(65536), b"")).decode()


class ServiceCase(NodeCase):
    """With a service manager that listens."""

    @classmethod
    def start_crid(cls):
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = cls.node.path("notify")
        if os.path.exists(path):
            os.unlink(path)
        manager.bind(path)
        manager.settimeout(20)
        cls.addClassCleanup(manager.close)
        cls.manager = manager
        plain = type(cls.node).environment(cls.node)
        cls.node.environment = lambda: dict(plain, NOTIFY_SOCKET=path, WATCHDOG_USEC=str(WATCHDOG))
        super().start_crid()

    def heard(self):
        """The lines of the next message."""
        return self.manager.recv(4096).decode().split("\n")

    def hear(self, wanted):
        while wanted not in self.heard():
            pass

    def forget(self):
        self.manager.setblocking(False)
        try:
            while True:
                self.manager.recv(4096)
        except BlockingIOError:
            pass
        self.manager.settimeout(20)

    def log_since(self, offset):
        with open(self.node.path("crid.log"), errors="replace") as f:
            f.seek(offset)
            return f.read()

    def log_size(self):
        return os.path.getsize(self.node.path("crid.log"))

    def left_inside(self):
        # the watchdog's own work is always there
        return {k: v for k, v in super().left_inside().items() if not k.startswith(("operations", "threads"))}


class Notifications(ServiceCase):
    def test_ready_then_watchdog_then_stopping(self):
        self.assertTrue(self.node.stop(60))
        self.forget()
        self.start_crid()
        self.assertIn("READY=1", self.heard())
        begun = time.monotonic()
        for _ in range(4):
            self.assertEqual(self.heard(), ["WATCHDOG=1"])
        # the first at once, then every half of what is allowed
        self.assertGreater(time.monotonic() - begun, 3 * WATCHDOG / 2 / 1e6 * 0.9)
        self.node.process.terminate()
        self.hear("STOPPING=1")
        self.assertEqual(self.node.process.wait(30), 0)
        self.start_crid()

    def test_stopped_daemon_is_not_reported_alive(self):
        self.hear("WATCHDOG=1")
        send(self.node.process.pid, "STOP")
        try:
            self.forget()
            self.manager.settimeout(3 * WATCHDOG / 1e6)
            with self.assertRaises(TimeoutError):
                self.heard()
        finally:
            send(self.node.process.pid, "CONT")
            self.manager.settimeout(20)
        self.hear("WATCHDOG=1")

    def test_children_do_not_inherit_the_manager(self):
        self.pull(self.busybox)
        pod, config = self.run_pod()
        container = self.start_container(pod, config, ["sleep", "1000"])
        with open(f"/proc/{self.conmon(container)}/environ", "rb") as f:
            self.assertNotIn(b"NOTIFY_SOCKET", f.read())
        with open(f"/proc/{self.node.process.pid}/maps") as f:
            self.assertNotIn("libsystemd", f.read())

    def conmon(self, container):
        with open(os.path.join(self.node.runroot, "overlay-containers", container, "userdata/conmon-pidfile")) as f:
            return int(f.read())


class Ending(ServiceCase):
    def test_term_lets_a_running_call_finish(self):
        self.pull(self.busybox)
        pod, config = self.run_pod()
        container = self.start_container(pod, config, ["sleep", "1000"])
        call = self.cri.future("ExecSync", container_id=container, cmd=["sh", "-c", "echo begun > /begun; sleep 2; echo done"], timeout=10)
        wait_for(lambda: self.exec(container, "cat", "/begun")[1] == "begun\n", 10, "the command runs")
        self.node.process.terminate()
        self.assertEqual(call.result().stdout, b"done\n")
        self.assertEqual(self.node.process.wait(30), 0)
        self.assertTrue(os.path.exists(self.node.path("clean.shutdown")))
        self.assertTrue(os.path.exists(self.node.path("clean.shutdown.supported")))
        self.assertFalse(os.path.exists(self.node.socket))
        self.start_crid()
        self.assertFalse(os.path.exists(self.node.path("clean.shutdown")))
        self.assertEqual(self.status(container).state, RUNNING)

    def test_new_calls_are_refused_while_it_ends(self):
        self.pull(self.busybox)
        pod, config = self.run_pod()
        container = self.start_container(pod, config, ["sleep", "1000"])
        call = self.cri.future("ExecSync", container_id=container, cmd=["sleep", "2"], timeout=10)
        wait_for(lambda: self.log_size() and crid_node.descendants(self.node.process.pid), 10, "the command runs")
        self.node.process.terminate()
        wait_for(lambda: not os.path.exists(self.node.socket), 10, "the end begins")
        with self.assertRaises(grpc.RpcError) as caught:
            self.cri.ListPodSandbox(deadline=5)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.UNAVAILABLE)
        self.assertEqual(call.result().exit_code, 0)
        self.assertEqual(self.node.process.wait(30), 0)
        self.start_crid()

    def test_second_signal_ends_at_once(self):
        self.pull(self.busybox)
        pod, config = self.run_pod()
        container = self.start_container(pod, config, ["sleep", "1000"])
        call = self.cri.future("ExecSync", container_id=container, cmd=["sh", "-c", "echo begun > /begun; sleep 15"], timeout=20)
        wait_for(lambda: self.exec(container, "cat", "/begun")[1] == "begun\n", 10, "the command runs")
        self.node.process.terminate()
        wait_for(lambda: not os.path.exists(self.node.socket), 10, "the end begins")
        begun = time.monotonic()
        send(self.node.process.pid, "INT")
        self.node.process.wait(10)
        self.assertLess(time.monotonic() - begun, 5)
        self.assertIsNotNone(call.exception())
        self.assertFalse(os.path.exists(self.node.path("clean.shutdown")), "operations were cut short")
        self.start_crid()


class Signals(ServiceCase):
    def test_usr1_tells_what_there_is_and_usr2_gives_memory_back(self):
        pod, _ = self.run_pod()
        since = self.log_size()
        send(self.node.process.pid, "USR1")
        wait_for(lambda: pod in self.log_since(since), 10, "the pod is told")
        send(self.node.process.pid, "USR2")
        wait_for(lambda: "SIGUSR2: " in self.log_since(since), 10, "the answer to USR2")
        self.assertEqual(self.pod_status(pod).id, pod)


LINE = re.compile(r'time="\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{9}Z" level=(fatal|error|warning|info|debug|trace) msg="((?:[^"\\]|\\.)*)"'
                  r'(?: id=([0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}) name=(/\S+))?')


class Log(ServiceCase):
    """At the highest level, where most is said."""

    @classmethod
    def configuration(cls):
        return 'log_level = "trace"\n'

    def lines(self, since):
        """[(level, message, id, method)]; every line is of the form."""
        found = []
        for line in self.log_since(since).splitlines():
            if re.match(r"==\d+==", line):         # a sanitizer of a child
                continue
            match = LINE.fullmatch(line)
            self.assertTrue(match, line)
            found.append(match.groups()[:3] + (match[4] and match[4].rpartition("/")[2],))
        return found

    def test_lines_tell_the_request_they_are_about(self):
        since = self.log_size()
        self.pull(self.busybox)
        pod, config = self.run_pod()
        container = self.start_container(pod, config, ["sleep", "1000"])
        self.cri.ExecSync(container_id=container, cmd=["true"], timeout=10)
        self.cri.StopContainer(container_id=container, timeout=0)
        self.cri.RemoveContainer(container_id=container)
        self.cri.StopPodSandbox(pod_sandbox_id=pod)
        self.cri.RemovePodSandbox(pod_sandbox_id=pod)
        lines = self.lines(since)
        requests = {}
        for _, _, request, method in lines:
            requests.setdefault(request, set()).add(method)
        self.assertTrue(all(len(methods) == 1 for methods in requests.values()), requests)
        methods = {m: message for _, message, _, m in lines if m}
        for start, method in (("pulled image", "PullImage"), (f"running pod {pod}", "RunPodSandbox"), (f"created container {container}", "CreateContainer"),
                              (f"started container {container}", "StartContainer"), (f"container {container} ended with", "StopContainer"),
                              (f"removed container {container}", "RemoveContainer"), (f"stopped pod {pod}", "StopPodSandbox"),
                              (f"removed pod {pod}", "RemovePodSandbox")):
            self.assertIn(method, [m for _, message, _, m in lines if message.startswith(start)], (start, methods))
        # what is about no request: the watchdog's and the exit's only
        nobody = [message for _, message, request, method in lines if not request]
        self.assertEqual([m for m in nobody if pod in m or container in m], [])

    def test_secrets_are_not_told(self):
        since = self.log_size()
        self.pull(self.busybox)
        pod, config = self.run_pod()
        container = self.create(pod, config, self.container_config(["sleep", "1"], envs=[{"key": "TOKEN", "value": b"hush-env"}]))
        with self.assertRaises(grpc.RpcError):
            self.cri.PullImage(image={"image": self.busybox + "-none"}, auth={"username": "somebody", "password": "hush-password",
                                                                              "registry_token": "hush-token", "identity_token": "hush-id"})
        text = self.log_since(since)
        self.assertIn("PullImage", text)
        self.assertNotIn("hush", text)
        self.cri.RemoveContainer(container_id=container)


class LogFile(ServiceCase):
    def run_config(self, *flags):
        """What a daemon says that cannot start, because this one runs."""
        return subprocess.run([*self.node.command(), "--listen", self.node.path("other.sock"), *flags], capture_output=True, text=True,
                              timeout=30, check=False, env=self.node.environment(), stdin=subprocess.DEVNULL)

    def test_json(self):
        done = self.run_config("--log-format", "json")
        last = json.loads(done.stderr.splitlines()[-1])
        self.assertEqual(last["level"], "fatal")
        self.assertIn("in use by another crid", last["msg"])
        self.assertRegex(last["time"], r"^\d{4}-\d\d-\d\dT.*Z$")

    def test_file(self):
        path = self.node.path("daemon.log")
        done = self.run_config("--log", path)
        self.assertEqual(done.stderr, "")
        with open(path) as f:
            self.assertIn("in use by another crid", f.read())
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o640)

    def test_nonsense_is_refused(self):
        for flags, word in ((("--log-format", "xml"), "log-format"), (("--log", "/no/such/dir/x"), "/no/such/dir/x"),
                            (("--log-filter", "a("), "log-filter"), (("--log-level", "loud"), "log-level")):
            done = self.run_config(*flags)
            self.assertEqual(done.returncode, 1)
            self.assertIn(word, done.stderr)


class Reload(ServiceCase):
    """SIGHUP with another configuration file."""

    def setUp(self):
        super().setUp()
        with open(self.node.path("crio.conf")) as f:
            text = f.read()
        self.addCleanup(self.reload)
        self.addCleanup(self.node.write, "crio.conf", text)
        self.text = text

    def reload(self, *replacements):
        """What the log says; the file gets the replacements first."""
        text = self.text
        for old, new in replacements:
            self.assertIn(old, text)
            text = text.replace(old, new)
        if replacements:
            self.node.write("crio.conf", text)
        since = self.log_size()
        self.forget()
        send(self.node.process.pid, "HUP")
        self.hear("READY=1")
        return self.log_since(since)

    def test_new_values_take_effect_at_once(self):
        self.pull(self.busybox)
        self.assertFalse(next(i for i in self.cri.ListImages().images if self.busybox in i.repo_tags).pinned)
        text = self.reload(("[crio.image]", f'[crio.image]\npinned_images = ["{self.busybox}"]'),
                           ("[crio.runtime]", '[crio.runtime]\nlog_level = "debug"'))
        self.assertIn('log_level = \\"debug\\"', text)
        self.assertIn("pinned_images", text)
        self.assertIn("Configuration reload completed", text)
        wait_for(lambda: next(i for i in self.cri.ListImages().images if self.busybox in i.repo_tags).pinned, 10, "the image is pinned")
        since = self.log_size()
        self.cri.Version()
        self.assertIn("level=debug", self.log_since(since))
        self.reload(("[crio.runtime]", '[crio.runtime]\nlog_filter = "nothing says this"'))
        since = self.log_size()
        self.run_pod()
        self.assertEqual(self.log_since(since), "")

    def test_new_handler_runs_pods_and_one_in_use_stays(self):
        handler = self.text[self.text.index("[crio.runtime.runtimes.runc]"):].split("\n\n")[0]
        self.assert_code(grpc.StatusCode.NOT_FOUND, self.cri.RunPodSandbox, config=self.pod_config(), runtime_handler="second")
        both = ("[crio.image]", handler.replace("runtimes.runc", "runtimes.second") + "\n[crio.image]")
        self.assertIn("runtimes", self.reload(both))
        self.pull(self.busybox)
        pod, config = self.run_pod(handler="second")
        container = self.start_container(pod, config, ["sleep", "1000"])
        self.assertEqual(self.exec(container, "echo", "x")[1], "x\n")
        text = self.reload(("[crio.image]", "[crio.image]"))          # without it
        self.assertIn(f"runtime handler second is gone, but pod {pod} uses it", text)
        self.assertIn("nothing has changed", text)
        self.assertEqual(self.exec(container, "echo", "x")[1], "x\n")
        self.remove_pod(pod)
        self.reload(("[crio.image]", "[crio.image]"))
        self.assert_code(grpc.StatusCode.NOT_FOUND, self.cri.RunPodSandbox, config=self.pod_config(), runtime_handler="second")

    def test_mistake_changes_nothing(self):
        text = self.reload(("[crio.runtime]", '[crio.runtime]\nlog_level = "debug"'), ("[crio.image]", '[crio.image]\nshort_name_mode = "maybe"'))
        self.assertIn("nothing has changed", text)
        self.assertIn("short_name_mode", text)
        since = self.log_size()
        self.cri.Version()
        self.assertEqual(self.log_since(since), "")
        for change, word in ((('pause_command = "/pause"', 'pause_command = "/pause"\npause_image_auth_file = "/no/such/file"'), "/no/such/file"),
                             (('default_runtime = "runc"', 'default_runtime = "nothing"'), "nothing"), (("[crio.image]", "[crio.image"), "crio.conf")):
            text = self.reload(change)
            self.assertIn("nothing has changed", text)
            self.assertIn(word, text)

    def test_what_cannot_change_is_told(self):
        text = self.reload(("[crio.runtime]", "[crio.runtime]\npids_limit = 7"))
        self.assertIn("pids_limit has changed, which only a restart brings into force", text)
        self.assertNotIn("pids_limit = 7", http_get(self.node.socket, "/config"))

    def test_many_at_once(self):
        for i in range(20):
            level = "debug" if i % 2 else "info"
            new = self.node.write("new.conf", self.text.replace("[crio.runtime]", f'[crio.runtime]\nlog_level = "{level}"'))
            os.rename(new, self.node.path("crio.conf"))         # it is never seen half written
            send(self.node.process.pid, "HUP")
        self.run_pod()


class Lifetime(ServiceCase):
    """What a start does about the end before it."""

    @classmethod
    def configuration(cls):
        return f'hooks_dir = ["{cls.node.path("hooks")}"]\n'

    def restart(self, change=lambda: None, flags=()):
        """Killed, changed, started; what the log says."""
        self.node.process.kill()
        self.node.process.wait()
        change()
        since = self.log_size()
        command = type(self.node).command(self.node)
        self.node.command = lambda: command + list(flags)
        self.addCleanup(self.node.__dict__.pop, "command", None)
        self.start_crid()
        return self.log_since(since)

    def running(self):
        self.pull(self.busybox)
        pod, config = self.run_pod()
        return pod, self.start_container(pod, config, ["sleep", "1000"])

    def links(self):
        return os.path.join(self.node.root, "overlay/l")

    def remove_links(self):
        for name in os.listdir(self.links()):
            os.unlink(os.path.join(self.links(), name))

    def test_healthy_store_is_found_healthy(self):
        pod, container = self.running()
        text = self.restart()
        self.assertEqual([line for line in text.splitlines() if "level=info" not in line and "CAP_SYS_RESOURCE" not in line], [])
        self.assertEqual((self.status(container).state, self.pod_status(pod).state), (RUNNING, READY))

    def test_damage_is_mended_after_an_end_that_was_not_in_order(self):
        self.pull(self.busybox)
        links = sorted(os.listdir(self.links()))
        text = self.restart(self.remove_links)
        self.assertIn("(mended)", text)
        self.assertEqual(sorted(os.listdir(self.links())), links)
        self.running()

    def test_option_turns_that_off(self):
        self.pull(self.busybox)
        self.assertNotIn("mended", self.restart(self.remove_links, ["--internal-repair=false"]))
        self.assertEqual(os.listdir(self.links()), [])
        self.assertIn("mended", self.restart(flags=["--internal-repair=true"]))

    def test_after_a_reboot_pods_are_removed_unless_it_is_told_not_to(self):
        pod, container = self.running()
        forget = lambda: os.unlink(self.node.path("run/version"))           # noqa: E731
        self.restart(forget, ["--internal-wipe=false"])
        self.assertEqual(self.status(container).state, RUNNING)
        self.restart(forget)
        self.assertEqual(len(self.cri.ListPodSandbox().items), 0)
        self.assertIn(self.busybox, [t for i in self.cri.ListImages().images for t in i.repo_tags])

    def test_after_another_version_their_images_too(self):
        path = self.node.path("persist")
        self.running()
        text = self.restart(lambda: self.node.write("persist", '"1.20.0"'), ["--version-file-persist", path])
        self.assertIn("removed image", text)
        self.assertEqual(len(self.cri.ListPodSandbox().items), 0)
        self.assertNotIn(self.busybox, [t for i in self.cri.ListImages().images for t in i.repo_tags])
        with open(path) as f:
            self.assertRegex(f.read(), r'^"1\.\d+\.\d+')

    def test_wrong_hook_keeps_it_from_starting(self):
        self.assertTrue(self.node.stop(60))
        self.node.write("hooks/bad.json", '{"version": "1.0.0", "hook": {"path": "/no/such/program"}, "when": {"always": true}, "stages": ["poststop"]}')
        done = subprocess.run(self.node.command(), capture_output=True, text=True, timeout=30, check=False, env=self.node.environment(),
                              stdin=subprocess.DEVNULL)
        os.unlink(self.node.path("hooks/bad.json"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("bad.json", done.stderr)
        self.start_crid()


class TwoDaemons(NodeCase):
    def second(self, *more):
        return subprocess.run([*self.node.command(), "--listen", self.node.path("other.sock"), *more], capture_output=True, text=True,
                              timeout=30, check=False, env=self.node.environment(), stdin=subprocess.DEVNULL)

    def test_second_one_on_the_same_store_is_refused_and_told_what_to_do(self):
        done = self.second()
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"{self.node.runroot} is in use by another crid, process {self.node.process.pid}", done.stderr)
        self.assertIn("--runroot", done.stderr)
        done = self.second("--runroot", self.node.path("run/other"))
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"{self.node.root} is in use", done.stderr)
        self.assertIn("--root", done.stderr)
        self.assertEqual(self.cri.Version().runtime_api_version, "v1")
        shutil.rmtree(self.node.path("run/other"), ignore_errors=True)

    def test_killed_one_leaves_no_lock(self):
        self.node.process.send_signal(signal.SIGKILL)
        self.node.process.wait()
        self.start_crid()


class Unit(unittest.TestCase):
    def setUp(self):
        with open(os.path.join(BUILD, "crid/crid.service")) as f:
            self.text = f.read()

    def test_says_what_containers_need_to_outlive_the_daemon(self):
        for line in ("Type=notify", "KillMode=process", "Delegate=yes", "OOMScoreAdjust=-999", "TasksMax=infinity", "WatchdogSec=60",
                     "LimitNOFILE=1048576", "Restart=on-failure"):
            self.assertIn(line + "\n", self.text)

    def test_is_well_formed(self):
        if not shutil.which("systemd-analyze"):
            self.skipTest("systemd-analyze is not installed")
        directory = os.path.join(BUILD, "unit-check")
        os.makedirs(directory, exist_ok=True)
        self.addCleanup(shutil.rmtree, directory)
        path = os.path.join(directory, "crid.service")
        command = next(line for line in self.text.split("\n") if line.startswith("ExecStart=")).split()[0]
        with open(path, "w") as f:
            f.write(self.text.replace(command, "ExecStart=" + CRID).replace("Documentation=man:crid(8)\n", ""))
        done = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual([line for line in done.stderr.split("\n") if "crid.service" in line], [])
        self.assertEqual(done.returncode, 0, done.stderr)
