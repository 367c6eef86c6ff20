# SPDX-License-Identifier: Apache-2.0
"""Archives made to do harm: refused with the entry's name and a reason, or kept inside their layer.

After each one the canaries on the host are as they were, the store has nothing of what was refused, and a good layer can
still be applied. What an archive can only cost (entries, depth, bytes) must cost in proportion: CRID_HOSTILE_ENTRIES is
the largest number of entries (CI: 20000; the long form: 1000000), and ten times as many may take 15 times the processor time.
"""

import bz2
import ctypes
import gzip
import io
import lzma
import os
import resource
import shutil
import stat
import struct
import subprocess
import tarfile
import tempfile
import unittest

from test_store import ENVIRONMENT, SANITIZED, Store, write_layer

ENTRIES = int(os.environ.get("CRID_HOSTILE_ENTRIES", "20000"))
MEMORY_MB = 160         # of the whole process; names are remembered by 8 bytes each
REG, LINK, SYM, CHR, BLK, DIR, FIFO = (t.decode() for t in (
    tarfile.REGTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE))


# ---- bytes ----

def number(value, width):
    if isinstance(value, bytes):
        return value.ljust(width, b"\0")
    if 0 <= value < 8 ** (width - 1):
        return f"{value:0{width - 1}o}\0".encode()
    return (value % 256 ** width | (0x80 if value >= 0 else 0xff) << 8 * (width - 1)).to_bytes(width, "big")


def member(name, kind=REG, link="", data=b"", size=None, mode=0o644, uid=0, device=(0, 0), mtime=1):
    """One raw header with its content; nothing is checked here. size: as the header says."""
    name, link = (one if isinstance(one, bytes) else one.encode() for one in (name, link))
    if len(name) > 100 or len(link) > 100:
        records = b"".join(pax_record(k, v) for k, v in (("path", name), ("linkpath", link)) if len(v) > 100)
        return member("pax", "x", data=records) + member(name[:100], kind, link[:100], data, size, mode, uid, device, mtime)
    head = (name.ljust(100, b"\0") + number(mode, 8) + number(uid, 8) + number(0, 8) + number(len(data) if size is None else size, 12) +
            number(mtime, 12) + b" " * 8 + kind.encode() + link.ljust(100, b"\0") + b"ustar\00000" + b"\0" * 64 +
            number(device[0], 8) + number(device[1], 8)).ljust(512, b"\0")
    return head[:148] + f"{sum(head):06o}\0 ".encode() + head[156:] + data + b"\0" * (-len(data) % 512)


def pax_record(key, value):
    body = b" " + key.encode() + b"=" + (value if isinstance(value, bytes) else value.encode()) + b"\n"
    n = len(body)
    while len(str(n)) + len(body) != n:
        n = len(str(n)) + len(body)
    return str(n).encode() + body


def pax(*records):
    return member("pax", "x", data=b"".join(pax_record(k, v) for k, v in records))


def tar(*members):
    return b"".join(members) + b"\0" * 1024


def sparse_old(entries):
    """GNU's own header: it says that extension blocks with maps follow."""
    head = bytearray(member("sparse-old", "S", size=512))
    head[386:410] = number(0, 12) + number(2**33, 12)
    head[482:483] = b"\1"
    head[148:156] = b" " * 8
    head[148:156] = f"{sum(head[:512]):06o}\0 ".encode()
    return bytes(head) + b"".join((b"00000000000\0" * 42 + b"\1").ljust(512, b"\0") for _ in range(entries)) + b"\0" * 1024


# ---- the table ----

OUT = "../" * 12 + "CANARY"             # CANARY: its absolute path, without the slash in front
ABSOLUTE = "/CANARY"
GOOD = member("good", data=b"good")

