# SPDX-License-Identifier: Apache-2.0
"""The store under faults: killed at each step, power lost, calls that fail, many programs at once.

storeop does one operation on a store, through libcstorage. After each fault the store is opened again and held to the
format's invariants, by the library's own check and by code here that only knows the format; what exists is what
existed before or what was asked for; the operation, done again, works; and nothing is left that no record knows.

CRID_STORE_STEPS: kill points of each operation (0: all). CRID_STORE_POINTS: of a real layer. CRID_STORE_LOSSES: states
after power losses. CRID_STORE_FAILURES: failing calls of each kind (0: all). CRID_STORE_SECONDS: of the stress.
CRID_FAULT_SEED: which are chosen. The long form: STEPS=0 POINTS=500 LOSSES=5000 FAILURES=0 SECONDS=180.
"""

import hashlib
import io
import itertools
import json
import os
import random
import re
import shutil
import subprocess
import tarfile
import tempfile
import unittest

from store_model import durable, record

BUILD = os.environ.get("CRID_BUILD", "build")
TOOL = os.path.join(BUILD, "tests/fault/storeop")
STEPKILL = os.path.join(BUILD, "tests/fault/stepkill")
FAILNTH = os.path.join(BUILD, "tests/fault/failnth.so")
STEPS = int(os.environ.get("CRID_STORE_STEPS", "14"))
POINTS = int(os.environ.get("CRID_STORE_POINTS", "8"))
LOSSES = int(os.environ.get("CRID_STORE_LOSSES", "150"))
FAILURES = int(os.environ.get("CRID_STORE_FAILURES", "7"))
SECONDS = float(os.environ.get("CRID_STORE_SECONDS", "5"))
SEED = int(os.environ.get("CRID_FAULT_SEED", "1"))
NEW, OLD = "c" * 63 + "1", "c" * 63 + "2"
SANITIZED = b"libasan" in subprocess.run(["ldd", TOOL], capture_output=True, check=False).stdout
ENVIRONMENT = dict(os.environ, CSTORE_MODULE_DIR=os.path.join(os.path.abspath(BUILD), "libcstorage/apply"))


def choose(count, wanted, salt=""):
    """Numbers of 1..count: all, or one of each of so many parts of equal size."""
    rng = random.Random(f"{SEED}-{salt}-{count}")
    if not 0 < wanted < count:
        return list(range(1, count + 1))
    return sorted({1 + int((i + rng.random()) * count / wanted) for i in range(wanted)})


def write_layer(path, prefix, count):
    with tarfile.open(path, "w:gz") as tar:
        for i in range(count):
            member = tarfile.TarInfo(f"dir{i % 3}/{prefix}{i}")
            data = f"{prefix}{i} ".encode() * (37 * i % 200)
            member.size, member.mtime, member.uid = len(data), 1000 + i, i % 2
            tar.addfile(member, io.BytesIO(data))
        for name, kind, target in (("link", tarfile.SYMTYPE, "dir0"), ("hard", tarfile.LNKTYPE, f"dir1/{prefix}1"),
                                   ("pipe", tarfile.FIFOTYPE, ""), ("null", tarfile.CHRTYPE, ""),
                                   ("opaque/.wh..wh..opq", tarfile.REGTYPE, ""), ("dir2/.wh.gone", tarfile.REGTYPE, "")):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            tar.addfile(member)


def real_layer(path, limit=1500):
    """Files of this machine, as many as that."""
    count = 0
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        for top, dirs, files in os.walk("/usr/lib/python3"):
            dirs.sort()
            for name in sorted(files):
                tar.add(os.path.join(top, name), recursive=False)
                count += 1
                if count == limit:
                    return


