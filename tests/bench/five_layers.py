# SPDX-License-Identifier: Apache-2.0
"""What tests/bench/storage and tests/bench/pull share: an image of five layers of this machine's files, a file system
that was just made for every run, the clock, and the floor (floor.c).

ext4 is slow where files were deleted a moment ago, so nobody gets a file system that somebody used. Every time includes
"sync -f"; what it was without is printed beside.
"""

import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("CRID_BUILD", os.path.join(TOP, "build"))
SOURCES = ("/usr/share/doc", "/usr/share", "/usr/include", "/usr/lib/python3", "/usr/lib/x86_64-linux-gnu", "/usr/bin", "/usr/lib")
LAYERS = 5
COMPRESS = {"gzip": ["gzip", "-6", "-c"], "zstd": ["zstd", "-q", "-3", "-c"]}


def run(*command, **options):
    return subprocess.run(command, check=True, **options)


def prepare():
    """Says what is in the way, installs and builds what is missing."""
    if os.geteuid():
        sys.exit("bench: this needs root: it makes file systems and mounts")
    found = [tool for tool in ("unpigz", "igzip") if shutil.which(tool)]
    if found:
        sys.exit(f"bench: {' and '.join(found)} would be used by the others: remove it for a comparison")
    run(os.path.join(TOP, "tools/install-deps"), "build", "run", "crun", "tests", "bench")
    if "CRID_BUILD" not in os.environ:
        if not os.path.exists(os.path.join(BUILD, "build.ninja")):
            run("meson", "setup", BUILD, TOP, stdout=subprocess.DEVNULL)
        run("ninja", "-C", BUILD, stdout=subprocess.DEVNULL)


def build_floor(base):
    run("cc", "-O2", "-D_GNU_SOURCE", "-o", base + "/floor", os.path.join(TOP, "tests/bench/floor.c"),
        "-larchive", "-lisal", "-lcrypto", "-lzstd")
    return base + "/floor"


