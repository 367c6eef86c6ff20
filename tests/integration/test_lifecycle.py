# SPDX-License-Identifier: Apache-2.0
"""Requests that cross each other, programs that die or hang, retries, and a daemon killed between any two steps."""

import json
import os
import shutil
import signal
import stat
import time

import grpc
from crid_harness import CREATED, EXITED, NOTREADY, READY, RUNNING, NodeCase, cri_pb2, send
import crid_node
from crid_node import wait_for

FOREVER = ["sleep", "1000"]


def code(call):
    """The gRPC status of a future, when it is there."""
    try:
        call.result()
        return grpc.StatusCode.OK
    except grpc.RpcError as e:
        return e.code()


class LifecycleCase(NodeCase):
    """Runs the OCI runtime through a script that a test can make slow, failing or hanging: self.rig()."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.pull(cls, cls.busybox)

    @classmethod
    def start_crid(cls):
        cls.wrap_runtime()
        return super().start_crid()

    @classmethod
    def wrap_runtime(cls):
        wrapper, real = cls.node.path("runtime"), crid_node.program(cls.runtime)
        if os.path.exists(wrapper):
            return
        with open(wrapper, "w") as f:
            f.write(f"#!/bin/sh\nfor word; do case $word in create|start|delete|kill|state) "
                    f"[ ! -e {wrapper}-$word ] || . {wrapper}-$word; break;; esac; done\nexec {real} \"$@\"\n")
        os.chmod(wrapper, 0o755)
        with open(cls.node.path("crio.conf")) as f:
            text = f.read()
        cls.node.write("crio.conf", text.replace(f"runtime_path = {json.dumps(real)}", f"runtime_path = {json.dumps(wrapper)}"))

    def rig(self, command, script):
        """script runs before every `runtime COMMAND`; with "" no longer."""
        path = self.node.path(f"runtime-{command}")
        if script:
            with open(path + ".new", "w") as f:
                f.write(script + "\n")
            os.rename(path + ".new", path)
            self.addCleanup(self.rig, command, "")
        elif os.path.exists(path):
            os.unlink(path)

    def gate(self, command):
        """Holds every `runtime COMMAND` until the returned function is called. It says in FILE that it waits."""
        waiting, go = self.node.path("gate-waits"), self.node.path("gate-go")
        for path in (waiting, go):
            if os.path.exists(path):
                os.unlink(path)
        self.rig(command, f"touch {waiting}; n=0; until [ -e {go} ] || [ $n -gt 600 ]; do sleep 0.05; n=$((n+1)); done")

        def open_gate():
            self.rig(command, "")
            with open(go, "w"):
                pass
        self.addCleanup(open_gate)
        return (lambda: wait_for(lambda: os.path.exists(waiting), 20, f"runtime {command} begins")), open_gate

    def pod_with(self, *command, **more):
        pod, config = self.run_pod()
        return pod, config, self.start_container(pod, config, list(command) or FOREVER, **more)

    def kill_crid(self):
        self.node.process.kill()
        self.node.process.wait()

    def monitor_of(self, container):
        with open(os.path.join(self.node.runroot, "overlay-containers", container, "userdata/conmon-pidfile")) as f:
            return int(f.read())

    def init_of(self, container):
        with open(os.path.join(self.node.runroot, "overlay-containers", container, "userdata/pidfile")) as f:
            return int(f.read())


class Crossing(LifecycleCase):
    """What comes while something else is under way."""

    def test_stop_while_a_container_is_removed(self):
        pod, _, container = self.pod_with("true")
        self.wait_exit(container)
        waits, go = self.gate("delete")
        removal = self.cri.future("RemoveContainer", container_id=container)
        waits()
        stop = self.cri.future("StopContainer", container_id=container, deadline=5)
        short = self.cri.future("StopContainer", container_id=container, deadline=0.3)
        again = self.cri.future("RemoveContainer", container_id=container)
        time.sleep(0.5)
        go()
        self.assertEqual([code(c) for c in (removal, again, stop, short)], [grpc.StatusCode.OK] * 4)
        self.assertEqual(list(self.cri.ListContainers(filter={"pod_sandbox_id": pod}).containers), [])

    def test_stop_while_a_pod_is_removed(self):
        pod, _ = self.run_pod(self.pod_config(linux={"security_context": {"namespace_options": {"pid": cri_pb2.POD}}}))
        self.cri.StopPodSandbox(pod_sandbox_id=pod)
        waits, go = self.gate("delete")
        removal = self.cri.future("RemovePodSandbox", pod_sandbox_id=pod)
        waits()
        stop = self.cri.future("StopPodSandbox", pod_sandbox_id=pod, deadline=5)
        short = self.cri.future("StopPodSandbox", pod_sandbox_id=pod, deadline=0.3)
        again = self.cri.future("RemovePodSandbox", pod_sandbox_id=pod)
        time.sleep(0.5)
        go()
        self.assertEqual([code(c) for c in (removal, again, stop, short)], [grpc.StatusCode.OK] * 4)
        self.assert_code(grpc.StatusCode.NOT_FOUND, self.cri.PodSandboxStatus, pod_sandbox_id=pod)

    def test_pod_stopped_while_a_container_is_created(self):
        pod, config = self.run_pod()
        waits, go = self.gate("create")
        creation = self.cri.future("CreateContainer", pod_sandbox_id=pod, config=self.container_config(FOREVER), sandbox_config=config)
        waits()
        stop = self.cri.future("StopPodSandbox", pod_sandbox_id=pod)
        late = self.cri.future("CreateContainer", pod_sandbox_id=pod, config=self.container_config(FOREVER, name="late"),
                               sandbox_config=config)
        self.assertEqual(code(late), grpc.StatusCode.FAILED_PRECONDITION)
        go()
        self.assertEqual([code(creation), code(stop)], [grpc.StatusCode.OK] * 2)
        status = self.status(creation.result().container_id)
        self.assertEqual((status.state, status.exit_code), (EXITED, 137))
        self.assertEqual(self.pod_status(pod).state, NOTREADY)

    def test_pod_removed_while_a_container_is_created(self):
        pod, config = self.run_pod()
        waits, go = self.gate("create")
        creation = self.cri.future("CreateContainer", pod_sandbox_id=pod, config=self.container_config(FOREVER), sandbox_config=config)
        waits()
        removal = self.cri.future("RemovePodSandbox", pod_sandbox_id=pod)
        go()
        self.assertEqual([code(creation), code(removal)], [grpc.StatusCode.OK] * 2)
        self.assertEqual(list(self.cri.ListPodSandbox().items) + list(self.cri.ListContainers().containers), [])

    def test_container_removed_while_it_starts(self):
        pod, config = self.run_pod()
        container = self.create(pod, config, self.container_config(FOREVER))
        waits, go = self.gate("start")
        start = self.cri.future("StartContainer", container_id=container)
        waits()
        removal = self.cri.future("RemoveContainer", container_id=container)
        self.assertEqual(code(self.cri.future("StartContainer", container_id=container)), grpc.StatusCode.FAILED_PRECONDITION)
        go()
        self.assertEqual([code(start), code(removal)], [grpc.StatusCode.OK] * 2)

    def test_two_starts(self):
        pod, config = self.run_pod()
        container = self.create(pod, config, self.container_config(FOREVER))
        waits, go = self.gate("start")
        first = self.cri.future("StartContainer", container_id=container)
        waits()
        second = self.cri.future("StartContainer", container_id=container)
        go()
        self.assertEqual([code(first), code(second)], [grpc.StatusCode.OK] * 2)
        self.assert_code(grpc.StatusCode.FAILED_PRECONDITION, self.cri.StartContainer, container_id=container)

    def test_stop_of_a_created_container(self):
        pod, config = self.run_pod()
        container = self.create(pod, config, self.container_config(FOREVER))
        self.cri.StopContainer(container_id=container, timeout=30)
        self.assertEqual((self.status(container).state, self.status(container).exit_code), (EXITED, 137))
        self.assert_code(grpc.StatusCode.FAILED_PRECONDITION, self.cri.StartContainer, container_id=container)
        self.cri.StopContainer(container_id=container, timeout=30)

    def test_everything_at_once(self):
        """No order is right here; but every call is answered, and nothing is left."""
        for n in range(6):
            pod, config = self.run_pod()
            calls = [self.cri.future("CreateContainer", pod_sandbox_id=pod, config=self.container_config(FOREVER, name=f"c{m % 3}"),
                                     sandbox_config=config) for m in range(6)]
            time.sleep(0.04 * n)
            for container in [c.id for c in self.cri.ListContainers().containers]:
                for rpc in ("StartContainer", "StopContainer", "RemoveContainer", "StopContainer"):
                    calls.append(self.cri.future(rpc, container_id=container))
            calls += [self.cri.future(rpc, pod_sandbox_id=pod) for rpc in ("StopPodSandbox", "RemovePodSandbox", "StopPodSandbox")]
            calls += [self.cri.future("StopPodSandbox", pod_sandbox_id=pod, deadline=0.05)]
            self.assertNotIn(grpc.StatusCode.UNAVAILABLE, {code(c) for c in calls})
            self.assertIsNone(self.node.process.poll())


class Retries(LifecycleCase):
    def test_the_same_create_joins_and_another_is_refused(self):
        pod, config = self.run_pod()
        waits, go = self.gate("create")
        request = {"pod_sandbox_id": pod, "config": self.container_config(FOREVER), "sandbox_config": config}
        first = self.cri.future("CreateContainer", **request)
        waits()
        same = self.cri.future("CreateContainer", **request)
        other = self.cri.future("CreateContainer", **dict(request, config=self.container_config(["true"])))
        self.assertEqual(code(other), grpc.StatusCode.ALREADY_EXISTS)
        self.assertEqual(list(self.cri.ListContainers().containers), [])
        go()
        self.assertEqual(first.result().container_id, same.result().container_id)
        self.assertEqual(code(self.cri.future("CreateContainer", **request)), grpc.StatusCode.ALREADY_EXISTS)

    def test_create_whose_caller_gave_up_waits_for_the_retry(self):
        pod, config = self.run_pod()
        waits, go = self.gate("create")
        request = {"pod_sandbox_id": pod, "config": self.container_config(FOREVER), "sandbox_config": config}
        first = self.cri.future("CreateContainer", deadline=0.5, **request)
        waits()
        self.assertEqual(code(first), grpc.StatusCode.DEADLINE_EXCEEDED)
        go()
        wait_for(lambda: crid_node.descendants(os.getpid()) and any("runc init" in self.command_line(p) or "/proc/self/exe init" in
                 self.command_line(p) for p in crid_node.descendants(os.getpid())), 10, "the container is created")
        self.assertEqual(list(self.cri.ListContainers().containers), [])
        container = self.cri.CreateContainer(**request).container_id
        self.assertEqual(self.status(container).state, CREATED)

    def test_run_joins(self):
        config = self.pod_config(linux={"security_context": {"namespace_options": {"pid": cri_pb2.POD}}})
        waits, go = self.gate("create")
        first = self.cri.future("RunPodSandbox", config=config)
        waits()
        same = self.cri.future("RunPodSandbox", config=config)
        other = self.cri.future("RunPodSandbox", config=dict(config, hostname="other"))
        self.assertEqual(code(other), grpc.StatusCode.ALREADY_EXISTS)
        go()
        pod = first.result().pod_sandbox_id
        self.addCleanup(self.remove_pod, pod)
        self.assertEqual(same.result().pod_sandbox_id, pod)
        self.assertEqual(self.cri.RunPodSandbox(config=config).pod_sandbox_id, pod)


class Failing(LifecycleCase):
    """Programs that fail, die or hang."""

    def calls_of(self, command, seconds):
        """How often the runtime is run with a command in a while."""
        count = self.node.path("count")
        open(count, "w").close()
        self.rig(command, f"echo x >> {count}; echo broken >&2; exit 1")
        time.sleep(seconds)
        return os.path.getsize(count) // 2

    def test_container_that_cannot_be_removed_does_not_hang_its_pod(self):
        pod, _, container = self.pod_with("true")
        self.wait_exit(container)
        self.rig("delete", "echo stuck for good >&2; exit 1")
        self.assertIn("stuck for good", self.assert_code(grpc.StatusCode.UNKNOWN, self.cri.RemoveContainer, container_id=container))
        began = time.monotonic()
        with self.assertRaises(grpc.RpcError) as caught:
            self.cri.RemovePodSandbox(pod_sandbox_id=pod, deadline=10)
        self.assertIn("stuck for good", caught.exception.details())
        self.assertLess(time.monotonic() - began, 8)
        self.assertLess(self.calls_of("delete", 1), 5, "nobody asked for it again")
        self.assertEqual(self.status(container).state, EXITED)
        self.rig("delete", "")
        self.cri.RemovePodSandbox(pod_sandbox_id=pod)

    def test_exit_file_that_holds_no_code(self):
        pod, _, container = self.pod_with()
        path = os.path.join(self.node.root, "overlay-containers", container, "userdata/exit")
        os.mkdir(path)
        os.kill(self.init_of(container), signal.SIGKILL)
        status = self.wait_exit(container)
        self.assertEqual((status.exit_code, status.reason), (255, "Error"))
        self.cri.StopContainer(container_id=container, timeout=0, deadline=10)

    def test_monitor_killed(self):
        pod, _, container = self.pod_with()
        os.kill(self.monitor_of(container), signal.SIGKILL)
        time.sleep(0.3)
        self.assertEqual(self.status(container).state, RUNNING)
        os.kill(self.init_of(container), signal.SIGKILL)
        self.assertEqual(self.wait_exit(container).exit_code, 255)

    def test_monitor_killed_before_a_stop(self):
        pod, _, container = self.pod_with()
        os.kill(self.monitor_of(container), signal.SIGKILL)
        self.cri.StopContainer(container_id=container, timeout=1, deadline=15)
        self.assertEqual(self.status(container).exit_code, 255)

    def test_stop_when_the_monitor_hangs(self):
        pod, _, container = self.pod_with()
        monitor = self.monitor_of(container)
        os.kill(monitor, signal.SIGSTOP)
        try:
            self.cri.StopContainer(container_id=container, timeout=0, deadline=30)
        finally:
            try:
                os.kill(monitor, signal.SIGCONT)
            except ProcessLookupError:
                pass
        self.assertEqual(self.status(container).state, EXITED)

    def test_start_that_fails_leaves_an_ended_container(self):
        pod, config = self.run_pod()
        container = self.create(pod, config, self.container_config(FOREVER))
        self.rig("start", "echo no start today >&2; exit 1")
        self.assertIn("no start today", self.assert_code(grpc.StatusCode.UNKNOWN, self.cri.StartContainer, container_id=container))
        self.rig("start", "")
        status = self.wait_exit(container)
        self.assertEqual(status.exit_code, 137)
        self.assertIn("no start today", status.message)

    def test_long_message_of_the_runtime_stays_utf8(self):
        pod, config = self.run_pod()
        container = self.create(pod, config, self.container_config(FOREVER))
        self.rig("start", "i=0; while [ $i -lt 300 ]; do printf '\\303\\251' >&2; i=$((i+1)); done; exit 1")
        self.assert_code(grpc.StatusCode.UNKNOWN, self.cri.StartContainer, container_id=container)
        self.rig("start", "")
        status = self.wait_exit(container)         # does not parse when it is not UTF-8
        self.assertIn("\u00e9", status.message)

    def test_create_that_fails_leaves_nothing(self):
        pod, config = self.run_pod()
        self.rig("create", "echo no room >&2; exit 1")
        text = self.assert_code(grpc.StatusCode.UNKNOWN, self.create, pod, config, self.container_config(FOREVER))
        self.rig("create", "")
        self.assertTrue(text)
        self.assertEqual(len(self.node.ids()), 1)
        self.assertEqual(self.status(self.create(pod, config, self.container_config(FOREVER))).state, CREATED)

    def infra_pod(self):
        return self.run_pod(self.pod_config(linux={"security_context": {"namespace_options": {"pid": cri_pb2.POD}}}))

    def test_infra_container_that_dies_stops_the_pod(self):
        pod, config = self.infra_pod()
        ready = self.start_ready(pod, config, "trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done",
                                 linux={"security_context": {"namespace_options": {"pid": cri_pb2.CONTAINER}}})
        os.kill(self.init_of(pod), signal.SIGKILL)
        wait_for(lambda: self.pod_status(pod).state == NOTREADY, 15, "the pod is stopped")
        self.assertEqual(self.status(ready).exit_code, 5, "its containers got their grace")

    def test_infra_container_that_died_without_the_daemon(self):
        pod, _ = self.infra_pod()
        init, monitor = self.init_of(pod), self.monitor_of(pod)
        self.kill_crid()
        os.kill(init, signal.SIGKILL)
        wait_for(lambda: monitor not in crid_node.descendants(os.getpid()), 10, "its monitor ends")
        self.start_crid()
        wait_for(lambda: self.pod_status(pod).state == NOTREADY, 15, "the pod is stopped")


class Killed(LifecycleCase):
    """kill -9 of the daemon at every step."""

    def restart(self):
        self.cri.ids |= self.node.ids()
        self.kill_crid()
        self.cri.ids |= self.node.ids()
        self.start_crid()

    def crossing_kill(self, command, rpc, **fields):
        waits, go = self.gate(command)
        running = self.cri.future(rpc, **fields)
        waits()
        self.cri.ids |= self.node.ids()
        self.kill_crid()
        running.cancel()
        go()
        self.start_crid()

    def test_while_the_runtime_creates(self):
        """The half-made container goes, also when its monitor outlives the daemon and goes on."""
        pod, config = self.run_pod()
        for n in range(3):
            waits, go = self.gate("create")
            running = self.cri.future("CreateContainer", pod_sandbox_id=pod, config=self.container_config(FOREVER), sandbox_config=config)
            waits()
            self.cri.ids |= self.node.ids()
            self.kill_crid()
            running.cancel()
            if n == 0:
                go()
            self.start_crid()
            go()
            self.assertEqual(list(self.cri.ListContainers().containers), [])
            wait_for(lambda: not [p for p in crid_node.descendants(os.getpid()) if p != self.node.process.pid and
                                  p not in crid_node.HELPERS], 15, "its processes are gone")
        self.assertEqual(self.status(self.create(pod, config, self.container_config(FOREVER))).state, CREATED)

    def test_while_the_runtime_starts(self):
        pod, config = self.run_pod()
        container = self.create(pod, config, self.container_config(FOREVER))
        self.crossing_kill("start", "StartContainer", container_id=container)
        self.assertIn(self.status(container).state, (CREATED, RUNNING))
        self.cri.StopContainer(container_id=container, timeout=0)

    def test_while_the_runtime_deletes(self):
        pod, _, container = self.pod_with("true")
        self.wait_exit(container)
        self.crossing_kill("delete", "RemoveContainer", container_id=container)
        self.cri.RemoveContainer(container_id=container)
        self.assertEqual(list(self.cri.ListContainers().containers), [])

    def test_while_it_stops_and_removes(self):
        for n in range(6):
            pod, _, container = self.pod_with()
            calls = [self.cri.future("StopContainer", container_id=container, timeout=0),
                     self.cri.future("StopPodSandbox", pod_sandbox_id=pod), self.cri.future("RemovePodSandbox", pod_sandbox_id=pod)]
            time.sleep(0.05 * n)
            self.restart()
            for one in calls:
                one.cancel()
            for left in self.cri.ListPodSandbox().items:
                self.remove_pod(left.id)

    def test_while_it_makes_containers(self):
        pod, config = self.run_pod()
        for n in range(8):
            running = self.cri.future("CreateContainer", pod_sandbox_id=pod, config=self.container_config(FOREVER, name=f"k{n}"),
                                      sandbox_config=config)
            time.sleep(0.02 * n)
            self.restart()
            running.cancel()
            for left in self.cri.ListContainers().containers:
                self.cri.RemoveContainer(container_id=left.id)

    def test_containers_of_a_damaged_pod_are_left_alone(self):
        pod, _, container = self.pod_with()
        init = self.init_of(container)
        self.kill_crid()
        path = os.path.join(self.node.root, "overlay-containers", pod, "userdata/config.json")
        with open(path) as f:
            good = f.read()
        with open(path, "w") as f:
            f.write("{\"annotations\": [")
        self.start_crid()
        self.assertEqual(list(self.cri.ListContainers().containers), [])
        self.assertIn(init, crid_node.descendants(os.getpid()))
        self.kill_crid()
        with open(path, "w") as f:
            f.write(good)
        self.start_crid()
        self.assertEqual(self.status(container).state, RUNNING)

    def test_record_of_another_id_is_damaged(self):
        """A config.json that claims to be another pod must not lead to that pod."""
        one, _ = self.run_pod(self.pod_config("one"))
        two, _ = self.run_pod(self.pod_config("two"))
        self.kill_crid()
        paths = [os.path.join(self.node.root, "overlay-containers", p, "userdata/config.json") for p in (one, two)]
        with open(paths[0]) as f:
            mine = f.read()
        shutil.copy(paths[1], paths[0])
        self.start_crid()
        self.assertEqual([p.id for p in self.cri.ListPodSandbox().items], [two])
        self.kill_crid()
        with open(paths[0], "w") as f:
            f.write(mine)
        self.start_crid()
        self.assertEqual({p.id for p in self.cri.ListPodSandbox().items}, {one, two})

    def test_end_while_an_operation_runs(self):
        """Two SIGTERMs end it at once, and without a crash, whatever its threads do."""
        pod, config = self.run_pod()
        waits, go = self.gate("create")
        running = self.cri.future("CreateContainer", pod_sandbox_id=pod, config=self.container_config(FOREVER), sandbox_config=config)
        waits()
        send(self.node.process.pid, "TERM")
        wait_for(lambda: not os.path.exists(self.node.socket), 10, "the socket is gone")
        send(self.node.process.pid, "TERM")
        self.assertEqual(self.node.process.wait(10), 0)
        running.cancel()
        go()
        self.cri.ids |= self.node.ids()
        self.start_crid()

    def test_waiting_callers_are_told_when_it_ends(self):
        pod, config = self.run_pod()
        container = self.start_ready(pod, config, "trap '' TERM; echo ready; while :; do sleep 0.1; done")
        stop = self.cri.future("StopContainer", container_id=container, timeout=50)
        time.sleep(0.2)
        self.assertTrue(self.node.stop())
        self.assertEqual(code(stop), grpc.StatusCode.UNAVAILABLE)
        self.start_crid()
        self.assertEqual(self.status(container).state, RUNNING)


class Hostile(LifecycleCase):
    """Requests nobody sane sends."""

    def spec(self, ident):
        with open(os.path.join(self.node.root, "overlay-containers", ident, "userdata/config.json")) as f:
            return json.load(f)

    def test_annotations_that_command_a_runtime_have_no_effect(self):
        bad = {"run.oci.hooks.stdout": "/tmp/x", "org.systemd.property.ExecStart": "'/bin/false'", "io.kubernetes.cri-o.Name": "evil",
               "io.container.manager": "evil", "spoofed.crio.io": "true", "krun.cpus": "9", "io.kubernetes.cri-o.IP.0": "6.6.6.6"}
        config = self.pod_config(annotations=dict(bad, plain="kept\nwith\ttext"), labels=dict(bad, l="v"))
        pod, _ = self.run_pod(config)
        container = self.start_container(pod, config, FOREVER, annotations=dict(bad, mine="too"), labels=bad)
        for ident, name in ((pod, "plain"), (container, "mine")):
            annotations = self.spec(ident)["annotations"]
            self.assertEqual([k for k in annotations if k.startswith(("run.", "org.systemd", "krun"))], [])
            self.assertNotIn("evil", annotations.values())
            self.assertEqual(annotations["io.container.manager"], "cri-o")
            self.assertIn(name, annotations)
        self.assertNotEqual(self.spec(container)["annotations"].get("io.kubernetes.cri-o.IP.0"), "6.6.6.6")
        self.kill_crid()
        self.start_crid()
        self.assertEqual(dict(self.pod_status(pod).annotations), config["annotations"])
        self.assertEqual(dict(self.status(container).annotations), dict(bad, mine="too"))
        self.assertEqual(dict(self.status(container).labels), bad)

    def test_names_with_control_bytes_are_refused(self):
        for part in ("name", "namespace", "uid"):
            config = self.pod_config()
            config["metadata"] = dict(config["metadata"], **{part: "a\nb"})
            self.assert_code(grpc.StatusCode.INVALID_ARGUMENT, self.cri.RunPodSandbox, config=config)
        pod, config = self.run_pod()
        self.assert_code(grpc.StatusCode.INVALID_ARGUMENT, self.create, pod, config, self.container_config(FOREVER, name="a\nb"))

    def test_many_variables_and_mounts(self):
        pod, config = self.run_pod()
        began = time.monotonic()
        container = self.start_container(pod, config, ["sh", "-c", "echo $V9999; cat /m/299/f"],
                                         envs=[{"key": f"V{n}", "value": b"%d" % n} for n in range(10000)],
                                         mounts=[{"container_path": f"/m/{n}", "host_path": self.many(n)} for n in range(300)])
        self.assertEqual(self.wait_exit(container, 30).exit_code, 0)
        self.assertLess(time.monotonic() - began, 30)

    def many(self, n):
        directory = self.node.path("many", str(n))
        os.makedirs(directory, exist_ok=True)
        with open(os.path.join(directory, "f"), "w") as f:
            f.write(f"{n}\n")
        return directory

    def test_more_variables_than_anybody_needs_are_refused(self):
        pod, config = self.run_pod()
        for more in ({"envs": [{"key": f"V{n}", "value": b""} for n in range(40000)]},
                     {"mounts": [{"container_path": f"/m{n}", "host_path": "/tmp"} for n in range(40000)]},
                     {"annotations": {f"a{n}": "" for n in range(40000)}}, {"labels": {f"a{n}": "" for n in range(40000)}}):
            self.assert_code(grpc.StatusCode.RESOURCE_EXHAUSTED, self.create, pod, config, self.container_config(FOREVER, **more))
        self.assert_code(grpc.StatusCode.RESOURCE_EXHAUSTED, self.cri.RunPodSandbox,
                         config=self.pod_config(annotations={f"a{n}": "" for n in range(40000)}))

    def test_exec_with_an_endless_timeout(self):
        pod, _, container = self.pod_with()
        self.assertEqual(self.exec(container, "echo", "x", timeout=2**63 - 1), (0, "x\n", ""))

    def test_destination_written_in_another_way_is_the_requests(self):
        data = self.many(7)
        pod, config = self.run_pod()
        container = self.start_container(pod, config, ["cat", "/dev/shm/f"],
                                         mounts=[{"container_path": "/dev/shm/", "host_path": data}])
        self.assertEqual(self.wait_exit(container).exit_code, 0)

    def test_log_path_stays_in_its_directory(self):
        pod, config = self.run_pod()
        for path in ("../../x.log", "a/../../x.log", "a:b", ".."):
            with self.assertRaises(grpc.RpcError):
                self.create(pod, config, self.container_config(FOREVER, log_path=path))
        self.assertEqual(len(self.node.ids()), 1)

    def test_no_swap_limit(self):
        pod, config = self.run_pod()
        container = self.start_container(pod, config, FOREVER, linux={"resources": {
            "memory_limit_in_bytes": 64 << 20, "memory_swap_limit_in_bytes": -1, "oom_score_adj": 2**32 + 5}})
        self.assertEqual(self.status(container).state, RUNNING)
        self.assertEqual(self.spec(container)["process"]["oomScoreAdj"], 1000)

    def test_root_file_system_full_of_links(self):
        """Working directory and volumes of an image whose directories are symlinks to the outside."""
        canary = self.node.path("canary")
        os.makedirs(canary)
        layer = crid_node.layer([("evil", ("symlink", canary)), ("up", ("symlink", "../../../../.." + canary)),
                                 ("loop", ("symlink", "loop"))])
        for n, where in enumerate(("/evil/made", "/up/made", "/loop/made")):
            image = self.registry.push(f"links{n}", ["1"], crid_node.Image([crid_node.busybox_layer(), layer], {
                "Cmd": ["true"], "WorkingDir": where, "Volumes": {where + "2": {}}}))
            self.pull(image)
            pod, config = self.run_pod()
            try:
                self.create(pod, config, self.container_config(["true"], image=image))
            except grpc.RpcError:
                pass
        self.assertEqual(os.listdir(canary), [])

    def test_bundle_has_what_crio_needs(self):
        """The annotations without which CRI-O does not restore, and both files next to each other."""
        k = "io.kubernetes.cri-o."
        pod, config = self.run_pod(self.pod_config(labels={"l": "<&>"}, annotations={"a": "\u00e9"}))
        container = self.start_container(pod, config, FOREVER)
        both = {k + n for n in ("Annotations", "Labels", "Metadata", "Name", "Created", "ContainerID", "SandboxID")}
        for ident, needed in ((pod, both | {k + "Namespace", k + "NamespaceOptions", k + "PortMappings"}), (container, both)):
            spec = self.spec(ident)
            self.assertLessEqual(needed, set(spec["annotations"]))
            self.assertIn("process", spec)
            self.assertIn("linux", spec)
            bundle = os.path.join(self.node.runroot, "overlay-containers", ident, "userdata/config.json")
            persistent = os.path.join(self.node.root, "overlay-containers", ident, "userdata/config.json")
            with open(bundle, "rb") as a, open(persistent, "rb") as b:
                self.assertEqual(a.read(), b.read())
            self.assertEqual(stat.S_IMODE(os.stat(bundle).st_mode), 0o644)
        self.assertEqual(self.spec(pod)["annotations"][k + "ContainerType"], "sandbox")
        self.assertEqual(self.spec(container)["annotations"][k + "ContainerType"], "container")
        top = os.path.join(self.node.runroot, "overlay-containers", pod, "userdata")
        with open(os.path.join(top, "state.json")) as f:
            state = json.load(f)
        self.assertEqual((state["ociVersion"], state["id"], state["status"]), ("", "", ""))
        self.assertEqual(state["finished"], "0001-01-01T00:00:00Z")

    def test_record_says_privileged(self):
        config = self.pod_config(linux={"security_context": {"privileged": True, "namespace_options": {"pid": cri_pb2.CONTAINER}}})
        pod, config = self.run_pod(config)
        container = self.start_container(pod, config, FOREVER, linux={"security_context": {"privileged": True}})
        with open(os.path.join(self.node.root, "overlay-containers/volatile-containers.json")) as f:
            metadata = {r["id"]: json.loads(r["metadata"]) for r in json.load(f)}
        self.assertTrue(metadata[pod]["privileged"])
        self.assertTrue(metadata[container]["privileged"])

    def test_annotation_that_no_document_may_hold_is_the_callers_fault(self):
        text = self.assert_code(grpc.StatusCode.INVALID_ARGUMENT, self.cri.RunPodSandbox, config=self.pod_config(annotations={"": "x"}))
        self.assertIn("annotation", text)
        self.assertEqual(self.node.ids(), set())
