# SPDX-License-Identifier: Apache-2.0
"""All of critest, the kubelet project's own tests of a CRI runtime, against crid: one run is one test, each spec is a case.

$CRITEST and $GINKGO are the programs (the runner builds them). With CONFORMANCE_ALL=1 there are more runs: one spec
after the other, exec, attach and port-forward over WebSocket, and newer OCI runtimes of a later Debian suite.
A spec may be skipped only for what this machine's kernel cannot do, or the OCI runtime says it cannot.
"""

import json
import os
import re
import shutil
import subprocess
import unittest

import crid_node
import debian_packages
import images
import later_runtimes
from crid_harness import BUILD, NodeCase

ALL = bool(os.environ.get("CONFORMANCE_ALL"))
OPTIONS = os.environ.get("CRITEST_OPTIONS", "").split()         # for people: -ginkgo.focus=Streaming
PARALLEL = 6            # specs at a time, whatever the number of CPUs: they wait more than they work
TIMEOUT = f"{20 * crid_node.SLOW:g}m"
UPSTREAM_DIGEST = b"9700f9a2f5bf2c45f2f605a0bd3bce7cf37420ec9d3ed50ac2758413308766bf"
OUTCOMES = {"passed": "ok", "skipped": "skip"}


def missing():
    """Why critest cannot run here, or None."""
    for name in ("CRITEST", "GINKGO"):
        if not os.environ.get(name):
            return os.environ.get(f"{name}_MISSING") or f"Go is not on this machine to build critest, and {name} is not set"
    return os.environ.get("CONFORMANCE_MISSING")


def kernel_lacks(reason):
    """Is it true that the kernel cannot do what this skipped spec is about?"""
    if "AppArmor" in reason:
        try:
            with open("/sys/module/apparmor/parameters/enabled") as f:
                return f.read().strip() != "Y"
        except OSError:
            return True
    if "SELinux" in reason:
        return not os.path.exists("/sys/fs/selinux/enforce")
    return False


