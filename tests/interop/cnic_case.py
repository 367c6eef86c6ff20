# SPDX-License-Identifier: Apache-2.0
"""What the tests of libcnic share: the tool cnic, plugins that are scripts, libcni's answers, network namespaces."""

import json
import os
import shutil
import subprocess
import tempfile
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("CRID_BUILD", os.path.join(TOP, "build"))
CNIC = os.path.join(BUILD, "tools", "cnic", "cnic")
PLUGINS = "/usr/lib/cni"
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
VERSIONS = ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")

def canonical(document):
    """As Go prints maps: sorted, without spaces, fit for HTML."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


class CnicCase(unittest.TestCase):
    """A scratch directory with conf/, bin/ and cache/, and the tool working on it."""

    plugin_dirs = ()

    @classmethod
    def setUpClass(cls):
        if not os.access(CNIC, os.X_OK):
            raise unittest.SkipTest("the tool cnic is not built")
        directory = tempfile.mkdtemp(prefix="crid-cnic-")
        cls.addClassCleanup(shutil.rmtree, directory)
        cls.recorder_program = os.path.join(directory, "recorder")
        subprocess.run(["cc", "-O1", "-o", cls.recorder_program, os.path.join(TOP, "tests/interop/cnic_recorder.c")], check=True)

    def setUp(self):
        self.base = tempfile.mkdtemp(prefix="crid-cnic-")
        self.addCleanup(shutil.rmtree, self.base, ignore_errors=True)
        for name in ("conf", "bin"):
            os.mkdir(self.path(name))

    def path(self, *names):
        return os.path.join(self.base, *names)

    def write(self, name, content, mode=0o644):
        if not isinstance(content, (str, bytes)):
            content = json.dumps(content)
        with open(self.path(name), "wb") as f:
            f.write(content.encode() if isinstance(content, str) else content)
        os.chmod(self.path(name), mode)
        return self.path(name)

    def read(self, name):
        with open(self.path(name), "rb") as f:
            return f.read()

    def recorder(self, name, directory="bin", **files):
        """A plugin that is cnic_recorder.c; files: ADD_out=..., DEL_status=..."""
        if not os.path.exists(self.path(directory, name)):
            shutil.copy(self.recorder_program, self.path(directory, name))
        for key, content in files.items():
            self.write(f"{directory}/{name}.{key.replace('_', '.')}", content)

    def command(self, *arguments, cache="cache", bin_dir="bin"):
        dirs = [part for d in (self.path(bin_dir), *self.plugin_dirs) for part in ("--plugin-dir", d)]
        return [CNIC, "--conf-dir", self.path("conf"), "--cache-dir", self.path(cache), *dirs, *arguments]

    def cnic(self, *arguments, status=0, timeout=60, **where):
        done = subprocess.run(self.command(*arguments, **where), capture_output=True, text=True, timeout=timeout, check=False,
                              cwd="/", env={"PATH": PATH})
        self.assertEqual(done.returncode, status, f"cnic {' '.join(arguments)}\n{done.stdout}{done.stderr}")
        return done.stdout if status == 0 else done.stderr

    def processes_of(self, text):
        """Command lines with that text, of processes that are no zombies."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    line = f.read().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if text in line and int(pid) != os.getpid():
                found.append(line)
        return found


def need_root_network(case):
    """Namespaces made by the test itself, visible to nobody else."""
    if os.geteuid() != 0:
        raise unittest.SkipTest("needs root")
    if not shutil.which("ip"):
        raise unittest.SkipTest("needs ip of iproute2")
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
    case.addClassCleanup(subprocess.run, ["umount", "-l", "/run"], check=False)
