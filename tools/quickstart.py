# SPDX-License-Identifier: Apache-2.0
"""The second half of tools/quickstart: everything is built, and we are in a mount namespace of our own.

Makes a private node (crid_node.py), has crid-ctl run the pod, and takes everything away. What --keep
leaves is described by node.json in its directory, from which --remove finds it again.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

import crid_node
from crid_node import NodeError

PREFIX = "crid-quickstart-"
GREETING = ["sh", "-c", "echo Hello from a container under crid; echo I am $(hostname), my address is "
            "$(ip -4 -o addr show eth0 | awk '{print $4}'), my kernel is $(uname -r)"]


class Stopped(Exception):
    """A signal asked us to end."""


def stop_on_signal(number, _):
    raise Stopped(number)


def signals(handler):
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, handler)


class Steps:
    """What took how long; said at once, so that nobody wonders."""

    def __init__(self):
        self.began = time.monotonic()

    def done(self, text):
        now = time.monotonic()
        print(f"{(now - self.began) * 1000:7.0f} ms  {text}", flush=True)
        self.began = now


class Quickstart:
    def __init__(self, arguments):
        self.arguments = arguments
        self.base = None
        self.registry = None
        self.node = None
        self.client = None

    def make_base(self):
        self.base = tempfile.mkdtemp(prefix=PREFIX)
        # overlay needs another file system than overlay below its writable layers
        kind = subprocess.run(["stat", "-f", "-c", "%T", self.base], capture_output=True, text=True, check=True).stdout.strip()
        if kind == "overlayfs":
            os.mkdir(os.path.join(self.base, "storage"))
            subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755", "crid", os.path.join(self.base, "storage")], check=True)

    def prepare(self, steps):
        image, registry = self.arguments.image, crid_node.Registry(os.path.join(self.base, "registry"))
        self.registry = registry.start()
        pause = registry.push("pause", ["latest"], crid_node.pause_image(os.path.join(crid_node.TOP, "build")))
        if not image:
            image = registry.push("busybox", ["latest"], crid_node.busybox_image())
        steps.done(f"docker-registry on {registry.host} has the images")
        self.node = crid_node.Node(self.base, runtime=self.arguments.runtime, subnet=crid_node.unused_subnet(),
                                   masquerade=crid_node.masquerade_works())
        insecure = [registry.host]
        host = image.split("/")[0]
        if host.split(":")[0] in ("localhost", "127.0.0.1") and "/" in image and host not in insecure:
            insecure.append(host)
        self.node.configure(pause, insecure)
        self.node.save("node.json")             # for --remove, also after we were killed
        self.node.start()
        steps.done(f"crid serves {self.node.socket} (pid {self.node.process.pid}, {self.arguments.runtime}, network {self.node.subnet})")
        return image

    def ctl(self, *arguments):
        return [os.path.join(crid_node.TOP, "build/tools/crid-ctl"), "--endpoint", self.node.socket, *arguments]

    def run_pod(self, image):
        """crid-ctl does it all: pull, pod, container, log, timings. Its status is the container's."""
        command = self.arguments.command or ([] if self.arguments.image else GREETING)
        options = ["--timings"] + (["--keep"] if self.arguments.keep else [])
        # A group of its own: Ctrl-C is for us, who then end it in order.
        self.client = subprocess.Popen(self.ctl("run", *options, image, *command), stdin=subprocess.DEVNULL, start_new_session=True,
                                       env=dict(os.environ, TMPDIR=self.base))
        status = self.client.wait()
        return 128 - status if status < 0 else status

    def say_how_to_talk(self):
        socket, base = self.node.socket, self.base
        ctl = os.path.relpath(os.path.join(crid_node.TOP, "build/tools/crid-ctl"))
        print(f"""
crid goes on (pid {self.node.process.pid}, log {self.node.path("crid.log")}). Talk to it:

    {ctl} -e {socket} ps
    crictl -r unix://{socket} pods

Its mounts are in a namespace of their own: nsenter -t {self.node.process.pid} -m. Take everything away:

    {os.path.relpath(os.path.join(crid_node.TOP, "tools/quickstart"))} --remove {base}""", flush=True)

    def clean_up(self):
        if self.client and self.client.poll() is None:
            crid_node.end_process(self.client, 3)           # it gives the container 10 seconds; we are in a hurry
        if self.node:
            self.remove_pods()
            self.node.destroy()
        if self.registry:
            self.registry.stop()
        if self.base and os.path.exists(self.base):
            crid_node.remove_tree(self.base)

    def remove_pods(self):
        """In order, through crid, so that plugins take back what they gave; force comes after."""
        if not self.node.connects():
            return
        try:
            subprocess.run(self.ctl("rm", "--all", "--force", "--time", "1"), capture_output=True, timeout=60, check=False)
        except (subprocess.SubprocessError, OSError):
            pass

    def run(self):
        steps = Steps()
        try:
            crid_node.check_machine()
            crid_node.become_subreaper()
            crid_node.leave_hybrid_cgroup2()
            self.make_base()
            status = self.run_pod(self.prepare(steps))
            if self.arguments.keep:
                self.say_how_to_talk()
                return status
        except Stopped as e:
            status = 128 + e.args[0]
        except NodeError as e:
            print(f"quickstart: {e}", file=sys.stderr)
            status = 1
        signals(signal.SIG_IGN)
        steps = Steps()
        self.clean_up()
        if self.node:
            steps.done("crid and all that it made are gone")
        return status


