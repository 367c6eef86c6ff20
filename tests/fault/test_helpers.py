# SPDX-License-Identifier: Apache-2.0
"""The programs that crid starts die, or outlive it.

Each is a wrapper around the real one that runs a piece of shell first, once, when a test left one for it.
"""

import glob
import os
import time

import grpc
from crid_harness import BUILD, CREATED, EXITED, READY, RUNNING, cri_pb2
import crid_node
from crid_node import Image, layer, wait_for
from fault_harness import STEPKILL, STEPS, FaultCase, choose

# $1 real program, $2 name; then the arguments. $verb: of a runtime's or CNI's command.
WRAPPER = """#!/bin/sh
real={real}
verb=${{CNI_COMMAND:-}}
for word; do case $word in create|start|kill|delete|state) verb=$word ;; esac; done
script={faults}/{name}${{verb:+-$verb}}
if mv "$script" "$script.now" 2>/dev/null; then
	. "$script.now"
fi
exec "$real" "$@"
"""
DIE = "kill -9 $$"
DO_AND_DIE = '"$real" "$@" >/dev/null; kill -9 $$'
# conmon waits for the stderr of a container whose runtime died after making it: CREATE_TIMEOUT ends that
CREATE_FAULTS = (DIE,) if STEPS else (DIE, DO_AND_DIE)
CREATE_TIMEOUT = 30
RUNTIME, MONITOR, PLUGIN, PINNS = "runtime", "monitor", "bridge", "pinns"
SLEEP = ["sleep", "1000"]