# name -> (members, what the error says), or (members, None, paths that are in the layer then: kind or content)
TABLE = {
    "dot dot": (tar(GOOD, member(OUT + "/file", data=b"bad")), r"\.\./.*/file: "),
    "dot dot inside": (tar(member("a/../../../x", data=b"bad")), r"a/\.\./\.\./\.\./x: "),
    "dot dot as a directory": (tar(member("..", DIR)), r"\.\.: "),
    "dot dot as a link": (tar(member("../x", SYM, ABSOLUTE)), r"\.\./x: "),
    "absolute": (tar(member(ABSOLUTE + "/file", data=b"bad")), None, {"CANARY/file": b"bad"}),
    "absolute with dot dot": (tar(member("/../../CANARY/file", data=b"bad")), None, {"CANARY/file": b"bad"}),
    "through a link, absolute": (tar(member("l", SYM, ABSOLUTE), member("l/file", data=b"bad")), r"l/file|", {"l": "l", "CANARY/file": b"bad"}),
    "through a link, up": (tar(member("l", SYM, OUT), member("l/file", data=b"bad")), r"l/file|", {"l": "l"}),
    "link to the host's file": (tar(member("l", SYM, ABSOLUTE + "/file"), member("./l", data=b"bad")), r"\./l: .*second"),
    "hard link to the host": (tar(member("h", LINK, ABSOLUTE + "/file")), r"h: "),
    "hard link up": (tar(member("h", LINK, OUT + "/file")), r"h: "),
    "hard link through a link": (tar(member("l", SYM, ABSOLUTE), member("h", LINK, "l/file")), r"h: "),
    "hard link of a link, written through": (tar(member("l", SYM, ABSOLUTE + "/file"), member("h", LINK, "l"), member("h/x", data=b"bad")), r"h/x"),
    "hard link of a link with a mode": (tar(member("l", SYM, ABSOLUTE + "/file"), member("h", LINK, "l", mode=0o4777, uid=99)), None, {"h": "l"}),
    "hard link to itself": (tar(member("h", LINK, "h")), r"h: "),
    "hard link to a directory": (tar(member("d", DIR), member("h", LINK, "d")), r"h: "),
    "hard link to a later name": (tar(member("h", LINK, "later"), member("later", data=b"x")), r"h: "),
    "directory becomes a link": (tar(member("d", DIR, mode=0o755), member("d/x", data=b"1"), member("e", SYM, ABSOLUTE), member("./d", SYM, ABSOLUTE)), r"\./d: .*second"),
    "links swapped": (tar(member("a", SYM, "b"), member("b", SYM, ABSOLUTE), member("c/.wh.b"), member("a/file", data=b"bad")), r"a/file|", {"b": "l"}),
    "loop of links": (tar(member("a", SYM, "b"), member("b", SYM, "a"), member("a/x", data=b"bad")), r"a/x: "),
    "link as the root": (tar(member(".", SYM, ABSOLUTE)), r"root"),
    "file as the root": (tar(member("./", data=b"x")), r"root"),
    "magic link": (tar(member("l", SYM, "/proc/self/root"), member("l/CANARY/file", data=b"bad")), r"l/CANARY/file|", {"l": "l"}),
    "magic cwd": (tar(member("proc/self/cwd", SYM, ABSOLUTE), member("l", SYM, "/proc/self/cwd"), member("l/file", data=b"bad")), r"l/file|", {"l": "l"}),
    "whiteout of the parent": (tar(member(".wh...")), r"\.wh\.\.\.: "),
    "whiteout of a parent below": (tar(member("a/.wh...")), r"a/\.wh\.\.\.: "),
    "whiteout of nothing": (tar(member(".wh.")), r"\.wh\.: "),
    "whiteout of dot": (tar(member("a/.wh..")), r"a/\.wh\.\.: "),
    "whiteout through a link": (tar(member("l", SYM, ABSOLUTE), member("l/.wh.file")), r"l/\.wh\.file|", {"l": "l"}),
    "whiteout of an upper name": (tar(member("x/.wh.../.wh.file")), r"|", {}),
    "opaque through a link": (tar(member("l", SYM, ABSOLUTE), member("l/.wh..wh..opq")), r"l/.wh|", {"l": "l"}),
    "opaque root": (tar(member(".wh..wh..opq"), GOOD), None, {"good": b"good"}),
    "other marks of aufs": (tar(member(".wh..wh.plnk/1.2", data=b"x"), member(".wh..wh.aufs", data=b"x"), GOOD), r"|", {"good": b"good"}),
    "whiteout with content": (tar(member(".wh.x", data=b"x")), r"\.wh\.x: .*content"),
    "overlay's own attributes": (tar(pax(("SCHILY.xattr.trusted.overlay.redirect", ABSOLUTE), ("SCHILY.xattr.trusted.overlay.opaque", "y")),
                                     member("d", DIR)), None, {"d": "d"}),
    "whiteout as a device": (tar(member("w", CHR, device=(0, 0)), GOOD), None, {"good": b"good"}),
    "devices": (tar(member("mem", CHR, device=(1, 1), mode=0o666), member("sda", BLK, device=(8, 0), mode=0o666), member("p", FIFO)), None,
                {"mem": "c", "sda": "b", "p": "p"}),
    "device number too large": (tar(member("dev", CHR, device=(2**20, 1))), r"dev, at byte 0: .*device"),
    "duplicate": (tar(member("f", data=b"1"), member("f", data=b"2")), r"f(: |, at).*second"),
    "duplicate, cleaned": (tar(member("a/f", data=b"1"), member("/a//./b/../f", data=b"2")), r"f(: |, at).*second"),
    "duplicate directory": (tar(member("d", DIR), member("d/", DIR)), r"d/: .*second"),
    "child of a file": (tar(member("f", data=b"1"), member("f/x", data=b"2")), r"f/x: "),
    "huge pax header": (tar(member("pax", "x", data=pax_record("comment", b"x" * (2 << 20))), GOOD), r"extension"),
    "pax header that lies": (tar(member("pax", "x", data=b"99999 path=a\n"), GOOD), r"PAX"),
    "pax path with a zero": (tar(pax(("path", b"a\0b")), GOOD), r"PAX"),
    "pax path out": (tar(pax(("path", OUT + "/file")), GOOD), r"\.\./"),
    "pax linkpath out": (tar(pax(("linkpath", ABSOLUTE + "/file")), member("h", LINK, "good")), r"h: "),
    "pax size negative": (tar(pax(("size", "-1")), GOOD), r"PAX|size"),
    "pax size enormous": (tar(pax(("size", str(2**63))), GOOD), r"PAX|size|large"),
    "pax size 2^62": (tar(pax(("size", str(2**62))), GOOD), r"good, at.*too large"),
    "many extensions": (b"".join(member("g", "g", data=pax_record("a", "b")) for _ in range(1000)) + tar(GOOD), r"too many"),
    "many attributes": (tar(pax(*((f"SCHILY.xattr.user.a{i}", "v") for i in range(2000))), GOOD), r"attributes|xattr"),
    "large attribute": (tar(pax(("SCHILY.xattr.user.a", b"v" * 70000)), GOOD), r"SCHILY.xattr.user.a"),
    "gnu long name without end": (tar(member("././@LongLink", "L", size=1 << 40)), r"extension|too large"),
    "long name": (tar(member("n" * 5000)), r"at byte 0: PAX record path"),
    "long component": (tar(member("n" * 300)), r"n{100}"),
    "long target": (tar(member("l", SYM, "t" * 5000)), r"name|link"),
    "sparse, old gnu": (sparse_old(3000), r"sparse-old.*kind"),
    "sparse, pax 0.0": (tar(pax(("GNU.sparse.numblocks", "2147483647"), ("GNU.sparse.size", str(2**40)), ("GNU.sparse.offset", "0")), GOOD), r"GNU\.sparse"),
    "sparse, pax 0.1": (tar(pax(("GNU.sparse.map", ",".join(["0"] * 100000)), ("GNU.sparse.size", "9")), GOOD), r"GNU\.sparse|extension"),
    "sparse, pax 1.0": (tar(pax(("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", str(2**62))),
                            member("f", data=b"2147483647\n" * 50)), r"GNU\.sparse"),
    "negative size": (tar(member("f", size=-1)), r"f(: |, at).*(number|size)"),
    "size larger than all": (tar(member("f", size=2**62)), r"f(: |, at)"),
    "size beyond the end": (tar(member("f", size=100000)), r"f(: |, at)|cut"),
    "negative user": (tar(member("f", uid=-2)), r"f(: |, at).*(user|number)"),
    "user too large": (tar(member("f", uid=2**33)), r"f(: |, at).*user"),
    "octal rubbish": (tar(member("f", size=b"9999x")), r"f(: |, at).*number"),
    "wrong checksum": (tar(GOOD.replace(b"good\0", b"evil\0", 1)), r"checksum"),
    "unknown kind": (tar(member("vendor", "V")), r"vendor.*kind"),
    "zeros in the middle": (GOOD + b"\0" * 512 + member("f") + b"\0" * 1024, r"zeros"),
    "no archive": (b"#!/bin/sh\n" * 200, r"checksum"),
    "gzip in gzip": (gzip.compress(gzip.compress(tar(GOOD) + os.urandom(5000))), r"checksum"),
}


