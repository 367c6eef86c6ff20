# SPDX-License-Identifier: Apache-2.0
"""The pod network of a running crid: readiness, waiting for it, and what teardowns that failed have left."""

import json
import os
import subprocess
import threading
import time

import grpc

from crid_harness import BUILD, READY, NodeCase
from crid_node import wait_for

SOON = 5
TOOL = os.path.join(BUILD, "tools/cnic/cnic")
# A chained plugin of CNI 1.1.0 that does what its files say: "unready" STATUS fails, "stuck" DEL fails, GC is written down.
PLUGIN = """#!/bin/sh
here=${0%/*}
case $CNI_COMMAND in
VERSION) echo '{"cniVersion":"1.1.0","supportedVersions":["1.0.0","1.1.0"]}' ;;
ADD) echo '{"cniVersion":"1.1.0","ips":[{"address":"10.255.0.7/24"}]}' ;;
STATUS) [ ! -e "$here/unready" ] || { echo '{"code":50,"msg":"the agent is not there"}'; exit 1; } ;;
DEL) [ ! -e "$here/stuck" ] || { echo '{"code":11,"msg":"try again"}'; exit 1; }; echo "$CNI_CONTAINERID" >>"$here/deleted" ;;
GC) cat >"$here/gc.new"; mv "$here/gc.new" "$here/gc" ;;
esac
"""


class NetworkCase(NodeCase):
    def condition(self):
        return {c.type: c for c in self.cri.Status().status.conditions}["NetworkReady"]

    def wait_ready(self, ready=True):
        return wait_for(lambda: self.condition() if self.condition().status == ready else None, SOON, f"NetworkReady is {ready}")

    def conf(self, *names):
        return self.node.path("cni/net.d", *names)


class Readiness(NetworkCase):
    def test_pods_wait_for_the_configuration(self):
        path = self.conf("10-crid.conflist")
        os.rename(path, self.node.path("away"))
        message = self.wait_ready(False).message
        self.assertIn(f"not found in {self.conf()}", message)
        began = time.monotonic()
        with self.assertRaises(grpc.RpcError) as caught:
            self.cri.RunPodSandbox(config=self.pod_config(), deadline=2)
        self.assertLess(time.monotonic() - began, 3)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.UNAVAILABLE)
        self.assertIn(f"the network is not ready: {message}"[:80], caught.exception.details())

        done = []
        config = self.pod_config()
        thread = threading.Thread(target=lambda: done.append(self.run_pod(config)[0]))
        thread.start()
        host = self.pod_config(name="host", linux={"security_context": {"namespace_options": {"network": 2, "pid": 1}}})
        self.run_pod(host)                      # needs no network, so it does not wait
        self.assertEqual(done, [])
        os.rename(self.node.path("away"), path)
        thread.join(SOON)
        self.assertEqual(self.pod_status(done[0]).state, READY)
        self.assertTrue(self.condition().status)

    def test_a_directory_that_is_replaced(self):
        os.rename(self.conf(), self.node.path("cni/old"))
        self.wait_ready(False)
        os.mkdir(self.conf())
        os.rename(self.node.path("cni/old/10-crid.conflist"), self.conf("10-crid.conflist"))
        self.wait_ready()
        os.rmdir(self.node.path("cni/old"))
        os.rename(self.conf("10-crid.conflist"), self.node.path("away"))
        self.wait_ready(False)
        os.rename(self.node.path("away"), self.conf("10-crid.conflist"))
        self.wait_ready()

    def test_ending_while_pods_wait(self):
        path = self.conf("10-crid.conflist")
        os.rename(path, self.node.path("away"))
        try:
            self.wait_ready(False)
            failed = []

            def run():
                try:
                    self.cri.RunPodSandbox(config=self.pod_config(), deadline=30)
                except grpc.RpcError as e:
                    failed.append(e.code())
            thread = threading.Thread(target=run)
            thread.start()
            time.sleep(0.3)
            self.assertTrue(self.node.stop(10))
            thread.join(SOON)
            self.assertEqual(failed, [grpc.StatusCode.UNAVAILABLE])
        finally:
            os.rename(self.node.path("away"), path)
            self.start_crid()