class Helpers(FaultCase):
    @classmethod
    def start_crid(cls):
        """The first time: puts the wrappers into the configuration."""
        if not os.path.exists(cls.node.path("faults")):
            os.makedirs(cls.node.path("faults"))
            os.makedirs(cls.node.path("wrap"))
            cls.wrap()
        super().start_crid()

    @classmethod
    def wrap(cls):
        plugins = next(d for d in ("/usr/lib/cni", "/opt/cni/bin") if os.path.exists(os.path.join(d, "bridge")))
        programs = {
            RUNTIME: crid_node.program(cls.runtime), MONITOR: crid_node.program("conmon"),
            PLUGIN: os.path.join(plugins, "bridge"), PINNS: os.path.join(BUILD, "crid/pinns/crid-pinns"),
            "worker": os.path.join(BUILD, "crid/worker/crid-worker"),
        }
        with open(cls.node.path("crio.conf")) as f:
            conf = f.read()
        for name, real in programs.items():
            with open(cls.node.write(f"wrap/{name}", WRAPPER.format(real=real, faults=cls.node.path("faults"), name=name)), "r"):
                pass
            os.chmod(cls.node.path("wrap", name), 0o755)
            conf = conf.replace(f'"{real}"', f'"{cls.node.path("wrap", name)}"')
        conf = conf.replace('plugin_dirs = [', f'plugin_dirs = ["{cls.node.path("wrap")}", ')
        conf = conf.replace('runtime_type = "oci"', f'runtime_type = "oci"\ncontainer_create_timeout = {CREATE_TIMEOUT}')
        conf = conf.replace("[crio.runtime]\n", f'[crio.runtime]\npinns_path = "{cls.node.path("wrap/pinns")}"\n'
                            f'worker_path = "{cls.node.path("wrap/worker")}"\n')
        cls.node.write("crio.conf", conf)

    def setUp(self):
        super().setUp()
        self.addCleanup(self.forget)

    def forget(self):
        for one in glob.glob(self.node.path("faults/*")):
            os.unlink(one)

    def fault(self, name, script):
        self.node.write(f"faults/{name}", script + "\n")

    def check_happened(self, name):
        self.assertTrue(os.path.exists(self.node.path("faults", name + ".now")), f"the fault of {name} did not happen")
        os.unlink(self.node.path("faults", name + ".now"))

    def fails(self, method, **fields):
        with self.assertRaises(grpc.RpcError) as caught:
            getattr(self.cri, method)(**fields)
        self.cri.ids |= self.node.ids()
        self.assertTrue(caught.exception.details())
        return caught.exception

    def fails_unless_done(self, script, method, **fields):
        """The helper's work may be seen to be done, whatever became of the helper."""
        try:
            getattr(self.cri, method)(**fields)
            self.assertEqual(script, DO_AND_DIE)
        except grpc.RpcError as e:
            self.assertTrue(e.details())

    def pod_of(self, pid):
        return self.pod_config(linux={"security_context": {"namespace_options": {"pid": pid}}})

    def drop(self, container):
        self.cri.StopContainer(container_id=container, timeout=0)
        self.cri.RemoveContainer(container_id=container)

    def serve_pod(self, config):
        """What the caller does after an error: the same request again. The pod is then removed."""
        pod = self.cri.RunPodSandbox(config=config).pod_sandbox_id
        self.check_known([pod], [])
        self.assertEqual(self.pod_status(pod).state, READY)
        self.remove_pod(pod)
        self.check_gone()

    # ---- a helper of RunPodSandbox dies ----

    def failing_run(self, name, script, pid=cri_pb2.CONTAINER):
        config = self.pod_of(pid)
        self.fault(name, script)
        self.fails("RunPodSandbox", config=config)
        self.check_happened(name)
        self.check_known([], [])
        self.check_gone()
        self.serve_pod(config)

    def test_pinns_dies(self):
        self.failing_run(PINNS, DIE)

    def test_pinns_dies_when_all_is_made(self):
        self.failing_run(PINNS, DO_AND_DIE)

    def test_plugin_dies_on_add(self):
        self.failing_run(PLUGIN + "-ADD", DIE)

    def test_plugin_dies_when_all_is_added(self):
        self.failing_run(PLUGIN + "-ADD", DO_AND_DIE)

    def test_plugin_dies_on_add_and_on_the_del_that_follows(self):
        """The address is not given up: the pod stays, for whoever stops and removes it."""
        config = self.pod_config()
        self.fault(PLUGIN + "-ADD", DO_AND_DIE)
        self.fault(PLUGIN + "-DEL", f"cp {self.node.path('faults', PLUGIN + '-DEL.now')} {self.node.path('faults', PLUGIN + '-DEL')}\n" + DIE)
        self.fails("RunPodSandbox", config=config)
        self.assertEqual(len(self.node.left_leases()), 1)
        for restarted in (False, True):
            if restarted:
                self.kill()
                self.start_crid()
            pods = self.cri.ListPodSandbox().items
            self.assertEqual([(p.metadata.name, p.state) for p in pods], [("pod", cri_pb2.SANDBOX_NOTREADY)])
            self.fails("StopPodSandbox", pod_sandbox_id=pods[0].id)
            self.fails("RunPodSandbox", config=config)
        self.forget()
        self.remove_pod(pods[0].id)
        self.check_gone()
        self.serve_pod(config)

    def test_monitor_of_an_infra_container_dies(self):
        self.failing_run(MONITOR, DIE, pid=cri_pb2.POD)

    def test_create_of_an_infra_container_dies(self):
        for script in CREATE_FAULTS:
            self.failing_run(RUNTIME + "-create", script, pid=cri_pb2.POD)

    def test_start_of_an_infra_container_dies(self):
        for script in (DIE, DO_AND_DIE):
            self.failing_run(RUNTIME + "-start", script, pid=cri_pb2.POD)

    # ---- of stopping and removing a pod ----

    def failing_end(self, method, name, script, pid=cri_pb2.CONTAINER):
        pod = self.cri.RunPodSandbox(config=self.pod_of(pid)).pod_sandbox_id
        if method == "RemovePodSandbox":
            self.cri.StopPodSandbox(pod_sandbox_id=pod)
        self.fault(name, script)
        self.fails_unless_done(script, method, pod_sandbox_id=pod)
        self.check_happened(name)
        getattr(self.cri, method)(pod_sandbox_id=pod)
        self.remove_pod(pod)
        self.check_gone()

    def test_plugin_dies_on_del(self):
        for script in (DIE, DO_AND_DIE):
            self.failing_end("StopPodSandbox", PLUGIN + "-DEL", script)

    def test_delete_of_an_infra_container_dies(self):
        for script in (DIE, DO_AND_DIE):
            self.failing_end("RemovePodSandbox", RUNTIME + "-delete", script, pid=cri_pb2.POD)

    # ---- containers ----

    def failing_create(self, name, script):
        pod, config = self.run_pod()
        fields = {"pod_sandbox_id": pod, "sandbox_config": config, "config": self.container_config(SLEEP)}
        self.fault(name, script)
        self.fails("CreateContainer", **fields)
        self.check_happened(name)
        self.check_known([pod], [])
        # the script's own "sleep" may outlive it for a moment
        wait_for(lambda: not self.container_processes(), 10, "nothing runs any more")
        container = self.cri.CreateContainer(**fields).container_id
        self.cri.StartContainer(container_id=container)
        self.check_known([pod], [container])
        self.drop(container)
        self.check_known([pod], [])
        self.remove_pod(pod)

    def container_processes(self):
        """Monitors, runtimes and containers: everything crid has left running."""
        return [self.command_line(p) for p in crid_node.descendants(os.getpid())
                if p not in crid_node.HELPERS and p != self.node.process.pid]

    def test_monitor_dies(self):
        self.failing_create(MONITOR, DIE)

    def test_monitor_dies_while_the_runtime_creates(self):
        for script in ("kill -9 $PPID", "kill -9 $PPID; sleep 0.3", '"$real" "$@"; kill -9 $PPID'):
            self.failing_create(RUNTIME + "-create", script)

    def test_runtime_dies_on_create(self):
        for script in CREATE_FAULTS:
            self.failing_create(RUNTIME + "-create", script)

    def test_runtime_dies_on_start(self):
        pod, config = self.run_pod()
        for script in (DIE, DO_AND_DIE):
            container = self.create(pod, config, self.container_config(SLEEP))
            self.fault(RUNTIME + "-start", script)
            self.fails("StartContainer", container_id=container)
            self.check_happened(RUNTIME + "-start")
            self.assertEqual(self.wait_exit(container).state, EXITED)
            wait_for(lambda: not self.container_processes(), 10, "the container is ended")
            self.drop(container)
            self.check_known([pod], [])

    def test_runtime_dies_on_delete(self):
        pod, config = self.run_pod()
        for script in (DIE, DO_AND_DIE):
            container = self.start_container(pod, config, SLEEP)
            self.cri.StopContainer(container_id=container, timeout=0)
            self.fault(RUNTIME + "-delete", script)
            self.fails_unless_done(script, "RemoveContainer", container_id=container)
            self.check_happened(RUNTIME + "-delete")
            self.cri.RemoveContainer(container_id=container)
            self.check_known([pod], [])

    def monitor_of(self, container):
        with open(self.node.path("run/storage/overlay-containers", container, "userdata/conmon-pidfile")) as f:
            return int(f.read())

    def init_of(self, container):
        with open(self.node.path("run/storage/overlay-containers", container, "userdata/pidfile")) as f:
            return int(f.read())

    def test_monitor_of_a_created_container_dies(self):
        pod, config = self.run_pod()
        container = self.create(pod, config, self.container_config(SLEEP))
        os.kill(self.monitor_of(container), 9)
        self.assertEqual(self.status(container).state, CREATED)
        self.drop(container)
        self.check_known([pod], [])

    def test_monitor_of_a_running_container_dies(self):
        """The container goes on, across a restart of crid too, and is stopped and removed like any other."""
        pod, config = self.run_pod()
        for restart in (False, True):
            container = self.start_container(pod, config, SLEEP)
            os.kill(self.monitor_of(container), 9)
            if restart:
                self.kill()
                self.start_crid()
            self.assertEqual(self.status(container).state, RUNNING)
            self.assertEqual(self.exec(container, "echo", "hi"), (0, "hi\n", ""))
            self.cri.StopContainer(container_id=container, timeout=0)
            status = self.status(container)
            self.assertEqual((status.state, status.exit_code), (EXITED, 255))
            self.cri.RemoveContainer(container_id=container)
            self.check_known([pod], [])

    def test_monitor_dies_together_with_its_container(self):
        pod, config = self.run_pod()
        container = self.start_container(pod, config, SLEEP)
        init = self.init_of(container)
        os.kill(self.monitor_of(container), 9)
        os.kill(init, 9)
        status = self.wait_exit(container)
        self.assertEqual(status.exit_code, 255)
        self.drop(container)

    def test_monitor_of_an_infra_container_dies_with_it(self):
        """The pod is stopped, its address is free."""
        pod = self.cri.RunPodSandbox(config=self.pod_of(cri_pb2.POD)).pod_sandbox_id
        init = self.init_of(pod)
        os.kill(self.monitor_of(pod), 9)
        os.kill(init, 9)
        wait_for(lambda: self.pod_status(pod).state != READY, 10, "the pod is not ready")
        wait_for(lambda: not self.node.left_leases(), 10, "the address is released")
        self.remove_pod(pod)

    # ---- crid dies, what it started goes on ----

    def outlived(self, name, method, fields, check):
        """crid is killed by the helper; that goes on at once, then when the next crid has served the caller."""
        for wait in ("", f"while [ ! -e {self.node.path('faults/go')} ]; do sleep 0.02; done", "sleep 0.1"):
            arguments = fields()
            self.fault(name, f"kill -9 {self.node.process.pid}\n{wait}")
            call = self.cri.future(method, **arguments)
            wait_for(self.dead, 20, "crid is killed")
            call.cancel()
            self.node.process.wait()
            self.cri.ids |= self.node.ids()
            self.check_happened(name)
            began = time.monotonic()
            self.start_crid()
            self.assertLess(time.monotonic() - began, 10)
            reply = getattr(self.cri, method)(**arguments)
            self.node.write("faults/go", "")
            time.sleep(0.2)             # what it would do now, it has done then
            os.unlink(self.node.path("faults/go"))
            check(arguments, reply)

    def run_outlived_by(self, name, pid=cri_pb2.CONTAINER):
        def check(_, reply):
            pod = reply.pod_sandbox_id
            self.check_known([pod], [])
            self.assertEqual(self.pod_status(pod).state, READY)
            self.remove_pod(pod)
            self.check_gone()
        self.outlived(name, "RunPodSandbox", lambda: {"config": self.pod_of(pid)}, check)

    def test_run_outlived_by_pinns(self):
        self.run_outlived_by(PINNS)

    def test_run_outlived_by_a_plugin(self):
        self.run_outlived_by(PLUGIN + "-ADD")

    def test_run_outlived_by_the_monitor(self):
        self.run_outlived_by(MONITOR, cri_pb2.POD)

    def test_run_outlived_by_the_runtime(self):
        self.run_outlived_by(RUNTIME + "-create", cri_pb2.POD)
        self.run_outlived_by(RUNTIME + "-start", cri_pb2.POD)

    def test_stop_outlived_by_a_plugin(self):
        def check(fields, _):
            self.check_known([fields["pod_sandbox_id"]], [])
            self.remove_pod(fields["pod_sandbox_id"])
            self.check_gone()
        self.outlived(PLUGIN + "-DEL", "StopPodSandbox",
                      lambda: {"pod_sandbox_id": self.cri.RunPodSandbox(config=self.pod_config()).pod_sandbox_id}, check)

    def test_create_outlived_by_its_helpers(self):
        pod, config = self.run_pod()

        def fields():
            return {"pod_sandbox_id": pod, "sandbox_config": config, "config": self.container_config(SLEEP)}

        def check(_, reply):
            container = reply.container_id
            self.check_known([pod], [container])
            self.cri.StartContainer(container_id=container)
            self.assertEqual(self.status(container).state, RUNNING)
            self.drop(container)
            self.assertEqual(self.container_processes(), [])
        for name in (MONITOR, RUNTIME + "-create"):
            self.outlived(name, "CreateContainer", fields, check)

    def test_start_outlived_by_the_runtime(self):
        pod, config = self.run_pod()

        def check(fields, _):
            self.check_known([pod], [fields["container_id"]])
            self.assertEqual(self.status(fields["container_id"]).state, RUNNING)
            self.drop(fields["container_id"])
        self.outlived(RUNTIME + "-start", "StartContainer",
                      lambda: {"container_id": self.create(pod, config, self.container_config(SLEEP))}, check)

    def test_remove_outlived_by_the_runtime(self):
        pod, config = self.run_pod()

        def fields():
            container = self.start_container(pod, config, SLEEP)
            self.cri.StopContainer(container_id=container, timeout=0)
            return {"container_id": container}
        self.outlived(RUNTIME + "-delete", "RemoveContainer", fields, lambda *_: self.check_known([pod], []))

    # ---- the worker and its children ----

    def image(self, tag):
        return self.registry.push("worker", [tag], Image(
            [layer([(f"{tag}-{n}", os.urandom(1000)) for n in range(5)]), layer([(f"{tag}-x", b"x")])], {"Cmd": ["/x"]}))

    def pull_with(self, tag, at):
        """One pull whose worker, or a child of it, is killed at that step: (done, steps)."""
        log = self.node.path("stepkill.log")
        reference = self.image(tag)
        self.fault("worker", f'exec {STEPKILL} {at} {log} -- "$real" "$@"')
        try:
            self.cri.PullImage(image={"image": reference})
            done = True
        except grpc.RpcError as e:
            self.assertTrue(e.details())
            done = False
        self.check_happened("worker")
        with open(log, errors="replace") as f:
            return done, f.read().splitlines()

    def test_worker_dies_at_a_step(self):
        done, steps = self.pull_with("t0", 0)
        self.assertTrue(done, "a traced pull works")
        self.cri.RemoveImage(image={"image": f"{self.registry.host}/worker:t0"})
        self.check_gone()
        chosen = choose(len(steps))
        print(f"PullImage: {len(steps)} steps of the worker, killed at {chosen}", flush=True)
        for at in chosen:
            done, steps = self.pull_with(f"t{at}", at)
            where = f"worker killed at step {at}, {steps[-1] if steps else 'none'}"
            reference = f"{self.registry.host}/worker:t{at}"
            present = bool(self.cri.ImageStatus(image={"image": reference}).image.id)
            self.assertTrue(present or not done, where)
            image = self.cri.PullImage(image={"image": reference}).image_ref
            self.assertEqual(self.cri.ImageStatus(image={"image": reference}).image.id, image.split("@")[-1], where)
            self.cri.RemoveImage(image={"image": reference})
            try:
                self.check_gone()
            except AssertionError as e:
                self.fail(f"{where}: {e}")
