# SPDX-License-Identifier: Apache-2.0
"""Layers as they are met in the world: what comes in comes out byte by byte, and podman and skopeo read the same tree.

Each archive goes through cstore import (apply, tar-split), cstore export (the very bytes), skopeo copy (the peer
makes the archive from our tar-split) and podman image mount (the peer shows the tree, which is compared with what GNU tar
extracts). CRID_STORE_DEBS is a directory with Debian packages to take instead of this machine's files.
"""

import glob
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import unittest

from test_cstore import StoreCase

DEBS = os.environ.get("CRID_STORE_DEBS")
PACKAGES = ("base-files", "bash", "coreutils", "passwd", "mount", "util-linux", "login", "iputils-ping", "tzdata", "perl-base", "libc-bin")


def run(*command, **more):
    return subprocess.run(command, check=True, capture_output=True, **more)


def pack(tree, out, *options):
    run("tar", "-C", tree, "--numeric-owner", "--sort=name", *options, "-cf", out, ".")


def debian(base, out):
    """What dpkg -x leaves, of packages or of those installed here."""
    tree = os.path.join(base, "debian")
    os.mkdir(tree)
    if DEBS:
        for deb in sorted(glob.glob(os.path.join(DEBS, "*.deb"))):
            run("dpkg", "-x", deb, tree)
        pack(tree, out)
        return
    files = run("dpkg", "-L", *[p for p in PACKAGES if subprocess.run(["dpkg", "-s", p], capture_output=True, check=False).returncode == 0],
                text=True).stdout.split("\n")
    files = sorted({f.lstrip("/") for f in files if f.startswith(("/usr/", "/bin/", "/lib/", "/sbin/", "/etc/")) and os.path.lexists(f)})
    run("tar", "-C", "/", "--numeric-owner", "--no-recursion", "--xattrs", "-cf", out, "--null", "-T", "-", input="\0".join(files).encode())


def node_modules(base, out):
    """Very deep, many small files, names with @ and dots, links between packages."""
    tree = os.path.join(base, "app")
    at = tree
    for depth in range(25):
        for package in range(12):
            where = os.path.join(at, "node_modules", ("@scope/" if package % 3 == 0 else "") + f"package.{depth}-{package}")
            os.makedirs(where + "/lib")
            for name in ("package.json", "README.md", "index.js", ".npmignore", "lib/a.mjs", "lib/b.d.ts"):
                with open(os.path.join(where, name), "w") as f:
                    f.write(json.dumps({"name": name, "depth": depth}) * (package + 1))
        os.makedirs(os.path.join(at, "node_modules/.bin"))
        os.symlink(f"../@scope/package.{depth}-0/index.js", os.path.join(at, "node_modules/.bin/run"))
        at = os.path.join(at, "node_modules", f"package.{depth}-1")
    os.link(os.path.join(tree, "node_modules/package.0-1/index.js"), os.path.join(tree, "hard"))
    pack(tree, out, "--format=pax")


def odd_tree(base):
    """Everything a file can be."""
    tree = os.path.join(base, "odd")
    if os.path.exists(tree):
        return tree
    os.mkdir(tree)
    name = os.path.join(os.fsencode(tree), b"")
    for one in (b"\xff\xfe latin\xe9", "snowman-\u2603".encode(), b"new\nline", b"tab\t", b"back\\slash", b"<&>", b"x" * 255, b" ", b"*"):
        with open(name + one, "wb") as f:
            f.write(one * 7)
    deep = os.path.join(tree, *["d" * 90] * 12)
    os.makedirs(deep)
    with open(os.path.join(deep, "long" * 20), "w") as f:
        f.write("deep\n")
    os.symlink("t" * 3000, os.path.join(tree, "long-target"))
    os.symlink(b"../\xff/" * 20, name + b"raw-target\xff")
    os.link(os.path.join(deep, "long" * 20), os.path.join(tree, "hard-to-long"))
    os.mkfifo(os.path.join(tree, "fifo"))
    os.mknod(os.path.join(tree, "char"), 0o20644, os.makedev(1, 3))
    os.mknod(os.path.join(tree, "block"), 0o60600, os.makedev(7, 200))
    os.mkdir(os.path.join(tree, "empty"), 0o1777)
    os.chmod(os.path.join(tree, "empty"), 0o1777)
    suid = os.path.join(tree, "suid")
    with open(suid, "wb") as f:
        f.write(os.urandom(70001))
    os.chown(suid, 2000000, 3000000)
    os.chmod(suid, 0o6751)
    os.utime(suid, ns=(10**18 + 1, 10**18 + 123456789))
    with open(os.path.join(tree, "nothing"), "w"):
        pass
    return tree