def pick_files(limit):
    """Five lists of files, together about that many bytes."""
    lists, total, layer, seen = [[] for _ in range(LAYERS)], 0, 0, set()
    for source in SOURCES:
        for top, dirs, files in os.walk(source):
            dirs.sort()
            for name in sorted(files):
                path = os.path.join(top, name)
                size = os.lstat(path).st_size
                if path in seen or size > limit // 20:
                    continue
                seen.add(path)
                lists[layer].append(path)
                total += size + 1024
                layer = min(LAYERS - 1, total * LAYERS // limit)
                if total > limit:
                    return lists
    return lists


def make_tar(path, files):
    run("tar", "-cPf", path, "--transform=s,^/,,", "--null", "-T", "-", input="\0".join(files).encode())


def make_tars(base, megabytes):
    tars = [f"{base}/{n}.tar" for n in range(LAYERS)]
    lists = pick_files(megabytes << 20)
    for files, tar in zip(lists, tars):
        make_tar(tar, files)
    print(f"{sum(map(len, lists))} files, {sum(map(os.path.getsize, tars)) >> 20} MB", flush=True)
    return tars


class Image:
    """One OCI layout, with the same as an archive. kind is gzip or zstd."""

    def __init__(self, base, name, kind, tars):
        self.name, self.path = name, os.path.join(base, name)
        blobs = os.path.join(self.path, "blobs/sha256")
        os.makedirs(blobs)
        self.layers, descriptors, diff_ids = [], [], []
        running = [subprocess.Popen([*COMPRESS[kind], tar], stdout=open(f"{blobs}/{n}", "wb")) for n, tar in enumerate(tars)]
        for n, one in enumerate(running):
            if one.wait():
                raise SystemExit("bench: compression failed")
            digest = self.digest(f"{blobs}/{n}")
            os.rename(f"{blobs}/{n}", f"{blobs}/{digest}")
            self.layers.append(f"{blobs}/{digest}")
            descriptors.append(self.descriptor(f"application/vnd.oci.image.layer.v1.tar+{kind}", digest))
            diff_ids.append("sha256:" + self.digest(tars[n]))
        config = self.blob({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": diff_ids}})
        manifest = self.blob({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                              "config": self.descriptor("application/vnd.oci.image.config.v1+json", config), "layers": descriptors})
        index = self.descriptor("application/vnd.oci.image.manifest.v1+json", manifest)
        index["annotations"] = {"org.opencontainers.image.ref.name": "bench"}
        self.write("index.json", {"schemaVersion": 2, "manifests": [index]})
        self.write("oci-layout", {"imageLayoutVersion": "1.0.0"})
        self.archive = self.path + ".tar"
        run("tar", "-C", self.path, "-cf", self.archive, "oci-layout", "index.json", "blobs")
        self.size = sum(os.path.getsize(layer) for layer in self.layers)

    @staticmethod
    def digest(path):
        with open(path, "rb") as f:
            return hashlib.file_digest(f, "sha256").hexdigest()

    def descriptor(self, kind, digest):
        return {"mediaType": kind, "digest": "sha256:" + digest, "size": os.path.getsize(f"{self.path}/blobs/sha256/{digest}")}

    def blob(self, value):
        self.write("blobs/sha256/new", value)
        digest = self.digest(self.path + "/blobs/sha256/new")
        os.rename(self.path + "/blobs/sha256/new", f"{self.path}/blobs/sha256/{digest}")
        return digest

    def write(self, name, value):
        with open(os.path.join(self.path, name), "w") as f:
            json.dump(value, f)

    def cache(self):
        """Everybody reads from memory."""
        for layer in self.layers:
            run("cat", layer, stdout=subprocess.DEVNULL)


class Clock:
    """A file system that fresh() makes anew, and times of what is done on it: key -> seconds.

    Every block of it was written before the first run: on a disk that hands out space when it is first
    written, that costs half as much again, and only whoever comes first would pay.
    """

    def __init__(self, base, megabytes):
        disk, self.mount = os.path.join(base, "disk"), os.path.join(base, "mount")
        self.times = {}
        os.mkdir(self.mount)
        run("dd", "if=/dev/zero", "of=" + disk, "bs=1M", f"count={megabytes}", "conv=fsync", "status=none")
        self.loop = run("losetup", "--find", "--show", disk, capture_output=True, text=True).stdout.strip()

    def fresh(self):
        self.unmount()
        run("mkfs.ext4", "-q", "-E", "nodiscard,lazy_itable_init=1,lazy_journal_init=1", self.loop)
        run("mount", self.loop, self.mount)
        os.sync()           # or whoever is next waits for what was written before

    def close(self):
        self.unmount()
        run("losetup", "--detach", self.loop)

    def unmount(self):
        while os.path.ismount(self.mount):
            subprocess.run(["umount", "-R", self.mount], check=False, stderr=subprocess.DEVNULL)
            subprocess.run(["umount", self.mount], check=False, stderr=subprocess.DEVNULL)

    def timed(self, key, *commands):
        """All at once; returns the standard output of the first."""
        start = time.monotonic()
        running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for command in commands]
        done = [(*one.communicate(), one) for one in running]
        for _, stderr, one in done:
            if one.returncode:
                sys.exit(f"bench: {' '.join(one.args)}: {stderr}")
        bare = time.monotonic() - start
        run("sync", "-f", self.mount)
        whole = time.monotonic() - start
        self.times.setdefault(key, []).append(whole)
        print(f"{key:20} {whole:7.2f} s  ({bare:.2f} s without sync)", flush=True)
        return done[0][0]

    def medians(self):
        return {key: statistics.median(values) for key, values in self.times.items()}


class Containerd:
    """A containerd without its CRI part, for ctr(); all its files below base."""

    def __init__(self, base, *wrapper):
        os.makedirs(base, exist_ok=True)
        config = os.path.join(base, "containerd.toml")
        with open(config, "w") as f:
            f.write(f'version = 2\nroot = "{base}/root"\nstate = "{base}/state"\n'
                    f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "{base}/sock"\n')
        self.ctr = ["ctr", "-a", base + "/sock"]
        self.process = subprocess.Popen([*wrapper, "containerd", "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __enter__(self):
        for _ in range(200):
            if subprocess.run([*self.ctr, "version"], capture_output=True, check=False).returncode == 0:
                return self
            time.sleep(0.05)
        self.__exit__()
        sys.exit("bench: containerd does not start")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
