# SPDX-License-Identifier: Apache-2.0
"""A file system in memory: what a power loss may leave of a recorded run.

record() runs a program under strace and gives the changes it made below one directory, in order, as operations on
inodes. A Disk is a directory tree in memory that operations are applied to, all or some of them, and that is
written out for a program to look at.

What is durable when is the weakest that POSIX allows: fsync() of a file covers what was written to that inode,
fsync() of a directory the entries that were changed in it, syncfs() everything. All else may be lost, each operation
on its own.
"""

import os
import re
import stat
import subprocess


class Inode:
    def __init__(self, mode, data=b"", target=None, rdev=0):
        self.mode = mode
        self.uid = self.gid = 0
        self.mtime = 0
        self.data = bytearray(data)
        self.target = target
        self.rdev = rdev
        self.xattrs = {}
        self.entries = {} if stat.S_ISDIR(mode) else None


class Disk:
    """inodes: number -> Inode; 0 is the root."""

    def __init__(self):
        self.inodes = {0: Inode(stat.S_IFDIR | 0o700)}

    @classmethod
    def load(cls, path):
        disk = cls()
        disk._load(path, 0, {})
        return disk

    def _load(self, path, number, seen):
        inode = self.inodes[number]
        st = os.lstat(path)
        inode.mode, inode.uid, inode.gid, inode.mtime = st.st_mode, st.st_uid, st.st_gid, st.st_mtime_ns
        if not stat.S_ISLNK(st.st_mode):
            inode.xattrs = {n: os.getxattr(path, n) for n in os.listxattr(path)}
        for name in sorted(os.listdir(path)) if inode.entries is not None else ():
            below = os.path.join(path, name)
            st = os.lstat(below)
            if st.st_nlink > 1 and st.st_ino in seen:
                inode.entries[name] = seen[st.st_ino]
                continue
            number = len(self.inodes)
            self.inodes[number] = Inode(st.st_mode, rdev=st.st_rdev)
            seen[st.st_ino] = inode.entries[name] = number
            if stat.S_ISLNK(st.st_mode):
                self.inodes[number].target = os.readlink(below)
                self.inodes[number].mtime = st.st_mtime_ns
            elif stat.S_ISREG(st.st_mode):
                with open(below, "rb") as f:
                    self.inodes[number].data = bytearray(f.read())
            if not stat.S_ISLNK(st.st_mode):
                self._load(below, number, seen)

    def copy(self):
        disk = Disk()
        for number, one in self.inodes.items():
            new = Inode(one.mode, one.data, one.target, one.rdev)
            new.uid, new.gid, new.mtime, new.xattrs = one.uid, one.gid, one.mtime, dict(one.xattrs)
            new.entries = dict(one.entries) if one.entries is not None else None
            disk.inodes[number] = new
        return disk

    def write(self, path):
        self._write(path, 0, {})

    def _write(self, path, number, done):
        one = self.inodes[number]
        if number in done and one.entries is None:
            os.link(done[number], path, follow_symlinks=False)
            return
        done[number] = path
        if one.target is not None:
            os.symlink(one.target, path)
        elif one.entries is not None:
            os.mkdir(path, 0o700)
            for name, below in one.entries.items():
                self._write(os.path.join(path, name), below, done)
        elif stat.S_ISREG(one.mode):
            with open(path, "wb") as f:
                f.write(one.data)
        else:
            os.mknod(path, one.mode, one.rdev)
        os.lchown(path, one.uid, one.gid)
        if one.target is None:
            os.chmod(path, stat.S_IMODE(one.mode))
            for name, value in one.xattrs.items():
                os.setxattr(path, name, value)
        os.utime(path, ns=(one.mtime, one.mtime), follow_symlinks=False)

    def find(self, path):
        """(directory, name, inode or None); links are not followed."""
        number, parts = 0, [p for p in path.split("/") if p not in ("", ".")]
        for name in parts[:-1]:
            number = self.inodes[number].entries[name]
        if not parts:
            return None, "", 0
        return number, parts[-1], self.inodes[number].entries.get(parts[-1])

    def apply(self, op):
        kind, number, *args = op
        one = self.inodes.get(number)
        if kind == "new":               # an inode and its first name
            directory, name, mode, target, rdev = args
            self.inodes[number] = Inode(mode, target=target, rdev=rdev)
            self._enter(directory, name, number)
        elif one is None:               # its creation was lost
            return
        elif kind == "link":
            self._enter(args[0], args[1], number)
        elif kind == "rename":
            self._leave(args[0], args[1], number)
            self._enter(args[2], args[3], number)
        elif kind == "exchange":
            self._enter(args[0], args[1], args[4])
            self._enter(args[2], args[3], number)
        elif kind == "unlink":
            self._leave(args[0], args[1], number)
        elif kind == "data":
            at, data = args
            one.data.extend(bytes(max(0, at - len(one.data))))
            one.data[at:at + len(data)] = data
        elif kind == "cut":
            del one.data[args[0]:]
        elif kind == "mode":
            one.mode = stat.S_IFMT(one.mode) | args[0]
        elif kind == "owner":
            one.uid, one.gid = args
        elif kind == "time":
            one.mtime = args[0]
        elif kind == "xattr":
            one.xattrs[args[0]] = args[1]

    def _enter(self, directory, name, number):
        if directory in self.inodes:
            self.inodes[directory].entries[name] = number

    def _leave(self, directory, name, number):
        if directory in self.inodes and self.inodes[directory].entries.get(name) == number:
            del self.inodes[directory].entries[name]


