# SPDX-License-Identifier: Apache-2.0
"""libocispec and ocispec beside the programs that write and read the same documents: runc, crun, podman, containerd's ctr.

The library is called through ctypes, as any program would, and through ocispec(1).
"""

import ctypes
import json
import os
import shutil
import subprocess
import tempfile
import unittest

import crid_node

HERE = os.path.dirname(os.path.abspath(__file__))
CONFIG, STATE, FEATURES, PROFILE, HOOK, CDI = range(6)
PROFILE_FILE = "/usr/share/containers/seccomp.json"
USUAL = ("AUDIT_WRITE", "KILL", "NET_BIND_SERVICE")     # of runc spec and crun spec


def build_path(*parts):
    return os.path.join(os.environ.get("CRID_BUILD", os.path.join(HERE, "../../build")), *parts)


def exact(text):
    """JSON with everything that counts: order of members, spelling of numbers."""
    return json.loads(text, object_pairs_hook=lambda pairs: ("object", pairs), parse_int=str, parse_float=str)


def library():
    lib = ctypes.CDLL(build_path("libocispec/libocispec.so.0"))
    lib.ocispec_format.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(ctypes.c_size_t)]
    lib.ocispec_parse_as.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.POINTER(ctypes.c_void_p), ctypes.c_char_p]
    lib.ocispec_free.argtypes = [ctypes.c_void_p]
    return lib


def printed(text, kind=CONFIG):
    """The document read by the library and printed by it."""
    lib, doc, out = library(), ctypes.c_void_p(), ctypes.c_void_p()
    err = ctypes.create_string_buffer(2048)
    data = text.encode()
    if lib.ocispec_parse_as(kind, data, len(data), ctypes.byref(doc), err):
        raise AssertionError(err.raw[8:].split(b"\0")[0].decode())
    try:
        if lib.ocispec_format(doc, 1, ctypes.byref(out), None):
            raise AssertionError("not printed")
        return ctypes.string_at(out).decode()
    finally:
        lib.ocispec_free(doc)


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="ocispec-")
        cls.addClassCleanup(shutil.rmtree, cls.dir)
        cls.env = dict(os.environ, PATH=crid_node.PATH, HOME=cls.dir, XDG_RUNTIME_DIR=cls.dir, CONTAINERS_CONF="/dev/null")

    def path(self, *parts):
        path = os.path.join(self.dir, *parts)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def write(self, name, text):
        path = self.path(name)
        with open(path, "w") as f:
            f.write(text)
        return path

    def need(self, *programs):
        for name in programs:
            try:
                crid_node.program(name)
            except crid_node.NodeError as e:
                self.skipTest(str(e))

    def run_ok(self, *command, status=0):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=self.dir, env=self.env)
        self.assertEqual(done.returncode, status, f"{' '.join(command)}\n{done.stdout}{done.stderr}")
        return done.stdout

    def ocispec(self, *arguments, **more):
        return self.run_ok(build_path("tools/ocispec/ocispec"), *arguments, **more)

    def differences(self, a, b):
        """{member: (value in a, value in b)}"""
        done = subprocess.run([build_path("tools/ocispec/ocispec"), "diff", "--json", a, b], capture_output=True, text=True, check=False)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        return {d["path"]: (d["a"], d["b"]) for d in json.loads(done.stdout)["differences"]}

    def spec_of(self, runtime, *options):
        self.need(runtime)
        bundle = os.path.dirname(self.path("spec", runtime + "".join(options), "config.json"))
        if os.path.exists(bundle + "/config.json"):
            os.unlink(bundle + "/config.json")
        subprocess.run([runtime, "spec", *options], cwd=bundle, check=True, env=self.env)
        return bundle + "/config.json"


