# SPDX-License-Identifier: Apache-2.0
"""The daemon's command line and crio.conf: what it prints, warns about and refuses."""

import os
import subprocess
import tomllib
import unittest

import crid_node
from crid_harness import BUILD, NodeCase

CRID = os.path.join(BUILD, "crid/crid")


class CommandLine(unittest.TestCase):
    def crid(self, *arguments, status=0):
        done = subprocess.run([CRID, *arguments], capture_output=True, text=True, timeout=20, check=False, stdin=subprocess.DEVNULL,
                              env={"PATH": crid_node.PATH})
        self.assertEqual(done.returncode, status, f"crid {' '.join(arguments)}\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def test_help_names_flags_and_variables(self):
        text = self.crid("--help")
        for word in ("--listen", "CONTAINER_LISTEN", "--default-runtime", "/var/run/crio/crio.sock"):
            self.assertIn(word, text)

    def test_version(self):
        self.assertRegex(self.crid("version"), r"\d+\.\d+\.\d+")

    def test_config_is_toml_with_the_flags_in_it(self):
        text = self.crid("config", "--config", "", "--config-dir", "", "--listen", "/tmp/somewhere.sock")
        self.assertEqual(tomllib.loads(text)["crio"]["api"]["listen"], "/tmp/somewhere.sock")

    def test_wrong_flags_and_files_are_refused_with_their_name(self):
        self.assertIn("--no-such", self.crid("--no-such", status=1))
        self.assertIn("/no/such.conf", self.crid("--config", "/no/such.conf", "--config-dir", "", status=1))


class Files(NodeCase):
    @classmethod
    def configuration(cls):
        return 'no_such_option = "x"\n'

    def test_unknown_key_is_warned_about_and_no_more(self):
        with open(self.node.path("crid.log")) as f:
            self.assertIn("no_such_option", f.read())
        self.assertEqual(self.cri.Version().runtime_api_version, "v1")

    def test_socket_is_for_owner_and_group(self):
        self.assertEqual(os.stat(self.node.socket).st_mode & 0o777, 0o660)

    def test_bad_value_is_refused_with_file_and_key(self):
        with open(self.node.path("crio.conf")) as f:
            text = f.read()
        path = self.node.write("bad.conf", text.replace('cgroup_manager = "cgroupfs"', 'cgroup_manager = 7'))
        done = subprocess.run([CRID, "--config", path, "--config-dir", "", "--listen", self.node.path("other.sock")], capture_output=True,
                              text=True, timeout=20, check=False, env=self.node.environment(), stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 1)
        self.assertIn("bad.conf", done.stderr)
        self.assertIn("cgroup_manager", done.stderr)
