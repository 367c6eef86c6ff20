# SPDX-License-Identifier: Apache-2.0
"""A private node: crid, a registry and images, all in one scratch directory.

tools/quickstart and the integration tests are built from this: image makers (an image is a list of
layers and a config, turned into Docker v2s2 or OCI bytes), a docker-registry on 127.0.0.1, a crid with
private storage, socket, namespaces, CNI network and cache, and the clean-up of all of it. Python's
standard library only.

The caller is expected to sit in a mount namespace of its own (unshare -m): every mount below is then
gone with the last process, and the host sees none.
"""

import ctypes
import functools
import gzip
import hashlib
import http.client
import io
import ipaddress
import json
import os
import platform
import random
import shlex
import shutil
import signal
import socket
import subprocess
import tarfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ARCH = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
PATH = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

PARENT_CGROUP = "/crio"         # of pods that name no parent
SLOW = float(os.environ.get("CRID_SLOW", "1"))  # this machine's slowness: every time limit is multiplied by it


class NodeError(Exception):
    """Something the machine lacks or a program that does not work; the text is for people."""


def program(name):
    path = shutil.which(name, path=PATH)
    if not path:
        raise NodeError(f"{name} is not installed (tools/install-deps installs what is needed)")
    return path


# ---- images ----

DOCKER = {
    "manifest": "application/vnd.docker.distribution.manifest.v2+json",
    "index": "application/vnd.docker.distribution.manifest.list.v2+json",
    "config": "application/vnd.docker.container.image.v1+json",
    "layer": "application/vnd.docker.image.rootfs.diff.tar.gzip",
}
OCI = {
    "manifest": "application/vnd.oci.image.manifest.v1+json",
    "index": "application/vnd.oci.image.index.v1+json",
    "config": "application/vnd.oci.image.config.v1+json",
    "layer": "application/vnd.oci.image.layer.v1.tar+gzip",
}


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def layer(entries):
    """A tar from (name, what): bytes or ("file", bytes, mode), ("dir", mode), ("link", target), ("symlink", target)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, what in entries:
            info = tarfile.TarInfo(name)
            data = None
            if isinstance(what, bytes):
                what = ("file", what, 0o644)
            if what[0] == "file":
                data = what[1]
                info.size = len(data)
                info.mode = what[2]
            elif what[0] == "dir":
                info.type = tarfile.DIRTYPE
                info.mode = what[1]
            elif what[0] == "link":
                info.type = tarfile.LNKTYPE
                info.linkname = what[1]
                info.mode = 0o755
            else:
                info.type = tarfile.SYMTYPE
                info.linkname = what[1]
                info.mode = 0o777
            tar.addfile(info, io.BytesIO(data) if data is not None else None)
    return out.getvalue()


@functools.lru_cache(maxsize=8)
def compressed(one):
    """Layers are shared between images; compressing one takes longer than all the rest."""
    return gzip.compress(one, 6, mtime=0)


class Image:
    """One manifest with what it refers to: blobs (digest -> bytes) and manifest bytes."""

    def __init__(self, layers, config, types=DOCKER, arch=ARCH):
        packed = [compressed(one) for one in layers]
        document = {
            "architecture": arch,
            "os": "linux",
            "created": "2026-01-01T00:00:00Z",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [sha256(one) for one in layers]},
            "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "crid_node"} for _ in layers],
        }
        raw = json.dumps(document).encode()
        self.types = types
        self.arch = arch
        self.blobs = {sha256(one): one for one in packed + [raw]}
        self.id = sha256(raw)
        self.media_type = types["manifest"]
        self.manifest = json.dumps({
            "schemaVersion": 2,
            "mediaType": self.media_type,
            "config": {"mediaType": types["config"], "size": len(raw), "digest": self.id},
            "layers": [{"mediaType": types["layer"], "size": len(one), "digest": sha256(one)} for one in packed],
        }, indent=3).encode()
        self.digest = sha256(self.manifest)


class Index:
    """A manifest list (or OCI index) over images of several architectures."""

    def __init__(self, images, types=DOCKER):
        self.images = images
        self.media_type = types["index"]
        self.manifest = json.dumps({
            "schemaVersion": 2,
            "mediaType": self.media_type,
            "manifests": [{
                "mediaType": one.media_type, "size": len(one.manifest), "digest": one.digest,
                "platform": {"architecture": one.arch, "os": "linux"},
            } for one in images],
        }, indent=3).encode()
        self.digest = sha256(self.manifest)
        self.id = next((one.id for one in images if one.arch == ARCH), None)


def busybox_layer(path=None):
    """A small root file system from a static busybox (Debian's), applets as hard links."""
    path = path or program("busybox")
    with open(path, "rb") as f:
        binary = f.read()
    applets = subprocess.run([path, "--list"], check=True, capture_output=True, text=True).stdout.split()
    entries = [(d, ("dir", mode)) for d, mode in (
        ("bin", 0o755), ("dev", 0o755), ("etc", 0o755), ("home", 0o755), ("proc", 0o555), ("root", 0o700),
        ("run", 0o755), ("sys", 0o555), ("tmp", 0o1777), ("usr", 0o755), ("var", 0o755))]
    entries.append(("bin/busybox", ("file", binary, 0o755)))
    entries += [("bin/" + a, ("link", "bin/busybox")) for a in applets if a != "busybox" and "/" not in a]
    entries.append(("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33:www-data:/var/www:/bin/false\n"
                    b"nobody:x:65534:65534:nobody:/:/bin/false\n"))
    entries.append(("etc/group", b"root:x:0:\nwww-data:x:33:\nnogroup:x:65534:\n"))
    return layer(entries)


BUSYBOX_CONFIG = {
    "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
    "Cmd": ["sh"],
}


def busybox_image(config=None, types=DOCKER):
    return Image([busybox_layer()], dict(BUSYBOX_CONFIG, **(config or {})), types)


def pause_image(build, types=DOCKER, **config):
    """The project's own static pause program and nothing else."""
    path = os.path.join(build, "crid/pause/pause")
    try:
        with open(path, "rb") as f:
            binary = f.read()
    except OSError as e:
        raise NodeError(f"the pause program is not built: {e}") from e
    return Image([layer([("pause", ("file", binary, 0o755))])],
                 {"Entrypoint": ["/pause"], "User": "65535:65535", "WorkingDir": "/", **config}, types)


# ---- processes ----

HELPERS = set()         # pids of the registry and other programs of the caller, never taken for crid's


def become_subreaper():
    """Orphans of crid (conmon) come to us, so that no process can get away from the clean-up."""
    ctypes.CDLL(None, use_errno=True).prctl(36, 1, 0, 0, 0)     # PR_SET_CHILD_SUBREAPER


def descendants(root, zombies=False):
    """Every living process below pid root, parents first; or the zombies that another one than root should reap."""
    children, dead = {}, []
    for pid in os.listdir("/proc"):
        if not pid.isdigit():
            continue
        try:
            with open(f"/proc/{pid}/stat", "rb") as f:
                fields = f.read().rpartition(b")")[2].split()
        except OSError:
            continue
        if fields[0] in (b"Z", b"X"):
            dead.append((int(pid), int(fields[1])))
        else:
            children.setdefault(int(fields[1]), []).append(int(pid))
    found, todo = [], [root]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return [pid for pid, parent in dead if parent in found] if zombies else found


def end_process(process, timeout=10):
    """TERM, then KILL; returns True when TERM was enough."""
    if process is None or process.poll() is not None:
        return True
    process.terminate()
    try:
        process.wait(timeout * SLOW)
        return True
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False


def kill_all(find):
    """Kills what find() returns until it returns nothing; orphans of ours are reaped."""
    for _ in range(200):
        left = find()
        if not left:
            return
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, os.WNOHANG)
            except (ProcessLookupError, ChildProcessError):
                pass
        time.sleep(0.02)