class Plugin11(NetworkCase):
    """A network of CNI 1.1.0 with one plugin, a script."""

    @classmethod
    def start_crid(cls):
        node = cls.node
        if not os.path.exists(node.path("cni/bin/eleven")):
            os.makedirs(node.path("cni/bin"), exist_ok=True)
            os.chmod(node.write("cni/bin/eleven", PLUGIN), 0o755)
            with open(node.path("cni/net.d/10-crid.conflist")) as f:
                name = json.load(f)["name"]
            node.write("cni/net.d/10-crid.conflist", json.dumps({"cniVersion": "1.1.0", "name": name, "plugins": [{"type": "eleven"}]}))
            with open(node.path("crio.conf")) as f:
                text = f.read()
            node.write("crio.conf", text.replace("plugin_dirs = [", f'plugin_dirs = ["{node.path("cni/bin")}", '))
        super().start_crid()

    def flag(self, name, on):
        path = self.node.path("cni/bin", name)
        if on:
            self.node.write(f"cni/bin/{name}", "")
        elif os.path.exists(path):
            os.unlink(path)

    def setUp(self):
        super().setUp()
        for name in ("unready", "stuck", "gc"):
            self.addCleanup(self.flag, name, False)

    def restart(self):
        self.assertTrue(self.node.stop())
        self.start_crid()

    def test_status_of_the_plugin_is_followed(self):
        self.flag("unready", True)
        self.assertIn("the agent is not there (code 50)", wait_for(lambda: self.condition().message, 8, "STATUS is asked"))
        os.unlink(self.node.path("cni/bin/unready"))
        self.run_pod()
        self.wait_ready()

    def test_status_that_changes_where_nobody_sees_it(self):
        """The plugin's word changes without any change of a file that is watched."""
        there = self.node.path("log/agent")
        text = PLUGIN.replace('"$here/unready"', there)
        os.chmod(self.node.write("cni/bin/eleven", text), 0o755)
        self.node.write("log/agent", "")
        wait_for(lambda: not self.condition().status, 8, "STATUS is asked")
        os.unlink(there)
        self.run_pod()
        os.chmod(self.node.write("cni/bin/eleven", PLUGIN), 0o755)
        self.wait_ready()

    def test_gc_names_the_pods_that_are_there(self):
        first, _ = self.run_pod()
        second, _ = self.run_pod()
        self.flag("gc", False)
        self.restart()
        wait_for(lambda: os.path.exists(self.node.path("cni/bin/gc")), SOON, "GC at the start")
        with open(self.node.path("cni/bin/gc")) as f:
            config = json.load(f)
        for key in ("cni.dev/valid-attachments", "cni.dev/attachments"):
            self.assertEqual({(a["containerID"], a["ifname"]) for a in config[key]}, {(first, "eth0"), (second, "eth0")})

    def test_a_teardown_that_fails_for_good_is_tried_again(self):
        pod, _ = self.run_pod()
        with open("/proc/self/mountinfo") as f:
            netns = next(line.split()[4] for line in f if self.node.path("run/ns") in line and "/netns/" in line)
        subprocess.run(["umount", "-l", netns], check=True)
        os.unlink(netns)
        self.flag("stuck", True)
        self.cri.StopPodSandbox(pod_sandbox_id=pod)     # with no namespace it may go
        self.cri.RemovePodSandbox(pod_sandbox_id=pod)
        self.assertEqual(len(self.node.left_cni_cache()), 1, "it is not forgotten")
        self.restart()
        self.assertEqual(len(self.node.left_cni_cache()), 1, "nor given up at the first try")
        self.flag("stuck", False)
        self.flag("unready", True)                      # an agent that comes back
        wait_for(lambda: not self.condition().status, 8, "STATUS is asked")
        self.flag("unready", False)
        wait_for(lambda: not self.node.left_cni_cache(), SOON, "the attachment is released")
        with open(self.node.path("cni/bin/deleted")) as f:
            self.assertIn(pod, f.read())