class Store:
    def __init__(self, base):
        self.base = base
        self.graph, self.run_root = os.path.join(base, "G"), os.path.join(base, "R")

    def copy(self, base):
        subprocess.run(["cp", "-a", self.base, base], check=True)
        return Store(base)

    def command(self, name, *args):
        return [TOOL, name, self.graph, self.run_root, *args]

    def run(self, name, *args, **options):
        return subprocess.run(self.command(name, *args), capture_output=True, text=True, env=ENVIRONMENT, check=False, timeout=120,
                              **options)

    def unmount(self):
        """As a reboot does."""
        with open("/proc/self/mountinfo") as f:
            mounts = [line.split()[4] for line in f if f" {self.base}/" in line]
        for mount in reversed(mounts):
            subprocess.run(["umount", "-l", mount], check=False)

    def destroy(self):
        self.unmount()
        shutil.rmtree(self.base)

    def json(self, *parts):
        try:
            with open(os.path.join(self.graph, *parts)) as f:
                return json.loads(f.read() or "[]") or []
        except FileNotFoundError:
            return []

    def files(self):
        """All paths, with what is random in them made equal."""
        found = []
        known = {r["id"] for r in self.json("overlay-layers/layers.json") + self.json("overlay-images/images.json")}
        for top, dirs, files in os.walk(self.graph):
            if os.path.basename(top) in ("merged", "work"):     # a mount, and what the kernel keeps of one
                dirs[:], files = [], []
            for name in dirs + files:
                if name == "merged.1":          # about to replace "merged"; the next unmount takes it, or the layer's end
                    continue
                path = os.path.relpath(os.path.join(top, name), self.graph)
                path = re.sub(r"[0-9a-f]{64}", lambda m: m.group() if m.group() in known | {NEW, OLD} else "<id>", path)
                found.append(re.sub(r"\b[A-Z2-7]{26}\b", "<link>", path))
        return sorted(found)


