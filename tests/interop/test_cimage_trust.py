# SPDX-License-Identifier: Apache-2.0
"""Signatures between libcimage and skopeo: what one signs the other believes, and nothing else is believed."""

import base64
import ctypes
import hashlib
import http.server
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
import unittest

import crid_node
import test_worker
from crid_node import Image, NodeError, Registry, layer

BUILD = os.environ.get("CRID_BUILD", os.path.join(crid_node.TOP, "build"))
FETCH = os.path.join(BUILD, "libcimage/cimage-fetch")
CIMAGE = os.path.join(BUILD, "tools/cimage/cimage")
PEER = os.environ.get("CIMAGE_PEER")    # tests/interop/image_peer, built: Debian's skopeo was built without sigstore
E_POLICY, E_INVALID, E_LIMIT = 103, 105, 111
ACCEPT = [{"type": "insecureAcceptAnything"}]


def run(*command, **more):
    return subprocess.run(command, check=True, capture_output=True, **more).stdout


class Keys:
    """Key pairs of the tests, made once: gpg homes, sigstore keys, certificates."""

    @classmethod
    def make(cls, base):
        cls.base = base
        cls.gpg = {}
        for name in ("alice", "mallory"):
            cls.gpg[name] = cls.gpg_key(name)

    @classmethod
    def gpg_key(cls, name, *, expires="0"):
        home = os.path.join(cls.base, "gpg-" + name)
        os.mkdir(home, 0o700)
        environment = dict(os.environ, GNUPGHOME=home)
        run("gpg", "--batch", "--quiet", "--passphrase", "", "--quick-generate-key", f"{name}@example.com", "ed25519", "sign",
            expires, env=environment)
        with open(home + ".pub", "wb") as f:
            f.write(run("gpg", "--batch", "--export", f"{name}@example.com", env=environment))
        return home

    @classmethod
    def fingerprint_of(cls, name):
        listed = run("gpg", "--batch", "--with-colons", "--list-keys", env=dict(os.environ, GNUPGHOME=cls.gpg[name])).decode()
        return [line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr")][0]

    @classmethod
    def public(cls, name):
        return cls.gpg[name] + ".pub"

    @classmethod
    def end(cls):
        for home in cls.gpg.values():
            subprocess.run(["gpgconf", "--kill", "all"], env=dict(os.environ, GNUPGHOME=home), check=False,
                           capture_output=True)


class TrustCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.shared = tempfile.mkdtemp(prefix="cimage-trust-")
        cls.addClassCleanup(crid_node.remove_tree, cls.shared)
        for name in ("skopeo", "gpg", "openssl"):
            if not shutil.which(name):
                raise unittest.SkipTest(f"{name} is not installed")
        try:
            cls.registry = Registry(os.path.join(cls.shared, "registry")).start()
        except NodeError as e:
            raise unittest.SkipTest(str(e)) from e
        cls.addClassCleanup(cls.registry.stop)
        Keys.make(cls.shared)
        cls.addClassCleanup(Keys.end)

    def setUp(self):
        self.base = tempfile.mkdtemp(prefix="cimage-trust-")
        self.addCleanup(crid_node.remove_tree, self.base)
        os.makedirs(self.path("registries.d"))
        os.makedirs(self.path("home"))
        self.name = self._testMethodName.replace("_", "-")
        self.write("registries.conf", "")
        self.insecure(self.registry.host)
        self.store(lookaside="file://" + self.path("store"))
        self.write("accept.json", json.dumps({"default": ACCEPT}))

    def path(self, *parts):
        return os.path.join(self.base, *parts)

    def write(self, name, content):
        with open(self.path(name), "wb" if isinstance(content, bytes) else "w") as f:
            f.write(content)
        return self.path(name)

    def insecure(self, *hosts, more=""):
        self.write("registries.conf", "".join(f'[[registry]]\nlocation = "{h}"\ninsecure = true\n' for h in hosts) + more)

    def store(self, **members):
        """registries.d for the registry of the tests."""
        self.write("registries.d/x.yaml", "docker:\n  %s:\n" % self.registry.host + "".join(
            f"    {k.replace('_', '-')}: {v}\n" for k, v in members.items()))

    def policy(self, *requirements, scope=None, transport="docker"):
        return self.write("policy.json", json.dumps({
            "default": [{"type": "reject"}], "transports": {transport: {scope or self.registry.host: list(requirements)}}}))

    def by(self, *keys, **more):
        return dict({"type": "signedBy", "keyType": "GPGKeys"},
                    **({"keyPath": Keys.public(keys[0])} if len(keys) == 1 else {"keyPaths": [Keys.public(k) for k in keys]}),
                    **more)

    def push(self, *tags, content=None):
        image = Image([layer([("content", content or os.urandom(8))])], {})
        return self.registry.push(self.name, list(tags) or ["1"], image), image

    def environment(self, **more):
        keep = {k: v for k, v in os.environ.items()
                if k in ("PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LD_LIBRARY_PATH", "LSAN_OPTIONS")}
        return dict(keep, HOME=self.path("home"), XDG_RUNTIME_DIR=self.path("home"), **more)

    def skopeo(self, *arguments, policy="accept.json", **environment):
        return subprocess.run(
            ["skopeo", "--policy", self.path(policy), "--registries.d", self.path("registries.d"), *arguments],
            capture_output=True, text=True, check=False, env=self.environment(**environment))

    def skopeo_copy(self, source, target, *options, policy="accept.json", **environment):
        done = self.skopeo("copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false", *options, source, target,
                           policy=policy, **environment)
        return done.returncode, done.stderr

    def skopeo_sign(self, reference, key="alice", target=None, *options):
        self.assertEqual(self.skopeo_copy(f"docker://{reference}", f"docker://{target or reference}", "--sign-by",
                                          f"{key}@example.com", *options, GNUPGHOME=Keys.gpg[key]), (0, ""))

    def skopeo_accepts(self, reference):
        out = self.path("skopeo-out")
        shutil.rmtree(out, ignore_errors=True)
        status, text = self.skopeo_copy(f"docker://{reference}", "dir:" + out, policy="policy.json")
        self.assertTrue(status == 0 or "Source image rejected" in text, text)
        self.their_words = text
        return status == 0

    def fetch(self, reference):
        out = self.path("out")
        shutil.rmtree(out, ignore_errors=True)
        os.mkdir(out)
        done = subprocess.run(
            [FETCH, "--registries-conf", self.path("registries.conf"), "--registries-conf-dir", "", "--policy",
             self.path("policy.json"), "--registries-d", self.path("registries.d"), reference, out],
            capture_output=True, text=True, check=False, env=self.environment(TMPDIR=self.path("home")))
        self.assertEqual([n for n in os.listdir(self.path("home")) if "gpg" in n], [], "a gpg home was left")
        return done.returncode, done.stderr

    def accepts(self, reference):
        """Both say the same; what."""
        status, text = self.fetch(reference)
        self.assertIn(status, (0, E_POLICY), text)
        self.said = text
        self.assertEqual(status == 0, self.skopeo_accepts(reference), text + self.their_words)
        return status == 0


class SimpleSigning(TrustCase):
    def test_signed_by_a_key_of_a_file_of_files_of_data(self):
        reference, _ = self.push()
        self.policy(self.by("alice"))
        self.assertFalse(self.accepts(reference))
        self.assertIn("no signature exists", self.said)
        self.skopeo_sign(reference)
        self.assertTrue(self.accepts(reference))
        self.policy(self.by("mallory"))
        self.assertFalse(self.accepts(reference))
        status, text = self.fetch(reference)        # skopeo 1.9 knows keyPaths not yet
        self.policy(self.by("mallory", "alice"))
        self.assertEqual(self.fetch(reference), (0, ""))
        with open(Keys.public("alice"), "rb") as f:
            data = base64.b64encode(f.read()).decode()
        self.policy({"type": "signedBy", "keyType": "GPGKeys", "keyData": data})
        self.assertTrue(self.accepts(reference))

    def test_one_good_signature_of_several_is_enough(self):
        reference, _ = self.push()
        self.skopeo_sign(reference, "mallory")
        self.policy(self.by("alice"))
        self.assertFalse(self.accepts(reference))
        self.skopeo_sign(reference, "alice")
        self.assertEqual(len(os.listdir(os.path.join(self.path("store"), os.listdir(self.path("store"))[0]))), 2)
        self.assertTrue(self.accepts(reference))
        self.policy(self.by("alice"), self.by("mallory"))
        self.assertTrue(self.accepts(reference))
        self.policy(self.by("alice"), {"type": "reject"})
        self.assertFalse(self.accepts(reference))

    def test_identities(self):
        reference, image = self.push("1", "2")
        host, repository = self.registry.host, reference[:-2]
        other = f"{host}/other:9"
        self.skopeo_sign(reference)
        by_digest = f"{repository}@{image.digest}"
        cases = [
            ({"type": "matchExact"}, {reference: True, repository + ":2": False, by_digest: False}),
            ({"type": "matchRepoDigestOrExact"}, {reference: True, repository + ":2": False, by_digest: True}),
            ({"type": "matchRepository"}, {reference: True, repository + ":2": True, by_digest: True}),
            ({"type": "exactReference", "dockerReference": reference}, {reference: True, repository + ":2": True}),
            ({"type": "exactReference", "dockerReference": other}, {reference: False}),
            ({"type": "exactRepository", "dockerRepository": repository}, {reference: True, repository + ":2": True}),
            ({"type": "exactRepository", "dockerRepository": f"{host}/other"}, {reference: False}),
            ({"type": "remapIdentity", "prefix": host, "signedPrefix": "vendor.example.com"}, {reference: False}),
        ]
        for identity, wanted in cases:
            self.policy(self.by("alice", signedIdentity=identity))
            for name, good in wanted.items():
                with self.subTest(identity=identity, name=name):
                    self.assertEqual(self.accepts(name), good, self.said)

    def test_remapped_identity_of_a_mirror(self):
        reference, _ = self.push()
        self.sign_as(reference, f"vendor.example.com/{self.name}:1")
        self.policy(self.by("alice"))
        self.assertFalse(self.accepts(reference))
        self.policy(self.by("alice", signedIdentity={"type": "remapIdentity", "prefix": self.registry.host,
                                                     "signedPrefix": "vendor.example.com"}))
        self.assertTrue(self.accepts(reference), self.said)

    def manifest_of(self, reference):
        name, tag = reference.split("/", 1)[1].rsplit(":", 1)
        status, _, body = self.registry.request("GET", f"/v2/{name}/manifests/{tag}", headers={
            "Accept": "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"})
        self.assertEqual(status, 200)
        return body

    def put_signature(self, reference, signature, number=1):
        manifest = self.manifest_of(reference)
        where = self.path("store", f"{self.name}@sha256={hashlib.sha256(manifest).hexdigest()}")
        os.makedirs(where, exist_ok=True)
        with open(f"{where}/signature-{number}", "wb") as f:
            f.write(signature)

    def sign_as(self, reference, name, key="alice"):
        manifest = self.write("manifest", self.manifest_of(reference))
        done = self.skopeo("standalone-sign", "-o", self.path("signature"), manifest, name, Keys.fingerprint_of(key),
                           GNUPGHOME=Keys.gpg[key])
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(self.path("signature"), "rb") as f:
            self.put_signature(reference, f.read())

    def test_what_is_no_good_signature(self):
        reference, _ = self.push()
        other, _ = self.push("other")
        digest = "sha256:" + hashlib.sha256(self.manifest_of(reference)).hexdigest()
        good = {"critical": {"identity": {"docker-reference": reference}, "image": {"docker-manifest-digest": digest},
                             "type": "atomic container signature"}, "optional": {}}

        def variant(**critical):
            return json.dumps(dict(good, critical=dict(good["critical"], **critical)))

        payloads = {
            "other digest": variant(image={"docker-manifest-digest": "sha256:" + "0" * 64}),
            "other type": variant(type="cosign container image signature"),
            "one member more": variant(more="x"),
            "member twice": json.dumps(good)[:-1] + ', "optional": {}}',
            "no optional": json.dumps({"critical": good["critical"]}),
            "text behind": json.dumps(good) + "x",
            "name only": variant(identity={"docker-reference": reference[:-2]}),
            "fraction": json.dumps(dict(good, optional={"timestamp": 1.5})),
            "empty": "",
        }
        self.policy(self.by("alice"))
        alice = dict(os.environ, GNUPGHOME=Keys.gpg["alice"])
        for what, text in [("good", json.dumps(good))] + list(payloads.items()):
            with self.subTest(payload=what):
                self.put_signature(reference, run("gpg", "--batch", "-s", input=text.encode(), env=alice))
                self.assertEqual(self.accepts(reference), what == "good", self.said)
        signed = run("gpg", "--batch", "-s", input=json.dumps(good).encode(), env=alice)
        uncompressed = run("gpg", "--batch", "-z", "0", "-s", input=json.dumps(good).encode(), env=alice)
        self.put_signature(reference, uncompressed)
        self.assertTrue(self.accepts(reference))
        at = uncompressed.index(b"docker-reference")
        blobs = {
            "literal": run("gpg", "--batch", "--store", input=json.dumps(good).encode(), env=alice),
            "changed": uncompressed[:at] + b"d0cker" + uncompressed[at + 6:],
            "cut": signed[:-20],
        }
        for what, blob in blobs.items():
            with self.subTest(blob=what):
                self.put_signature(reference, blob)
                status, text = self.fetch(reference)
                self.assertIn(status, (E_POLICY, E_INVALID), text)
                self.assertFalse(self.skopeo_copy(f"docker://{reference}", "dir:" + self.path("o2"), policy="policy.json")[0] == 0)
        # A good one for another manifest of the repository.
        self.sign_as(other, reference)
        other_manifest = self.manifest_of(other)
        where = self.path("store", f"{self.name}@sha256={hashlib.sha256(other_manifest).hexdigest()}")
        with open(where + "/signature-1", "rb") as f:
            self.put_signature(reference, f.read())
        self.assertFalse(self.accepts(reference))
        self.assertIn("does not match", self.said)

    def test_expired_key_and_signature(self):
        reference, _ = self.push()
        Keys.gpg["short"] = Keys.gpg_key("short", expires="seconds=2")
        self.skopeo_sign(reference, "short")
        end = time.monotonic() + 3
        self.policy(self.by("short"))
        while time.monotonic() < end:           # the point is that it expires
            time.sleep(0.2)
        self.assertFalse(self.accepts(reference))
        self.assertIn("expired", self.said.lower())

    def test_lookaside_over_http_and_registries_d(self):
        reference, _ = self.push()
        self.skopeo_sign(reference)
        seen = []

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(me, *a):
                super().__init__(*a, directory=self.base)

            def log_message(me, *a):
                seen.append((me.path, me.headers.get("Authorization")))

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.policy(self.by("alice"))
        self.store(lookaside=f"http://127.0.0.1:{server.server_address[1]}/store/")
        self.assertTrue(self.accepts(reference))
        ours = [p for p, _ in seen[:2]]
        self.assertEqual([p.rsplit("/", 1)[1] for p in ours], ["signature-1", "signature-2"])
        self.assertEqual({a for _, a in seen}, {None})
        # The scope's own settings, then wider ones for what it does not say, then the defaults.
        self.write("registries.d/x.yaml", f"docker:\n  {self.registry.host}:\n    sigstore: file://{self.path('store')}\n"
                                          f"  {reference[:-2]}:\n    use-sigstore-attachments: true\n")
        self.assertTrue(self.accepts(reference))
        self.write("registries.d/x.yaml", f"default-docker:\n  lookaside: file://{self.path('store')}\n")
        self.assertTrue(self.accepts(reference))
        self.write("registries.d/y.yaml", "default-docker: {}\n")
        status, text = self.fetch(reference)
        self.assertEqual(status, E_INVALID)
        self.assertIn("default-docker", text)

    def test_extension_of_the_registry(self):
        """A registry that keeps signatures itself, as OpenShift's does."""
        reference, image = self.push()
        self.skopeo_sign(reference)
        where = self.path("store", os.listdir(self.path("store"))[0], "signature-1")
        with open(where, "rb") as f:
            content = base64.b64encode(f.read()).decode()
        answer = {"signatures": [{"schemaVersion": 2, "type": "atomic", "name": image.digest + "@" + "0" * 32, "content": content}]}
        front = ExtensionFront(self.registry, answer)
        self.addCleanup(front.stop)
        self.insecure(front.host)
        self.write("registries.d/x.yaml", "")
        signed_as = {"type": "exactReference", "dockerReference": reference}
        self.policy(self.by("alice", signedIdentity=signed_as), scope=front.host)
        through = reference.replace(self.registry.host, front.host)
        self.assertTrue(self.accepts(through), self.said)
        self.assertIn(f"/extensions/v2/{self.name}/signatures/{image.digest}", front.paths)
        answer["signatures"][0]["type"] = "x"
        self.assertFalse(self.accepts(through))

    def test_standalone(self):
        """skopeo's standalone-sign and -verify with cimage's, both ways."""
        if not os.path.exists(CIMAGE):
            self.skipTest("tools are not built")
        reference, _ = self.push()
        manifest = self.write("manifest", self.manifest_of(reference))
        alice = self.environment(GNUPGHOME=Keys.gpg["alice"])
        fingerprint = Keys.fingerprint_of("alice")
        for signer, verifier in ((["skopeo"], [CIMAGE]), ([CIMAGE], ["skopeo"]), ([CIMAGE], [CIMAGE])):
            with self.subTest(signer=signer, verifier=verifier):
                run(*signer, "standalone-sign", "-o", self.path("s"), manifest, reference, fingerprint, env=alice)
                out = run(*verifier, "standalone-verify", manifest, reference, fingerprint, self.path("s"), env=alice).decode()
                self.assertIn("Signature verified", out)
                wrong = subprocess.run([*verifier, "standalone-verify", manifest, reference + "x", fingerprint, self.path("s")],
                                       env=alice, capture_output=True, text=True, check=False)
                self.assertNotEqual(wrong.returncode, 0)
        with open(self.path("s"), "rb") as f:
            self.put_signature(reference, f.read())
        self.policy(self.by("alice"))
        self.assertTrue(self.accepts(reference))


class Worker(TrustCase):
    """crid-worker: gpg in a process of its own, signatures kept with the image."""

    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest("needs root")
        if not os.path.exists(test_worker.WORKER):
            self.skipTest("crid is not built")
        test_worker.WorkerCase.setUpClass()
        os.chmod(self.base, 0o755)          # who fetches is nobody, and stores of signatures are public

    def pull(self, reference, **more):
        worker = test_worker.Worker({
            "job": "pull", "image": reference, "graph_root": self.path("root"), "run_root": self.path("run"), "driver": "overlay",
            "driver_options": [], "policy": self.path("policy.json"), "registries_conf": self.path("registries.conf"),
            "registries_conf_dir": "", "registries_d": self.path("registries.d"), "auth_file": self.path("auth.json"),
            "certs_dir": self.path("certs.d"), "short_name_mode": "disabled", "user_agent": "crid-test/1", **more})
        last = worker.end()
        self.assertEqual(worker.stderr, "")
        return last

    def refused(self, reference, *words):
        error = self.pull(reference)["error"]
        self.assertEqual(error["code"], test_worker.E_POLICY, error)
        for word in words:
            self.assertIn(word, error["message"])

    def record(self, root):
        with open(os.path.join(root, "overlay-images/images.json")) as f:
            [image] = json.load(f)
        return image

    def test_pull_of_a_signed_image(self):
        reference, image = self.push()
        self.policy(self.by("alice"))
        self.refused(reference, "Source image rejected", "no signature exists")
        self.skopeo_sign(reference, "mallory")
        self.refused(reference, "Source image rejected", "OpenPGP")
        self.skopeo_sign(reference)
        self.assertIn("result", self.pull(reference))
        # The record is what skopeo writes, signatures and all.
        run("unshare", "-m", "skopeo", "--policy", self.path("policy.json"), "--registries.d", self.path("registries.d"), "copy",
            "-q", "--src-tls-verify=false", f"docker://{reference}",
            f"containers-storage:[overlay@{self.path('skopeo-root')}+{self.path('skopeo-run')}]{reference}")
        ours, theirs = self.record(self.path("root")), self.record(self.path("skopeo-root"))
        self.assertEqual(sorted(ours["big-data-names"]), sorted(theirs["big-data-names"]))
        for field in ("metadata", "big-data-sizes", "big-data-digests"):
            self.assertEqual(ours[field], theirs[field])

    def test_store_of_the_system(self):
        """Without registries.d: what is in /var/lib/containers/sigstore is found by a fetch that is nobody by then."""
        reference, _ = self.push()
        self.skopeo_sign(reference)
        if not os.path.isdir("/var/lib/containers"):
            self.skipTest("there is no /var/lib/containers to mount something over")
        run("mount", "-t", "tmpfs", "-o", "mode=755", "none", "/var/lib/containers")    # in the namespace of the tests
        self.addCleanup(run, "umount", "-l", "/var/lib/containers")
        os.mkdir("/var/lib/containers/sigstore", 0o755)
        [signed] = os.listdir(self.path("store"))
        shutil.copytree(self.path("store", signed), f"/var/lib/containers/sigstore/{signed}")
        self.write("registries.d/x.yaml", "")
        self.policy(self.by("alice"))
        self.assertIn("result", self.pull(reference))
        # Closed to others it has nothing for such a fetch, and the policy refuses.
        os.chmod("/var/lib/containers", 0o700)
        self.refused(reference, "no signature exists")

    def test_what_checks_signatures_leaves_nothing(self):
        before = sorted(os.listdir("/tmp"))
        reference, _ = self.push()
        self.skopeo_sign(reference)
        self.policy(self.by("alice"))
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)     # PR_SET_CHILD_SUBREAPER: who is left behind is seen
        self.addCleanup(ctypes.CDLL(None).prctl, 36, 0, 0, 0, 0)
        known = set(crid_node.descendants(os.getpid()))
        self.assertIn("result", self.pull(reference))
        self.assertEqual([n for n in os.listdir("/tmp") if n not in before and "gpg" in n], [])
        crid_node.wait_for(lambda: not self.running(set(crid_node.descendants(os.getpid())) - known), 10, "its processes end")

    def test_credential_helper_runs_before_the_sandbox_closes(self):
        stub = test_worker.Stub()
        self.addCleanup(stub.stop)
        image = Image([layer([("a", b"x")])], {})
        reference = stub.put("private", "1", image)
        stub.password = "Basic " + base64.b64encode(b"joe:pw").decode()
        self.insecure(stub.host)
        with open(self.path("registries.conf"), "r+") as f:
            text = f.read()
            f.seek(0)
            f.write('credential-helpers = ["crid-test"]\n' + text)
        os.mkdir(self.path("bin"))
        helper = self.write("bin/docker-credential-crid-test", f"#!/bin/sh\nread -r server\necho \"$1 $server\" >>{self.path('asked')}\n"
                            "echo '{\"Username\":\"joe\",\"Secret\":\"pw\"}'\n")
        os.chmod(helper, 0o755)
        path = os.environ["PATH"]
        os.environ["PATH"] = self.path("bin") + ":" + path
        self.addCleanup(os.environ.__setitem__, "PATH", path)
        self.policy({"type": "insecureAcceptAnything"}, scope=stub.host)
        self.assertIn("result", self.pull(reference))
        with open(self.path("asked")) as f:
            self.assertEqual(f.read(), f"get {stub.host}\n")

    def test_pull_of_an_encrypted_image(self):
        """skopeo encrypts, the worker has the key: the store has the plain layer."""
        noise = os.urandom(300000)
        image = Image([layer([("a", noise)])], {}, crid_node.OCI)
        reference = self.registry.push(self.name, ["plain"], image)
        encrypted = reference[:-5] + "secret"
        os.mkdir(self.path("keys"))
        run("openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", self.path("keys/key"))
        run("openssl", "pkey", "-in", self.path("keys/key"), "-pubout", "-out", self.path("key.pub"))
        self.assertEqual(self.skopeo_copy(f"docker://{reference}", f"docker://{encrypted}", "--encryption-key",
                                          f"jwe:{self.path('key.pub')}"), (0, ""))
        self.policy({"type": "insecureAcceptAnything"})
        error = self.pull(encrypted)["error"]
        self.assertEqual(error["code"], test_worker.E_DENIED, error)
        self.assertIn("missing private key", error["message"])
        self.assertIn("result", self.pull(encrypted, decryption_keys=self.path("keys")))
        [top] = [n for n in os.listdir(self.path("root/overlay")) if len(n) == 64]
        with open(self.path("root/overlay", top, "diff/a"), "rb") as f:
            self.assertEqual(f.read(), noise)
        run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", self.path("keys/key"))
        error = self.pull(encrypted, decryption_keys=self.path("keys"), graph_root=self.path("root2"))["error"]
        self.assertEqual(error["code"], test_worker.E_DENIED, error)
        os.symlink("key", self.path("keys/link"))
        error = self.pull(encrypted, decryption_keys=self.path("keys"))["error"]
        self.assertIn("no regular file", error["message"])

    def running(self, pids):
        return [p for p in pids if crid_node.pid_alive(p)]


