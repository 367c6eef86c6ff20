# SPDX-License-Identifier: Apache-2.0
"""systemd as cgroup manager and as the one who runs crid; where it is pid 1, as in tests/vm."""

import os
import shutil
import signal
import subprocess
import time
import unittest

import grpc
from crid_harness import BUILD, RUNNING, Cri, NodeCase, cri_pb2
import crid_node
from crid_node import wait_for

MEMORY = 64 << 20


def systemctl(*arguments):
    return subprocess.run(["systemctl", *arguments], check=True, capture_output=True, text=True).stdout


def show(unit, *properties):
    text = systemctl("show", unit, *("-p" + p for p in properties))
    return dict(line.split("=", 1) for line in text.splitlines())


class SystemdCase(NodeCase):
    @classmethod
    def setUpClass(cls):
        if not os.path.isdir("/run/systemd/system"):
            raise unittest.SkipTest("systemd does not run this machine")
        before = os.environ.get("CRID_CGROUP_MANAGER", "cgroupfs")
        os.environ["CRID_CGROUP_MANAGER"] = "systemd"
        cls.addClassCleanup(os.environ.update, {"CRID_CGROUP_MANAGER": before})
        super().setUpClass()

    def units(self):
        return [line.split()[0] for line in systemctl("list-units", "--all", "--plain", "--no-legend", "crio-*").splitlines()]

    def in_slice(self, parent, handler=""):
        self.pull(self.busybox)
        config = self.pod_config()
        config["linux"]["cgroup_parent"] = parent
        pod, _ = self.run_pod(config, handler)
        container = self.start_container(pod, config, ["sleep", "1000"],
                                         annotations={"io.kubernetes.pod.terminationGracePeriod": "7"},
                                         linux={"resources": {"memory_limit_in_bytes": MEMORY, "cpu_quota": 50000, "cpu_period": 100000}})
        return pod, container


class Scopes:
    def limited(self, scope):
        """A reader of the files of the cgroup that the runtime limits."""
        def read(name):
            with open(f"/sys/fs/cgroup{scope}{self.BELOW}/{name}") as f:
                return f.read().strip()
        return read

    def test_container_and_monitor_have_scopes_in_the_slice_of_the_pod(self):
        self.assertEqual(self.cri.RuntimeConfig().linux.cgroup_driver, cri_pb2.SYSTEMD)
        pod, container = self.in_slice("/cridtest-pod1.slice")
        scope, monitor = f"crio-{container}.scope", f"crio-conmon-{container}.scope"
        above = "/cridtest.slice/cridtest-pod1.slice/"
        self.assertEqual(show(scope, "ControlGroup", "Slice", "ActiveState", "TimeoutStopUSec"), {
            "ControlGroup": above + scope, "Slice": "cridtest-pod1.slice", "ActiveState": "active", "TimeoutStopUSec": "7s"})
        self.assertEqual(show(monitor, "ControlGroup", "Slice", "ActiveState", "Delegate", "DefaultDependencies", "KillSignal"), {
            "ControlGroup": above + monitor, "Slice": "cridtest-pod1.slice", "ActiveState": "active", "Delegate": "yes",
            "DefaultDependencies": "no", "KillSignal": str(int(signal.SIGPIPE))})
        limited = self.limited(above + scope)
        self.assertEqual((limited("memory.max"), limited("cpu.max")), (str(MEMORY), "50000 100000"))
        code, out, _ = self.exec(container, "cat", "/proc/self/cgroup")
        self.assertEqual((code, out), (0, "0::/\n"), "a cgroup namespace of its own")
        self.assertGreater(self.cri.PodSandboxStats(pod_sandbox_id=pod).stats.linux.memory.usage_bytes.value, 0)
        memory = self.cri.ContainerStats(container_id=container).stats.memory
        self.assertGreater(memory.usage_bytes.value, 0)
        self.assertEqual(memory.available_bytes.value, MEMORY - memory.working_set_bytes.value)
        self.remove_pod(pod)
        wait_for(lambda: not self.units(), 10, "the scopes go")

    def test_update(self):
        _, container = self.in_slice("cridtest-pod2.slice")
        self.cri.UpdateContainerResources(container_id=container, linux={"memory_limit_in_bytes": 2 * MEMORY, "cpu_quota": 20000})
        limited = self.limited(f"/cridtest.slice/cridtest-pod2.slice/crio-{container}.scope")
        systemctl("daemon-reload")      # systemd writes the limits of its units anew
        self.assertEqual((limited("memory.max"), limited("cpu.max")), (str(2 * MEMORY), "20000 100000"))

    def test_oom(self):
        self.pull(self.busybox)
        status, _ = self.finish(["tail", "/dev/zero"], linux={"resources": {"memory_limit_in_bytes": 20 << 20}})
        self.assertEqual((status.exit_code, status.reason), (137, "OOMKilled"))

    def test_parents_that_are_no_slices(self):
        for parent in ("/kubepods/pod1", "a--b.slice", "/kubepods.slice/x"):
            config = self.pod_config()
            config["linux"]["cgroup_parent"] = parent
            self.assertIn("systemd slice", self.assert_code(grpc.StatusCode.INVALID_ARGUMENT, self.cri.RunPodSandbox, config=config))

    def test_memory_below_the_minimum(self):
        self.pull(self.busybox)
        pod, config = self.run_pod()
        self.assert_code(grpc.StatusCode.INVALID_ARGUMENT, self.create, pod, config, self.container_config(
            ["true"], linux={"resources": {"memory_limit_in_bytes": 4096}}))