def with_xattrs(base, out):
    tree = os.path.join(base, "xattrs")
    os.mkdir(tree)
    for name in ("file", "tool"):
        with open(os.path.join(tree, name), "w") as f:
            f.write(name)
    os.mkdir(os.path.join(tree, "dir"))
    os.setxattr(os.path.join(tree, "file"), "user.text", b"value=1\nand more")
    os.setxattr(os.path.join(tree, "file"), "user.binary", bytes(range(256)))
    os.setxattr(os.path.join(tree, "dir"), "user.on-dir", b"x")
    os.setxattr(os.path.join(tree, "tool"), "security.capability", bytes.fromhex("0000000201040000000000000000000000000000"))
    pack(tree, out, "--format=pax", "--xattrs", "--xattrs-include=*")


def form(name, *options, tree=odd_tree):
    return lambda base, out: pack(tree(base), out, f"--format={name}", *options)


def plain_tree(base):
    """What the oldest forms can say."""
    tree = os.path.join(base, "plain")
    if not os.path.exists(tree):
        os.makedirs(tree + "/dir/below")
        for name in ("a", "dir/b", "dir/below/c"):
            with open(os.path.join(tree, name), "w") as f:
                f.write(name * 1000)
        os.symlink("a", tree + "/link")
        os.link(tree + "/a", tree + "/hard")
    return tree


