# SPDX-License-Identifier: Apache-2.0
"""Hooks and CDI devices beside the Go libraries that podman and CRI-O use (tests/interop/ocispec_peer, $OCISPEC_PEER)."""

import itertools
import json
import os
import subprocess
import unittest

from test_ocispec import Case, build_path

PEER = os.environ.get("OCISPEC_PEER")

BASE = {"ociVersion": "1.1.0", "process": {"user": {"uid": 7, "gid": 0}, "args": ["/usr/bin/sh"], "env": ["A=0", "TERM=x"], "cwd": "/"},
        "root": {"path": "rootfs"}, "mounts": [{"destination": "/z"}, {"destination": "/a/b/c"}, {"destination": "/a/b"}],
        "linux": {"namespaces": [{"type": "mount"}], "devices": [{"path": "/dev/x", "type": "c", "major": 9, "minor": 9}]}}
WHENS = [{"always": True}, {"always": False}, {}, {"hasBindMounts": True}, {"hasBindMounts": False}, {"commands": ["sh$"]},
         {"commands": ["^sh"]}, {"annotations": {"kind$": "^gpu"}}, {"annotations": {"kind": "cpu"}},
         {"annotations": {"kind": "gpu"}, "commands": ["sh"]}, {"annotations": {"kind": "gpu"}, "hasBindMounts": True},
         {"always": True, "commands": ["^sh"]}, {"always": False, "commands": ["sh"]}, {"annotations": {"(?i)KIND": r"\d+$"}},
         {"annotations": {"": ""}}]
OLD = [{}, {"cmd": ["sh$"]}, {"cmds": ["^sh"]}, {"annotation": ["^gpu", "y"]}, {"annotations": ["y"]}, {"hasbindmounts": True},
       {"hasbindmounts": False}, {"cmd": ["^sh"], "hasbindmounts": True}, {"annotations": []}]
# Both ways: what Go compiles we must, and what it refuses we must, but for what is named below.
EXPRESSIONS = ["a", "", "a|b", "(a)", "(?:a)", "(?P<n>a)", "(?<n>a)", "(?i)a", "(?i:a)b", "(?s-m:a)", "^$", "a*?", "a+?", "a??", "a{2,3}?", "[^a-z]",
               "[]a]", "[[:alpha:]_]", r"\d\D\w\W\s\S", r"\bx\B", r"\A\z", r"\pL\p{Greek}\PN", r"\x41\x{1F600}", r"\Qa.b\E", r"\.\*\[", "é.ü", "[a\\]b]",
               "a{,2}", "a{2,1}", "(", ")", "[", "a**", "a++", "*a", "(?=a)", "(?!a)", "(?<=a)", "(?<!a)", "(?>a)", r"(a)\1", r"\k<n>", r"\g1", r"\Z", r"\G",
               r"\h", r"\R", r"\K", r"\X", "(?#c)", "(*ACCEPT)", "(?|a)", "(?R)", "(?1)", "(?(1)a)", "\\", "a{3}+", "a?+", "x{1001}", "(?P=n)", "(?P>n)"]
# harmless: repeats of more than a thousand
LENIENT = {"x{1001}"}