# ---- --remove ----

def processes_using(base):
    """[pid] whose command line names base: crid, conmon, the registry."""
    found = []
    for pid in os.listdir("/proc"):
        if pid.isdigit() and int(pid) != os.getpid():
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    words = f.read()
                program = os.path.basename(os.readlink(f"/proc/{pid}/exe"))
            except OSError:
                continue
            if base.encode() in words and program in ("crid", "crid-worker", "crid-ctl", "conmon", "docker-registry"):
                found.append(int(pid))
    return found


def remove(base):
    """Takes away what a kept or killed quickstart left in base, from inside its mount namespace if that lives."""
    base = os.path.realpath(base)
    if not os.path.basename(base).startswith(PREFIX) or not os.path.isdir(base):
        raise NodeError(f"{base} is not a directory of tools/quickstart")
    processes = processes_using(base)
    ours = os.readlink("/proc/self/ns/mnt")
    for pid in processes:
        if os.readlink(f"/proc/{pid}/ns/mnt") != ours:
            os.execvp("nsenter", ["nsenter", "-t", str(pid), "-m", "--", sys.executable, "-B", os.path.abspath(__file__), "--remove", base])
    signals(signal.SIG_IGN)
    try:
        with open(os.path.join(base, "node.json")) as f:
            node = crid_node.Node(base, **json.load(f))
    except OSError:                             # killed before it made anything but files
        crid_node.remove_tree(base)
        return 0
    run = Quickstart(None)
    run.node = node
    run.remove_pods()
    for pid in processes_using(base):
        os.kill(pid, signal.SIGTERM)
    ids = node.ids()

    def left():
        below = processes_using(base)
        return below + [p for one in below for p in crid_node.descendants(one)] + node.processes(ids)
    try:
        crid_node.wait_for(lambda: not left(), 5, "processes end")
    except NodeError:
        crid_node.kill_all(left)
    node.destroy()
    return 0


def main():
    parser = argparse.ArgumentParser(prog="tools/quickstart")
    parser.add_argument("--runtime", choices=("runc", "crun"), default="runc")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--remove", metavar="DIR")
    parser.add_argument("image", nargs="?")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    signals(stop_on_signal)
    try:
        return remove(arguments.remove) if arguments.remove else Quickstart(arguments).run()
    except NodeError as e:
        print(f"quickstart: {e}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
