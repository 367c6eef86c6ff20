# SPDX-License-Identifier: Apache-2.0
"""The other compiler is quiet too: all of it with clang and -Werror."""

import os
import shutil
import subprocess
import tempfile
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Compilers(unittest.TestCase):
    @unittest.skipUnless(shutil.which("clang"), "clang is not installed")
    def test_clang_builds_everything_without_a_warning(self):
        with tempfile.TemporaryDirectory(prefix="crid-clang-") as directory:
            for command in (["meson", "setup", directory, TOP, "-Dwerror=true"], ["ninja", "-k", "0", "-C", directory]):
                done = subprocess.run(command, env=dict(os.environ, CC="clang"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                      text=True, check=False)
                self.assertEqual(done.returncode, 0, done.stdout[-4000:])
