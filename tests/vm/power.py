# SPDX-License-Identifier: Apache-2.0
"""In the guest: one boot of the power test. The disk is what the boot before left when its power was cut.

First crid is started and everything looked at: the store is sound, an image that a PullImage had answered for is
there, no pod is, no address is taken. Then images are pulled and removed and pods made until the power goes. Each line
on stdout is told to the host, which remembers it over the cuts:

	kept NAME	PullImage has answered, or RemoveImage will not be called
	going NAME	RemoveImage is about to be called
	load		the checks have passed, work begins
	bad TEXT	something is wrong

The argument is JSON: {"first": bool, "kept": [NAME...], "seed": N}.
"""

import json
import os
import random
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(TOP, "tools"), os.path.join(TOP, "tests/integration")]
import crid_node
import crid_harness
from crid_harness import Cri

BASE = "/data/power"
IMAGES = 8
BUILD = crid_harness.BUILD


def say(*words):
    print(*words, flush=True)


def image(n):
    """Of three layers with many small files, so that a pull takes a while and leaves much to write."""
    fill = random.Random(n)
    layers = [crid_node.layer([(f"data/{k}/{f}", fill.randbytes(3000)) for f in range(60)]) for k in range(3)]
    return crid_node.Image(layers, {"Cmd": ["/none"]})


def registry(first):
    crid_node.free_port = lambda: 5000      # the names of the images hold it
    registry = crid_node.Registry(BASE + "/registry")
    os.makedirs(registry.base, exist_ok=True)
    registry.start()
    if first:
        registry.push("pause", ["1"], crid_node.pause_image(BUILD))
        registry.push("busybox", ["1"], crid_node.busybox_image())
        for n in range(IMAGES):
            registry.push(f"image{n}", ["1"], image(n))
        os.sync()
    return registry


def start(registry):
    node = crid_node.Node(BASE + "/node", BUILD, "crun", "10.77.0.0/24", "power0")
    os.makedirs(node.path("run"), exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "run", node.path("run")], check=True)      # as /run is
    node.configure(f"{registry.host}/pause:1", [registry.host])
    node.start(60)
    cri = Cri(node.socket)
    crid_node.wait_for(lambda: answers(cri), 60, "crid answers")
    return node, cri


def answers(cri):
    try:
        return cri.Version()
    except crid_harness.grpc.RpcError:
        return None


def check(node, cri, kept):
    done = subprocess.run([os.path.join(BUILD, "tools/cstore/cstore"), "--root", node.root, "--runroot", node.runroot, "check"],
                          check=False, capture_output=True, text=True)
    if done.returncode:
        say("bad", "cstore check:", (done.stdout + done.stderr).replace("\n", "; "))
    there = {tag for one in cri.ListImages().images for tag in one.repo_tags}
    for name in kept:
        if name not in there:
            say("bad", "lost", name)
    say("images", len(there), "of them answered for", len(kept))
    left = lambda: {
        "pods": [p.id for p in cri.ListPodSandbox().items], "containers": [c.id for c in cri.ListContainers().containers],
        "leases": node.left_leases(), "network cache": node.left_cni_cache(), "records": sorted(node.ids())}
    try:
        crid_node.wait_for(lambda: not any(left().values()), 5, "clean-up")     # of addresses: behind the answers
    except crid_node.NodeError:
        say("bad", "left:", {what: which for what, which in left().items() if which})
        say(crid_node.tail(node.path("crid.log")))


def work(cri, host, seed):
    choose = random.Random(seed)
    pull = lambda name: cri.PullImage(image={"image": name})
    busybox = f"{host}/busybox:1"
    pull(busybox)
    say("kept", busybox)
    say("load")
    for turn in range(1000):
        name = f"{host}/image{choose.randrange(IMAGES)}:1"
        if turn % 3 == 2:
            say("going", name)
            cri.RemoveImage(image={"image": name})
        else:
            running = cri.future("PullImage", image={"image": name})
            config = {"metadata": {"name": f"p{seed}-{turn}", "uid": str(turn), "namespace": "power", "attempt": 0},
                      "linux": {"security_context": {"namespace_options": {"pid": crid_harness.cri_pb2.CONTAINER}}}}
            pod = cri.RunPodSandbox(config=config).pod_sandbox_id
            container = cri.CreateContainer(pod_sandbox_id=pod, sandbox_config=config, config={
                "metadata": {"name": "c"}, "image": {"image": busybox}, "command": ["sleep", "1000"], "log_path": "c.log"}).container_id
            cri.StartContainer(container_id=container)
            running.result()
            say("kept", name)


def main():
    job = json.loads(sys.argv[1])
    crid_node.become_subreaper()
    if job["seed"] % 2:     # nothing gets to the disk by itself: only what is asked for
        for name in ("dirty_writeback_centisecs", "dirty_expire_centisecs"):
            with open("/proc/sys/vm/" + name, "w") as f:
                f.write("360000")
    source = registry(job["first"])
    began = time.monotonic()
    node, cri = start(source)
    say(f"crid serves after {time.monotonic() - began:.1f} s")
    try:
        check(node, cri, job["kept"])
        work(cri, source.host, job["seed"])
    except Exception as e:
        say("bad", repr(e).replace("\n", " "))
        say(crid_node.tail(node.path("crid.log")))
        raise


main()
