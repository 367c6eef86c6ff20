# SPDX-License-Identifier: Apache-2.0
"""AppArmor profiles of containers, where the kernel has it (tests/vm: Debian's does)."""

import os
import subprocess
import unittest

import grpc
from crid_harness import NodeCase, cri_pb2
import crid_node

INVALID = grpc.StatusCode.INVALID_ARGUMENT
DEFAULT, UNCONFINED, LOCALHOST = (cri_pb2.SecurityProfile.RuntimeDefault, cri_pb2.SecurityProfile.Unconfined, cri_pb2.SecurityProfile.Localhost)
PROFILE = """profile crid-test-deny-write flags=(attach_disconnected) {
  file, network, capability, signal, ptrace, umount,
  deny /tmp/** w,
}
"""


def enabled():
    try:
        with open("/sys/module/apparmor/parameters/enabled") as f:
            return f.read().startswith("Y") and os.path.exists("/sys/kernel/security/apparmor/profiles")
    except OSError:
        return False


@unittest.skipUnless(enabled(), "the kernel has no AppArmor")
class AppArmor(NodeCase):
    @classmethod
    def setUpClass(cls):
        subprocess.run([crid_node.program("apparmor_parser"), "-Kr"], input=PROFILE, text=True, check=True)
        super().setUpClass()

    def state(self, security, script="cat /proc/1/attr/current"):
        status, log = self.finish(["sh", "-c", script], linux={"security_context": security})
        self.assertEqual(status.exit_code, 0, log)
        return [text for _, _, text in log]

    def test_default_profile(self):
        with open("/sys/kernel/security/apparmor/profiles") as f:
            self.assertIn("crio-default (enforce)\n", f.read())
        for security in ({}, {"apparmor": {"profile_type": DEFAULT}}, {"apparmor_profile": "runtime/default"},
                         {"apparmor": {"profile_type": DEFAULT}, "apparmor_profile": "unconfined"}):
            with self.subTest(security=security):
                self.assertEqual(self.state(security), ["crio-default (enforce)"])
        script = "(echo x > /proc/sysrq-trigger) 2>/dev/null || echo no; touch /tmp/x && cat /tmp/x && kill -0 1 && echo yes"
        self.assertEqual(self.state({}, script), ["no", "yes"])

    def test_unconfined(self):
        for security in ({"apparmor": {"profile_type": UNCONFINED}}, {"apparmor_profile": "unconfined"}):
            with self.subTest(security=security):
                self.assertEqual(self.state(security), ["unconfined"])

    def test_own_profile(self):
        script = "cat /proc/1/attr/current; touch /tmp/x 2>/dev/null || echo refused"
        for security in ({"apparmor": {"profile_type": LOCALHOST, "localhost_ref": "crid-test-deny-write"}},
                         {"apparmor_profile": "localhost/crid-test-deny-write"}):
            with self.subTest(security=security):
                self.assertEqual(self.state(security, script), ["crid-test-deny-write (enforce)", "refused"])

    def test_profile_that_is_not_loaded(self):
        self.pull(self.busybox)
        pod, config = self.run_pod()
        for security in ({"apparmor": {"profile_type": LOCALHOST, "localhost_ref": "no-such"}}, {"apparmor_profile": "localhost/no-such"}):
            text = self.assert_code(INVALID, self.create, pod, config,
                                    self.container_config(["true"], linux={"security_context": security}))
            self.assertIn("no-such is not loaded", text)


class AppArmorCrun(AppArmor):
    runtime = "crun"


if __name__ == "__main__":
    unittest.main()