def touches(op):
    """(inode or None, directories): what has to be synced for the operation to be durable."""
    kind, number, *args = op
    if kind in ("new", "link", "unlink"):
        return None, {args[0]}
    if kind in ("rename", "exchange"):  # where it went; a name that stays behind as well is no loss
        return None, {args[2]}
    return number, set()


CALLS = ("openat,open,creat,write,pwrite64,writev,rename,renameat,renameat2,link,linkat,symlink,symlinkat,mkdir,mkdirat,mknod,"
         "mknodat,unlink,unlinkat,rmdir,ftruncate,fchmod,fchmodat,chmod,fchown,fchownat,lchown,chown,fsetxattr,setxattr,lsetxattr,"
         "utimensat,fsync,fdatasync,syncfs,dup,dup2,dup3,fcntl,openat2")
LINE = re.compile(r"^(\d+) +(\w+)\((.*)\) += (-?\d+)(?:<(.*)>)?")
RESUMED = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>(.*)$")
UNFINISHED = re.compile(r"^(\d+) +(\w+\(.*) <unfinished \.\.\.>$")


def unhex(text):
    return bytes.fromhex(text.replace("\\x", "")) if text else b""


def arguments(text):
    """The arguments of a call: strings as bytes, all else as text."""
    found = []
    for quoted, other in re.findall(r'"((?:\\x[0-9a-f]{2})*)"|((?:[^",{\[]|\{[^}]*\}|\[[^\]]*\])+)', text):
        if other.strip(" ,"):
            found.extend(part.strip() for part in re.split(r", ?(?![^{]*\})(?![^\[]*\])", other) if part.strip())
        elif not other:
            found.append(unhex(quoted))
    return found