class Podman(Case):
    """podman's config.json, made in a store of our own and never run."""

    def podman(self, *arguments):
        base = self.path("podman")
        return self.run_ok("podman", "--root", base + "/s", "--runroot", base + "/r", "--tmpdir", base + "/t", "--cgroup-manager", "cgroupfs",
                           "--events-backend", "none", "--storage-driver", "vfs", "--runtime", self.fake_runtime(), *arguments)

    def fake_runtime(self):
        """Keeps the config.json that it is to make a container of, and gives up."""
        return self.write("keep", f"""#!/bin/sh
while [ $# -gt 0 ]; do
	case $1 in --bundle) cp "$2/config.json" {self.dir}/kept.json ;; esac
	shift
done
exit 1
""")

    def config_of(self, *options, command=("/bin/sh", "-c", "true")):
        self.need("podman", "conmon")
        os.makedirs(self.path("rootfs", "bin"), exist_ok=True)
        os.chmod(self.fake_runtime(), 0o755)
        create = ["create", "--name", "one", "--network", "none", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=100:100", *options,
                  "--rootfs", self.path("rootfs"), *command]
        # the store needs a file system that is no overlay itself
        self.podman(*create[:1], *create[1:])
        try:
            subprocess.run(self.podman_init(), capture_output=True, check=False, env=self.env, cwd=self.dir)
        finally:
            self.podman("rm", "-f", "one")
        return os.path.join(self.dir, "kept.json")

    def podman_init(self):
        base = self.path("podman")
        return ["podman", "--root", base + "/s", "--runroot", base + "/r", "--tmpdir", base + "/t", "--cgroup-manager", "cgroupfs",
                "--events-backend", "none", "--storage-driver", "vfs", "--runtime", os.path.join(self.dir, "keep"), "init", "one"]


class RoundTrip(Podman):
    """What others wrote is printed as they meant it: nothing lost, nothing moved, no number respelled."""

    def unchanged(self, text, kind=CONFIG):
        again = printed(text, kind)
        self.assertEqual(exact(again), exact(text))
        self.assertEqual(printed(again, kind), again)

    def test_specs_of_runc_and_crun(self):
        for runtime in ("runc", "crun"):
            for options in ((), ("--rootless",)):
                with self.subTest(runtime=runtime, options=options), open(self.spec_of(runtime, *options)) as f:
                    self.unchanged(f.read())

    def test_config_of_podman(self):
        for options in (("--privileged",), ("--memory", "64m", "--cpus", "1.5", "--pids-limit", "10", "--sysctl", "net.core.somaxconn=9",
                        "--annotation", "a=<&>\u2028é", "--hostname", "h", "--env", "E=a=b", "--tmpfs", "/t", "--read-only",
                        "--security-opt", "mask=/x", "--device", "/dev/null:/dev/x:r", "--group-add", "7", "--umask", "0077")):
            with self.subTest(options=options), open(self.config_of(*options)) as f:
                text = f.read()
            self.assertGreater(len(text), 4000)
            self.unchanged(text)

    def test_spec_of_containerd(self):
        self.need("ctr")
        self.unchanged(self.run_ok("ctr", "oci", "spec"))

    def test_features_and_states(self):
        self.need("runc", "crun")
        self.unchanged(self.run_ok("runc", "features"), FEATURES)
        for runtime in ("runc", "crun"):
            with self.subTest(runtime=runtime):
                text = state_of(self, runtime)
                self.unchanged(text, STATE)
                self.assertIn("valid (state)", self.ocispec("validate", self.write("state.json", text)))

    def test_profile_of_the_containers_tools(self):
        if not os.path.exists(PROFILE_FILE):
            self.skipTest(PROFILE_FILE + " is not there")
        with open(PROFILE_FILE) as f:
            self.unchanged(f.read(), PROFILE)


def bundle(case, name, *options, command=("/calls",)):
    """A bundle that runs a static program on its own; no cgroup, no network."""
    where = os.path.dirname(case.path(name, "config.json"))
    for d in ("proc", "dev", "sys"):
        os.makedirs(os.path.join(where, "rootfs", d), exist_ok=True)
    case.ocispec("generate", "--no-namespace", "network", "--rlimit", "NOFILE=1024", "--no-new-privileges", *options,
                 "-o", os.path.join(where, "config.json"), "--", *command)
    return where


def state_of(case, runtime):
    """`RUNTIME state` of a container that was created."""
    busybox = crid_node.program("busybox") if hasattr(crid_node, "program") else "/bin/busybox"
    where = bundle(case, "state-" + runtime, "--annotation", "a=b", command=("/busybox", "true"))
    shutil.copy(busybox, os.path.join(where, "rootfs/busybox"))
    root = ["--root", case.path("run-" + runtime)]
    extra = ["--cgroup-manager=disabled"] if runtime == "crun" else []
    with open(os.devnull, "r+") as null:    # the container keeps what create was given
        subprocess.run([runtime, *root, *extra, "create", "-b", where, "one"], check=True, stdin=null, stdout=null, timeout=30)
    try:
        return case.run_ok(runtime, *root, *extra, "state", "one")
    finally:
        case.run_ok(runtime, *root, *extra, "delete", "-f", "one")


