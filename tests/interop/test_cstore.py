# SPDX-License-Identifier: Apache-2.0
"""podman, buildah, skopeo and cstore in one store: what one writes the others list, run, change, push and remove.

Every program is the real one; images travel through a docker-registry on 127.0.0.1 where their digests can be
compared. Debian 12's programs know nothing of volatile records, so containers beside them are not volatile; a
newer podman, unpacked from a later Debian into a directory of its own, sees those as well.
"""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import threading
import unittest

import crid_node
import debian_packages
import later_podman
from crid_node import Image, NodeError, Registry, busybox_layer, layer

TOP = crid_node.TOP
BUILD = os.environ.get("CRID_BUILD", os.path.join(TOP, "build"))
CSTORE = os.path.join(BUILD, "tools", "cstore", "cstore")
ROUNDS = int(os.environ.get("CRID_STORE_ROUNDS", "6"))  # of each writer when all write at once


class StoreCase(unittest.TestCase):
    driver = "overlay"
    storage = ""            # more lines of [storage]; DIR is the test's directory
    options = ""            # of [storage.options]

    @classmethod
    def setUpClass(cls):
        for name in ("podman", "skopeo", "buildah", "docker-registry"):
            try:
                crid_node.program(name)
            except NodeError as e:
                raise unittest.SkipTest(str(e))
        if not os.access(CSTORE, os.X_OK):
            raise unittest.SkipTest(f"{CSTORE} is not built")
        crid_node.leave_hybrid_cgroup2()
        cls.base = tempfile.mkdtemp(prefix="crid-cstore-")
        cls.registry = Registry(os.path.join(cls.base, "registry")).start()
        cls.image = Image([busybox_layer(), layer([("etc/second", b"second\n"), ("etc/motd", b"hello\n")])], {"Cmd": ["sh"]}, crid_node.OCI)
        cls.source = cls.registry.push("source", ["1"], cls.image)

    @classmethod
    def tearDownClass(cls):
        cls.registry.stop()
        crid_node.remove_tree(cls.base)

    def setUp(self):
        self.dir = tempfile.mkdtemp(dir=self.base)
        self.root, self.runroot = os.path.join(self.dir, "G"), os.path.join(self.dir, "R")
        self.write("policy.json", '{"default": [{"type": "insecureAcceptAnything"}]}')
        self.write("registries.conf", f'[[registry]]\nlocation = "{self.registry.host}"\ninsecure = true\n')
        self.write("containers.conf", '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "none"\n'
                   f'helper_binaries_dir = ["{os.path.join(self.dir, "helpers")}", "/usr/lib/podman"]\n[containers]\nlog_driver = "k8s-file"\n'
                   'default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n')
        self.conf = self.write("storage.conf", f'[storage]\ndriver = "{self.driver}"\ngraphroot = "{self.root}"\n'
                               f'runroot = "{self.runroot}"\n{self.storage.replace("DIR", self.dir)}[storage.options]\n{self.options}\n')

    def tearDown(self):
        for _ in range(5):      # one may be mounted over another
            for _, where, _ in sorted(crid_node.mounts(), reverse=True):
                if where.startswith(self.dir + "/"):
                    subprocess.run(["umount", "-l", where], check=False, stderr=subprocess.DEVNULL)

    def write(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w") as f:
            f.write(text)
        return path

    def environment(self):
        return {"PATH": crid_node.PATH, "HOME": self.dir, "XDG_RUNTIME_DIR": self.dir, "TMPDIR": self.dir,
                "CONTAINERS_STORAGE_CONF": self.conf, "CONTAINERS_CONF": os.path.join(self.dir, "containers.conf"),
                "CONTAINERS_REGISTRIES_CONF": os.path.join(self.dir, "registries.conf")}

    def call(self, *command, check=True, text=True, **more):
        done = subprocess.run(command, capture_output=True, text=text, timeout=120, check=False, cwd="/",
                              env={**self.environment(), **more})
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)}: status {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def cstore(self, *arguments, **more):
        return self.call(CSTORE, *arguments, **more)

    def json(self, *arguments):
        return json.loads(self.cstore("--json", *arguments).stdout)

    def podman(self, *arguments, **more):
        return self.call("podman", "--tmpdir", os.path.join(self.dir, "podman"), *arguments, **more)

    def skopeo(self, *arguments):
        return self.call("skopeo", "--policy", os.path.join(self.dir, "policy.json"), *arguments)

    def stored(self, reference):
        return f"containers-storage:[{self.driver}@{self.root}+{self.runroot}]{reference}"

    def pull(self, name="localhost/x:1"):
        self.skopeo("copy", "-q", "--src-tls-verify=false", "docker://" + self.source, self.stored(name))
        return name

    def bring(self, name="localhost/x:1"):
        """The same image, but cstore writes it."""
        layout = os.path.join(self.dir, "layout")
        self.skopeo("copy", "-q", "--src-tls-verify=false", "docker://" + self.source, f"oci:{layout}:x")
        return self.cstore("import", "-n", name, layout).stdout.strip()

    def registry_manifest(self, reference):
        host, _, rest = reference.partition("/")
        name, _, tag = rest.partition(":")
        status, _, body = self.registry.request("GET", f"/v2/{name}/manifests/{tag}", headers={
            "Accept": "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"})
        self.assertEqual(status, 200, body)
        return body

    def diff_ids(self, reference):
        return json.loads(self.skopeo("inspect", "--config", reference).stdout)["rootfs"]["diff_ids"]

    def clean(self):
        done = self.cstore("--json", "check", check=False)
        self.assertEqual(json.loads(done.stdout), [], done.stderr)


class WrittenByOthers(StoreCase):
    def test_images_are_listed_with_everything_the_record_has(self):
        self.pull()
        self.podman("tag", "localhost/x:1", "localhost/other:2")
        one, = self.json("images")
        for seen in json.loads(self.podman("images", "--format", "json").stdout):
            self.assertEqual((one["id"], one["digest"]), (seen["Id"], seen["Digest"]))
        self.assertEqual(sorted(one["names"]), ["localhost/other:2", "localhost/x:1"])
        self.assertEqual(len(self.json("layers")), 2)
        self.clean()

    def test_layers_are_exported_byte_by_byte(self):
        self.pull()
        wanted = self.diff_ids(self.stored("localhost/x:1"))
        got = {one["diffDigest"]: one["id"] for one in self.json("layers")}
        self.assertEqual(sorted(got), sorted(wanted))
        for digest, ident in got.items():
            data = self.cstore("export", "--layer", ident, text=False).stdout
            self.assertEqual("sha256:" + hashlib.sha256(data).hexdigest(), digest)

    def test_images_are_exported_as_layouts_that_skopeo_takes(self):
        self.pull()
        out = os.path.join(self.dir, "out")
        self.cstore("export", "-o", out, "localhost/x:1")
        self.assertEqual(self.diff_ids(f"oci:{out}:localhost/x:1"), self.diff_ids(self.stored("localhost/x:1")))
        config = json.loads(self.skopeo("inspect", "--raw", f"oci:{out}:localhost/x:1").stdout)["config"]["digest"]
        self.assertEqual(config, "sha256:" + self.json("images")[0]["id"])

    def test_what_buildah_built_is_mounted_exported_and_pushed_on(self):
        name = self.call("buildah", "from", "--pull=false", "scratch").stdout.strip()
        self.write("file", "of buildah\n")
        self.call("buildah", "copy", name, os.path.join(self.dir, "file"), "/dir/file")
        working = [c for c in self.json("containers") if name in c["names"]]
        self.assertEqual(len(working), 1)
        self.assertIn("A /dir/file", self.cstore("diff", name).stdout)
        self.call("buildah", "commit", "-q", name, "localhost/built:1")
        self.call("buildah", "rm", name)
        self.assertEqual(self.json("containers"), [])
        where = self.cstore("mount", "localhost/built:1").stdout.strip()
        with open(os.path.join(where, "dir/file")) as f:
            self.assertEqual(f.read(), "of buildah\n")
        self.cstore("umount", "localhost/built:1")
        one, = self.json("layers")
        data = self.cstore("export", "--layer", one["id"], text=False).stdout
        self.assertEqual("sha256:" + hashlib.sha256(data).hexdigest(), one["diffDigest"])
        self.clean()

    def test_containers_of_podman_are_seen_changed_and_removed(self):
        self.pull()
        ident = self.podman("create", "--name", "c", "localhost/x:1", "sh").stdout.strip()
        one, = self.json("containers")
        self.assertEqual((one["id"], one["names"]), (ident, ["c"]))
        theirs = self.podman("mount", "c").stdout.strip()
        ours = self.cstore("mount", "c").stdout.strip()
        self.assertEqual(ours, theirs)
        self.assertEqual(self.json("layers") and max(l["mounts"] for l in self.json("layers")), 2)
        with open(os.path.join(ours, "etc/new"), "w") as f:
            f.write("new\n")
        os.unlink(os.path.join(ours, "etc/motd"))
        podman = sorted(self.podman("diff", "c").stdout.split("\n")[:-1])
        mine = sorted(self.cstore("diff", "c").stdout.split("\n")[:-1])
        for line in ("A /etc/new", "D /etc/motd"):
            self.assertIn(line, podman)
            self.assertIn(line, mine)
        self.podman("umount", "c")
        self.assertTrue(os.path.ismount(ours))
        self.cstore("umount", "c")
        self.assertFalse(os.path.ismount(ours))
        done = self.cstore("rm", "localhost/x:1", check=False)
        self.assertIn("used by a container", done.stderr)
        self.podman("rm", "c")
        self.assertEqual(self.json("containers"), [])
        self.cstore("rm", "localhost/x:1")
        self.assertEqual(json.loads(self.podman("images", "--format", "json").stdout or "[]") or [], [])


class WrittenByUs(StoreCase):
    def test_others_list_inspect_and_mount_it(self):
        ident = self.bring()
        seen, = json.loads(self.podman("images", "--format", "json").stdout)
        self.assertEqual((seen["Id"], seen["Names"]), (ident, ["localhost/x:1"]))
        inspected = json.loads(self.podman("image", "inspect", "localhost/x:1").stdout)[0]
        self.assertEqual(len(inspected["RootFS"]["Layers"]), 2)
        self.assertEqual(json.loads(self.call("buildah", "images", "--json", "--no-trunc").stdout)[0]["id"], "sha256:" + ident)
        where = self.podman("image", "mount", "localhost/x:1").stdout.strip()
        with open(os.path.join(where, "etc/second")) as f:
            self.assertEqual(f.read(), "second\n")
        self.podman("image", "unmount", "localhost/x:1")

    def test_podman_runs_it(self):
        self.bring()
        done = self.podman("run", "--rm", "--network", "none", "--cgroups", "disabled", "--security-opt", "seccomp=unconfined",
                           "localhost/x:1", "cat", "/etc/second", check=False)
        if done.returncode and "second" not in done.stdout:
            self.skipTest("podman runs no containers here: " + done.stderr.strip().splitlines()[-1])
        self.assertEqual(done.stdout, "second\n")
        self.assertEqual(self.json("containers"), [])
        self.clean()

    def test_buildah_builds_on_it(self):
        self.bring()
        name = self.call("buildah", "from", "--pull=false", "localhost/x:1").stdout.strip()
        self.call("buildah", "config", "--label", "a=b", name)
        self.write("file", "more\n")
        self.call("buildah", "copy", name, os.path.join(self.dir, "file"), "/more")
        self.call("buildah", "commit", "-q", "--rm", name, "localhost/more:1")
        self.assertEqual(len(self.json("layers")), 3)
        where = self.cstore("mount", "localhost/more:1").stdout.strip()
        self.assertTrue(os.path.exists(os.path.join(where, "more")) and os.path.exists(os.path.join(where, "etc/second")))
        self.cstore("umount", "localhost/more:1")
        done = self.cstore("rm", "localhost/x:1")
        self.assertTrue(done.stdout)
        self.assertEqual(len(self.json("layers")), 3)       # the other image stands on them
        self.clean()

    def test_digests_stay_when_others_push_it(self):
        """Pushed by skopeo, brought in by cstore, pushed by skopeo and podman: the registry gets the same bytes."""
        first = f"{self.registry.host}/first:1"
        self.pull("localhost/x:1")
        self.skopeo("copy", "-q", "--dest-tls-verify=false", "--dest-compress-format", "gzip", self.stored("localhost/x:1"), "docker://" + first)
        self.podman("rmi", "localhost/x:1")
        shutil.rmtree(os.path.join(self.dir, ".local"), ignore_errors=True)
        self.source_before, type(self).source = self.source, first
        try:
            self.bring("localhost/back:1")
        finally:
            type(self).source = self.source_before
        self.assertEqual(len(self.json("images")), 1)
        wanted = self.registry_manifest(first)
        for number, push in enumerate((
                lambda to: self.skopeo("copy", "-q", "--dest-tls-verify=false", self.stored("localhost/back:1"), "docker://" + to),
                lambda to: self.podman("push", "-q", "--tls-verify=false", "localhost/back:1", "docker://" + to))):
            to = f"{self.registry.host}/again{number}:1"
            push(to)
            got = self.registry_manifest(to)
            self.assertEqual(json.loads(got)["config"]["digest"], json.loads(wanted)["config"]["digest"])
            self.assertEqual([l["digest"] for l in json.loads(got)["layers"]], [l["digest"] for l in json.loads(wanted)["layers"]])
            self.assertEqual(hashlib.sha256(got).hexdigest(), hashlib.sha256(wanted).hexdigest())

    def test_others_see_and_remove_our_containers(self):
        self.bring()
        ident = self.cstore("create", "-n", "ours", "localhost/x:1").stdout.strip()
        listed = json.loads(self.podman("ps", "-a", "--external", "--format", "json").stdout)
        self.assertEqual([(c["Id"], c["Names"]) for c in listed], [(ident, ["ours"])])
        self.podman("rmi", "localhost/x:1", check=False)
        self.assertEqual(len(self.json("containers")), 1)
        self.podman("rm", "--force", "ours")
        self.assertEqual(self.json("containers"), [])
        self.clean()


class Tool(StoreCase):
    def test_every_command_explains_itself(self):
        usage = self.cstore("--help").stdout
        commands = [line.split()[0] for line in usage.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()]
        for wanted in ("images", "layers", "containers", "import", "export", "mount", "umount", "diff", "rm", "gc", "du", "check", "repair", "info"):
            self.assertIn(wanted, commands)
        with open(os.path.join(TOP, "docs/man/cstore.1")) as f:
            manual = f.read()
        for command in commands:
            self.assertIn(f"cstore {command}", self.cstore(command, "--help").stdout)
            self.assertIn(command, manual)

    def test_json_and_tables_say_the_same(self):
        ident = self.bring()
        self.cstore("create", "-n", "c", "localhost/x:1")
        self.assertEqual([i["id"] for i in self.json("images")], [ident])
        self.assertIn(ident[:13], self.cstore("images").stdout)
        self.assertEqual(self.cstore("-q", "images").stdout.split(), [ident])
        info = self.json("info")
        self.assertEqual((info["images"], info["layers"], info["containers"], info["driver"]), (1, 3, 1, "overlay"))
        usage = self.json("du")
        self.assertEqual(len(usage["layers"]), 3)
        self.assertGreater(usage["total"]["imageBytes"], sum(l["bytes"] for l in usage["layers"]) // 2)
        self.assertEqual(self.json("diff", "c"), [])
        self.assertEqual(self.cstore("check").stdout, "")

    def test_errors_say_what_to_do_next(self):
        self.bring()
        done = self.cstore("mount", "nothing", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn('"cstore images"', done.stderr)
        self.assertEqual(self.cstore("frobnicate", check=False).returncode, 2)
        self.assertEqual(self.cstore("create", "--size", "many", "localhost/x:1", check=False).returncode, 2)
        done = self.cstore("--root", "relative", "images", check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("--root relative", done.stderr)
        layer_file = next(os.path.join(where, name) for where, _, names in os.walk(os.path.join(self.root, "overlay")) for name in names if name == "second")
        with open(layer_file, "w") as f:
            f.write("other\n")
        top = [l["id"] for l in self.json("layers") if l["parent"]][0]
        done = self.cstore("export", "--layer", "-o", os.path.join(self.dir, "out.tar"), top, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn('"cstore check"', done.stderr)
        self.assertFalse(os.path.exists(os.path.join(self.dir, "out.tar")))
        self.assertEqual(self.cstore("check", check=False).returncode, 1)
        self.assertEqual(self.cstore("repair", "--discard", check=False).returncode, 0)
        self.assertEqual(self.json("images"), [])
        self.clean()

    def test_a_manifest_that_was_altered_is_not_imported(self):
        layout = os.path.join(self.dir, "layout")
        self.skopeo("copy", "-q", "--src-tls-verify=false", "docker://" + self.source, f"oci:{layout}:x")
        with open(os.path.join(layout, "index.json")) as f:
            digest = json.load(f)["manifests"][0]["digest"]
        with open(os.path.join(layout, "blobs/sha256", digest[7:]), "a") as f:
            f.write(" ")
        self.assertIn("digest of its name", self.cstore("import", layout, check=False).stderr)
        self.assertEqual(self.json("layers"), [])


class AllAtOnce(StoreCase):
    def test_everybody_writes_and_nothing_is_lost(self):
        self.pull()
        kept, errors, lock = [], [], threading.Lock()

        def writer(which):
            try:
                for i in range(ROUNDS):
                    name = f"{which.__name__}{i}"
                    which(name)
                    with lock:
                        kept.append(name)
            except AssertionError as e:
                errors.append(str(e))

        def ours(name):
            self.cstore("create", "-n", name, "localhost/x:1")
            self.cstore("create", "-n", name + "-gone", "localhost/x:1")
            self.cstore("mount", name)
            self.cstore("umount", name)
            self.cstore("rm", "--container", name + "-gone")

        def podmans(name):
            self.podman("create", "--name", name, "localhost/x:1", "sh")
            self.podman("create", "--name", name + "-gone", "localhost/x:1", "sh")
            self.podman("rm", name + "-gone")

        def buildahs(name):
            self.call("buildah", "from", "--pull=false", "--name", name, "localhost/x:1")

        def imports(name):
            self.write(name, name)
            tar = os.path.join(self.dir, name + ".tar")
            subprocess.run(["tar", "-C", self.dir, "-cf", tar, name], check=True)
            self.cstore("import", "-n", f"localhost/{name}:1", tar)

        def skopeos(name):
            self.skopeo("copy", "-q", "--src-tls-verify=false", "docker://" + self.source, self.stored(f"localhost/{name}:1"))

        threads = [threading.Thread(target=writer, args=(which,)) for which in (ours, podmans, buildahs, imports, skopeos)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(errors, [])
        self.assertEqual(len(kept), 5 * ROUNDS)
        containers = {name for c in self.json("containers") for name in c["names"]}
        images = {name for i in self.json("images") for name in i["names"]}
        for name in kept:
            if name.startswith(("imports", "skopeos")):
                self.assertIn(f"localhost/{name}:1", images)
            else:
                self.assertIn(name, containers)
        self.assertFalse({c for c in containers if c.endswith("-gone")})
        seen = {n for c in json.loads(self.podman("ps", "-a", "--external", "--format", "json").stdout) for n in c["Names"]}
        self.assertEqual(seen, containers)
        self.clean()


class AdditionalStore(StoreCase):
    def setUp(self):
        super().setUp()
        shared = os.path.join(self.dir, "shared")
        self.root, own = shared, self.root
        self.skopeo("copy", "-q", "--src-tls-verify=false", "docker://" + self.source, self.stored("localhost/shared:1"))
        self.root, self.shared = own, shared
        with open(self.conf, "a") as f:
            f.write(f'additionalimagestores = ["{shared}"]\n')

    def test_images_of_a_read_only_store_are_used_as_podman_does(self):
        with open(os.path.join(self.shared, "overlay-images/images.json"), "rb") as f:
            before = f.read()
        one, = self.json("images")
        seen, = json.loads(self.podman("images", "--format", "json").stdout)
        self.assertEqual(one["id"], seen["Id"])
        self.assertTrue(one["readOnly"] and seen["ReadOnly"])
        self.cstore("create", "-n", "c", "localhost/shared:1")
        where = self.cstore("mount", "c").stdout.strip()
        with open(os.path.join(where, "etc/second")) as f:
            self.assertEqual(f.read(), "second\n")
        self.cstore("umount", "c")
        theirs = self.podman("mount", self.podman("create", "localhost/shared:1", "sh").stdout.strip()).stdout.strip()
        self.assertTrue(os.path.exists(os.path.join(theirs, "etc/second")))
        self.podman("umount", "--all")
        self.podman("rm", "--all", "--force")
        self.assertIn("additional store", self.cstore("rm", "localhost/shared:1", check=False).stderr)
        with open(os.path.join(self.shared, "overlay-images/images.json"), "rb") as f:
            self.assertEqual(f.read(), before)


class Vfs(StoreCase):
    driver = "vfs"

    def test_what_skopeo_wrote_is_exported_byte_by_byte(self):
        self.pull()
        got = {one["diffDigest"]: one["id"] for one in self.json("layers")}
        self.assertEqual(sorted(got), sorted(self.diff_ids(self.stored("localhost/x:1"))))
        for digest, ident in got.items():
            data = self.cstore("export", "--layer", ident, text=False).stdout
            self.assertEqual("sha256:" + hashlib.sha256(data).hexdigest(), digest)

    def test_what_we_wrote_podman_lists_mounts_and_pushes(self):
        ident = self.bring()
        seen, = json.loads(self.podman("images", "--format", "json").stdout)
        self.assertEqual(seen["Id"], ident)
        self.podman("create", "--name", "c", "localhost/x:1", "sh")
        where = self.podman("mount", "c").stdout.strip()
        with open(os.path.join(where, "etc/second")) as f:
            self.assertEqual(f.read(), "second\n")
        self.podman("rm", "--force", "c")
        to = f"{self.registry.host}/vfs:1"
        self.skopeo("copy", "-q", "--dest-tls-verify=false", self.stored("localhost/x:1"), "docker://" + to)
        self.assertEqual(json.loads(self.registry_manifest(to))["config"]["digest"], "sha256:" + ident)
        self.podman("rmi", "localhost/x:1")
        self.assertEqual(self.json("layers"), [])


class UserNamespace(StoreCase):
    """The store of an ordinary user: root of a user namespace with ids from 100000 on."""

    def setUp(self):
        super().setUp()
        for path in (self.base, self.dir):
            os.chmod(path, 0o755)
        for path in (self.root, self.runroot):
            os.mkdir(path)
            os.chown(path, 100000, 100000)
        # pylint: disable-next=consider-using-with
        self.holder = subprocess.Popen(["unshare", "-U", "-m", "sleep", "1000"])
        self.addCleanup(self.holder.wait)
        self.addCleanup(self.holder.kill)
        proc = f"/proc/{self.holder.pid}"
        crid_node.wait_for(lambda: os.readlink(proc + "/ns/mnt") != os.readlink("/proc/self/ns/mnt"), 10, "the namespaces are there")
        for name in ("uid_map", "gid_map"):
            with open(os.path.join(proc, name), "w") as f:
                f.write("0 100000 65536")

    def inside(self, *command, **more):
        return self.call("nsenter", "-t", str(self.holder.pid), "-U", "-m", "-S", "0", "-G", "0", *command, **more)

    def test_layers_are_extracted_exported_checked_and_mounted(self):
        tree, tar = os.path.join(self.dir, "tree"), os.path.join(self.dir, "layer.tar")
        os.makedirs(tree + "/opaque")
        for name, text in (("file", "of uid 5"), (".wh.gone", ""), ("opaque/.wh..wh..opq", ""), ("opaque/new", "n")):
            with open(os.path.join(tree, name), "w") as f:
                f.write(text)
        os.chown(tree + "/file", 5, 6)
        os.setxattr(tree + "/file", "user.a", b"b")
        os.setxattr(tree + "/file", "trusted.a", b"b")
        os.mknod(tree + "/null", 0o20666, os.makedev(1, 3))
        subprocess.run(["tar", "-C", tree, "--xattrs", "--xattrs-include=*", "--numeric-owner", "-cf", tar, "."], check=True)
        self.inside(CSTORE, "import", "-n", "localhost/u:1", tar)
        layer_, = json.loads(self.inside(CSTORE, "--json", "layers").stdout)
        data = self.inside(CSTORE, "export", "--layer", layer_["id"], text=False).stdout
        with open(tar, "rb") as f:
            self.assertEqual(data, f.read())
        self.inside(CSTORE, "create", "-n", "c", "localhost/u:1")
        where = self.inside(CSTORE, "mount", "c").stdout.strip()
        self.assertEqual(self.inside("sh", "-c", f"cat {where}/file; stat -c ' %u:%g' {where}/file; ls {where} {where}/opaque").stdout.split("\n")[:3],
                         ["of uid 5 5:6", where + ":", "file"])
        self.inside(CSTORE, "umount", "c")
        self.assertEqual(self.inside(CSTORE, "check").stdout, "")
        diff = os.path.join(self.root, "overlay", layer_["id"], "diff")
        self.assertEqual(os.getxattr(diff + "/opaque", "user.overlay.opaque"), b"y")
        self.assertEqual((os.stat(diff + "/file").st_uid, os.getxattr(diff + "/file", "user.a")), (100005, b"b"))
        self.assertFalse(os.path.lexists(diff + "/null"))
        self.assertEqual(os.lstat(diff + "/gone").st_rdev, 0)

    def test_owners_that_are_not_mapped_are_said(self):
        tar = os.path.join(self.dir, "layer.tar")
        subprocess.run(["tar", "-C", "/", "--owner=70000", "--group=0", "-cf", tar, "etc/passwd"], check=True)
        done = self.inside(CSTORE, "import", tar, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("owner of etc/passwd to 70000:0", done.stderr)


class LaterPodman(StoreCase):
    """One from a later Debian, with its own libc, for what Debian 12's does not know."""

    @classmethod
    def setUpClass(cls):
        try:
            cls.unpacked = later_podman.fetch(download=False)
        except later_podman.Missing as e:
            raise unittest.SkipTest(str(e))
        super().setUpClass()

    def setUp(self):
        super().setUp()
        self.new = debian_packages.own_loader(self.unpacked, "usr/bin/podman", os.path.join(self.dir, "new-podman"))
        os.symlink(os.path.join(self.unpacked, "usr/lib/podman"), os.path.join(self.dir, "helpers"))

    def newer(self, *arguments, **more):
        return self.call(self.new, "--tmpdir", os.path.join(self.dir, "podman"), *arguments, PODMAN_IGNORE_CGROUPSV1_WARNING="1",
                         **more)


class Volatile(LaterPodman):
    def test_volatile_containers_are_seen_and_protect_their_image(self):
        self.bring()
        ident = self.cstore("create", "--volatile", "-n", "v", "localhost/x:1").stdout.strip()
        listed = json.loads(self.newer("ps", "-a", "--external", "--format", "json").stdout)
        self.assertEqual([(c["Id"], c["Names"]) for c in listed], [(ident, ["v"])])
        self.assertNotEqual(self.newer("rmi", "localhost/x:1", check=False).returncode, 0)
        self.newer("rm", "--force", "v")
        self.assertEqual(self.json("containers"), [])
        self.assertEqual(len(self.json("layers")), 2)
        self.newer("rmi", "localhost/x:1")
        self.assertEqual(self.json("layers"), [])
        self.clean()

    def test_both_write_at_once(self):
        self.bring()
        errors = []

        def run(work):
            try:
                for i in range(ROUNDS):
                    work(i)
            except AssertionError as e:
                errors.append(str(e))

        def ours(i):
            self.cstore("create", "--volatile", "-n", f"v{i}", "localhost/x:1")

        def theirs(i):
            self.newer("create", "--name", f"n{i}", "localhost/x:1", "sh")

        threads = [threading.Thread(target=run, args=(w,)) for w in (ours, theirs)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(errors, [])
        names = {n for c in self.json("containers") for n in c["names"]}
        self.assertEqual(names, {f"{k}{i}" for k in "vn" for i in range(ROUNDS)})
        volatile = {n for c in self.json("containers") if c["volatile"] for n in c["names"]}
        self.assertEqual(volatile, {f"v{i}" for i in range(ROUNDS)})
        self.clean()

    def test_images_it_pulled_come_out_byte_by_byte(self):
        self.newer("pull", "-q", "--tls-verify=false", "docker://" + self.source)
        for one in self.json("layers"):
            data = self.cstore("export", "--layer", one["id"], text=False).stdout
            self.assertEqual("sha256:" + hashlib.sha256(data).hexdigest(), one["diffDigest"])
        self.clean()


class ImageStore(LaterPodman):
    """
    Images in one place, containers in another. The layers of that place are recorded there by containers/storage 1.58
    and us; this podman, which has an older one, records them in the graph root and looks nowhere else.
    """
    storage = 'imagestore = "DIR/I"\n'

    def records(self, *path):
        try:
            with open(os.path.join(self.dir, *path)) as f:
                return len(json.loads(f.read() or "[]"))
        except FileNotFoundError:
            return 0

    def test_containers_of_both_stand_on_what_it_pulled(self):
        self.newer("pull", "-q", "--tls-verify=false", "docker://" + self.source)
        self.assertEqual((self.records("I/overlay-images/images.json"), self.records("G/overlay-images/images.json")), (1, 0))
        self.assertEqual(len(self.json("layers")), 2)
        self.newer("create", "--name", "theirs", self.source, "sh")
        self.cstore("create", "--volatile", "-n", "ours", self.source)
        self.assertEqual({n for c in self.json("containers") for n in c["names"]}, {"ours", "theirs"})
        for name in ("ours", "theirs"):
            where = self.cstore("mount", name).stdout.strip()
            with open(os.path.join(where, "etc/second")) as f:
                self.assertEqual(f.read(), "second\n")
            self.cstore("umount", name)
        self.cstore("rm", "--container", "theirs")
        self.newer("rm", "--force", "ours")
        self.clean()
        self.newer("rmi", "--force", self.source)
        self.assertEqual(self.json("layers"), [])
        self.clean()

    def test_what_it_pulled_is_removed_by_us(self):
        self.newer("pull", "-q", "--tls-verify=false", "docker://" + self.source)
        for one in self.json("layers"):
            data = self.cstore("export", "--layer", one["id"], text=False).stdout
            self.assertEqual("sha256:" + hashlib.sha256(data).hexdigest(), one["diffDigest"])
        self.clean()
        self.cstore("rm", self.source)
        self.assertEqual(json.loads(self.newer("images", "--format", "json").stdout or "[]") or [], [])
        self.assertEqual(self.json("layers"), [])


class Transient(LaterPodman):
    """All containers are in the run root, for both."""
    storage = "transient_store = true\n"

    def test_containers_of_both_are_seen_and_gone_with_the_run_root(self):
        self.bring()
        self.cstore("create", "-n", "ours", "localhost/x:1")
        self.newer("create", "--name", "theirs", "localhost/x:1", "sh")
        self.assertEqual({n for c in self.json("containers") for n in c["names"]}, {"ours", "theirs"})
        listed = json.loads(self.newer("ps", "-a", "--external", "--format", "json").stdout)
        self.assertEqual({n for c in listed for n in c["Names"]}, {"ours", "theirs"})
        with open(os.path.join(self.runroot, "overlay-containers/volatile-containers.json")) as f:
            self.assertEqual(len(json.load(f)), 2)
        self.newer("rm", "--force", "ours")
        self.cstore("rm", "--container", "theirs")
        self.assertEqual(self.json("containers"), [])
        self.clean()


if __name__ == "__main__":
    unittest.main()
