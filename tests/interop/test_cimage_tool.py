# SPDX-License-Identifier: Apache-2.0
"""The program cimage for people: bars on a terminal, being interrupted, deleting."""

import json
import os
import pty
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest

from test_cimage_copy import CIMAGE, Layout, registries, tar_of


class Tool(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not os.path.exists(CIMAGE):
            raise unittest.SkipTest(f"{CIMAGE} is not built")
        cls.top = tempfile.mkdtemp(prefix="cimage-tool-")
        cls.addClassCleanup(shutil.rmtree, cls.top, ignore_errors=True)
        layout = Layout(f"{cls.top}/layout")
        cls.layers = [tar_of({"a": os.urandom(300000)}), tar_of({"b": b"y" * 100000})]
        layout.name(layout.image(cls.layers), "one")
        cls.one = f"oci:{layout.where}:one"

    def setUp(self):
        self.dir = tempfile.mkdtemp(dir=self.top)

    def run_program(self, *arguments):
        return subprocess.run([CIMAGE, "--insecure-policy", *arguments], check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=60, env=dict(os.environ, TMPDIR=self.dir))

    def test_bars_on_a_terminal_and_nowhere_else(self):
        done = self.run_program("copy", self.one, f"dir:{self.dir}/x")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("\x1b", done.stdout + done.stderr)
        ours, theirs = pty.openpty()
        process = subprocess.Popen([CIMAGE, "--insecure-policy", "copy", self.one, f"dir:{self.dir}/y"], stdin=theirs, stdout=theirs, stderr=theirs,
                                   env=dict(os.environ, TERM="xterm", TMPDIR=self.dir))
        os.close(theirs)
        shown = b""
        while True:
            try:
                data = os.read(ours, 4096)
            except OSError:         # the terminal's other end is closed
                break
            if not data:
                break
            shown += data
        os.close(ours)
        self.assertEqual(process.wait(60), 0, shown)
        text = shown.decode()
        with open(f"{self.dir}/y/manifest.json", "rb") as f:
            for layer in json.load(f)["layers"]:
                self.assertIn(layer["digest"][7:15], text)
        self.assertRegex(text, r"100 ?%|done|[█=#]{4}")

    def test_an_interrupted_copy_leaves_nothing(self):
        reached = threading.Event()

        def stall(request):
            request.send_response(200)
            request.send_header("Content-Length", str(len(fake.layer)))
            request.end_headers()
            request.wfile.write(fake.layer[:1000])
            request.wfile.flush()
            reached.set()
            time.sleep(10)
            return True

        fake = registries.Fake(os.urandom(200000))
        self.addCleanup(fake.stop)
        fake.faults["layer"] = stall
        for to in (f"dir:{self.dir}/x", f"oci-archive:{self.dir}/y.tar:n", f"docker-archive:{self.dir}/z.tar:n:1"):
            with self.subTest(to):
                reached.clear()
                process = subprocess.Popen([CIMAGE, "--insecure-policy", "copy", "--tls-verify", "false", f"docker://{fake.name}", to],
                                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ, TMPDIR=self.dir))
                self.assertTrue(reached.wait(30))
                began = time.monotonic()
                process.send_signal(signal.SIGINT)
                _, said = process.communicate(timeout=30)
                self.assertNotEqual(process.returncode, 0)
                self.assertRegex(said, "cancelled|interrupted")
                self.assertLess(time.monotonic() - began, 5)
                self.assertEqual(os.listdir(self.dir), [])

    def test_delete(self):
        done = self.run_program("copy", self.one, f"oci:{self.dir}/o:a")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.run_program("copy", "--dest-compress-format", "zstd", self.one, f"oci:{self.dir}/o:b").returncode, 0)
        blobs = set(os.listdir(f"{self.dir}/o/blobs/sha256"))
        self.assertEqual(self.run_program("delete", f"oci:{self.dir}/o:b").returncode, 0)
        self.assertLess(set(os.listdir(f"{self.dir}/o/blobs/sha256")), blobs)      # what a needs is still there
        self.assertEqual(self.run_program("copy", f"oci:{self.dir}/o:a", f"dir:{self.dir}/d").returncode, 0)
        done = self.run_program("delete", f"oci:{self.dir}/o:b")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, "no image|there is no|not")
        if shutil.which("docker-registry"):
            where = f"{self.dir}/registry"
            registry = registries.Registry(where, f"{where}/data")
            registry.auth = "  delete:\n    enabled: true\n"       # of storage: the line before
            registry.start()
            self.addCleanup(registry.stop)
            place = f"docker://{registry.host}/x:1"
            self.assertEqual(self.run_program("copy", "--tls-verify", "false", self.one, place).returncode, 0)
            self.assertEqual(self.run_program("inspect", "--tls-verify", "false", place).returncode, 0)
            done = self.run_program("delete", "--tls-verify", "false", place)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(self.run_program("inspect", "--tls-verify", "false", place).returncode, 1)


if __name__ == "__main__":
    unittest.main()
