# SPDX-License-Identifier: Apache-2.0
"""cimage and crid-worker against hostile_registry.py: no password leaves, no wrong byte stays, little memory, errors that name who and why."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

import hostile_registry
import test_worker
from hostile_registry import PASSWORD, USER, sha256
from test_worker import BUILD

CIMAGE = os.path.join(BUILD, "tools/cimage/cimage")
RSS_MAX = 64 << 10 if "ASAN_OPTIONS" not in os.environ else 1 << 30      # KiB
# A small parent: what the process that forks has, counts as its child's.
MEASURE = ("import os, subprocess, sys, resource\n"
           "status = subprocess.call(sys.argv[2:], pass_fds=(3,) if sys.argv[1] == '3' else (), stdin=subprocess.DEVNULL)\n"
           "print('rss', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)\nsys.exit(status)")


class Result:
    def __init__(self, good, text, rss, place, left):
        self.good, self.text, self.rss, self.place, self.left = good, text, rss, place, left


class Hostile(test_worker.WorkerCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if not os.path.exists(CIMAGE):
            raise unittest.SkipTest(f"{CIMAGE} is not built")
        cls.top = tempfile.mkdtemp(prefix="crid-hostile-")
        cls.addClassCleanup(shutil.rmtree, cls.top, ignore_errors=True)
        tls = None
        if shutil.which("openssl"):
            tls = (f"{cls.top}/crt", f"{cls.top}/key")
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                            "-subj", "/CN=elsewhere", "-out", tls[0], "-keyout", tls[1]], check=True, capture_output=True)
        cls.hostile = hostile_registry.Hostile(tls)
        cls.addClassCleanup(cls.hostile.stop)

    def setUp(self):
        super().setUp()
        self.insecure(*self.hostile.hosts())
        self.addCleanup(lambda: self.assertEqual(self.hostile.told(), []))

    # ---- the two clients ----

    def cimage(self, name, to="dir", *options):
        """Copies into a directory of its own; what is left there when it failed."""
        where = tempfile.mkdtemp(dir=self.base)
        done = subprocess.run(
            [sys.executable, "-S", "-c", MEASURE, "", CIMAGE, "--insecure-policy", "-q", "--registries-conf", self.path("registries.conf"),
             "copy", "--src-creds", f"{USER}:{PASSWORD}", *options, f"docker://{self.hostile.place(name)}", f"{to}:{where}/out"],
            check=False, capture_output=True, text=True, errors="replace", timeout=60, env=dict(os.environ, TMPDIR=where))
        text, _, rss = done.stderr.rpartition("rss ")
        return Result(done.returncode == 0, text, int(rss), where + "/out", os.listdir(where))

    def worker(self, name):
        root = tempfile.mkdtemp(dir=self.base)
        worker = MeasuredWorker(self.job(self.hostile.place(name), username=USER, password=PASSWORD,
                                         graph_root=root + "/root", run_root=root + "/run"))
        last = worker.end() or {}
        left = [x for d in ("overlay/tempdirs", "overlay-layers/tmp", "overlay-images") if os.path.isdir(f"{root}/root/{d}")
                for x in os.listdir(f"{root}/root/{d}") if not x.endswith(".lock")]
        if os.path.isdir(root + "/root/overlay"):
            left += [d for d in os.listdir(root + "/root/overlay") if len(d) == 64]
        return Result("result" in last, last.get("error", {}).get("message", worker.stderr), worker.rss, root + "/root", left)

    def both(self, name):
        with ThreadPoolExecutor(2) as pool:
            ours = [pool.submit(self.cimage, name), pool.submit(self.worker, name)]
            return [f.result() for f in ours]

    def check_good(self, name):
        picture = self.hostile.pictures.get(name, self.hostile.good)
        copy, pulled = self.both(name)
        for r in (copy, pulled):
            self.assertEqual((r.good, r.text.strip()), (True, ""), name)
            self.assertLess(r.rss, RSS_MAX, name)
        for blob in (picture.layer, picture.config):
            with open(f"{copy.place}/{sha256(blob)[7:]}", "rb") as f:
                self.assertEqual(sha256(f.read()), sha256(blob))
        [layer] = [d for d in os.listdir(pulled.place + "/overlay") if len(d) == 64]
        return f"{pulled.place}/overlay/{layer}/diff"

    def check_bad(self, name, *words, clients=None):
        """words: in both messages, which also name the registry."""
        for r in clients or self.both(name):
            self.assertFalse(r.good, name)
            self.assertLess(r.rss, RSS_MAX, name)
            self.assertEqual(r.left, [], name)
            for word in (self.hostile.place(name).partition(":1")[0].partition("/")[0], *words):
                self.assertIn(word, r.text, name)
            self.assertNotIn(PASSWORD, r.text)
            self.assertTrue(all(c == "\n" or c.isprintable() for c in r.text), repr(r.text))

    def all_bad(self, names, *words):
        with ThreadPoolExecutor(4) as pool:
            for name, clients in zip(names, pool.map(self.both, names)):
                with self.subTest(name):
                    self.check_bad(name, *words, clients=clients)

    def all_good(self, names):
        with ThreadPoolExecutor(4) as pool:
            for _ in pool.map(self.check_good, names):
                pass

    def named(self, *starts):
        return [n for n in (*self.hostile.faults, *self.hostile.pings) if n.startswith(starts)]

    # ---- passwords ----

    def test_credentials_do_not_follow_redirects(self):
        names = [n for n in self.named("lead-") if n not in ("lead-ask", "lead-upload")]
        self.all_good(names)
        self.assertTrue(any("/give/x/layer" in p for _, p, _ in self.hostile.elsewhere.seen))
        self.assertTrue(any(h.get("Host") == self.hostile.alias for _, _, h in self.hostile.registry.seen))
        if self.hostile.encrypted:
            self.assertTrue(self.hostile.encrypted.seen)

    def test_who_asks_behind_a_redirect_gets_nothing(self):
        self.check_bad("lead-ask", "401")

    def test_uploads_that_go_on_elsewhere_have_no_credentials(self):
        good = self.cimage("any")
        name = f"docker://{self.hostile.place('lead-upload')}"
        subprocess.run([CIMAGE, "--insecure-policy", "-q", "--registries-conf", self.path("registries.conf"), "copy", "--dest-creds",
                        f"{USER}:{PASSWORD}", f"dir:{good.place}", name], check=True, timeout=60)
        self.assertTrue(any(m in ("PUT", "PATCH") for m, p, _ in self.hostile.elsewhere.seen if p.startswith("/take/")))

    def test_urls_of_foreign_layers_are_not_followed(self):
        self.check_good("foreign")
        self.assertFalse(any("/give/foreign" in p for _, p, _ in self.hostile.elsewhere.seen))

    def test_malformed_challenges(self):
        names = self.named("challenge-")
        with ThreadPoolExecutor(4) as pool:
            for name, r in zip(names, pool.map(self.cimage, names)):
                with self.subTest(name):
                    if not r.good:      # some can be overlooked, since a later one is well formed
                        self.check_bad(name, clients=[r])

    # ---- content ----

    def test_content_that_is_not_what_its_digest_says(self):
        self.all_bad(self.named("digest-config", "digest-layer", "longer-", "endless-config", "endless-layer"), "sha256:")
        self.all_bad(self.named("shorter-", "size-"))

    def test_answers_without_end(self):
        self.all_bad(["endless-manifest", "manifest-100m"], "larger than 4194304 bytes")
        self.all_bad(["endless-headers"], "headers")
        self.all_bad(["endless-error"])

    def test_manifests_that_could_be_two_things(self):
        self.all_bad(self.named("dual-"), "manifest")

    def test_digests_that_are_paths(self):
        names = self.named("path-")
        with ThreadPoolExecutor(4) as pool:
            for name, copy in zip(names, pool.map(self.cimage, names)):
                with self.subTest(name):
                    self.check_bad(name, "digest", clients=[copy])
        self.all_bad(["path-layer-0", "path-config-1", "path-index-10"], "digest")
        self.assertFalse([p for _, p, _ in self.hostile.registry.seen if ".." in p or "passwd" in p or "%2f" in p.lower()])

    def test_bombs(self):
        self.check_bad("bomb-file", "500 times", clients=[self.cimage("bomb-file", "dir", "--dest-compress-format", "zstd")])
        self.check_bad("bomb-behind", clients=[self.worker("bomb-behind")])

    def test_labels_that_are_no_text(self):
        """As skopeo, and so CRI-O, has it."""
        for name, good in (("label-ff", True), ("label-escape", True), ("label-half", True), ("label-00", False)):
            with self.subTest(name):
                if good:
                    self.check_good(name)
                else:
                    self.check_bad(name, "config", clients=[self.worker(name)])
                if shutil.which("skopeo"):
                    status = subprocess.call(["skopeo", "inspect", "--config", "--tls-verify=false", "--creds", f"{USER}:{PASSWORD}",
                                              f"docker://{self.hostile.place(name)}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                    self.assertEqual(status == 0, good)

    # ---- broken, slow, busy ----

    def test_what_breaks_off_goes_on(self):
        before = len(self.hostile.registry.seen)
        self.all_good(self.named("reset-once-", "reset-early-", "reset-large"))
        ranges = [h["Range"] for _, p, h in self.hostile.registry.seen[before:] if "reset-large" in p and "Range" in h]
        size = len(self.hostile.good.layer)
        self.assertEqual(sorted(set(ranges)), [f"bytes={n}-" for n in range((1 << 20) + 7, size, (1 << 20) + 7)])

    def test_what_always_breaks_off_is_an_error(self):
        self.all_bad(["reset-0", "reset-1", "reset-1000"], "blobs/sha256:")

    def test_a_drip_is_no_progress(self):
        start = time.monotonic()
        where = tempfile.mkdtemp(dir=self.base)
        done = subprocess.run([CIMAGE, "--insecure-policy", "-q", "--stall-timeout", "1", "--registries-conf", self.path("registries.conf"), "copy",
                               "--src-creds", f"{USER}:{PASSWORD}", f"docker://{self.hostile.place('drip')}", f"dir:{where}/out"],
                              check=False, capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, os.listdir(where)), (1, []))
        self.assertIn("too slow", done.stderr)
        self.assertLess(time.monotonic() - start, 20)

    def test_busy_registries_are_asked_again(self):
        self.all_good([n for n in self.named("busy-") if n != "busy-always"])

    def test_always_busy_is_an_error(self):
        self.check_bad("busy-always", "503", "come back later", "/manifests/1")
        self.check_bad("refused-layer", "403", "come back later", "/blobs/sha256:")


class MeasuredWorker(test_worker.Worker):
    PROGRAM = [sys.executable, "-S", "-c", MEASURE, "3", test_worker.WORKER]

    def end(self):
        last = super().end()
        self.stderr, _, rss = self.stderr.rpartition("rss ")
        self.rss = int(rss)
        return last


if __name__ == "__main__":
    unittest.main()