class Critest:
    """One crid of its own for each run, in the namespaces the runner made."""

    parallel = PARALLEL
    options = ()
    made = None             # the images, made once for all classes

    @classmethod
    def setUpClass(cls):
        reason = missing()
        if reason:
            raise unittest.SkipTest(reason)
        super().setUpClass()
        # What the kubelet and its network add-on set on a node: forwarding, and host ports on 127.0.0.1.
        for name in ("ip_forward", "conf/all/route_localnet"):
            with open(f"/proc/sys/net/ipv4/{name}", "w") as f:
                f.write("1")

    @classmethod
    def images(cls):
        if Critest.made is None:
            Critest.made = images.Images(BUILD, *images.prepare())
        cls.made.push(cls.registry)

    @classmethod
    def registries(cls):
        return images.mirrors(cls.registry)

    def with_digest(self):
        """critest under a name in our directory, with our image's digest in place of the one that is a constant in it:
        the image is addressed by what it contains, and upstream's is not to be had without a network."""
        with open(os.environ["CRITEST"], "rb") as f:
            program = f.read()
        self.assertIn(UPSTREAM_DIGEST, program)
        path = os.path.join(self.base, "critest")
        with open(path, "wb") as f:
            f.write(program.replace(UPSTREAM_DIGEST, self.made.digest.digest.partition(":")[2].encode()))
        os.chmod(path, 0o755)
        return path

    def run_critest(self):
        """The reports of all specs; what critest printed is kept in a file."""
        report, bin_directory = os.path.join(self.base, "report.json"), os.path.join(self.base, "bin")
        os.mkdir(bin_directory)
        os.symlink(os.environ["GINKGO"], os.path.join(bin_directory, "ginkgo"))
        os.symlink(shutil.which("env"), os.path.join(bin_directory, "sudo"))        # critest loads AppArmor profiles with it
        endpoint = "unix://" + self.node.socket
        command = [self.with_digest(), "-runtime-endpoint", endpoint, "-image-endpoint", endpoint, "-config", "/dev/null",
                   "-ginkgo.randomize-all", "-ginkgo.no-color", "-ginkgo.timeout", TIMEOUT, "-ginkgo.json-report", report,
                   *(["-parallel", str(self.parallel)] if self.parallel > 1 else []), *self.options, *OPTIONS]
        with open(os.path.join(self.base, "critest.log"), "w") as log:
            subprocess.run(command, cwd=self.base, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False,
                           env={"PATH": bin_directory + ":" + crid_node.PATH, "HOME": self.base, "TMPDIR": self.base})
        self.keep("critest.log", "report.json", "node/crid.log")
        with open(self.node.path("crid.log"), errors="replace") as f:
            self.cri.ids.update(re.findall(r"\b[0-9a-f]{64}\b", f.read()))         # whose cgroups must be gone
        try:
            with open(report) as f:
                suites = json.load(f)
        except (OSError, ValueError) as e:
            self.fail(f"critest wrote no report ({e}):\n" + crid_node.tail(os.path.join(self.base, "critest.log"), 60))
        return [one for suite in suites for one in suite["SpecReports"]]

    def keep(self, *names):
        """Copies for people, where $CONFORMANCE_LOGS says."""
        where = os.environ.get("CONFORMANCE_LOGS")
        if where:
            os.makedirs(where, exist_ok=True)
            for name in names:
                if os.path.exists(os.path.join(self.base, name)):
                    shutil.copy(os.path.join(self.base, name), os.path.join(where, f"{type(self).__name__}-{os.path.basename(name)}"))

    def test_all_specs(self):
        ran = 0
        for one in self.run_critest():
            if one["LeafNodeType"] != "It":
                if one["State"] != "passed":
                    self.fail(f"{one['LeafNodeType']}: {one['Failure']['Message']}")
                continue
            name = " ".join([*one["ContainerHierarchyTexts"], one["LeafNodeText"]])
            outcome, detail = self.judge(one, name)
            if outcome:
                ran += outcome == "ok"
                self.spec(outcome, name, detail, one["RunTime"] / 1e9)
        self.assertGreater(ran, 0, "no spec ran")
        if kernel_lacks("SELinux"):
            self.spec("skip", "SELinux", "this kernel has no SELinux; critest does not even list the 17 specs then", 0)

    def judge(self, one, name):
        """(outcome, detail); without outcome: what the caller's own focus leaves out."""
        failure = one.get("Failure") or {}
        message = failure.get("Message", "")
        outcome = OUTCOMES.get(one["State"], "FAIL")
        if outcome == "skip":
            if "benchmark" in name.lower():
                return outcome, "a benchmark is no test"
            if not message and OPTIONS:
                return None, ""
            if not kernel_lacks(message + name) and not self.runtime_lacks(message):
                return "FAIL", f"skipped, but neither the kernel nor the OCI runtime is the reason: {message}"
        where = failure.get("Location") or {}
        if outcome == "FAIL":
            message += f"\n{os.path.basename(where.get('FileName', ''))}:{where.get('LineNumber')}"
        return outcome, message

    def runtime_lacks(self, reason):
        """User namespaces of pods need id-mapped mounts; runc knows them since 1.2, and says so."""
        if self.runtime != "runc" or isinstance(self, Later) or "user namespaces" not in reason:
            return False
        features = json.loads(subprocess.run([crid_node.program("runc"), "features"], check=True, capture_output=True).stdout)
        return not features["linux"].get("mountExtensions", {}).get("idmap", {}).get("enabled")

    def spec(self, outcome, name, detail, seconds):
        """One case of its own when the runner counts; a subtest by hand."""
        name = re.sub(r"\s+", " ", name)
        say = getattr(self._outcome.result, "say_case", None)
        if say:
            say(outcome, f"{type(self).__name__} {name}", detail, seconds)
        elif outcome == "FAIL":
            with self.subTest(name):
                self.fail(detail)


class Crun(Critest, NodeCase):
    runtime = "crun"


class Runc(Critest, NodeCase):
    runtime = "runc"


class Serial:
    parallel = 1


class Websocket:
    options = ("-websocket-exec", "-websocket-attach", "-websocket-portforward")


class Later:
    """A handler of its own, for the OCI runtime of a later Debian suite."""

    @classmethod
    def setUpClass(cls):
        if os.environ.get("LATER_RUNTIMES_MISSING"):
            raise unittest.SkipTest(os.environ["LATER_RUNTIMES_MISSING"])
        cls.options = ("-runtime-handler", cls.handler())
        super().setUpClass()

    @classmethod
    def handler(cls):
        return f"later-{cls.runtime}"

    @classmethod
    def configuration(cls):
        root, name = later_runtimes.fetch(), cls.runtime
        path = debian_packages.own_loader(root, os.path.join("usr/sbin" if name == "runc" else "usr/bin", name), os.path.join(cls.base, name))
        return (f'\n[crio.runtime.runtimes.{cls.handler()}]\nruntime_path = "{path}"\nruntime_type = "oci"\n'
                f'runtime_root = "{cls.base}/node/run/later"\nmonitor_path = "{crid_node.program("conmon")}"\nmonitor_cgroup = "pod"\n')


if ALL:
    for one in (Crun, Runc):
        for kind in (Serial, Websocket, Later):
            globals()[one.__name__ + kind.__name__] = type(one.__name__ + kind.__name__, (kind, one), {"__module__": __name__})
    del one         # or it is run a second time