@unittest.skipUnless(PEER, os.environ.get("OCISPEC_PEER_MISSING") or "Go is not on this machine to build the peer, and OCISPEC_PEER is not set")
class GoPeers(Case):
    count = itertools.count()

    def peer(self, *arguments, **more):
        return subprocess.run([PEER, *arguments], capture_output=True, text=True, timeout=60, check=False, **more)

    def config(self):
        return self.write("base.json", json.dumps(BASE))

    def same(self, go, *ours):
        """Both end alike; returns whether they ended well."""
        theirs = self.peer(*go)
        mine = subprocess.run([build_path("tools/ocispec/ocispec"), "generate", "-t", self.config(), *ours], capture_output=True, text=True,
                              timeout=60, check=False)
        self.assertEqual(theirs.returncode == 0, mine.returncode == 0, f"theirs: {theirs.stderr}\nours: {mine.stderr}")
        if theirs.returncode == 0:
            self.assertEqual(json.loads(mine.stdout), json.loads(theirs.stdout))
        return theirs.returncode == 0

    def directory(self, files):
        name = f"d{next(self.count)}"
        os.makedirs(os.path.join(self.dir, name), exist_ok=True)
        for file, content in files.items():
            self.write(f"{name}/{file}", content if isinstance(content, str) else json.dumps(content))
        return os.path.join(self.dir, name)

    def check_hooks(self, *dirs, binds=False, pairs=(("io.example.kind", "gpu-3"), ("other", "x"))):
        ours = [w for d in dirs for w in ("--hooks-dir", d)] + [w for k, v in pairs for w in ("-a", f"{k}={v}")]
        theirs = ["hooks", self.with_annotations(pairs, binds), "1" if binds else "0", *dirs, "--", *itertools.chain(*pairs)]
        if binds:
            ours += ["-m", "/srv:/bound"]
        return self.same(theirs, *ours)

    def with_annotations(self, pairs, binds):
        document = dict(BASE, annotations=dict(pairs))
        if binds:
            document["mounts"] = BASE["mounts"] + [{"destination": "/bound", "type": "bind", "source": "/srv", "options": ["rbind"]}]
        return self.write("annotated.json", json.dumps(document))

    def test_conditions_of_hooks(self):
        for binds in (False, True):
            files = {f"{i:02}.json": {"version": "1.0.0", "hook": {"path": "/bin/true", "args": [f"when-{i}"]}, "when": w,
                                      "stages": ["prestart", "poststop"]} for i, w in enumerate(WHENS)}
            files |= {f"old-{i:02}.json": {"hook": "/bin/true", "arguments": [f"old-{i}"], "stages": ["poststart"], **o} for i, o in enumerate(OLD)}
            self.assertTrue(self.check_hooks(self.directory(files), binds=binds))

    def test_order_and_directories_of_hooks(self):
        def hook(name, **more):
            return {"version": "1.0.0", "hook": {"path": "/bin/true", "args": [name], **more}, "when": {"always": True},
                    "stages": ["createContainer", "startContainer", "createRuntime"]}
        one = self.directory({"b.json": hook("one-b"), "A.json": hook("one-A", env=["X=y"], timeout=3), "c.txt": "{", "a-b.json": hook("a-b")})
        two = self.directory({"b.json": hook("two-b"), "B2.json": hook("two-B2"), "_.json": hook("under")})
        self.assertTrue(self.check_hooks(one, two))
        self.assertTrue(self.check_hooks(two, one))

    def test_hooks_that_are_refused(self):
        """Theirs refuse the directory, ours leave the file out and say so: ocispec(1) names it."""
        good = {"version": "1.0.0", "hook": {"path": "/bin/true"}, "when": {"always": True}, "stages": ["prestart"]}
        bad = [{**good, "version": "2.0.0"}, {**good, "hook": {"path": ""}}, {**good, "stages": ["x"]},
               {"version": "1.0.0", "hook": {"path": "/bin/true"}}, {"stages": []}, {"hook": "/bin/true", "stage": [], "stages": []},
               {**good, "when": {"commands": ["("]}}, {**good, "when": {"annotations": {"(?=a)": ""}}}, "nonsense"]
        for content in bad:
            with self.subTest(content=content):
                d = self.directory({"f.json": content})
                self.assertNotEqual(self.peer("hooks", self.config(), "0", d).returncode, 0)
                mine = subprocess.run([build_path("tools/ocispec/ocispec"), "generate", "-t", self.config(), "--hooks-dir", d],
                                      capture_output=True, text=True, check=True)
                self.assertIn("f.json", mine.stderr)
                self.assertNotIn("hooks", json.loads(mine.stdout))

    def test_hooks_without_their_program_are_left_out(self):
        d = self.directory({"f.json": {"version": "1.0.0", "hook": {"path": "/no/such"}, "when": {"always": True}, "stages": ["prestart"]}})
        self.assertTrue(self.check_hooks(d))

    def test_expressions(self):
        theirs = self.peer("regex", input="\n".join(EXPRESSIONS) + "\n").stdout.split()
        self.assertEqual(len(theirs), len(EXPRESSIONS))
        wrong = []
        for expression, go in zip(EXPRESSIONS, theirs):
            f = self.write("hook.json", json.dumps({"version": "1.0.0", "hook": {"path": "/x"}, "when": {"commands": [expression]}, "stages": []}))
            mine = subprocess.run([build_path("tools/ocispec/ocispec"), "validate", "-k", "hook", f], capture_output=True, check=False)
            if (mine.returncode == 0) != (go == "1") and expression not in LENIENT:
                wrong.append((expression, go))
        self.assertEqual(wrong, [])

    # ---- CDI ----

    def check_cdi(self, dirs, *devices):
        return self.same(["cdi", self.config(), *dirs, "--", *devices],
                         *[w for d in dirs for w in ("--cdi-dir", d)], *[w for d in devices for w in ("-d", d)])

    def spec(self, version="1.1.0", kind="v.com/c", edits=None, **devices):
        return {"cdiVersion": version, "kind": kind, "containerEdits": edits or {},
                "devices": [{"name": n, "containerEdits": e} for n, e in devices.items()]}

    FULL = {"env": ["A=1", "B=2"], "deviceNodes": [{"path": "/dev/x", "hostPath": "/dev/null", "permissions": "r"},
                                                   {"path": "/dev/y", "type": "b", "major": 7, "minor": 0, "uid": 3, "gid": 4, "fileMode": 384},
                                                   {"path": "/dev/zero"}, {"path": "/dev/full", "permissions": "none"}],
            "netDevices": [{"hostInterfaceName": "eth7", "name": "lan"}],
            "mounts": [{"hostPath": "/srv", "containerPath": "/a/b", "options": ["ro", "rbind"], "type": "bind"},
                       {"hostPath": "/opt", "containerPath": "/opt"}],
            "hooks": [{"hookName": s, "path": "/h", "args": ["h", s], "env": ["X=y"], "timeout": 2}
                      for s in ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")],
            "intelRdt": {"closID": "one", "schemata": ["L3:0=f"], "enableMonitoring": True}, "additionalGids": [0, 5, 6, 5]}

    def test_everything_a_device_can_be(self):
        d = self.directory({"full.json": self.spec(one=self.FULL, two={"env": ["A=2"], "intelRdt": {"closID": "two"}}, edits={"env": ["ALL=1"]})})
        self.assertTrue(self.check_cdi([d], "v.com/c=one"))
        self.assertTrue(self.check_cdi([d], "v.com/c=two", "v.com/c=one"))
        self.assertTrue(self.check_cdi([d], "v.com/c=one", "v.com/c=two"))

    def test_ranks_and_conflicts(self):
        low = self.directory({"a.json": self.spec(x={"env": ["W=a"]}, y={"env": ["Y=a"]}), "b.json": self.spec(x={"env": ["W=b"]})})
        high = self.directory({"c.json": self.spec(x={"env": ["W=c"]})})
        self.assertTrue(self.check_cdi([low], "v.com/c=y"))
        self.assertFalse(self.check_cdi([low], "v.com/c=x"))
        self.assertFalse(self.check_cdi([low], "v.com/c=y", "v.com/c=none"))
        self.assertTrue(self.check_cdi([high], "v.com/c=x"))

    def test_yaml(self):
        d = self.directory({"y.yaml": """---
cdiVersion: 0.5.0
kind: nvidia.com/gpu
devices:
- name: "0"
  containerEdits:
    deviceNodes:
    - path: /dev/null
      permissions: rw
    - {path: /dev/own, type: c, major: 0x1, minor: 3, fileMode: 0666}
- name: all
  containerEdits:
    env: [NVIDIA_VISIBLE_DEVICES=void, "X=a: b"]
containerEdits:
  hooks:
  - hookName: createContainer
    path: /usr/bin/nvidia-ctk
    args:
    - nvidia-ctk
    - hook
    - --link
    - ../libcuda.so.1::/usr/lib/libcuda.so
  mounts:
  - hostPath: /usr/lib/x86_64-linux-gnu
    containerPath: /usr/lib/x86_64-linux-gnu
    options: [ro, nosuid, nodev, bind]
"""})
        self.assertTrue(self.check_cdi([d], "nvidia.com/gpu=0", "nvidia.com/gpu=all"))

    def test_specifications_that_are_refused(self):
        env = {"env": ["A=b"]}
        for name, spec in {
                "version": self.spec(version="0.9.0", a=env), "old": self.spec(version="0.2.0", a=env), "kind": self.spec(kind="c", a=env),
                "class": self.spec(kind="v/1c", a=env), "empty": self.spec(a={}), "none": self.spec(), "env": self.spec(a={"env": ["=x"]}),
                "type": self.spec(a={"deviceNodes": [{"path": "/x", "type": "z"}]}), "mount": self.spec(a={"mounts": [{"hostPath": "/x"}]}),
                "hook": self.spec(a={"hooks": [{"hookName": "x", "path": "/y"}]}), "unknown": self.spec(a={"env": ["A=b"], "other": 1}),
                "new": self.spec(version="1.0.0", a={"netDevices": [{"hostInterfaceName": "a", "name": "b"}]}),
                "gids": self.spec(version="0.6.0", a={"additionalGids": [1]}), "host": self.spec(version="0.4.0", a={"deviceNodes": [
                    {"path": "/x", "hostPath": "/dev/null"}]}), "mtype": self.spec(version="0.3.0", a={"mounts": [
                        {"hostPath": "/x", "containerPath": "/y", "type": "bind"}]}), "dotted": self.spec(version="0.5.0", kind="v/c.d", a=env),
                "clos": self.spec(a={"intelRdt": {"closID": "a/b"}}), "device": self.spec(**{"a!": env}), "missing": self.spec(a={
                    "deviceNodes": [{"path": "/dev/none-such"}]}), "twice": self.spec(a={"netDevices": [
                        {"hostInterfaceName": "a", "name": "b"}, {"hostInterfaceName": "c", "name": "b"}]})}.items():
            with self.subTest(name=name):
                device = f"{spec['kind']}={spec['devices'][0]['name'] if spec['devices'] else 'a'}"
                self.assertFalse(self.check_cdi([self.directory({"s.json": spec})], device))


if __name__ == "__main__":
    unittest.main()
