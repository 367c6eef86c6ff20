# SPDX-License-Identifier: Apache-2.0
"""crid-ctl as a person uses it: the road by its commands, tables, JSON, exit statuses."""

import json
import os
import signal
import subprocess

from crid_harness import BUILD, NodeCase
from crid_node import wait_for

CTL = os.path.join(BUILD, "tools/crid-ctl")


class CridCtl(NodeCase):
    def start(self, *arguments):
        return subprocess.Popen([CTL, "-e", self.node.socket, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, start_new_session=True)

    def ctl(self, *arguments, status=0):
        """What it printed; .err has the rest."""
        process = self.start(*arguments)
        out, self.err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, status, f"crid-ctl {' '.join(arguments)}\n{out}{self.err}")
        return out

    def rows(self, *arguments):
        """Table as a list of lists, header first; the columns are aligned."""
        lines = self.ctl(*arguments).splitlines()
        columns = [lines[0].index(name) for name in lines[0].split("  ") if name.strip()]
        for line in lines[1:]:
            for column in columns[1:]:
                self.assertEqual(line[column - 1:column], " ", lines)
        return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines]

    def remember(self):
        self.cri.ids.update(self.node.ids())

    def test_version_and_info(self):
        self.assertIn("v1", self.ctl("version"))
        self.assertEqual(json.loads(self.ctl("version", "--json"))["runtimeApiVersion"], "v1")
        self.assertIn("NetworkReady", self.ctl("info"))

    def test_images(self):
        image = self.ctl("pull", self.busybox).strip().splitlines()[-1]
        header, *rows = self.rows("images")
        self.assertEqual(header[0], "IMAGE")
        self.assertTrue(any(r[0].startswith(self.registry.host) for r in rows), rows)
        listed = json.loads(self.ctl("images", "--json"))["images"]
        self.assertIn(image, [i["id"] for i in listed])
        self.assertIn(image, self.ctl("images", "-q").split())
        self.ctl("rmi", self.busybox)
        self.assertNotIn(self.busybox, self.ctl("images", "--json"))
        self.ctl("rmi", self.busybox, status=1)
        self.assertIn(self.busybox, self.err)

    def test_run_gives_output_and_exit_status(self):
        out = self.ctl("run", self.busybox, "sh", "-c", "echo to stdout; echo to stderr >&2; exit 7", status=7)
        self.assertIn("to stdout\n", out)
        self.assertIn("to stderr\n", self.err)
        self.assertEqual(self.ctl("pods", "-q"), "", "the pod is gone after run")
        self.assertEqual(self.ctl("run", self.busybox, "true"), "")

    def test_run_of_a_killed_container(self):
        self.ctl("run", self.busybox, "sh", "-c", "sh -c 'kill -9 $$'; exit $?", status=137)

    def test_run_that_cannot_run(self):
        self.ctl("run", self.busybox, "/no/such/program", status=125)
        self.assertIn("/no/such/program", self.err)
        self.ctl("run", f"{self.registry.host}/none:1", "true", status=125)
        self.assertIn("none", self.err)
        self.assertEqual(self.ctl("pods", "-q"), "")

    def test_run_tells_how_long_each_step_took(self):
        out = self.ctl("run", "--timings", self.busybox, "echo", "x") + self.err
        for step in ("pull", "pod", "create", "start"):
            self.assertIn(step, out.lower())
        self.assertRegex(out, r"\b10\.\d+\.\d+\.\d+\b", "the pod's address")

    def test_interrupted_run_leaves_nothing(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(signal=number):
                process = self.start("run", self.busybox, "sh", "-c", "trap 'exit 1' TERM; echo ready; while :; do sleep 0.05; done")
                try:
                    self.assertEqual(process.stdout.readline(), "ready\n")
                    self.remember()
                    os.kill(process.pid, number)
                    process.communicate(timeout=30)
                finally:
                    process.kill()
                self.assertNotEqual(process.returncode, 0)
                self.assertEqual(self.ctl("pods", "-q"), "")

    def test_a_pod_that_goes_on(self):
        self.pull(self.busybox)
        pod, config = self.run_pod(self.pod_config("web"))
        container = self.start_container(pod, config, ["sh", "-c", "echo one; echo two >&2; exec sleep 1000"])
        header, row = self.rows("pods")
        self.assertEqual((header[0], row[0], row[2:4]), ("POD ID", pod[:13], ["Ready", "web"]))
        header, row = self.rows("ps")
        self.assertEqual((row[0], row[1], row[3]), (container[:13], self.busybox, "Running"))
        self.assertEqual([p["id"] for p in json.loads(self.ctl("pods", "--json"))["items"]], [pod])
        self.assertEqual(self.ctl("exec", container[:8], "sh", "-c", "echo in; exit 3", status=3), "in\n")
        self.ctl("exec", "--timeout", "1", container, "sleep", "50", status=124)
        wait_for(lambda: self.ctl("logs", "web") == "one\n", 5, "the log has its line")
        self.assertEqual(self.err, "two\n")
        follower = self.start("logs", "-f", container)
        self.assertEqual(follower.stdout.readline(), "one\n")
        self.ctl("stop", "-t", "1", container)
        self.assertEqual(follower.wait(10), 0, "logs -f ends with the container")
        follower.communicate()
        self.assertEqual(len(self.rows("ps")), 1)
        self.assertEqual(len(self.rows("ps", "-a")), 2)
        self.ctl("rm", container)
        self.ctl("stop", "web")
        self.assertEqual(json.loads(self.ctl("pods", "--json"))["items"][0]["state"], "SANDBOX_NOTREADY")
        self.ctl("rm", "web")
        self.assertEqual(self.ctl("pods", "-q"), "")
        self.ctl("rm", "web", status=1)

    def test_rm_all(self):
        self.pull(self.busybox)
        for n in range(3):
            pod, config = self.run_pod(self.pod_config(f"p{n}"))
            self.start_container(pod, config, ["sleep", "1000"])
        self.ctl("rm", "--all", "--force", "--time", "0")
        self.assertEqual(self.ctl("pods", "-q"), "")

    def test_wrong_use(self):
        for arguments in (["no-such"], ["run"], ["rm"], ["exec", "x"], ["--no-such", "ps"], ["ps", "extra"]):
            with self.subTest(arguments=arguments):
                self.ctl(*arguments, status=2)
                self.assertTrue(self.err)
        self.assertIn("Commands", self.ctl("--help"))

    def test_no_server(self):
        done = subprocess.run([CTL, "-e", self.node.path("nobody.sock"), "ps"], capture_output=True, text=True, timeout=20, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("nobody.sock", done.stderr)