class Copying(TrustCase):
    """cimage copy as the signer and the reader, skopeo as the other."""

    def setUp(self):
        super().setUp()
        if not os.path.exists(CIMAGE):
            self.skipTest("tools are not built")
        self.write("pass", "secret\n")

    def cimage(self, *arguments, policy="accept.json", **environment):
        return subprocess.run(
            [CIMAGE, "--policy", self.path(policy), "--registries.d", self.path("registries.d"), "--registries-conf",
             self.path("registries.conf"), "-q", *arguments], capture_output=True, text=True, check=False,
            env=self.environment(TMPDIR=self.path("home"), **environment))

    def copy(self, *arguments, **more):
        done = self.cimage("copy", *arguments, **more)
        return done.returncode, done.stderr

    def sigstore(self, **more):
        return dict({"type": "sigstoreSigned", "keyPath": self.path("k.pub")}, **more)

    def make_key(self):
        done = self.cimage("generate-sigstore-key", "--output-prefix", self.path("k"), "--passphrase-file", self.path("pass"))
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_simple_signature_of_a_copy(self):
        reference, _ = self.push()
        self.policy(self.by("alice"))
        self.assertFalse(self.accepts(reference))
        self.assertEqual(self.copy("--sign-by", "alice@example.com", f"docker://{reference}", f"docker://{reference}",
                                   GNUPGHOME=Keys.gpg["alice"]), (0, ""))
        self.assertTrue(self.accepts(reference))
        # Once more: nothing is signed away, and the second does not replace the first.
        self.assertEqual(self.copy("--sign-by", "mallory@example.com", f"docker://{reference}", f"docker://{reference}",
                                   GNUPGHOME=Keys.gpg["mallory"]), (0, ""))
        self.policy(self.by("alice"), self.by("mallory"))
        self.assertTrue(self.accepts(reference))

    def test_signatures_go_along_or_the_copy_is_refused(self):
        reference, _ = self.push()
        self.skopeo_sign(reference)
        target = f"dir:{self.path('dir')}"
        self.assertEqual(self.copy(f"docker://{reference}", target), (0, ""))
        with open(self.path("dir/signature-1"), "rb") as f, open(os.path.join(
                self.path("store"), os.listdir(self.path("store"))[0], "signature-1"), "rb") as g:
            self.assertEqual(f.read(), g.read())
        status, text = self.copy(f"docker://{reference}", f"oci:{self.path('oci')}:x")
        self.assertEqual(status, 1)
        self.assertIn("signatures", text)
        self.assertEqual(self.copy("--remove-signatures", f"docker://{reference}", f"oci:{self.path('oci')}:x"), (0, ""))
        status, text = self.copy("--format", "oci", f"docker://{reference}", target)
        self.assertEqual(status, 1)
        self.assertIn("ignature", text)
        # dir: has no docker identity, so only exact ones can be asked for.
        identity = {"type": "exactReference", "dockerReference": reference}
        for requirement, good in ((self.by("alice", signedIdentity=identity), True), (self.by("alice"), False),
                                  (self.by("mallory", signedIdentity=identity), False)):
            self.policy(requirement, scope=self.path("dir"), transport="dir")
            ours = self.copy("--remove-signatures", target, f"oci:{self.path('oci')}:y", policy="policy.json")[0]
            theirs = self.skopeo_copy(target, f"oci:{self.path('oci2')}:y", "--remove-signatures", policy="policy.json")[0]
            self.assertEqual((ours == 0, theirs == 0), (good, good))

    def peer(self, *arguments, policy="policy.json"):
        done = subprocess.run([PEER, "-policy", self.path(policy), "-registries.d", self.path("registries.d"), *arguments],
                              capture_output=True, text=True, check=False, env=self.environment())
        return done.returncode, done.stderr

    def sigstore_accepts(self, reference):
        """As accepts(), with containers/image itself as the other side where it is there."""
        status, self.said = self.fetch(reference)
        self.assertIn(status, (0, E_POLICY), self.said)
        if PEER:
            shutil.rmtree(self.path("peer-out"), ignore_errors=True)
            theirs, words = self.peer(f"docker://{reference}", "dir:" + self.path("peer-out"))
            self.assertEqual(status == 0, theirs == 0, self.said + words)
        return status == 0

    @unittest.skipUnless(PEER, os.environ.get("CIMAGE_PEER_MISSING", "Go is not installed"))
    def test_sigstore_signature_of_containers_image(self):
        reference, _ = self.push()
        self.make_key()
        self.store(use_sigstore_attachments="true")
        self.policy(self.sigstore())
        self.assertFalse(self.sigstore_accepts(reference))
        self.assertEqual(self.peer("-sign", self.path("k.private"), "-passphrase", "secret", f"docker://{reference}",
                                   f"docker://{reference}", policy="accept.json"), (0, ""))
        self.assertTrue(self.sigstore_accepts(reference), self.said)
        # Another one of ours beside it: both are there, each for its key.
        run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.path("other"))
        run("openssl", "ec", "-in", self.path("other"), "-pubout", "-out", self.path("other.pub"))
        self.assertEqual(self.copy("--sign-by-sigstore-private-key", self.path("other"), f"docker://{reference}",
                                   f"docker://{reference}"), (0, ""))
        self.policy(self.sigstore(), self.sigstore(keyPath=self.path("other.pub")))
        self.assertTrue(self.sigstore_accepts(reference), self.said)

    def test_sigstore_signatures(self):
        reference, _ = self.push("1", "2")
        self.make_key()
        sign = ["--sign-by-sigstore-private-key", self.path("k.private"), "--sign-passphrase-file", self.path("pass")]
        self.store(use_sigstore_attachments="true", lookaside="file://" + self.path("store"))
        self.policy(self.sigstore())
        self.assertFalse(self.sigstore_accepts(reference))
        # With the key that we made.
        self.assertEqual(self.copy(*sign, f"docker://{reference}", f"docker://{reference}"), (0, ""))
        self.assertTrue(self.sigstore_accepts(reference), self.said)
        # Another key, no attachments, another identity.
        run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.path("other"))
        run("openssl", "ec", "-in", self.path("other"), "-pubout", "-out", self.path("other.pub"))
        self.policy(self.sigstore(keyPath=self.path("other.pub")))
        self.assertFalse(self.sigstore_accepts(reference))
        self.policy(self.sigstore(signedIdentity={"type": "exactRepository", "dockerRepository": "other.io/x"}))
        self.assertFalse(self.sigstore_accepts(reference))
        self.policy(self.sigstore())
        self.store(use_sigstore_attachments="false", lookaside="file://" + self.path("store"))
        self.assertFalse(self.sigstore_accepts(reference))
        status, text = self.copy(*sign, f"docker://{reference}", f"docker://{reference}")
        self.assertEqual(status, 1)
        self.assertIn("use-sigstore-attachments", text)
        # A wrong passphrase says so.
        self.write("pass", "wrong")
        self.assertIn("passphrase is wrong", self.copy(*sign, f"docker://{reference}", f"docker://{reference}")[1])
        # With the key's own form of PKCS #8, of any kind that sigstore has.
        self.store(use_sigstore_attachments="true", lookaside="file://" + self.path("store"))
        for number, kind in enumerate((["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], ["-algorithm", "ED25519"],
                                       ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"])):
            run("openssl", "genpkey", *kind, "-out", self.path("any"))
            run("openssl", "pkey", "-in", self.path("any"), "-pubout", "-out", self.path("any.pub"))
            other, _ = self.push(f"kind{number}")
            self.assertEqual(self.copy("--sign-by-sigstore-private-key", self.path("any"), f"docker://{other}",
                                       f"docker://{other}"), (0, ""))
            self.policy(self.sigstore(keyPath=self.path("any.pub")))
            self.assertTrue(self.sigstore_accepts(other), self.said)

    def test_encrypted_layers_both_ways(self):
        reference, image = self.push(content=b"top secret" * 1000)
        for kind, options in (("rsa", ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]),
                              ("ec", ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"])):
            run("openssl", "genpkey", *options, "-out", self.path(kind))
            run("openssl", "pkey", "-in", self.path(kind), "-pubout", "-out", self.path(kind + ".pub"))
        tools = {"cimage": self.copy, "skopeo": lambda *a: self.skopeo_copy(*a[-2:], *a[:-2])}
        for kind in ("rsa", "ec"):
            for writer in tools:
                encrypted = f"oci:{self.path(kind + writer)}:x"
                self.assertEqual(tools[writer]("--encryption-key", f"jwe:{self.path(kind + '.pub')}", f"docker://{reference}",
                                               encrypted), (0, ""))
                [layer] = self.manifest_in(self.path(kind + writer))["layers"]
                self.assertTrue(layer["mediaType"].endswith("+encrypted"), layer)
                for reader in tools:
                    with self.subTest(kind=kind, writer=writer, reader=reader):
                        out = self.path(f"plain-{kind}-{writer}-{reader}")
                        self.assertEqual(tools[reader]("--decryption-key", self.path(kind), encrypted, f"oci:{out}:x"), (0, ""))
                        [plain] = self.manifest_in(out)["layers"]
                        self.assertIn(plain["digest"], image.blobs)
                        self.assertFalse([k for k in plain.get("annotations") or {} if ".enc." in k])
                        wrong = tools[reader]("--decryption-key", self.path("ec" if kind == "rsa" else "rsa"), encrypted,
                                              f"oci:{out}-wrong:x")
                        self.assertNotEqual(wrong[0], 0)
        # A bit changed: the code over it is wrong, whatever the digests say.
        status, text = self.copy("--decryption-key", self.path("ec"), self.tampered("rsacimage"), f"oci:{self.path('bad')}:x")
        self.assertEqual(status, 1, text)

    def manifest_in(self, layout):
        def blob(digest):
            with open(os.path.join(layout, "blobs/sha256", digest[7:])) as f:
                return json.load(f)
        with open(layout + "/index.json") as f:
            return blob(json.load(f)["manifests"][0]["digest"])

    def tampered(self, layout):
        """The layer with another bit, under the digests it has then."""
        path = self.path(layout)
        manifest = self.manifest_in(path)
        with open(f"{path}/blobs/sha256/{manifest['layers'][0]['digest'][7:]}", "rb") as f:
            data = bytearray(f.read())
        data[10] ^= 1
        self.put(path, bytes(data), manifest["layers"][0])
        index = {"schemaVersion": 2, "manifests": [{"mediaType": "application/vnd.oci.image.manifest.v1+json",
                                                    "annotations": {"org.opencontainers.image.ref.name": "x"}}]}
        self.put(path, json.dumps(manifest).encode(), index["manifests"][0])
        with open(path + "/index.json", "w") as f:
            json.dump(index, f)
        return f"oci:{path}:x"

    def put(self, layout, data, descriptor):
        descriptor.update(digest="sha256:" + hashlib.sha256(data).hexdigest(), size=len(data))
        with open(f"{layout}/blobs/sha256/{descriptor['digest'][7:]}", "wb") as f:
            f.write(data)

    def test_logging_in_and_out(self):
        """Both programs' files are the other's."""
        import test_worker as worker_tests
        stub = worker_tests.Stub()
        self.addCleanup(stub.stop)
        stub.password = "Basic " + base64.b64encode(b"joe:pw").decode()
        self.insecure(stub.host)
        authfile = self.path("auth.json")
        login = [CIMAGE, "--registries-conf", self.path("registries.conf"), "login", "--authfile", authfile]
        environment = self.environment()

        def run_login(*more, text="pw\n"):
            return subprocess.run([*login, *more], input=text, capture_output=True, text=True, check=False, env=environment)
        wrong = run_login("-u", "joe", "--password-stdin", stub.host, text="no")
        self.assertEqual(wrong.returncode, 1, wrong.stderr)
        self.assertIn("401", wrong.stderr)
        self.assertFalse(os.path.exists(authfile))
        self.assertEqual(run_login("-u", "joe", "--password-stdin", stub.host).stdout, "Login Succeeded!\n")
        self.assertEqual(os.stat(authfile).st_mode & 0o777, 0o600)
        self.assertEqual(run_login("--get-login", stub.host).stdout, "joe\n")
        self.assertEqual(subprocess.run(["skopeo", "login", "--authfile", authfile, "--get-login", stub.host], capture_output=True,
                                        text=True, check=False, env=environment).stdout, "joe\n")
        subprocess.run(["skopeo", "logout", "--authfile", authfile, stub.host], check=True, capture_output=True, env=environment)
        self.assertEqual(run_login("--get-login", stub.host).returncode, 1)
        run("skopeo", "login", "--authfile", authfile, "--tls-verify=false", "-u", "joe", "-p", "pw", stub.host, env=environment)
        self.assertEqual(run_login("--get-login", stub.host).stdout, "joe\n")
        done = subprocess.run([CIMAGE, "logout", "--authfile", authfile, stub.host], capture_output=True, text=True, check=False,
                              env=environment)
        self.assertEqual((done.returncode, done.stdout), (0, f"Removed login credentials for {stub.host}\n"))
        self.assertEqual(subprocess.run([CIMAGE, "logout", "--authfile", authfile, stub.host], capture_output=True, check=False,
                                        env=environment).returncode, 1)


class ExtensionFront(http.server.ThreadingHTTPServer):
    """Passes everything on to a registry, and knows signatures."""

    daemon_threads = True

    def __init__(self, registry, answer):
        front = self
        self.paths = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                front.paths.append(self.path)
                if self.path.startswith("/extensions/"):
                    status, headers, body = 200, {"Content-Type": "application/json"}, json.dumps(answer).encode()
                else:
                    status, headers, body = registry.request("GET", self.path, headers={
                        "Accept": ", ".join(self.headers.get_all("Accept", ["*/*"]))})
                self.send_response(status)
                for name in ("Content-Type", "Docker-Content-Digest"):
                    if name in headers:
                        self.send_header(name, headers[name])
                self.send_header("X-Registry-Supports-Signatures", "1")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def host(self):
        return f"127.0.0.1:{self.server_address[1]}"

    def stop(self):
        self.shutdown()
        self.server_close()


if __name__ == "__main__":
    unittest.main()