class StoreCase(unittest.TestCase):
    maxDiff = 4000

    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest("needs root: layers have owners and devices")
        cls.base = tempfile.mkdtemp(prefix="crid-store-")
        subprocess.run(["mount", "-t", "tmpfs", "none", cls.base], check=True)
        cls.addClassCleanup(os.rmdir, cls.base)
        cls.addClassCleanup(subprocess.run, ["umount", "-l", cls.base], check=True)
        cls.layers = [os.path.join(cls.base, name) for name in ("one.tgz", "two.tgz", "three.tgz")]
        for layer, prefix, count in zip(cls.layers, "abc", (12, 8, 10)):
            write_layer(layer, prefix, count)
        cls.before = Store(os.path.join(cls.base, "before"))
        os.mkdir(cls.before.base)
        for args in (("apply", "old:1", *cls.layers[:2]), ("create", OLD)):
            done = cls.before.run(*args)
            if done.returncode:
                raise AssertionError(done.stderr)
        cls.before.unmount()
        cls.number = 0
        cls.after = {}

    OPERATIONS = {
        "apply": lambda self: ("apply", "new:1", self.layers[0], self.layers[2]),
        "delete": lambda self: ("delete", "new:1"),
        "create": lambda self: ("create", NEW),
        "remove": lambda self: ("remove", OLD),
    }

    def fresh(self, operation=""):
        """A store to break: for delete it has the image that goes."""
        cls = type(self)
        cls.number += 1
        base = self.before
        if operation == "delete":
            if "full" not in cls.after:
                cls.after["full"] = self.before.copy(os.path.join(self.base, "full"))
                self.good(cls.after["full"], *self.OPERATIONS["apply"](self))
                cls.after["full"].unmount()
            base = cls.after["full"]
        store = base.copy(os.path.join(self.base, str(cls.number)))
        self.addCleanup(lambda: os.path.exists(store.base) and store.destroy())
        return store

    def good(self, store, *args):
        done = store.run(*args)
        self.assertEqual(done.returncode, 0, f"{args}: {done.stdout}{done.stderr}")
        return done.stdout

    # ---- what must hold ----

    def check_format(self, store):
        """Section by section what other programs rely on, without the library."""
        layers = store.json("overlay-layers/layers.json") + store.json("overlay-layers/volatile-layers.json")
        images = store.json("overlay-images/images.json")
        containers = store.json("overlay-containers/containers.json") + store.json("overlay-containers/volatile-containers.json")
        ids = {layer["id"]: layer for layer in layers if not layer.get("flags", {}).get("incomplete")}
        for kind in (layers, images, containers):
            names = [name for one in kind for name in one.get("names", [])]
            self.assertEqual(len(names), len(set(names)), "names are unique")
            self.assertEqual(len(kind), len({one["id"] for one in kind}), "ids are unique")
            for one in kind:
                self.assertRegex(one["id"], r"^[0-9a-f]{64}$")
        for layer in ids.values():
            home = os.path.join(store.graph, "overlay", layer["id"])
            with open(home + "/link") as f:
                link = f.read()
            self.assertEqual(os.readlink(f"{store.graph}/overlay/l/{link}"), f"../{layer['id']}/diff")
            lower = []
            parent = layer.get("parent")
            while parent:
                self.assertIn(parent, ids, "a parent exists")
                with open(os.path.join(store.graph, "overlay", parent, "link")) as f:
                    lower.append("l/" + f.read())
                parent = ids[parent].get("parent")
            if lower:
                with open(home + "/lower") as f:
                    self.assertEqual(f.read(), ":".join(lower))
            if "diff-digest" in layer:
                self.assertTrue(os.path.exists(f"{store.graph}/overlay-layers/{layer['id']}.tar-split.gz"))
        for image in images:
            self.assertIn(image["layer"], ids, "an image's layer exists")
            for key in image.get("big-data-names", []):
                with open(f"{store.graph}/overlay-images/{image['id']}/{key}", "rb") as f:
                    self.assertEqual("sha256:" + hashlib.sha256(f.read()).hexdigest(), image["big-data-digests"][key])
        return {c["id"]: c["layer"] in ids for c in containers}

    def check_sound(self, store, where):
        """Opened again: what is damaged is at most garbage."""
        done = store.run("check")
        self.assertIn(done.returncode, (0, 3), f"{where}: {done.stderr}")
        bad = [line for line in done.stdout.splitlines() if not line.startswith("7 ")]
        # a container's record comes before its layer, which is how it can be removed after a crash
        bad = [line for line in bad if not re.match(r"2 0 container c+[12]: its layer", line)]
        self.assertEqual(bad, [], where)
        try:
            self.check_format(store)
        except (AssertionError, OSError, KeyError, ValueError) as e:
            self.fail(f"{where}: {e!r}")

    def reference(self, operation):
        """(state, files) when it was not interrupted."""
        if operation not in self.after:
            store = self.fresh(operation)
            before = self.good(store, "state")
            self.good(store, *self.OPERATIONS[operation](self))
            self.good(store, "gc")
            type(self).after[operation] = (before, self.good(store, "state"), store.files())
            store.destroy()
        return self.after[operation]

    def recovers(self, store, operation, where):
        """Old or new; again it works; nothing is left over."""
        before, after, files = self.reference(operation)
        self.check_sound(store, where)
        state = self.good(store, "state")
        self.assertIn(state, (before, after), where)
        if operation == "create" and state == after and not self.check_format(store)[NEW]:
            self.good(store, "remove", NEW)
            state = before
        if state == before:
            done = store.run(*self.OPERATIONS[operation](self))
            self.assertEqual(done.returncode, 0, f"{where}, again: {done.stderr}")
        self.assertEqual(self.good(store, "state"), after, where)
        self.good(store, "gc")
        self.assertEqual(self.good(store, "check"), "", where)
        self.assertEqual(store.files(), files, where)
        store.destroy()

    # ---- killed ----

    def killed(self, store, at, args):
        log = os.path.join(store.base, "log")
        subprocess.run([STEPKILL, str(at), log, "--", *store.command(*args)], env=ENVIRONMENT, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, check=False, timeout=120)
        with open(log, errors="replace") as f:
            return f.read().splitlines()

    def kill_everywhere(self, operation):
        args = self.OPERATIONS[operation](self)
        steps = self.killed(self.fresh(operation), 0, args)
        self.assertGreater(len(steps), 10)
        chosen = choose(len(steps), STEPS, operation)
        print(f"{operation}: {len(steps)} steps, killed at {len(chosen)}", flush=True)
        for at in chosen:
            store = self.fresh(operation)
            seen = self.killed(store, at, args)
            self.recovers(store, operation, f"{operation} killed at step {at}, {seen[-1] if seen else '-'}")

    def test_apply_killed_at_a_step(self):
        self.kill_everywhere("apply")

    def test_delete_killed_at_a_step(self):
        self.kill_everywhere("delete")

    def test_create_killed_at_a_step(self):
        self.kill_everywhere("create")

    def test_remove_killed_at_a_step(self):
        self.kill_everywhere("remove")

    def test_apply_of_a_real_layer_killed_at_random(self):
        layer = os.path.join(self.base, "real.tgz")
        real_layer(layer)
        args = ("apply", "real:1", layer)
        store = self.fresh()
        steps = len(self.killed(store, 0, args))
        self.assertEqual(self.good(store, "check"), "")
        after = self.good(store, "state")
        store.destroy()
        chosen = choose(steps, POINTS, "real")
        print(f"real layer: {steps} steps, killed at {len(chosen)}", flush=True)
        for n, at in enumerate(chosen):
            store = self.fresh()
            before = self.good(store, "state")
            self.killed(store, at, args)
            self.check_sound(store, f"step {at}")
            state = self.good(store, "state")
            self.assertIn(state, (before, after))
            if n % 20 == 0:
                self.good(store, *args)
                self.assertEqual(self.good(store, "state"), after)
            self.good(store, "gc")
            self.assertEqual(self.good(store, "check"), "", f"step {at}")
            store.destroy()

    # ---- power lost ----

    def losses(self, ops):
        """(index of the moment, operations that reached the disk): every moment with all, and with up to three lost or kept."""
        for end in range(len(ops) + 1):
            safe, rest = durable(ops, end)
            yield end, safe + rest
            yield end, safe
        rng = random.Random(SEED)
        moments = list(range(1, len(ops) + 1))
        for end in itertools.cycle(moments):
            safe, rest = durable(ops, end)
            # the last ones matter most: what is older was mostly built aside
            recent = rest[-12:] if rng.random() < 0.7 else rest
            some = set(rng.sample(recent, min(len(recent), rng.randint(1, 3))))
            yield end, safe + [i for i in rest if (i in some) == (rng.random() < 0.5)] if rng.random() < 0.2 else \
                safe + ([i for i in rest if i not in some] if rng.random() < 0.6 else [i for i in rest if i in some])

    def lose_power(self, operation):
        before, after, _ = self.reference(operation)
        store = self.fresh(operation)
        disk, ops, _ = record(store.command(*self.OPERATIONS[operation](self)), store.graph, os.path.join(store.base, "log"),
                              env=ENVIRONMENT, stdout=subprocess.DEVNULL)
        self.assertEqual(self.good(store, "check"), "")
        store.destroy()
        done, seen = 0, set()
        for tries, (end, kept) in enumerate(self.losses(ops)):
            kept = tuple(sorted(kept))
            if done == LOSSES or tries == 20 * LOSSES:
                break
            if kept in seen or (tries <= 2 * len(ops) and LOSSES < 1000 and tries % 5 and ops[min(end, len(ops) - 1)][0] != "sync"):
                continue        # the short form takes moments around syncs, and each fifth
            seen.add(kept)
            done += 1
            store = Store(os.path.join(self.base, f"loss-{done}"))
            os.mkdir(store.base)
            left = disk.copy()
            for i in kept:
                left.apply(ops[i])
            left.write(store.graph)
            lost = [ops[i][:4] for i in range(end) if ops[i][0] != "sync" and i not in set(kept)]
            where = f"{operation}: power lost after {end} of {len(ops)} operations, not on disk: {lost[-6:]}"
            self.check_sound(store, where)
            self.assertIn(self.good(store, "state"), (before, after), where)
            if done % 10 == 0:
                self.good(store, "gc")
                self.assertEqual(self.good(store, "check"), "", where)
            store.destroy()
        print(f"{operation}: {len(ops)} operations, {done} states after a power loss", flush=True)

    def test_power_lost_while_applying(self):
        self.lose_power("apply")

    def test_power_lost_while_deleting(self):
        self.lose_power("delete")

    # ---- calls that fail ----

    def failing(self, call, operation):
        args = self.OPERATIONS[operation](self)
        before, after, _ = self.reference(operation)
        store = self.fresh(operation)
        log = os.path.join(self.base, "failures")
        environment = dict(ENVIRONMENT, LD_PRELOAD=FAILNTH, FAIL_CALL=call, FAIL_AT="0", FAIL_LOG=log)
        subprocess.run(store.command(*args), env=environment, check=True, capture_output=True)
        store.destroy()
        with open(log) as f:
            count = int(f.read())
        for at in choose(count, FAILURES, call + operation) if count else []:
            store = self.fresh(operation)
            where = f"{operation}: {call} {at} of {count} fails"
            environment["FAIL_AT"] = str(at)
            done = subprocess.run(store.command(*args), env=environment, check=False, capture_output=True, text=True, timeout=120)
            # libarchive ends the program, whatever its other threads do, when a string of its own cannot grow
            ended = "Fatal Internal Error in libarchive" in done.stderr
            self.assertTrue(ended or done.returncode in (0, 1), f"{where}: {done.returncode} {done.stderr}")
            if done.returncode and not ended:
                self.assertRegex(done.stderr, r"storeop: .*\(-?\d+\)", where)
            elif not done.returncode:
                self.assertEqual(self.good(store, "state"), after, where)
            self.check_sound(store, where)
            self.assertIn(self.good(store, "state"), (before, after), where)
            self.recovers(store, operation, where)
        return count

    def failing_everywhere(self, call):
        if SANITIZED:
            self.skipTest("the sanitizer has an allocator of its own")
        counts = {operation: self.failing(call, operation) for operation in self.OPERATIONS}
        print(f"{call}: calls in each operation: {counts}", flush=True)
        self.assertGreater(sum(counts.values()), 0)

    def test_malloc_fails(self):
        self.failing_everywhere("malloc")

    def test_write_fails(self):
        self.failing_everywhere("write")

    def test_fsync_fails(self):
        self.failing_everywhere("fsync")

    def test_rename_fails(self):
        self.failing_everywhere("rename")

    def test_mount_fails(self):
        self.failing_everywhere("mount")

    # ---- many at once ----

    def test_eight_programs_at_once(self):
        store = self.fresh()
        running = [subprocess.Popen(store.command("stress", str(SECONDS), str(SEED * 100 + n)), env=ENVIRONMENT, text=True,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE) for n in range(8)]
        left, steps = [], 0
        for one in running:
            out, err = one.communicate(timeout=SECONDS + 60)
            self.assertEqual(one.returncode, 0, err)
            lines = out.splitlines()
            steps += int(lines[0].split()[1])
            left += [line.split()[0] for line in lines[1:]]
        self.check_sound(store, "stress")
        known = self.check_format(store)
        self.assertEqual(sorted(known), sorted(left + [OLD]), "every record that was made, and none that was removed")
        for container in left:
            self.good(store, "remove", container)
        self.good(store, "gc")
        self.assertEqual(self.good(store, "check"), "")
        print(f"stress: {steps} operations in {SECONDS} s", flush=True)
        self.assertGreater(steps, 50)


if __name__ == "__main__":
    unittest.main()
