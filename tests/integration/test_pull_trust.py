# SPDX-License-Identifier: Apache-2.0
"""PullImage and whom it trusts: policies and credentials of namespaces, prefixes of errors, pinned images, stalled pulls."""

import base64
import hashlib
import json
import os
import threading
import time
import unittest

import grpc

import crid_node
from crid_harness import NodeCase
from crid_node import Image, layer, wait_for
from test_worker import Stub

REJECT = {"default": [{"type": "reject"}]}


class Trust(NodeCase):
    @classmethod
    def start_crid(cls):
        conf = cls.node.path("crio.conf")
        with open(conf) as f:
            text = f.read()
        if "namespaced_auth_dir" not in text:
            for name in ("policies", "auth", "keys"):
                os.makedirs(cls.node.path(name), 0o700)
            pinned = [f"{cls.registry.host}/exact:1", f"{cls.registry.host}/prefix*", "*keyword*"]
            text = text.replace("[crio.image]\n", "[crio.image]\n"
                                f"signature_policy_dir = {json.dumps(cls.node.path('policies'))}\n"
                                f"namespaced_auth_dir = {json.dumps(cls.node.path('auth'))}\n"
                                f"pinned_images = {json.dumps(pinned)}\npull_progress_timeout = \"4s\"\n")
            text = text.replace("[crio.runtime]\n", f"[crio.runtime]\ndecryption_keys_path = {json.dumps(cls.node.path('keys'))}\n")
            cls.node.write("crio.conf", text)
        super().start_crid()

    def tearDown(self):
        self.remove_all_pods()
        for image in self.cri.ListImages().images:
            if self.pause not in image.repo_tags:
                self.cri.RemoveImage(image={"image": image.id})

    def stub(self):
        stub = Stub()
        self.addCleanup(stub.stop)
        self.conf(stub.host)
        return stub

    def conf(self, *insecure, more=""):
        """Files are read with every pull: nobody has to tell crid that they changed."""
        self.node.write("registries.conf", "".join(
            f'[[registry]]\nlocation = "{h}"\ninsecure = true\n' for h in (self.registry.host,) + insecure) + more)

    def pull_in(self, namespace, reference, **more):
        return self.cri.PullImage(image={"image": reference}, sandbox_config={"metadata": {
            "name": "p", "namespace": namespace, "uid": "u", "attempt": 0}}, **more).image_ref

    def fails(self, code, prefix, call, *arguments, **more):
        with self.assertRaises(grpc.RpcError) as caught:
            call(*arguments, **more)
        self.assertEqual(caught.exception.code(), code, caught.exception.details())
        self.assertTrue(caught.exception.details().startswith(prefix), caught.exception.details())
        return caught.exception.details()

    def image(self, name):
        return self.registry.push(name, ["1"], crid_node.busybox_image({"Labels": {"x": name}}))

    def test_policy_of_a_namespace(self):
        reference = self.image("ns-policy")
        self.node.write("policies/strict.json", json.dumps(REJECT))
        self.node.write("policies/broken.json", "{")
        said = self.fails(grpc.StatusCode.UNKNOWN, "SignatureValidationFailed: ", self.pull_in, "strict", reference)
        self.assertIn("policies/strict.json", said)
        self.fails(grpc.StatusCode.INVALID_ARGUMENT, "", self.pull_in, "broken", reference)
        self.assertFalse(self.cri.ImageStatus(image={"image": reference}).HasField("image"))
        self.pull_in("other", reference)
        # No path is made of what is no name of a namespace.
        for name in ("../policies/strict", "strict.json", "", "/etc"):
            self.pull_in(name, reference)

    def test_prefixes_the_kubelet_knows(self):
        reference = self.image("prefix-policy")
        self.node.write("policy.json", json.dumps(REJECT))
        self.addCleanup(self.node.write, "policy.json", json.dumps({"default": [{"type": "insecureAcceptAnything"}]}))
        self.fails(grpc.StatusCode.UNKNOWN, "SignatureValidationFailed: ", self.pull, reference)
        self.node.write("policy.json", json.dumps({"default": [{
            "type": "sigstoreSigned", "keyData": base64.b64encode(
                crid_node.subprocess.run(["openssl", "ec", "-pubout"], input=crid_node.subprocess.run(
                    ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout"], check=True, capture_output=True).stdout,
                    check=True, capture_output=True).stdout).decode()}]}))
        said = self.fails(grpc.StatusCode.UNKNOWN, "SignatureValidationFailed: ", self.pull, reference)
        self.assertIn("A signature was required, but no signature exists", said)
        self.node.write("policy.json", json.dumps({"default": [{"type": "insecureAcceptAnything"}]}))
        gone = f"127.0.0.1:{crid_node.free_port()}"
        self.conf(gone)
        self.fails(grpc.StatusCode.UNKNOWN, "RegistryUnavailable: ", self.pull, gone + "/x:1")

    def test_credentials_of_a_namespace_are_for_one_pull(self):
        stub = self.stub()
        image = Image([crid_node.busybox_layer()], {})
        reference = stub.put("team/private", "1", image)
        stub.password = "Basic " + base64.b64encode(b"u:p").decode()
        entry = json.dumps({"auths": {stub.host: {"auth": base64.b64encode(b"u:p").decode()}}})
        name = hashlib.sha256(f"{stub.host}/team/private".encode()).hexdigest()
        self.node.write(f"auth/blue-{name}.json", entry)
        self.fails(grpc.StatusCode.PERMISSION_DENIED, "", self.pull_in, "green", reference)
        self.assertTrue(self.pull_in("blue", reference))
        self.assertEqual([f for _, _, files in os.walk(self.node.path("auth")) for f in files], [])
        self.cri.RemoveImage(image={"image": reference})
        self.fails(grpc.StatusCode.PERMISSION_DENIED, "", self.pull_in, "blue", reference)
        # Also when the pull fails it is gone.
        self.node.write(f"auth/blue-{name}.json", entry.replace("auths", "other"))
        self.fails(grpc.StatusCode.PERMISSION_DENIED, "", self.pull_in, "blue", reference)
        self.assertEqual([f for _, _, files in os.walk(self.node.path("auth")) for f in files], [])

    def test_pinned_images(self):
        names = {name: self.image(name) for name in ("exact", "exact-not", "prefix-x", "some-keyword-in-it", "other")}
        for reference in (self.pause, *names.values()):
            self.pull(reference)
        pinned = {tag: image.pinned for image in self.cri.ListImages().images for tag in image.repo_tags}
        wanted = {self.pause: True, names["exact"]: True, names["exact-not"]: False, names["prefix-x"]: True,
                  names["some-keyword-in-it"]: True, names["other"]: False}
        self.assertEqual({k: pinned[k] for k in wanted}, wanted)
        self.assertTrue(self.cri.ImageStatus(image={"image": names["exact"]}).image.pinned)

    def test_changed_registries_conf_counts_at_once(self):
        reference = self.image("reload")
        self.conf(more='[[registry]]\nprefix = "%s/reload"\nlocation = "%s/reload"\nblocked = true\n' % (
            self.registry.host, self.registry.host))
        with self.assertRaises(grpc.RpcError) as caught:
            self.pull(reference)
        self.assertIn("blocked", caught.exception.details())
        self.conf(more='[aliases]\n"short" = "%s/reload"\n' % self.registry.host)
        got = self.pull("short:1")
        # ImageStatus resolves the short name on this machine alone.
        self.assertEqual(self.cri.ImageStatus(image={"image": "short:1"}).image.id, got)
        self.assertFalse(self.cri.ImageStatus(image={"image": "other:1"}).HasField("image"))

    def stalled(self, stub):
        image = Image([crid_node.busybox_layer(), layer([("noise", os.urandom(4 << 20))])], {})
        go, reached = stub.hold_blob("held", max(image.blobs, key=lambda d: len(image.blobs[d])))
        return stub.put("held", "1", image), go, reached

    def test_pull_without_progress_is_given_up(self):
        reference, go, reached = self.stalled(self.stub())
        start = time.monotonic()
        said = self.fails(grpc.StatusCode.UNKNOWN, "", self.pull, reference)
        self.assertIn("no progress within 4s", said)
        self.assertLess(time.monotonic() - start, 20)
        self.assertTrue(reached.is_set())
        go.set()
        wait_for(lambda: not self.workers(), 10, "the worker ends")
        self.assertFalse(self.cri.ImageStatus(image={"image": reference}).HasField("image"))

    def workers(self):
        found = []
        for pid in crid_node.descendants(self.node.process.pid):
            try:
                with open(f"/proc/{pid}/comm") as f:
                    if f.read().strip() == "crid-worker":
                        found.append(pid)
            except OSError:
                pass
        return found

    def holders(self, what):
        """Processes that have it: as their namespace, as a mount, or open."""
        found = []
        for pid in (p for p in os.listdir("/proc") if p.isdigit()):
            try:
                if what in os.readlink(f"/proc/{pid}/ns/net"):
                    found.append((pid, "namespace"))
                with open(f"/proc/{pid}/mountinfo") as f:
                    if what in f.read():
                        found.append((pid, "mount"))
                found += [(pid, n) for n in os.listdir(f"/proc/{pid}/fd") if what in os.readlink(f"/proc/{pid}/fd/{n}")]
            except OSError:
                pass
        return found

    def test_pod_removed_during_a_stalled_pull_is_gone_at_once(self):
        self.pull(self.busybox)
        pod, config = self.run_pod()
        container = self.start_container(pod, config, ["sleep", "1000"])
        pid = int(json.loads(self.cri.ContainerStatus(container_id=container, verbose=True).info["info"])["pid"])
        netns = os.readlink(f"/proc/{pid}/ns/net")
        reference, go, reached = self.stalled(self.stub())
        results = []
        thread = threading.Thread(target=lambda: results.append(self.pull(reference)))
        thread.start()
        self.assertTrue(reached.wait(30))
        self.assertTrue(self.workers())
        self.assertTrue(self.holders(netns))
        with open(f"/proc/{pid}/mountinfo") as f:
            upper = [o for line in f if " overlay " in line and line.split()[4] == "/" for o in line.split()[-1].split(",")
                     if o.startswith("upperdir=")][0]
        self.remove_pod(pod)
        self.assertTrue(self.workers(), "the pull ended too early to show anything")
        self.assertEqual(self.holders(netns), [])
        self.assertEqual(self.holders(upper), [])
        go.set()
        thread.join()
        self.assertEqual(len(results), 1)


if __name__ == "__main__":
    unittest.main()