OPENAT2 = 437           # on every architecture
LIBC = ctypes.CDLL(None, use_errno=True)


def deny_openat2():
    """As a kernel before 5.6, or a seccomp filter: ENOSYS."""
    rules = b"".join(struct.pack("HBBI", *one) for one in (
        (0x20, 0, 0, 0), (0x15, 0, 1, OPENAT2), (0x06, 0, 0, 0x00050000 | 38), (0x06, 0, 0, 0x7fff0000)))
    kept = ctypes.create_string_buffer(rules)
    program = struct.pack("H6xP", 4, ctypes.addressof(kept))
    if LIBC.prctl(38, 1, 0, 0, 0) or LIBC.prctl(22, 2, program, 0, 0):      # PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP
        raise OSError(ctypes.get_errno(), "seccomp")


def read(path):
    with open(path, "rb") as f:
        return f.read()


def kind_of(path):
    mode = os.lstat(path).st_mode
    return {stat.S_IFLNK: "l", stat.S_IFDIR: "d", stat.S_IFCHR: "c", stat.S_IFBLK: "b", stat.S_IFIFO: "p"}.get(stat.S_IFMT(mode)) or read(path)


class Hostile(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest("needs root: layers have owners and devices")
        cls.base = tempfile.mkdtemp(prefix="crid-hostile-")
        subprocess.run(["mount", "-t", "tmpfs", "none", cls.base], check=True)
        cls.addClassCleanup(os.rmdir, cls.base)
        cls.addClassCleanup(subprocess.run, ["umount", "-l", cls.base], check=True)
        cls.canary = os.path.join(cls.base, "canary")
        os.mkdir(cls.canary)
        for name in ("file", "other"):
            with open(os.path.join(cls.canary, name), "w") as f:
                f.write("untouched\n")
        os.symlink("file", os.path.join(cls.canary, "link"))
        os.mkdir(os.path.join(cls.canary, "dir"))
        cls.good = os.path.join(cls.base, "good.tgz")
        write_layer(cls.good, "g", 3)
        cls.known = cls.host()

    @classmethod
    def host(cls):
        """Everything that could be seen of harm: what is in the canary's directory, and beside the store."""
        found = {}
        for top, dirs, files in os.walk(cls.canary):
            for path in [top, *(os.path.join(top, one) for one in dirs + files)]:
                st = os.lstat(path)
                content = read(path) if stat.S_ISREG(st.st_mode) else None
                found[path] = (st.st_mode, st.st_uid, st.st_gid, st.st_mtime_ns, st.st_ctime_ns, st.st_nlink, st.st_ino, content,
                               os.listxattr(path, follow_symlinks=False))
        return found

    def setUp(self):
        store = os.path.join(self.base, "store")
        os.mkdir(store)
        self.store = Store(store)
        self.addCleanup(self.store.destroy)

    before_start = None

    def apply(self, data):
        """(how it ended, processor seconds)."""
        blob = os.path.join(self.base, "blob")
        if isinstance(data, bytes):
            with open(blob, "wb") as f:
                f.write(data)
        else:
            data(blob)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        with subprocess.Popen(self.store.command("apply", "bad:1", blob), env=ENVIRONMENT, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, preexec_fn=self.before_start) as process:
            out, err = process.communicate(timeout=600)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        os.unlink(blob)
        done = subprocess.CompletedProcess([], process.returncode, out, err)
        return done, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    def check_host(self):
        self.assertEqual(self.host(), self.known)
        self.assertEqual(sorted(os.listdir(self.base)), ["canary", "good.tgz", "store"])
        self.assertEqual(sorted(os.listdir(self.store.base)), ["G", "R"])

    def check_nothing_left(self):
        """No record, no directory, and the locks are free: the next layer goes in."""
        self.assertEqual(self.store.json("overlay-layers/layers.json"), [])
        left = [os.path.join(top, one) for top, dirs, files in os.walk(self.store.graph) for one in dirs + files
                if top.endswith(("tempdirs", "overlay-layers/tmp")) or (top.endswith("overlay-layers") and "tar-split" in one)]
        self.assertEqual(left, [])
        self.assertEqual(self.store.run("check").stdout, "")
        done = self.store.run("apply", "good:1", self.good)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.store.run("delete", "good:1").returncode, 0)

    def check_refused(self, done, wanted):
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertRegex(done.stderr, f"storeop: (?s:.*)({wanted})")
        self.check_host()
        self.check_nothing_left()

    def check_inside(self, paths):
        layer, = self.store.json("overlay-layers/layers.json")
        diff = os.path.join(self.store.graph, "overlay", layer["id"], "diff")
        for path, wanted in paths.items():
            self.assertEqual(kind_of(os.path.join(diff, path)), wanted, path)
        for top, dirs, files in os.walk(diff):
            for path in (os.path.join(top, one) for one in dirs + files):
                overlay = [x for x in os.listxattr(path, follow_symlinks=False) if "overlay" in x and not x.endswith(".opaque")]
                self.assertEqual(overlay, [], path)
        self.check_host()
        done = self.store.run("delete", "bad:1")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.check_host()
        self.check_nothing_left()

    def test_each_archive_of_the_table(self):
        canary = self.canary.lstrip("/")
        for title, (data, error, *inside) in TABLE.items():
            with self.subTest(archive=title):
                done, _ = self.apply(self.with_canary(data, canary))
                # where both would be right, what must not happen is harm
                if inside and done.returncode == 0:
                    self.check_inside({path.replace("CANARY", canary): what for path, what in inside[0].items()})
                else:
                    self.assertIsNotNone(error, done.stderr)
                    self.check_refused(done, error.replace("CANARY", canary))

    def test_each_archive_of_the_table_without_openat2(self):
        self.before_start = deny_openat2
        self.test_each_archive_of_the_table()

    @staticmethod
    def with_canary(data, path):
        """The placeholder has the length of no path: headers are made again."""
        if b"CANARY" not in data:
            return data
        out, at = io.BytesIO(), 0
        while at < len(data):
            head = data[at:at + 512]
            if not head.strip(b"\0"):
                out.write(head)
                at += 512
                continue
            size = int(head[124:135], 8)
            body = data[at + 512:at + 512 + size]
            at += 512 + size + -size % 512
            fixed = [one.rstrip(b"\0").replace(b"CANARY", path.encode()) for one in (head[:100], head[157:257])]
            kind = head[156:157].decode()
            if kind == "x":
                records = [line.split(b" ", 1)[1].split(b"=", 1) for line in body.split(b"\n") if line]
                body = b"".join(pax_record(k.decode(), v.replace(b"CANARY", path.encode())) for k, v in records)
            out.write(member(fixed[0], kind, fixed[1], body, None if body else size, int(head[100:107], 8), int(head[108:115], 8)))
        return out.getvalue()

    def test_an_archive_cut_at_each_block(self):
        whole = tar(GOOD, pax(("path", "p" * 200)), member("x", data=b"y" * 1500), member("d", DIR), member("l", SYM, "t"),
                    member("././@LongLink", "L", data=b"g" * 150 + b"\0"), member("g"))
        for pack, step in ((bytes, 512), (gzip.compress, 97), (lzma.compress, 211), (bz2.compress, 211)):
            data = pack(whole)
            for cut in range(step, len(data), step):
                done, _ = self.apply(data[:cut])
                if done.returncode == 0:        # after a member: Go takes that as the end, too
                    self.assertEqual(pack, bytes)
                    self.assertEqual(self.store.run("delete", "bad:1").returncode, 0)
                else:
                    self.assertRegex(done.stderr, "storeop: .*(cut off|[Dd]amaged|ends)", f"{pack} cut at {cut}")
            self.check_host()
            self.check_nothing_left()

    # ---- what only costs ----

    def check_linear(self, make):
        """make(path, n) writes an archive; the time of n and n / 10 is compared."""
        if SANITIZED:
            self.skipTest("times under the sanitizers say nothing")
        took = []
        for n in (ENTRIES // 10, ENTRIES):
            done, seconds = self.apply(lambda path: make(path, n))
            self.assertEqual(done.returncode, 0, done.stderr)
            took.append(seconds)
            peak = int(done.stdout.partition("rss_kb=")[2]) / 1024
            self.assertLess(peak, MEMORY_MB)
            self.assertEqual(self.store.run("delete", "bad:1").returncode, 0)
        print(f"{self.id().rpartition('.')[2]}: {ENTRIES // 10}: {took[0]:.2f} s, {ENTRIES}: {took[1]:.2f} s, {peak:.0f} MB", flush=True)
        self.assertLess(took[1], 15 * took[0] + 0.3)
        self.check_host()
        self.check_nothing_left()

    @staticmethod
    def write_members(path, members):
        with gzip.open(path, "wb", compresslevel=1) as f:
            for one in members:
                f.write(one)
            f.write(b"\0" * 1024)

    def test_many_entries_in_one_directory(self):
        self.check_linear(lambda path, n: self.write_members(path, (member(f"dir/{i:x}") for i in range(n))))

    def test_many_hard_links(self):
        self.check_linear(lambda path, n: self.write_members(
            path, (member(f"dir/{i:x}", LINK if i % 30000 else REG, f"dir/{i - i % 30000:x}") for i in range(n))))

    def test_many_whiteouts(self):
        self.check_linear(lambda path, n: self.write_members(path, (member(f"dir/.wh.{i:x}") for i in range(n))))

    def test_many_directories_that_no_member_describes(self):
        self.check_linear(lambda path, n: self.write_members(path, (member("/".join([f"{i:x}"] + ["d"] * 199)) for i in range(n // 200))))

    def test_many_directories_in_turns(self):
        """The directory that stays open is never the next one."""
        self.check_linear(lambda path, n: self.write_members(path, (member(f"{'ab'[i % 2] * 50}/{i:x}") for i in range(n))))

    def test_levels_as_deep_as_names_go_and_then_through_links(self):
        """A name has 2000 levels at most; a link that leads to the last one begins the next 2000; the kernel follows 40 of them."""
        members, at = [], ""
        for i in range(20 if ENTRIES >= 1000000 else 8):
            members += [member(at + "d/" * 1999 + "f"), member(f"l{i}", SYM, at + "/".join(["d"] * 1999))]
            at = f"l{i}/"
        done, seconds = self.apply(tar(*members))
        print(f"{1999 * len(members) // 2} levels: {seconds:.2f} s", flush=True)
        self.assertLess(seconds, len(members))          # the kernel walks all the way from the top, each time
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.store.run("delete", "bad:1").returncode, 0)
        self.check_host()
        self.check_nothing_left()

    def test_levels_in_one_name_are_refused(self):
        done, seconds = self.apply(tar(member("d/" * 100000 + "f")))
        self.check_refused(done, "name|path")
        self.assertLess(seconds, 2)

    def test_bombs(self):
        """Behind the archive's end, in a member, in an extension: gigabytes that are a few kilobytes."""
        def bomb(pack, *head, total=1 << 30):
            def write(path):
                with pack(path, "wb") as f:
                    for one in head:
                        f.write(one)
                    zeros = bytes(1 << 20)
                    for _ in range(total >> 20):
                        f.write(zeros)
            return write
        packs = {"gzip": gzip.open, "xz": lambda p, m: lzma.open(p, m, preset=0)}
        if ENTRIES >= 1000000:
            packs["bzip2"] = bz2.open
        for name, pack in packs.items():
            with self.subTest(pack=name):
                done, seconds = self.apply(bomb(pack, tar(GOOD), total=200 << 20))
                self.check_refused(done, "end|trailer|after")
                self.assertLess(seconds, 10)
        done, _ = self.apply(bomb(gzip.open, member("x", "x", size=1 << 30)))
        self.check_refused(done, "extension")
        if ENTRIES >= 1000000:          # writes a gigabyte
            done, _ = self.apply(bomb(gzip.open, member("zeros", size=3 << 30), total=3 << 30))
            self.check_refused(done, "times|limit")

    @unittest.skipUnless(shutil.which("zstd"), "there is no zstd")
    def test_a_zstd_window_that_wants_all_memory(self):
        blob = os.path.join(self.base, "long.zst")
        subprocess.run(["zstd", "-q", "--ultra", "--long=31", "-o", blob, "-"], input=bytes(1 << 20) + tar(GOOD), check=True)
        with open(blob, "rb") as f:
            data = bytearray(f.read())
        os.unlink(blob)
        data[4:6] = b"\x00\xa8"        # no single segment, a window of 2 GiB
        done, _ = self.apply(bytes(data))
        self.check_refused(done, "zstd|damaged|memory|window")


if __name__ == "__main__":
    unittest.main()
