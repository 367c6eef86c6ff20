# SPDX-License-Identifier: Apache-2.0
"""The machine was switched off: nothing of run/ is there any more, and what was written last may be torn."""

import glob
import os
import random
import subprocess

from crid_harness import READY, RUNNING, cri_pb2
import crid_node
from crid_node import wait_for
from fault_harness import SEED, STEPS, FaultCase

SLEEP = ["sleep", "1000"]
DAMAGE = {"empty": lambda b: b"", "truncated": lambda b: b[:len(b) // 2], "garbage": lambda b: b"\0\xff{{" + b[5:],
          "zeroes": lambda b: b"\0" * len(b), "other JSON": lambda b: b"[1]"}


class Reboot(FaultCase):
    def switch_off(self, keep=()):
        """What a machine with /run on a tmpfs loses."""
        self.kill()
        crid_node.kill_all(lambda: self.node.processes(self.cri.ids))
        self.reap_orphans()
        wait_for(lambda: not self.node.processes(self.cri.ids), 10, "all processes end")
        for _ in range(3):
            for _, where, _ in sorted(crid_node.mounts(), key=lambda m: -len(m[1])):
                if where.startswith(self.node.base + "/"):
                    subprocess.run(["umount", "-l", where], stderr=subprocess.DEVNULL, check=False)
        for d in sorted(self.node.left_cgroups(self.cri.ids), key=len, reverse=True):
            os.rmdir(d)
        self.node.remove_rules()        # which no plugin would: its DEL has no namespace any more
        kept = {one: self.read(one) for one in keep}
        subprocess.run(["rm", "-rf", "--one-file-system", self.node.path("run")], check=True)
        for name, text in kept.items():
            self.node.write(name, text)

    def read(self, *parts):
        with open(self.node.path(*parts)) as f:
            return f.read()

    def logged_since(self, at):
        with open(self.node.path("crid.log"), errors="replace") as f:
            f.seek(at)
            return f.read()

    def pod_of(self, name, pid=cri_pb2.CONTAINER):
        config = self.pod_config(name, linux={"security_context": {"namespace_options": {"pid": pid}}})
        pod = self.cri.RunPodSandbox(config=config).pod_sandbox_id
        return pod, config

    def populate(self):
        """One pod of each kind and state; {name: (pod, container)}."""
        self.made = {}
        for name, pid in (("plain", cri_pb2.CONTAINER), ("infra", cri_pb2.POD), ("stopped", cri_pb2.CONTAINER),
                          ("stopped-infra", cri_pb2.POD)):
            pod, config = self.pod_of(name, pid)
            self.made[name] = (pod, self.start_container(pod, config, SLEEP, name="c-" + name))
            self.create(pod, config, self.container_config(SLEEP, name="created-" + name))
            if name.startswith("stopped"):
                self.cri.StopContainer(container_id=self.made[name][1], timeout=0)
                self.cri.StopPodSandbox(pod_sandbox_id=pod)

    def check_new_life(self):
        images = {t for i in self.cri.ListImages().images for t in i.repo_tags}
        self.assertEqual(images, {self.busybox, self.pause})
        pod, config = self.pod_of("after")
        container = self.start_container(pod, config, SLEEP)
        self.assertEqual(self.status(container).state, RUNNING)
        self.check_known([pod], [container])
        self.remove_pod(pod)
        self.check_gone()

    def test_pods_of_the_boot_before_are_removed(self):
        self.populate()
        self.switch_off()
        self.start_crid()
        self.check_known([], [])
        self.check_gone()
        self.check_new_life()

    def test_pods_are_removed_too_when_the_version_file_is_torn(self):
        self.populate()
        self.kill()
        self.node.write("run/version", '"1.')
        self.start_crid()
        self.check_known([], [])
        self.check_gone()
        self.check_new_life()

    def test_version_file_on_a_disk_that_stays(self):
        """No boot seen: the pods cannot be used and are not ready, or gone; their addresses are free."""
        self.populate()
        self.switch_off(keep=["run/version"])
        self.start_crid()
        wait_for(lambda: not self.node.left_leases() and not self.node.left_cni_cache(), 20, "the addresses are released")
        self.assertEqual([p.id for p in self.cri.ListPodSandbox().items if p.state == READY], [])
        self.assertEqual([c.id for c in self.cri.ListContainers().containers if c.state != cri_pb2.CONTAINER_EXITED], [])
        self.remove_all_pods()
        self.check_known([], [])
        self.check_new_life()

    def test_torn_files_of_the_boot_before(self):
        self.populate()
        self.switch_off()
        for n, name in enumerate(sorted(glob.glob(self.node.path("storage/overlay-containers/*/userdata/*.json")))):
            with open(name, "rb") as f:
                text = f.read()
            with open(name, "wb") as f:
                f.write(list(DAMAGE.values())[n % len(DAMAGE)](text))
        self.start_crid()
        self.check_known([], [])
        self.check_gone()
        self.check_new_life()

    # ---- torn while pods run ----

    def torn(self, path, others):
        """crid starts with the file damaged, says so, and the others work; later the file is well again."""
        with open(path, "rb") as f:
            good = f.read()
        for how in DAMAGE if not STEPS else random.Random(SEED).sample(sorted(DAMAGE), 2):
            damage = DAMAGE[how]
            with self.subTest(how=how):
                self.kill()
                with open(path, "wb") as f:
                    f.write(damage(good))
                since = os.path.getsize(self.node.path("crid.log"))
                self.start_crid()
                self.assertIn("damaged", self.logged_since(since))
                others()
                with open(path, "rb") as f:
                    self.assertEqual(f.read(), damage(good), "it is not touched")
        self.kill()
        with open(path, "wb") as f:
            f.write(good)
        self.start_crid()

    def test_torn_files_of_a_pod_and_a_container(self):
        pods = [self.pod_of(name, pid) for name, pid in
                (("good", cri_pb2.CONTAINER), ("spoofed", cri_pb2.CONTAINER), ("infra", cri_pb2.POD))]
        containers = [self.start_container(pod, config, SLEEP) for pod, config in pods]
        ids = [pod for pod, _ in pods]

        def works(n):
            self.assertEqual(self.pod_status(ids[n]).state, READY)
            self.assertEqual(self.exec(containers[n], "echo", "hi"), (0, "hi\n", ""))

        def others(n):
            for k in range(3):
                if k != n:
                    works(k)
        for path, n in (("storage/overlay-containers/" + ids[1] + "/userdata/config.json", 1),
                        ("run/storage/overlay-containers/" + ids[1] + "/userdata/state.json", 1),
                        ("storage/overlay-containers/" + ids[2] + "/userdata/config.json", 2),
                        ("storage/overlay-containers/" + ids[2] + "/userdata/state.json", 2),
                        ("storage/overlay-containers/" + containers[1] + "/userdata/config.json", 1),
                        ("storage/overlay-containers/" + containers[1] + "/userdata/state.json", 1)):
            self.torn(self.node.path(path), lambda: others(n))
            for k in range(3):
                works(k)
        self.check_known(ids, containers)
        self.remove_all_pods()
        self.check_gone()

    def test_torn_records_of_the_store(self):
        """crid may refuse to start then, saying why; it destroys nothing, and all is there when the file is well again."""
        pod, config = self.pod_of("good")
        container = self.start_container(pod, config, SLEEP)
        for path in ("storage/overlay-containers/volatile-containers.json", "storage/overlay-layers/volatile-layers.json",
                     "run/storage/overlay-layers/mountpoints.json"):
            path = self.node.path(path)
            with open(path, "rb") as f:
                good = f.read()
            for how in ("truncated", "garbage", "zeroes"):
                with self.subTest(path=os.path.basename(path), how=how):
                    self.kill()
                    with open(path, "wb") as f:
                        f.write(DAMAGE[how](good))
                    try:
                        self.start_crid()
                    except crid_node.NodeError as e:
                        self.assertIn(os.path.basename(path), str(e))
                    else:
                        self.assertTrue(self.cri.ListImages().images)
                        self.kill()
                    with open(path, "wb") as f:
                        f.write(good)
                    self.start_crid()
                    self.assertEqual(self.status(container).state, RUNNING)
                    self.assertEqual(self.exec(container, "echo", "hi"), (0, "hi\n", ""))
        self.remove_pod(pod)
        self.check_gone()

    def test_lost_records_of_the_boot_before(self):
        """The records of pods are not synced to the disk; their addresses are found by the CNI cache."""
        self.populate()
        self.switch_off()
        for name in ("overlay-containers/volatile-containers.json", "overlay-layers/volatile-layers.json"):
            self.node.write("storage/" + name, "")
        self.start_crid()
        self.check_known([], [])
        self.check_gone()
        self.check_new_life()