class Leftovers(NetworkCase):
    """With bridge and host-local."""

    def cnic(self, *arguments):
        """On the pods' network, but without masquerade: with no namespace the plugin leaves those rules."""
        with open(self.conf("10-crid.conflist")) as f:
            network = json.load(f)
        network["plugins"][0]["ipMasq"] = False
        os.makedirs(self.node.path("cni/plain"), exist_ok=True)
        self.node.write("cni/plain/10.conflist", json.dumps(network))
        plugins = next(d for d in ("/usr/lib/cni", "/opt/cni/bin") if os.path.exists(os.path.join(d, "bridge")))
        subprocess.run([TOOL, "--conf-dir", self.node.path("cni/plain"), "--cache-dir", self.node.path("cni/cache"), "--plugin-dir", plugins, *arguments],
                       check=True, capture_output=True)

    def netns(self, name):
        path = self.node.path("run/ns", name)
        self.node.write(f"run/ns/{name}", "")
        subprocess.run(["unshare", f"--net={path}", "true"], check=True)
        self.addCleanup(lambda: os.path.exists(path) and (subprocess.run(["umount", "-l", path], check=False), os.unlink(path)))
        return path

    def drop(self, path):
        subprocess.run(["umount", "-l", path], check=True)
        os.unlink(path)

    def test_what_no_pod_has_is_released_and_what_others_have_stays(self):
        annotations = '{"io.kubernetes.cri.pod-annotations":{}}'
        gone, alive, foreign = "1" * 63 + "a", "1" * 63 + "b", "1" * 63 + "c"
        pod, _ = self.run_pod()
        for container, capabilities in ((gone, annotations), (alive, annotations), (foreign, "{}")):
            self.cnic("add", "--capabilities", capabilities, container, self.netns(container[-4:]))
        self.assertEqual(len(self.node.left_leases()), 4)
        self.drop(self.node.path("run/ns", gone[-4:]))
        self.drop(self.node.path("run/ns", foreign[-4:]))
        leases = self.node.path("cni/ipam", self.node.bridge)
        empty = os.path.join(leases, self.node.left_leases()[0].rpartition(".")[0] + ".250")
        open(empty, "w").close()        # as a power cut may leave it
        self.assertTrue(self.node.stop())
        self.start_crid()
        wait_for(lambda: len(self.node.left_cni_cache()) == 3 and not os.path.exists(empty), SOON, "the network of the gone one is released")
        self.assertEqual({name.split("-")[-2] for name in self.node.left_cni_cache()}, {pod, alive, foreign})
        self.assertEqual(len(self.node.left_leases()), 3)
        self.cnic("del", alive, self.node.path("run/ns", alive[-4:]))
        self.cnic("del", foreign)

    def test_a_plugin_that_is_gone_keeps_no_lease(self):
        """The chain's second plugin cannot be run any more: the first one's address is free nevertheless."""
        path = self.conf("10-crid.conflist")
        with open(path) as f:
            good = f.read()
        network = json.loads(good)
        with open(self.node.path("crio.conf")) as f:
            text = f.read()
        os.makedirs(self.node.path("cni/bin"), exist_ok=True)
        extra = self.node.write("cni/bin/extra", '#!/bin/sh\n[ $CNI_COMMAND = VERSION ] && echo \'{"cniVersion":"1.0.0","supportedVersions":["1.0.0"]}\' && exit\n'
                                                 '[ $CNI_COMMAND = DEL ] || echo \'{"cniVersion":"1.0.0"}\'\n')
        os.chmod(extra, 0o755)
        network["plugins"].append({"type": "extra"})
        try:
            self.assertTrue(self.node.stop())
            self.node.write("crio.conf", text.replace("plugin_dirs = [", f'plugin_dirs = ["{self.node.path("cni/bin")}", '))
            self.node.write("cni/net.d/10-crid.conflist", json.dumps(network))
            self.start_crid()
            pod, _ = self.run_pod()
            os.rename(extra, extra + ".gone")
            self.remove_pod(pod)
            self.assertEqual(self.node.left_leases(), [])
            self.assertEqual(len(self.node.left_cni_cache()), 1)
            os.rename(extra + ".gone", extra)
            wait_for(lambda: not self.node.left_cni_cache(), SOON, "the rest is done when the plugin is back")
        finally:
            self.assertTrue(self.node.stop())
            self.node.write("crio.conf", text)
            self.node.write("cni/net.d/10-crid.conflist", good)
            self.start_crid()