class Recorder:
    """Turns the lines of strace into operations; the disk follows, so that paths can be looked up."""

    def __init__(self, top, disk):
        self.top = top
        self.disk = disk
        self.ops = []           # operations, and ("sync", inode) / ("sync", None)
        self.files = {}         # descriptor -> [inode, offset]
        self.next = max(disk.inodes) + 1

    def path(self, directory, name):
        """A path relative to the top, or None."""
        name = os.fsdecode(name)
        if not name.startswith("/"):
            base = re.search(r"<(.*)>", directory or "")
            name = os.path.join(os.fsdecode(unhex(base.group(1))) if base else "/", name)
        return name[len(self.top):] if name == self.top or name.startswith(self.top + "/") else None

    def do(self, *op):
        self.ops.append(op)
        self.disk.apply(op)

    def make(self, path, mode, target=None, rdev=0):
        directory, name, _ = self.disk.find(path)
        self.do("new", self.next, directory, name, mode, target, rdev)
        self.next += 1
        return self.next - 1

    def call(self, name, args, result):
        handler = getattr(self, "on_" + name, None)
        if handler:
            handler(args, result)

    def on_openat(self, args, fd):
        self.files.pop(fd, None)
        path = self.path(args[0], args[1])
        if path is None:
            return
        number = self.disk.find(path)[2]
        if number is None:
            number = self.make(path, stat.S_IFREG | (int(args[3], 8) if len(args) > 3 else 0o600))
        elif "O_TRUNC" in args[2]:
            self.do("cut", number, 0)
        self.files[fd] = [number, 0]

    on_openat2 = on_openat

    def fd(self, text):
        return self.files.get(int(re.match(r"\d+", text).group()), (None, 0))

    def on_write(self, args, count):
        number, at = self.fd(args[0])
        if number is not None:
            self.do("data", number, at, args[1][:count])
            self.files[int(re.match(r"\d+", args[0]).group())][1] = at + count

    def on_pwrite64(self, args, count):
        number, _ = self.fd(args[0])
        if number is not None:
            self.do("data", number, int(args[3]), args[1][:count])

    def on_renameat(self, args, _):
        old, new = self.path(args[0], args[1]), self.path(args[2], args[3])
        if old is not None and new is not None:
            directory, name, number = self.disk.find(old)
            self.do("rename", number, directory, name, *self.disk.find(new)[:2])

    def on_renameat2(self, args, _):
        if "RENAME_EXCHANGE" not in args[4]:
            self.on_renameat(args, _)
            return
        old, new = self.path(args[0], args[1]), self.path(args[2], args[3])
        if old is not None and new is not None:
            directory, name, number = self.disk.find(old)
            self.do("exchange", number, directory, name, *self.disk.find(new))

    def on_rename(self, args, _):
        self.on_renameat([None, args[0], None, args[1]], _)

    def on_linkat(self, args, _):
        old, new = self.path(args[0], args[1]), self.path(args[2], args[3])
        if old is not None and new is not None:
            self.do("link", self.disk.find(old)[2], *self.disk.find(new)[:2])

    def on_link(self, args, _):
        self.on_linkat([None, args[0], None, args[1]], _)

    def on_symlinkat(self, args, _):
        path = self.path(args[1], args[2])
        if path is not None:
            self.make(path, stat.S_IFLNK | 0o777, target=os.fsdecode(args[0]))

    def on_symlink(self, args, _):
        self.on_symlinkat([args[0], None, args[1]], _)

    def on_mkdirat(self, args, _):
        path = self.path(args[0], args[1])
        if path is not None:
            self.make(path, stat.S_IFDIR | int(args[2], 8))

    def on_mkdir(self, args, _):
        self.on_mkdirat([None, *args], _)

    def on_mknodat(self, args, _):
        path = self.path(args[0], args[1])
        if path is not None:
            kind = {"S_IFCHR": stat.S_IFCHR, "S_IFBLK": stat.S_IFBLK, "S_IFIFO": stat.S_IFIFO}[args[2].split("|")[0]]
            numbers = [int(n, 0) for n in re.findall(r"0x[0-9a-f]+|\d+", " ".join(args[3:]))]
            major, minor = numbers if len(numbers) == 2 else (0, 0)
            bits = args[2].split("|")[1:]
            self.make(path, kind | (int(bits[0], 8) if bits else 0), rdev=os.makedev(major, minor))

    def on_unlinkat(self, args, _):
        path = self.path(args[0], args[1])
        if path is not None:
            directory, name, number = self.disk.find(path)
            self.do("unlink", number, directory, name)

    def on_unlink(self, args, _):
        self.on_unlinkat([None, *args], _)

    on_rmdir = on_unlink

    def on_ftruncate(self, args, _):
        number, _ = self.fd(args[0])
        if number is not None:
            self.do("cut", number, int(args[1]))

    def on_fchmod(self, args, _):
        number, _ = self.fd(args[0])
        if number is not None:
            self.do("mode", number, int(args[1], 8))

    def on_fchown(self, args, _):
        number, _ = self.fd(args[0])
        if number is not None:
            self.do("owner", number, int(args[1]), int(args[2]))

    def on_fchmodat(self, args, _):
        path = self.path(args[0], args[1])
        if path is not None:
            self.do("mode", self.disk.find(path)[2], int(args[2], 8))

    def on_fchownat(self, args, _):
        path = self.path(args[0], args[1])
        if path is not None:
            self.do("owner", self.disk.find(path)[2], int(args[2]), int(args[3]))

    def on_fsetxattr(self, args, _):
        number, _ = self.fd(args[0])
        if number is not None:
            self.do("xattr", number, os.fsdecode(args[1]), args[2])

    def on_utimensat(self, args, _):
        seconds = re.findall(r"tv_sec=(\d+)[^,}]*, tv_nsec=(\d+)", " ".join(str(a) for a in args))
        if isinstance(args[1], bytes):
            path = self.path(args[0], args[1])
            number = self.disk.find(path)[2] if path is not None else None
        else:
            number, _ = self.fd(args[0])
        if number is not None and len(seconds) == 2:
            self.do("time", number, int(seconds[1][0]) * 10**9 + int(seconds[1][1]))

    def on_fsync(self, args, _):
        number, _ = self.fd(args[0])
        if number is not None:
            self.ops.append(("sync", number))

    on_fdatasync = on_fsync

    def on_syncfs(self, args, _):
        if self.fd(args[0])[0] is not None:
            self.ops.append(("sync", None))


def record(command, top, log, **options):
    """What the command changed below top: (the disk before, operations)."""
    before = Disk.load(top)
    subprocess.run(["strace", "-f", "-y", "-xx", "-s", "100000000", "-e", "trace=" + CALLS, "-o", log, *command], check=True, **options)
    recorder = Recorder(top, before.copy())
    waiting = {}
    with open(log, encoding="latin-1") as f:
        for line in f:
            line = line.rstrip("\n")
            unfinished, resumed = UNFINISHED.match(line), RESUMED.match(line)
            if unfinished:
                waiting[unfinished.group(1)] = unfinished.group(2)
                continue
            if resumed:
                line = f"{resumed.group(1)} {waiting.pop(resumed.group(1))}{resumed.group(3)}"
            found = LINE.match(line)
            if found and int(found.group(4)) >= 0:
                recorder.call(found.group(2), arguments(found.group(3)), int(found.group(4)))
    return before, recorder.ops, recorder.disk


def durable(ops, end):
    """(those that a power loss after ops[:end] cannot take, those it can), as indices without the syncs."""
    safe = set()
    for k in range(end):
        if ops[k][0] != "sync":
            continue
        for i in range(k):
            if ops[i][0] == "sync" or i in safe:
                continue
            inode, directories = touches(ops[i])
            if ops[k][1] in (None, inode) or ops[k][1] in directories:
                safe.add(i)
    changes = [i for i in range(end) if ops[i][0] != "sync"]
    return [i for i in changes if i in safe], [i for i in changes if i not in safe]
