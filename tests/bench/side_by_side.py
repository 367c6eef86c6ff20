# SPDX-License-Identifier: Apache-2.0
"""The second half of tests/bench/run: everything is built, and we are in mount and network namespaces of our own.

Both daemons get the same images from the same registry, the same CNI configuration and the same OCI
runtime. containerd has fixed paths for shim sockets, runtime state, CNI results and network namespaces;
file systems of our own lie over them.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "tools"))
import crid_node        # noqa: E402
from crid_node import HELPERS, Node, NodeError, Registry, wait_for   # noqa: E402

BUILD = os.environ["CRID_BUILD"]
FIXED = ("/run/containerd", "/run/netns", "/var/lib/cni")      # containerd's, whatever its configuration


class Stopped(Exception):
    """A signal asked us to end."""


def stop_on_signal(number, _):
    raise Stopped(number)


def may_lower_oom_score():
    with open("/proc/self/status") as f:
        effective = next(int(line.split()[1], 16) for line in f if line.startswith("CapEff:"))
    return bool(effective >> 24 & 1)            # CAP_SYS_RESOURCE


def mount_tmpfs(path):
    """What a node has below /run."""
    os.makedirs(path)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755", "bench", path], check=True)


class Containerd:
    def __init__(self, base, node, pause, runtime):
        self.base = base
        self.node = node
        self.pause = pause
        self.runtime = runtime
        self.process = None
        self.made = []
        self.had_cgroup = [top for top in crid_node.cgroup_mounts() if os.path.isdir(top + "/k8s.io")]

    @property
    def socket(self):
        return os.path.join(self.base, "containerd.sock")

    def config(self):
        q = json.dumps
        plugins = next(d for d in ("/usr/lib/cni", "/opt/cni/bin") if os.path.exists(os.path.join(d, "bridge")))
        apparmor = os.path.exists("/sys/module/apparmor/parameters/enabled")
        return f"""version = 2
root = {q(os.path.join(self.base, "root"))}
state = {q(os.path.join(self.base, "state"))}
[grpc]
address = {q(self.socket)}
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = {q(self.pause)}
disable_apparmor = {q(not apparmor)}
restrict_oom_score_adj = {q(not may_lower_oom_score())}
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = {q(plugins)}
conf_dir = {q(self.node.path("cni/net.d"))}
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
BinaryName = {q(crid_node.program(self.runtime))}
"""

    def start(self):
        for path in FIXED:
            if not os.path.isdir(path):
                os.makedirs(path)
                self.made.append(path)
            subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755", "bench", path], check=True)
        mount_tmpfs(os.path.join(self.base, "state"))
        config = os.path.join(self.base, "config.toml")
        with open(config, "w") as f:
            f.write(self.config())
        log_path = os.path.join(self.base, "log")
        with open(log_path, "w") as log:
            self.process = subprocess.Popen([crid_node.program("containerd"), "--config", config], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, env=self.node.environment(), start_new_session=True)
        HELPERS.add(self.process.pid)
        wait_for(lambda: self.process.poll() is not None or self.answers(), 30,
                 "containerd answers")
        if self.process.poll() is not None:
            raise NodeError("containerd does not start:\n" + crid_node.tail(log_path))

    def answers(self):
        return os.path.exists(self.socket) and crid_ctl(["--endpoint", self.socket, "version"], capture_output=True).returncode == 0

    def destroy(self):
        """After every process has been ended."""
        for path in FIXED:
            subprocess.run(["umount", "-l", path], stderr=subprocess.DEVNULL, check=False)
        for path in self.made:
            os.rmdir(path)
        for top in crid_node.cgroup_mounts():
            if top not in self.had_cgroup:
                for d, _, _ in os.walk(top + "/k8s.io", topdown=False):
                    os.rmdir(d)


def crid_ctl(arguments, **more):
    return subprocess.run([os.path.join(BUILD, "tools/crid-ctl"), *arguments], check=False, **more)


def bench(base, options, rest):
    registry = Registry(os.path.join(base, "registry")).start()
    node = containerd = None
    try:
        pause = registry.push("pause", ["1"], crid_node.pause_image(BUILD))
        image = registry.push("busybox", ["latest"], crid_node.busybox_image())
        node = Node(os.path.join(base, "node"), BUILD, options.runtime, crid_node.unused_subnet())
        mount_tmpfs(node.path("run"))
        node.configure(pause, [registry.host])
        node.start()
        endpoints = ["--endpoint", node.socket]
        if not options.alone:
            containerd = Containerd(os.path.join(base, "containerd"), node, pause, options.runtime)
            containerd.start()
            endpoints += ["--endpoint", containerd.socket]
        command = [os.path.join(BUILD, "tools/crid-ctl"), "bench", *endpoints, "--image", image, *rest]
        client = subprocess.Popen(command, env=dict(os.environ, TMPDIR=base), start_new_session=True)
        HELPERS.add(client.pid)
        try:
            status = client.wait()
        except Stopped:
            client.send_signal(signal.SIGINT)           # it removes its pods
            client.wait()
            raise
        if status:
            print("crid's log:\n" + crid_node.tail(node.path("crid.log")), file=sys.stderr)
            if containerd:
                print("containerd's log:\n" + crid_node.tail(os.path.join(containerd.base, "log")), file=sys.stderr)
        return status
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)       # the clean-up is short and not to be broken off
        registry.stop()
        if containerd:
            crid_node.end_process(containerd.process)
        if node:
            node.destroy()                              # ends the shims, too: they are below us
        if containerd:
            containerd.destroy()
        reap()


def reap():
    """What was killed and came to us is not left to init as zombies."""
    for _ in range(200):
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.01)
        except ChildProcessError:
            return


def main():
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--runtime", choices=("runc", "crun"), default="runc")
    parser.add_argument("--alone", action="store_true")
    options, rest = parser.parse_known_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop_on_signal)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    crid_node.become_subreaper()
    crid_node.leave_hybrid_cgroup2()
    base = tempfile.mkdtemp(prefix="crid-bench-")
    try:
        crid_node.check_machine()
        for tool in ("unpigz", "igzip"):
            if shutil.which(tool):
                print(f"note: {tool} is installed; containerd uses it to unpack images", file=sys.stderr)
        return bench(base, options, rest)
    except NodeError as e:
        print(f"bench: {e}", file=sys.stderr)
        return 1
    except Stopped as e:
        return 128 + e.args[0]
    finally:
        crid_node.remove_tree(base)


if __name__ == "__main__":
    sys.exit(main())
