# SPDX-License-Identifier: Apache-2.0
"""A crid of its own with many pods: what the benches `restart` and `load` begin with."""

import os
import subprocess
import sys
import tempfile

from five_layers import BUILD, TOP, prepare

sys.path += [os.path.join(TOP, "tools"), os.path.join(TOP, "tests/integration")]
import crid_node        # noqa: E402


def apart():
    """Goes on in namespaces of its own, with all that is needed installed and built."""
    if "CRID_BENCH_APART" not in os.environ:
        prepare()
        os.environ["CRID_BENCH_APART"] = "1"
        os.execvp("unshare", ["unshare", "-m", "-n", "--", sys.executable, *sys.argv])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    crid_node.become_subreaper()
    crid_node.leave_hybrid_cgroup2()


class FilledNode:
    """with FilledNode(runtime) as bench: ... With socket, logs and image set instead, one that somebody else runs."""

    def __init__(self, runtime=None):
        from crid_harness import Cri        # needs what prepare() installs
        self.client = Cri
        self.runtime = runtime
        self.socket = self.logs = self.image = None

    def __enter__(self):
        self.base = tempfile.mkdtemp(prefix="crid-bench-", dir="/var/tmp")
        try:
            self.registry = crid_node.Registry(self.base + "/registry").start()
            pause = self.registry.push("pause", ["1"], crid_node.pause_image(BUILD))
            self.image = self.registry.push("busybox", ["1"], crid_node.busybox_image())
            self.node = crid_node.Node(self.base + "/node", BUILD, self.runtime, crid_node.unused_subnet())
            os.mkdir(self.node.base)
            self.node.configure(pause, [self.registry.host])
            self.node.start()
            self.socket, self.logs = self.node.socket, self.node.path("log")
        except BaseException:
            crid_node.remove_tree(self.base)
            raise
        return self

    def __exit__(self, *_):
        self.registry.stop()
        self.node.destroy()
        crid_node.remove_tree(self.base)

    def pod(self, cri, name):
        """(id, configuration)"""
        config = {"metadata": {"name": name, "uid": name, "namespace": "bench"}, "log_directory": f"{self.logs}/{name}",
                  "linux": {"security_context": {"namespace_options": {"pid": 1, "network": 2}}}}
        return cri.RunPodSandbox(config=config).pod_sandbox_id, config

    def container(self, cri, pod, config, number):
        made = cri.CreateContainer(pod_sandbox_id=pod, sandbox_config=config, config={
            "metadata": {"name": f"c{number}"}, "image": {"image": self.image}, "command": ["sleep", "1000000"],
            "labels": {"number": str(number)}, "log_path": f"{number}.log"}).container_id
        cri.StartContainer(container_id=made)
        return made

    def fill(self, pods, containers):
        """The containers of each pod carry a label "number"."""
        cri = self.client(self.socket)
        cri.PullImage(image={"image": self.image})
        for n in range(pods):
            pod, config = self.pod(cri, f"p{n}")
            for number in range(containers):
                self.container(cri, pod, config, number)
            print(f"\r{n + 1} pods", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        cri.close()