class FieldByField(Podman):
    """The same container described to us and to them: what differs is listed here, with its reason."""

    def like(self, peer, *options):
        """ocispec generate for what the peer's document says, beyond the defaults."""
        with open(peer) as f:
            d = json.load(f)
        words = ["--rootfs", d["root"]["path"], "--hostname", d["hostname"], "--oci-version", d["ociVersion"], "--cap-drop", "ALL"]
        words += [w for c in d["process"]["capabilities"]["bounding"] for w in ("--cap-add", c)]
        words += [w for p in d["linux"].get("maskedPaths", []) for w in ("--mask", p)]
        words += [w for p in d["linux"].get("readonlyPaths", []) for w in ("--readonly-path", p)]
        out = self.path("ours.json")
        self.ocispec("generate", *words, *options, "-o", out, "--", *d["process"]["args"])
        return out

    def spec_like(self, runtime):
        peer = self.spec_of(runtime)
        ours = self.like(peer, "--read-only", "--tty", "--no-new-privileges", "--set",
                         "process.capabilities.ambient=" + json.dumps(["CAP_" + c for c in USUAL]), "--set", 'linux.resources.cpu={}')
        return self.differences(peer, ours)

    def test_runc_spec(self):
        self.assertEqual(self.spec_like("runc"), self.common())

    def test_crun_spec(self):
        self.assertEqual(self.spec_like("crun"), self.common())

    def common(self):
        return {
            # ours are the ones CRI-O begins with, which are stricter, and the cgroup is the engine's to mount
            "mounts[/proc].options": (None, ["nosuid", "noexec", "nodev"]),
            "mounts[/sys/fs/cgroup]": ({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
                                        "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]}, None),
        }

    def test_podman(self):
        if not os.path.exists(PROFILE_FILE):
            self.skipTest(PROFILE_FILE + " is not there")
        peer = self.config_of("--memory", "67108864", "--cpu-shares", "512", "--cpu-quota", "20000", "--cpu-period", "100000",
                              "--pids-limit", "10", "--sysctl", "net.core.somaxconn=9", "--hostname", "h", "--env", "E=x", "--workdir", "/",
                              "--tmpfs", "/t:rw,size=1m", "--user", "5:6", "--cap-add", "SYS_PTRACE")
        with open(peer) as f:
            d = json.load(f)
        options = ["--memory", "67108864", "--cpu-shares", "512", "--cpu-quota", "20000", "--cpu-period", "100000", "--pids-limit", "10",
                   "--sysctl", "net.core.somaxconn=9", "--env", "E=x", "--env", "HOSTNAME=h", "--env", "container=podman", "--env", "HOME=/",
                   "--user", "5:6:" + ",".join(str(g) for g in d["process"]["user"].get("additionalGids", [])),
                   "--seccomp", PROFILE_FILE, "--cgroup", d["linux"]["cgroupsPath"], "--rlimit", "NPROC=100:100", "--namespace", "cgroup"]
        found = self.differences(peer, self.like(peer, *options))
        # what podman mounts and notes for itself
        own = ("mounts[", "annotations", "process.user.umask", "linux.resources.devices", "process.capabilities.", "process.env[",
               "linux.namespaces", "hooks", "linux.rootfsPropagation", "linux.mountLabel")
        rest = {k: v for k, v in found.items() if not k.startswith(own)}
        self.assertEqual({k: v for k, v in rest.items() if k not in ("linux.resources.memory.swap",)}, {}, found)
        # podman allows twice as much memory and swap together as memory; we allow no swap, as CRI-O does
        self.assertEqual(rest.get("linux.resources.memory.swap"), (2 * 67108864, 67108864))
        self.assertFalse([k for k in found if k.startswith("linux.seccomp")], "the same profile file, resolved alike")

    def test_the_version_is_one_the_runtime_takes(self):
        self.need("runc", "crun")
        for runtime, version in (("runc", "1.0.2"), ("crun", None)):
            out = json.loads(self.ocispec("generate", "--runtime", runtime))["ociVersion"]
            max_version = version or "1.0.2"    # crun before 1.8.6 has no features
            if subprocess.run([runtime, "features"], capture_output=True, check=False).returncode == 0:
                max_version = json.loads(self.run_ok(runtime, "features"))["ociVersionMax"].split("-")[0].split("+")[0]
            self.assertEqual(out, max_version)
            where = bundle(self, "version-" + runtime, "--runtime", runtime, command=("/busybox", "echo", "ran"))
            shutil.copy(crid_node.program("busybox"), os.path.join(where, "rootfs/busybox"))
            extra = ["--cgroup-manager=disabled"] if runtime == "crun" else []
            self.assertEqual(self.run_ok(runtime, "--root", self.path("run-v"), *extra, "run", "-b", where, "v"), "ran\n")


class Filters(Case):
    """A filter that is handed to crun, one that crun compiles and one that runc compiles end every call alike."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.calls = os.path.join(cls.dir, "calls")
        done = subprocess.run(["cc", "-O1", "-static", "-o", cls.calls, os.path.join(HERE, "ocispec_calls.c")], capture_output=True, text=True,
                              check=False)
        if done.returncode:
            raise unittest.SkipTest("cannot build the program that asks the filter: " + done.stderr[-300:])
        if os.uname().machine != "x86_64":
            raise unittest.SkipTest("the program that asks the filter is for x86_64")

    def answers(self, runtime, where):
        self.need(runtime)
        shutil.copy(self.calls, os.path.join(where, "rootfs/calls"))
        extra = ["--cgroup-manager=disabled"] if runtime == "crun" else []
        out = self.run_ok(runtime, "--root", self.path("run-f"), *extra, "run", "-b", where, "f").splitlines()
        self.assertEqual(out[-1], f"{len(out) - 1} calls")
        self.assertGreater(len(out), 12000)
        return out

    def compare(self, *options):
        own = self.answers("crun", bundle(self, "own", *options))
        handed = self.answers("crun", bundle(self, "handed", *options, "--filter"))
        self.assertEqual(own, handed)
        self.assertEqual(own, self.answers("runc", bundle(self, "runc", *options)))
        return own

    def verdict(self, answers, call):
        return next(a.rpartition(" ")[2] for a in answers if a.startswith(call + " "))

    def test_default_profile(self):
        answers = self.compare("--seccomp", "default")
        self.assertEqual(self.verdict(answers, "x86_64 0"), "allow")        # read
        self.assertEqual(self.verdict(answers, "x86_64 272"), "1")          # unshare: EPERM
        self.assertEqual(self.verdict(answers, "x86_64 435"), "38")         # clone3: ENOSYS
        self.assertEqual(self.verdict(answers, f"x86_64 56 {0x10000000}"), "38")    # clone(CLONE_NEWUSER)
        self.assertEqual(self.verdict(answers, "x86_64 41 40 0 0"), "1")    # socket(AF_VSOCK)

    def test_default_profile_with_capabilities(self):
        answers = self.compare("--seccomp", "default", "--cap-add", "SYS_ADMIN", "--cap-add", "SYS_TIME", "--cap-drop", "AUDIT_WRITE")
        self.assertEqual(self.verdict(answers, "x86_64 272"), "allow")
        self.assertEqual(self.verdict(answers, "x86_64 41 16 3 9"), "22")   # netlink audit: EINVAL

    def test_profile_file(self):
        if not os.path.exists(PROFILE_FILE):
            self.skipTest(PROFILE_FILE + " is not there")
        self.compare("--seccomp", PROFILE_FILE)

    def test_crun_takes_the_handed_filter(self):
        """Else the other tests would compare crun with itself: a filter that does not fit the section wins."""
        profile = {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
                   "syscalls": [{"names": ["getppid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 77}]}
        other = bundle(self, "other", "--seccomp", self.write("p.json", json.dumps(profile)), "--filter")
        where = bundle(self, "mixed", "--seccomp", "default")
        with open(other + "/config.json") as f:
            given = json.load(f)["annotations"]
        with open(where + "/config.json") as f:
            config = json.load(f)
        config["annotations"] = given
        with open(where + "/config.json", "w") as f:
            json.dump(config, f)
        answers = self.answers("crun", where)
        self.assertEqual(self.verdict(answers, "x86_64 110"), "77")
        self.assertEqual(self.verdict(answers, "x86_64 272"), "allow")


if __name__ == "__main__":
    unittest.main()
