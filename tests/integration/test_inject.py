# SPDX-License-Identifier: Apache-2.0
"""Seccomp profile files, OCI hooks and CDI devices in real containers; crun gets its filter compiled, runc does not."""

import json
import os
import unittest

from crid_harness import NodeCase, cri_pb2

LOCALHOST = cri_pb2.SecurityProfile.Localhost
DEFAULT = cri_pb2.SecurityProfile.RuntimeDefault


class Inject(NodeCase):
    @classmethod
    def configuration(cls):
        return 'hooks_dir = ["/tmp/ocispec-none", "/run/crid-test-hooks"]\ncdi_spec_dirs = ["/run/crid-test-cdi"]\n'

    def lines(self, command, **more):
        status, log = self.finish(command, **more)
        self.assertEqual(status.exit_code, 0, log)
        return [text for _, _, text in log]

    def put(self, path, content):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(json.dumps(content))
        self.addCleanup(os.unlink, path)
        return path

    def security(self, **profile):
        return {"security_context": {"seccomp": profile}}

    def test_profile_of_a_file(self):
        path = self.put("/run/crid-test-profile.json", {"defaultAction": "SCMP_ACT_ALLOW", "archMap": [
            {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}, {"architecture": "SCMP_ARCH_AARCH64"}],
            "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]})
        out = self.lines(["sh", "-c", "grep Seccomp: /proc/self/status; mkdir /tmp/x 2>/dev/null || echo refused"],
                         linux=self.security(profile_type=LOCALHOST, localhost_ref=path))
        self.assertEqual([out[0].split()[1], out[1]], ["2", "refused"])

    def test_default_profile_refuses_namespaces(self):
        out = self.lines(["sh", "-c", "unshare -m true 2>/dev/null || echo refused"], linux=self.security(profile_type=DEFAULT))
        self.assertEqual(out, ["refused"])

    def test_hooks_that_apply(self):
        mark = self.node.path("hook-ran")
        self.put("/run/crid-test-hooks/a.json", {"version": "1.0.0", "hook": {"path": "/bin/sh", "args": ["sh", "-c", f"echo ran >> {mark}"]},
                                                 "when": {"annotations": {"^wants$": "^hook$"}}, "stages": ["createRuntime"]})
        self.lines(["true"])
        self.assertFalse(os.path.exists(mark))
        self.lines(["true"], annotations={"wants": "hook"})
        with open(mark) as f:
            self.assertEqual(f.read(), "ran\n")

    def test_cdi_devices(self):
        self.put("/run/crid-test-cdi/v.json", {"cdiVersion": "0.5.0", "kind": "vendor.com/net", "devices": [{"name": "zero", "containerEdits": {
            "env": ["CDI=yes"], "deviceNodes": [{"path": "/dev/cdi-zero", "hostPath": "/dev/zero"}]}}]})
        out = self.lines(["sh", "-c", "echo $CDI; head -c 3 /dev/cdi-zero | wc -c"], CDI_devices=[{"name": "vendor.com/net=zero"}])
        self.assertEqual(out, ["yes", "3"])


class InjectCrun(Inject):
    runtime = "crun"


if __name__ == "__main__":
    unittest.main()