class Crun(Scopes, SystemdCase):
    """It limits a cgroup of its own below the scope, which is systemd's."""

    runtime = "crun"
    BELOW = "/container"


class Runc(Scopes, SystemdCase):
    runtime = "runc"
    BELOW = ""


class NamedSlice(SystemdCase):
    """conmon_cgroup: monitors in a slice of their own, and a pod's slice with a limit, as the kubelet makes it."""

    runtime = "crun"

    @classmethod
    def configuration(cls):
        return ('conmon_cgroup = "cridtest-monitors.slice"\n[crio.runtime.runtimes.apart]\n'
                f'runtime_path = "{crid_node.program("crun")}"\nmonitor_path = "{crid_node.program("conmon")}"\n')

    def test_monitor_and_pod(self):
        systemctl("set-property", "--runtime", "cridtest-pod3.slice", f"MemoryMax={MEMORY}")
        self.addCleanup(systemctl, "revert", "cridtest-pod3.slice")
        pod, container = self.in_slice("cridtest-pod3.slice", "apart")
        self.assertEqual(show(f"crio-conmon-{container}.scope", "Slice"), {"Slice": "cridtest-monitors.slice"})
        memory = self.cri.PodSandboxStats(pod_sandbox_id=pod).stats.linux.memory
        self.assertEqual(memory.available_bytes.value, MEMORY - memory.working_set_bytes.value)


class Unit(SystemdCase):
    """crid.service as it is installed, with the test's command line and a short watchdog in a drop-in."""

    runtime = "crun"
    NAME = "crid.service"

    def install(self):
        directory = "/run/systemd/system"
        os.makedirs(f"{directory}/{self.NAME}.d", exist_ok=True)
        shutil.copy(os.path.join(BUILD, "crid", self.NAME), directory)
        environment = "".join(f'Environment="{k}={v}"\n' for k, v in self.node.environment().items())
        with open(f"{directory}/{self.NAME}.d/test.conf", "w") as f:
            # in the test's own namespaces
            command = ["/usr/bin/nsenter", "-t", str(os.getpid()), "-m", "-n", "--", *self.node.command()]
            f.write(f"[Service]\nExecStart=\nExecStart={' '.join(a or chr(34) * 2 for a in command)}\n{environment}"
                    f"WatchdogSec={2 * crid_node.SLOW:g}\nRestartSec=1\nStartLimitBurst=100\n")
        systemctl("daemon-reload")

    def remove(self):
        subprocess.run(["systemctl", "stop", self.NAME], check=False)
        os.unlink(f"/run/systemd/system/{self.NAME}")
        shutil.rmtree(f"/run/systemd/system/{self.NAME}.d")
        systemctl("daemon-reload")
        self.start_crid()

    def main_pid(self):
        return int(show(self.NAME, "MainPID")["MainPID"])

    def check_alive(self, cri, pod, container):
        self.assertEqual([p.id for p in cri.ListPodSandbox().items], [pod])
        self.assertEqual([(c.id, c.state) for c in cri.ListContainers().containers], [(container, RUNNING)])
        self.assertEqual(cri.ExecSync(container_id=container, cmd=["echo", "hi"]).stdout, b"hi\n")

    def connect(self):
        cri = Cri(self.node.socket)
        self.addCleanup(cri.close)
        return cri

    def again(self, before):
        """The pid of the daemon that systemd started after that one."""
        return wait_for(lambda: self.main_pid() not in (0, before) and show(self.NAME, "ActiveState")["ActiveState"] == "active"
                        and self.main_pid(), 30, "systemd starts it again")

    def test_the_service_comes_and_goes_and_the_pod_stays(self):
        self.assertTrue(self.node.stop())
        self.addCleanup(self.remove)
        self.install()
        systemctl("start", self.NAME)           # Type=notify: returns when crid has said READY
        cri = self.connect()
        self.assertEqual(cri.Version(deadline=5 * crid_node.SLOW).runtime_api_version, "v1")
        self.cri = cri
        _, container = self.in_slice("cridtest-unit.slice")
        pod = cri.ListPodSandbox().items[0].id
        self.addCleanup(self.__dict__.pop, "cri")

        first = self.main_pid()
        systemctl("restart", self.NAME)
        self.check_alive(self.connect(), pod, container)
        second = self.main_pid()
        self.assertNotEqual(first, second)

        os.kill(second, signal.SIGKILL)         # Restart=on-failure
        third = self.again(second)
        self.check_alive(self.connect(), pod, container)

        os.kill(third, signal.SIGSTOP)          # it answers no more: the watchdog ends it
        began = time.monotonic()
        fourth = self.again(third)
        self.check_alive(self.connect(), pod, container)
        self.assertGreater(time.monotonic() - began, 1)
        self.assertIn("watchdog", systemctl("status", self.NAME).lower() + subprocess.run(
            ["journalctl", "-u", self.NAME, "--no-pager"], check=False, capture_output=True, text=True).stdout.lower())
        self.assertNotEqual(third, fourth)
        self.cri = self.connect()
        self.remove_pod(pod)