def pid_alive(pid):
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            return f.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except OSError:
        return False


def wait_for(condition, timeout, what):
    """Looks every 10 ms until condition() is true: for things another program does, that no descriptor tells."""
    end = time.monotonic() + timeout * SLOW
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise NodeError(f"{what}: not after {timeout * SLOW:g} s")
        time.sleep(0.01)


def tail(path, lines=30):
    try:
        with open(path, errors="replace") as f:
            return "".join(f.readlines()[-lines:])
    except OSError:
        return ""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Registry:
    """Debian's docker-registry on 127.0.0.1 (or also on other addresses: 0.0.0.0), plain HTTP, storage in a directory of
    its own."""

    def __init__(self, base, address="127.0.0.1"):
        self.base = base
        self.address = address
        self.process = None
        self.port = None

    @property
    def host(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        os.makedirs(os.path.join(self.base, "data"), exist_ok=True)
        log = os.path.join(self.base, "registry.log")
        for _ in range(5):                      # somebody may take the port between the two steps
            self.port = free_port()
            config = os.path.join(self.base, "config.yml")
            with open(config, "w") as f:
                f.write(f"version: 0.1\nlog:\n  level: warn\nstorage:\n  filesystem:\n    rootdirectory: {self.base}/data\n"
                        f"  delete:\n    enabled: true\nhttp:\n  addr: {self.address}:{self.port}\n")
            with open(log, "w") as f:
                self.process = subprocess.Popen([program("docker-registry"), "serve", config], stdin=subprocess.DEVNULL,
                                                stdout=f, stderr=f, start_new_session=True)
            HELPERS.add(self.process.pid)
            try:
                wait_for(lambda: self.process.poll() is not None or self.answers(), 20, "docker-registry answers")
            except NodeError:
                pass
            if self.process.poll() is None and self.answers():
                return self
            end_process(self.process, 2)
        raise NodeError("docker-registry does not start:\n" + tail(log))

    def answers(self):
        try:
            return self.request("GET", "/v2/")[0] == 200
        except OSError:
            return False

    def request(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()
        finally:
            connection.close()

    def push_blob(self, name, digest, data):
        if self.request("HEAD", f"/v2/{name}/blobs/{digest}")[0] == 200:
            return
        status, headers, body = self.request("POST", f"/v2/{name}/blobs/uploads/")
        if status != 202:
            raise NodeError(f"registry: upload of {name}: HTTP {status} {body[:200]!r}")
        where = headers["Location"].split(self.host, 1)[-1]
        status, _, body = self.request("PUT", where + ("&" if "?" in where else "?") + "digest=" + digest, data,
                                       {"Content-Type": "application/octet-stream"})
        if status != 201:
            raise NodeError(f"registry: blob {digest} of {name}: HTTP {status} {body[:200]!r}")

    def push_manifest(self, name, reference, one):
        status, _, body = self.request("PUT", f"/v2/{name}/manifests/{reference}", one.manifest,
                                       {"Content-Type": one.media_type})
        if status != 201:
            raise NodeError(f"registry: manifest {name}:{reference}: HTTP {status} {body[:200]!r}")

    def push(self, name, tags, one):
        """Pushes an Image or Index; returns the reference with the first tag."""
        for image in getattr(one, "images", [one]):
            for digest, data in image.blobs.items():
                self.push_blob(name, digest, data)
            if image is not one:
                self.push_manifest(name, image.digest, image)
        for tag in tags:
            self.push_manifest(name, tag, one)
        return f"{self.host}/{name}:{tags[0]}"

    def stop(self):
        end_process(self.process)


# ---- what the machine can do ----

def leave_hybrid_cgroup2():
    """crun refuses a cgroup v1 host that also has the empty `unified` hierarchy; ours may go without."""
    for line in mounts():
        if line[1] == "/sys/fs/cgroup/unified":
            subprocess.run(["umount", line[1]], check=False, stderr=subprocess.DEVNULL)


def mounts():
    """(id, mount point, file system type) of each mount of this namespace."""
    found = []
    with open("/proc/self/mountinfo") as f:
        for line in f:
            fields = line.split()
            where = fields[4].encode().decode("unicode_escape")
            found.append((int(fields[0]), where, fields[fields.index("-") + 1]))
    return found


def cgroup_mounts():
    return [where for _, where, kind in mounts() if kind in ("cgroup", "cgroup2")]


def masquerade_works():
    path = shutil.which("iptables", path=PATH)
    return bool(path) and subprocess.run([path, "-w", "-t", "nat", "-S"], stdout=subprocess.DEVNULL,
                                         stderr=subprocess.DEVNULL, check=False).returncode == 0


def nat_rules():
    """The rules and own chains of the nat table, as iptables-save gives them."""
    save = shutil.which("iptables-save", path=PATH)
    if not save:
        return []
    text = subprocess.run([save, "-t", "nat"], capture_output=True, text=True, check=False).stdout
    return [line for line in text.splitlines() if line.startswith("-A ") or (line.startswith(":") and " - [" in line)]


def unused_subnet():
    """A 10.x.y.0/24 that no route or address of this network namespace touches."""
    used = []
    ip = program("ip")
    for arguments in (["route", "show", "table", "all"], ["addr"]):
        text = subprocess.run([ip, "-j", "-4"] + arguments, check=True, capture_output=True, text=True).stdout
        for entry in json.loads(text or "[]"):
            texts = [entry.get("dst", "")]
            texts += [f"{a['local']}/{a['prefixlen']}" for a in entry.get("addr_info", []) if "local" in a]
            for one in texts:
                try:
                    used.append(ipaddress.ip_network(one, strict=False))
                except ValueError:
                    pass
    used = [net for net in used if net.prefixlen > 0]
    for _ in range(1000):
        net = ipaddress.ip_network(f"10.{random.randrange(1, 255)}.{random.randrange(0, 256)}.0/24")
        if not any(net.overlaps(other) for other in used):
            return str(net)
    raise NodeError("no unused 10.x.y.0/24 network on this machine")


def check_machine():
    """Says in one sentence what is missing before anything is made."""
    if os.geteuid() != 0:
        raise NodeError("this needs root: namespaces, mounts and network interfaces are made")
    if not cgroup_mounts():
        raise NodeError("no cgroup hierarchy is mounted under /sys/fs/cgroup; OCI runtimes need one")
    with open("/proc/filesystems") as f:
        if "\toverlay\n" not in f.read() and subprocess.run(
                ["modprobe", "overlay"], stderr=subprocess.DEVNULL, check=False).returncode:
            raise NodeError("this kernel has no overlay file system")
    name = f"ctest{os.getpid() % 1000000}"
    done = subprocess.run([program("ip"), "link", "add", name, "type", "bridge"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NodeError("cannot make a bridge (is CAP_NET_ADMIN missing, or the bridge module?): " + done.stderr.strip())
    subprocess.run([program("ip"), "link", "del", name], check=False)


# ---- crid ----

class Node:
    """crid with everything private under base. The network is bridge + host-local."""

    def __init__(self, base, build=None, runtime="runc", subnet=None, bridge=None, masquerade=False,
                 ip_forward=None, had_nat=True, had_cgroup=True):
        self.base = base
        self.build = build or os.path.join(TOP, "build")
        self.runtime = runtime
        self.subnet = subnet
        self.bridge = bridge or "crid" + os.urandom(4).hex()
        self.masquerade = masquerade
        self.driver = "overlay"         # before configure(); more about the store is in storage.conf
        self.process = None
        self.ip_forward = ip_forward
        self.had_nat = had_nat
        self.had_cgroup = had_cgroup

    def path(self, *parts):
        return os.path.join(self.base, *parts)

    @property
    def socket(self):
        return self.path("crid.sock")

    @property
    def root(self):
        return self.path("storage")

    @property
    def runroot(self):
        return self.path("run", "storage")

    def save(self, name):
        """What another process needs to destroy() this node: Node(base, **json)."""
        self.write(name, json.dumps({k: getattr(self, k) for k in ("bridge", "subnet", "masquerade", "runtime", "ip_forward", "had_nat", "had_cgroup")}))

    def write(self, name, text):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)
        return path

    def configure(self, pause, insecure=(), extra="", registries=""):
        """Writes all configuration. pause: reference of the pause image; insecure: plain-HTTP registries; registries: more of registries.conf."""
        for d in ("storage", "run/storage", "run/exits", "run/ns", "log", "cni/net.d", "cni/cache", "cni/ipam",
                  "registries.conf.d", "certs.d"):
            os.makedirs(self.path(d), exist_ok=True)
        if self.ip_forward is None:             # the bridge plugin turns it on; destroy() puts it back
            with open("/proc/sys/net/ipv4/ip_forward") as f:
                self.ip_forward = f.read()
            self.had_nat = not self.masquerade or bool(nat_rules())
            self.had_cgroup = any(os.path.isdir(top + PARENT_CGROUP) for top in cgroup_mounts())
        self.write("policy.json", json.dumps({"default": [{"type": "insecureAcceptAnything"}]}))
        self.write("registries.conf", 'unqualified-search-registries = ["docker.io"]\nshort-name-mode = "disabled"\n' + "".join(
            f'\n[[registry]]\nlocation = "{host}"\ninsecure = true\n' for host in insecure) + registries)
        self.write("cni/net.d/10-crid.conflist", json.dumps({
            "cniVersion": "1.0.0",
            "name": self.bridge,
            "plugins": [{
                "type": "bridge", "bridge": self.bridge, "isGateway": True, "ipMasq": self.masquerade,
                "hairpinMode": True,
                "ipam": {"type": "host-local", "dataDir": self.path("cni/ipam"),
                         "ranges": [[{"subnet": self.subnet}]], "routes": [{"dst": "0.0.0.0/0"}]},
            }],
        }, indent=2))
        if not os.path.exists(self.path("storage.conf")):
            self.write("storage.conf", "")
        self.write("crio.conf", self.crio_conf(pause, extra))

    def crio_conf(self, pause, extra):
        plugins = [d for d in ("/usr/lib/cni", "/opt/cni/bin") if os.path.exists(os.path.join(d, "bridge"))]
        if not plugins:
            raise NodeError("the CNI plugins bridge and host-local are not in /usr/lib/cni or /opt/cni/bin")
        q = json.dumps
        runtimes = ""
        for name in ("runc", "crun"):
            if name != self.runtime and not shutil.which(name, path=PATH):
                continue
            runtimes += (f"\n[crio.runtime.runtimes.{name}]\nruntime_path = {q(program(name))}\nruntime_type = \"oci\"\n"
                         f"runtime_root = {q(self.path('run', name))}\nmonitor_path = {q(program('conmon'))}\n"
                         f"monitor_cgroup = \"pod\"\n")
        return f"""# Written by crid_node.py: nothing outside {self.base} is used but programs.
[crio]
root = {q(self.root)}
runroot = {q(self.runroot)}
storage_driver = "{self.driver}"
log_dir = {q(self.path("log"))}
version_file = {q(self.path("run/version"))}
clean_shutdown_file = {q(self.path("clean.shutdown"))}

[crio.api]
listen = {q(self.socket)}

[crio.runtime]
default_runtime = {q(self.runtime)}
cgroup_manager = {q(os.environ.get("CRID_CGROUP_MANAGER", "cgroupfs"))}
container_exits_dir = {q(self.path("run/exits"))}
container_attach_socket_dir = {q(self.path("run"))}
namespaces_dir = {q(self.path("run/ns"))}
{extra}{runtimes}
[crio.image]
pause_image = {q(pause)}
pause_command = "/pause"
signature_policy = {q(self.path("policy.json"))}

[crio.network]
cni_default_network = {q(self.bridge)}
network_dir = {q(self.path("cni/net.d"))}
plugin_dirs = {q(plugins)}
cni_cache_dir = {q(self.path("cni/cache"))}
"""

    def command(self):
        return [os.path.join(self.build, "crid/crid"), "--config", self.path("crio.conf"), "--config-dir", "",
                "--registries-conf", self.path("registries.conf"),
                "--registries-conf-dir", self.path("registries.conf.d"), "--certs-dir", self.path("certs.d")]

    def environment(self):
        """Nothing of the caller's environment that would change what crid or a transport does."""
        env = {k: v for k, v in os.environ.items() if k.lower().endswith("_proxy") or k in (
            "SSL_CERT_FILE", "SSL_CERT_DIR", "ASAN_OPTIONS", "UBSAN_OPTIONS")}
        env.update({"PATH": PATH.lstrip(":"), "HOME": self.base, "TMPDIR": self.base,
                    "CONTAINERS_STORAGE_CONF": self.path("storage.conf")})
        return env

    def start(self, timeout=30):
        """Starts crid and returns when its socket takes connections."""
        self.process = None
        if os.path.exists(self.socket):
            os.unlink(self.socket)
        with open(self.path("crid.log"), "a") as log:
            try:
                self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.base,
                                                env=self.environment(), start_new_session=True)
            except OSError as e:
                raise NodeError(f"crid does not start: {e}") from e
        try:
            wait_for(lambda: self.process.poll() is not None or self.connects(), timeout, "crid serves its socket")
        except NodeError as e:
            raise NodeError(f"{e}\n" + tail(self.path("crid.log"))) from e
        if self.process.poll() is not None:
            raise NodeError(f"crid ended with status {self.process.returncode}:\n" + tail(self.path("crid.log")))
        return self

    def connects(self):
        with socket.socket(socket.AF_UNIX) as s:
            try:
                s.connect(self.socket)
                return True
            except OSError:
                return False

    def stop(self, timeout=20):
        """Stops crid alone; containers go on. True when it ended by itself with status 0."""
        ended = end_process(self.process, timeout)
        return ended and (self.process is None or self.process.returncode == 0)

    def ids(self):
        """Ids of all pods and containers the store knows, also of half-made ones."""
        found = set()
        for top in (self.root, self.runroot):
            try:
                found.update(n for n in os.listdir(os.path.join(top, self.driver + "-containers")) if len(n) == 64)
            except OSError:
                pass
        return found

    # What should be gone after all pods were removed; each returns the list of what is left.

    def left_pins(self):
        return sorted(os.path.join(d, f) for d, _, files in os.walk(self.path("run/ns")) for f in files)

    def left_mounts(self):
        """Mounts below base that belong to a pod or container (not the store's own)."""
        own = (self.path("storage"), self.path("storage/overlay"), self.path("run"), self.path("run/storage"))
        return [where for _, where, _ in mounts() if where.startswith(self.base + "/") and where not in own]

    def left_leases(self):
        d = self.path("cni/ipam", self.bridge)
        return sorted(f for f in os.listdir(d) if f[0].isdigit()) if os.path.isdir(d) else []

    def left_cni_cache(self):
        return sorted(os.listdir(self.path("cni/cache")))

    def left_cgroups(self, ids):
        found = []
        for top in cgroup_mounts():
            for d, dirs, _ in os.walk(top):
                found += [os.path.join(d, one) for one in dirs if any(i in one for i in ids)]
        return found

    def left_interfaces(self):
        done = subprocess.run([program("ip"), "-j", "link", "show", "master", self.bridge], capture_output=True, text=True, check=False)
        return [one["ifname"] for one in json.loads(done.stdout or "[]") if one] if done.returncode == 0 else []

    # Clean-up by force: whatever happened before, afterwards the machine is as it was.

    def remove_rules(self):
        """Rules and chains the bridge plugin made; each carries the network's name in its comment."""
        iptables = [program("iptables"), "-w", "-t", "nat"]
        chains = set()
        for line in nat_rules():
            words = shlex.split(line)
            if words[:2] == ["-A", "POSTROUTING"] and f'name: "{self.bridge}"' in line.replace('\\"', '"'):
                chains.add(words[words.index("-j") + 1])
                subprocess.run([*iptables, "-D", *words[1:]], check=False)
        for chain in chains:
            for verb in ("-F", "-X"):
                subprocess.run([*iptables, verb, chain], check=False)
        if not self.had_nat and not nat_rules():
            subprocess.run([*iptables, "-X"], check=False)
            if shutil.which("nft", path=PATH):
                subprocess.run(["nft", "delete", "table", "ip", "nat"], stderr=subprocess.DEVNULL, check=False)

    def destroy(self):
        """Ends every process, then takes away network, rules, cgroups, mounts and files."""
        ids = self.ids()
        self.stop(10)
        kill_all(lambda: self.processes(ids))
        subprocess.run([program("ip"), "link", "del", self.bridge], stderr=subprocess.DEVNULL, check=False)
        if self.masquerade:
            self.remove_rules()
        left = sorted(self.left_cgroups(ids), key=len, reverse=True)
        for d in left + ([] if self.had_cgroup else [top + PARENT_CGROUP for top in cgroup_mounts()]):
            try:
                os.rmdir(d)
            except OSError:
                pass
        if self.ip_forward is not None:
            try:
                with open("/proc/sys/net/ipv4/ip_forward", "w") as f:
                    f.write(self.ip_forward)
            except OSError:
                pass
        remove_tree(self.base)

    def processes(self, ids):
        """What crid left running: orphans came to us, containers without a monitor are found by cgroup."""
        found = [p for p in descendants(os.getpid()) if p not in HELPERS]
        for d in self.left_cgroups(ids):
            try:
                with open(os.path.join(d, "cgroup.procs")) as f:
                    found += [int(p) for p in f.read().split()]
            except OSError:
                pass
        return found


def remove_tree(base):
    """Unmounts what is below base, and only when nothing is mounted there any more deletes it."""
    for _ in range(3):
        below = [where for _, where, _ in mounts() if where == base or where.startswith(base + "/")]
        for where in sorted(below, key=len, reverse=True):
            subprocess.run(["umount", "-l", where], stderr=subprocess.DEVNULL, check=False)
    below = [where for _, where, _ in mounts() if where == base or where.startswith(base + "/")]
    if below:
        raise NodeError(f"still mounted, so {base} is not deleted: " + ", ".join(below))
    subprocess.run(["rm", "-rf", "--one-file-system", base], check=False)