def by_python(base, out):
    """PAX records of Python's own order, a global header, and members before their directories."""
    with tarfile.open(out, "w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "global", "LIBARCHIVE.creationtime": "1"}) as tar:
        for name in ("a/b/c/file", "a/b", "a", "z\u00e9/" + "n" * 200, "q"):
            member = tarfile.TarInfo(name)
            if name in ("a", "a/b"):
                member.type, member.mode = tarfile.DIRTYPE, 0o750
                tar.addfile(member)
            else:
                member.size, member.mtime = len(name.encode()), 1234567890.123456789
                tar.addfile(member, io.BytesIO(name.encode()))


def by_cpio(base, out):
    tree = plain_tree(base)
    names = b"\n".join(os.path.relpath(os.path.join(top, n), tree).encode() for top, d, f in os.walk(tree) for n in sorted(d + f))
    with open(out, "wb") as f:
        subprocess.run(["cpio", "-o", "-H", "ustar", "--quiet"], cwd=tree, input=names, stdout=f, check=True)


def by_busybox(base, out):
    run("busybox", "tar", "-C", plain_tree(base), "-cf", out, ".")


ARCHIVES = {
    "debian": debian, "node_modules": node_modules, "xattrs": with_xattrs, "gnu": form("gnu"), "pax": form("pax"),
    "posix with times": form("posix", "--pax-option=exthdr.name=%d/PaxHeaders/%f,atime:=0,delete=ctime"),
    "oldgnu": form("oldgnu", tree=plain_tree), "ustar": form("ustar", tree=plain_tree), "v7": form("v7", tree=plain_tree),
    "python": by_python, "cpio": by_cpio, "busybox": by_busybox,
}
NEEDS = {"cpio": "cpio", "busybox": "busybox", "debian": "dpkg"}


def look(path):
    """What there is, and in what state; hard links by the first of their names."""
    found, first = {}, {}
    top = os.fsencode(path)
    for where, dirs, files in os.walk(top):
        for name in dirs + files:
            full = os.path.join(where, name)
            st = os.lstat(full)
            kind = st.st_mode & 0o170000
            relative = os.path.relpath(full, top)
            known = {"mode": st.st_mode, "owner": (st.st_uid, st.st_gid), "time": st.st_mtime_ns, "rdev": st.st_rdev if kind in (0o20000, 0o60000) else 0}
            if kind == 0o120000:
                known["target"] = os.readlink(full)
            else:
                known["xattrs"] = {n: os.getxattr(full, n) for n in os.listxattr(full)}
            if kind == 0o100000:
                with open(full, "rb") as f:
                    known["content"] = hashlib.sha256(f.read()).hexdigest()
                if st.st_nlink > 1:
                    known["same"] = first.setdefault(st.st_ino, set())
                    known["same"].add(relative)
            found[relative] = known
    return found


class Layers(StoreCase):
    def digest(self, path):
        with open(path, "rb") as f:
            return "sha256:" + hashlib.file_digest(f, "sha256").hexdigest()

    def skopeo_reads(self, name, diff_id):
        """The config's diff ID, and the bytes that its reader makes of our tar-split."""
        out = os.path.join(self.dir, "out-" + name)
        self.skopeo("copy", "-q", "--dest-decompress", self.stored(f"localhost/{name}:1"), "dir:" + out)
        self.assertEqual(self.digest(os.path.join(out, diff_id[7:])), diff_id)
        shutil.rmtree(out)

    def podman_shows(self, name, tar):
        wanted = os.path.join(self.dir, "tree-" + name)
        os.mkdir(wanted)
        run("tar", "-C", wanted, "--numeric-owner", "-p", "--same-owner", "--delay-directory-restore", "--xattrs", "--xattrs-include=*", "-xf", tar)
        where = self.podman("image", "mount", f"localhost/{name}:1").stdout.strip()
        try:
            ours, theirs = look(where), look(wanted)
        finally:
            self.podman("image", "unmount", f"localhost/{name}:1")
        self.assertEqual(sorted(ours), sorted(theirs))
        with tarfile.open(tar) as members:
            listed = {os.path.normpath(os.fsencode(one)) for one in members.getnames()}
        for path, known in theirs.items():
            if path not in listed:      # a directory that only its content names
                known = {**known, "time": ours[path]["time"]}
            self.assertEqual(ours[path], known, path)
        shutil.rmtree(wanted)

    def check_archive(self, name, tar):
        diff_id = self.digest(tar)
        self.cstore("import", "-n", f"localhost/{name}:1", tar)
        layer = next(one for one in self.json("layers") if one["diffDigest"] == diff_id)
        out = tar + ".out"
        self.cstore("export", "--layer", "-o", out, layer["id"])
        self.assertEqual(self.digest(out), diff_id)
        os.unlink(out)
        self.skopeo_reads(name, diff_id)
        self.podman_shows(name, tar)

    def test_archives_of_all_writers(self):
        for title, make in ARCHIVES.items():
            if title in NEEDS and not shutil.which(NEEDS[title]):
                print(f"skipped: there is no {NEEDS[title]}", flush=True)
                continue
            with self.subTest(archive=title):
                name = title.replace(" ", "-")
                tar = os.path.join(self.dir, name + ".tar")
                make(self.dir, tar)
                self.check_archive(name, tar)
                os.unlink(tar)
        self.clean()

    def test_gnu_sparse_members_are_refused_in_each_form(self):
        tree = os.path.join(self.dir, "sparse")
        os.mkdir(tree)
        with open(tree + "/holes", "wb") as f:
            f.truncate(1 << 20)
            f.seek(1 << 19)
            f.write(b"data")
        for options in (["--format=gnu"], ["--format=oldgnu"], *(["--format=pax", "--sparse-version=" + v] for v in ("0.0", "0.1", "1.0"))):
            with self.subTest(options=options):
                tar = os.path.join(self.dir, "sparse.tar")
                pack(tree, tar, "-S", *options)
                done = self.cstore("import", tar, check=False)
                self.assertEqual(done.returncode, 1)
                self.assertRegex(done.stderr, "holes.*(kind|GNU.sparse)|GNU.sparse")
                self.assertEqual(self.json("layers"), [])

    @unittest.skipUnless(shutil.which("umoci"), "there is no umoci")
    def test_an_image_that_umoci_made(self):
        """Unpacked, changed, packed again: the second layer has whiteouts and opaque directories of its making."""
        layout, bundle = os.path.join(self.dir, "umoci"), os.path.join(self.dir, "bundle")
        self.skopeo("copy", "-q", "--src-tls-verify=false", "docker://" + self.source, f"oci:{layout}:x")
        self.call("umoci", "unpack", "--image", f"{layout}:x", bundle)
        rootfs = os.path.join(bundle, "rootfs")
        os.unlink(rootfs + "/etc/motd")
        shutil.rmtree(rootfs + "/bin")
        os.mkdir(rootfs + "/bin")
        for name in ("bin/new", "etc/second"):
            with open(os.path.join(rootfs, name), "w") as f:
                f.write("umoci\n")
        os.symlink("/nowhere", rootfs + "/etc/link")
        self.call("umoci", "repack", "--image", f"{layout}:y", bundle)
        tree = os.path.join(self.dir, "inserted")
        os.mkdir(tree)
        shutil.copytree(plain_tree(self.dir), tree + "/t", symlinks=True)
        self.call("umoci", "insert", "--image", f"{layout}:y", tree, "/opt")
        self.cstore("import", "-n", "localhost/umoci:1", layout + ":y")
        layers = self.json("layers")
        self.assertEqual(len(layers), 4)
        self.assertEqual({one["diffDigest"] for one in layers}, set(self.diff_ids(f"oci:{layout}:y")))
        for one in layers:
            data = self.cstore("export", "--layer", one["id"], text=False).stdout
            self.assertEqual("sha256:" + hashlib.sha256(data).hexdigest(), one["diffDigest"])
        where = self.podman("image", "mount", "localhost/umoci:1").stdout.strip()
        self.assertEqual(os.listdir(where + "/bin"), ["new"])
        self.assertEqual(sorted(os.listdir(where + "/etc")), sorted(os.listdir(rootfs + "/etc")))
        self.assertEqual(os.readlink(where + "/opt/t/link"), "a")
        self.podman("image", "unmount", "localhost/umoci:1")
        self.clean()


if __name__ == "__main__":
    unittest.main()
