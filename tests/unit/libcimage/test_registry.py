# SPDX-License-Identifier: Apache-2.0
"""libcimage against real registries (Debian's docker-registry, images pushed by skopeo) and against a fake
one for faults. Started by meson, which gives the fetch program in $CIMAGE_FETCH; needs no privileges."""

import base64
import errno
import gzip
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import unittest

import registries
from registries import Fake, Registry, Server, TokenService, run, sha256

FETCH = os.environ["CIMAGE_FETCH"]
PIPES = os.environ["CIMAGE_FETCH_PIPES"]
NOT_FOUND, DENIED, POLICY, DIGEST, INVALID, UNAVAILABLE, TLS, BLOCKED, PLATFORM, UNSUPPORTED, LIMIT, CANCELLED, \
    AMBIGUOUS, ARTIFACT, BUSY = range(101, 116)
ACCEPT = '{"default":[{"type":"insecureAcceptAnything"}]}'
ARCH = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)


def tar_of(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as t:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o755
            t.addfile(info, io.BytesIO(data))
    return out.getvalue()


def make_layout(where, layers, arch=ARCH):
    """An OCI layout with one image, for skopeo."""
    blobs = f"{where}/blobs/sha256"
    os.makedirs(blobs)

    def blob(data, kind):
        with open(f"{blobs}/{hashlib.sha256(data).hexdigest()}", "wb") as f:
            f.write(data)
        return {"mediaType": kind, "digest": sha256(data), "size": len(data)}

    config = json.dumps({"os": "linux", "architecture": arch, "created": "2026-01-02T03:04:05Z", "config": {"Cmd": ["sh"]},
                         "rootfs": {"type": "layers", "diff_ids": [sha256(x) for x in layers]}}).encode()
    manifest = json.dumps({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob(config, "application/vnd.oci.image.config.v1+json"),
        "layers": [blob(gzip.compress(x, 1, mtime=0), "application/vnd.oci.image.layer.v1.tar+gzip") for x in layers],
    }).encode()
    entry = blob(manifest, "application/vnd.oci.image.manifest.v1+json")
    with open(f"{where}/index.json", "w", encoding="ascii") as f:
        json.dump({"schemaVersion": 2, "manifests": [entry]}, f)
    with open(f"{where}/oci-layout", "w", encoding="ascii") as f:
        f.write('{"imageLayoutVersion":"1.0.0"}')
    return sha256(config), sha256(manifest)


class Case(unittest.TestCase):
    """A scratch directory and one run of the fetch program after the other."""

    def setUp(self):
        self.scratch = tempfile.mkdtemp(prefix="cimage-test-")
        self.addCleanup(shutil.rmtree, self.scratch)
        self.conf("")
        self.write("policy.json", ACCEPT)
        os.mkdir(self.path("home"))
        self.servers = []

    def path(self, *parts):
        return os.path.join(self.scratch, *parts)

    def write(self, name, text):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)
        return self.path(name)

    def conf(self, text, insecure=()):
        for host in insecure:
            text += f'\n[[registry]]\nlocation = "{host}"\ninsecure = true\n'
        self.write("registries.conf", text)

    def serve(self, server):
        self.addCleanup(server.stop)
        return server

    def command(self, name, *options):
        out = self.path("out")
        shutil.rmtree(out, ignore_errors=True)
        os.mkdir(out)
        return [FETCH, "--registries-conf", self.path("registries.conf"), "--registries-conf-dir", "",
                "--policy", self.path("policy.json"), "--certs-dir", self.path("certs.d"), *options, name, out]

    def environment(self):
        keep = {k: v for k, v in os.environ.items() if k in ("PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LD_LIBRARY_PATH")}
        return dict(keep, HOME=self.path("home"), XDG_RUNTIME_DIR=self.path("home"))

    def fetch(self, name, *options, **environment):
        """(exit status, standard error)"""
        for _ in range(5):
            done = subprocess.run(self.command(name, *options), check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                  timeout=150, env=dict(self.environment(), **environment))
            if "LeakSanitizer has encountered a fatal error" not in done.stderr:
                break               # else: it broke down itself while it looked
        self.said = done.stdout
        return done.returncode, done.stderr

    def good(self, name, *options, **environment):
        status, text = self.fetch(name, *options, **environment)
        self.assertEqual((status, text), (0, ""))
        return self.check_out()

    def bad(self, status, name, *options, said="", **environment):
        got, text = self.fetch(name, *options, **environment)
        self.assertEqual(got, status, text)
        self.assertIn(said, text)
        return text

    def check_out(self):
        """All content is what the names say; returns the manifest."""
        out = self.path("out")
        with open(f"{out}/manifest.json", "rb") as f:
            manifest = json.load(f)
        with open(f"{out}/config.json", "rb") as f:
            self.assertEqual(sha256(f.read()), manifest["config"]["digest"])
        for layer in manifest["layers"]:
            with open(f"{out}/{layer['digest'][7:]}", "rb") as f:
                self.assertEqual(sha256(f.read()), layer["digest"])
        return manifest


class Shared:
    """Made once: images in a registry's storage, authorities, registries that only read it."""

    @classmethod
    def make(cls):
        cls.dir = tempfile.mkdtemp(prefix="cimage-shared-")
        cls.registries = []
        with open(shutil.which("busybox") or "/bin/busybox", "rb") as f:
            base = tar_of({"bin/busybox": f.read()})
        cls.config, cls.manifest = make_layout(f"{cls.dir}/one", [base, tar_of({"etc/x": b"x"})])
        make_layout(f"{cls.dir}/other-arch", [tar_of({"y": b"y"})], "s390x" if ARCH != "s390x" else "amd64")
        cls.many = [tar_of({f"f{i}": os.urandom(700000)}) for i in range(12)]
        make_layout(f"{cls.dir}/many", cls.many + [cls.many[3]])
        registries.make_ca(cls.dir)
        registries.make_certificate(cls.dir, "server", cls.dir)
        registries.make_certificate(cls.dir, "client", cls.dir, client=True)
        cls.tls = (f"{cls.dir}/server.crt", f"{cls.dir}/server.key")
        cls.plain = cls.registry("plain")
        for name, source in (("one", "one"), ("other", "other-arch"), ("many", "many")):
            cls.push(f"oci:{cls.dir}/{source}", f"lib/{name}:1")
        cls.push(f"oci:{cls.dir}/one", "lib/docker:1", "--format", "v2s2")
        cls.push(f"oci:{cls.dir}/one", "top:1")
        cls.push_index()

    @classmethod
    def registry(cls, name, **more):
        one = Registry(f"{cls.dir}/{name}", f"{cls.dir}/data", **more).start()
        cls.registries.append(one)
        return one

    @classmethod
    def push(cls, source, name, *options):
        run("skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false", *options, source,
            f"docker://{cls.plain.host}/{name}")

    @classmethod
    def push_index(cls):
        """lib/index:1 is of one and other; skopeo puts the raw bytes there from a dir: layout."""
        entries = []
        layout = f"{cls.dir}/index-dir"
        os.mkdir(layout)
        with open(f"{layout}/version", "w", encoding="ascii") as f:
            f.write("Directory Transport Version: 1.1\n")
        for source, arch in (("other-arch", "s390x" if ARCH != "s390x" else "amd64"), ("one", ARCH)):
            with open(f"{cls.dir}/{source}/index.json", encoding="ascii") as f:
                entry = json.load(f)["manifests"][0]
            entries.append(dict(entry, platform={"os": "linux", "architecture": arch}))
            blobs = f"{cls.dir}/{source}/blobs/sha256"
            for name in os.listdir(blobs):
                shutil.copy(f"{blobs}/{name}", f"{layout}/{name}")
            shutil.copy(f"{blobs}/{entry['digest'][7:]}", f"{layout}/{entry['digest'][7:]}.manifest.json")
        with open(f"{layout}/manifest.json", "w", encoding="ascii") as f:
            json.dump({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": entries}, f)
        cls.push(f"dir:{layout}", "lib/index:1", "--all")

    @classmethod
    def done(cls):
        for one in cls.registries:
            one.stop()
        shutil.rmtree(cls.dir)


def setUpModule():
    Shared.make()


def tearDownModule():
    Shared.done()


class RealRegistry(Case):
    def test_plain_http_needs_registries_conf(self):
        host = Shared.plain.host
        self.bad(TLS, f"{host}/lib/one:1", said="https://")
        self.conf("", [host])
        self.good(f"{host}/lib/one:1")
        self.assertIn(f"image {Shared.config[7:]}\nmanifest {Shared.manifest}\n", self.said)

    def test_oci_docker_and_top_level_images(self):
        self.conf("", [Shared.plain.host])
        for name in ("lib/one:1", "lib/docker:1", "top:1", f"lib/one@{Shared.manifest}", f"lib/one:1@{Shared.manifest}"):
            with self.subTest(name=name):
                self.assertEqual(len(self.good(f"{Shared.plain.host}/{name}")["layers"]), 2)

    def test_many_layers_and_one_twice(self):
        self.conf("", [Shared.plain.host])
        manifest = self.good(f"{Shared.plain.host}/lib/many:1")
        self.assertEqual(len(manifest["layers"]), 13)
        self.assertEqual(manifest["layers"][3], manifest["layers"][12])

    def test_index_gives_this_machine_or_the_chosen_platform(self):
        self.conf("", [Shared.plain.host])
        name = f"{Shared.plain.host}/lib/index:1"
        self.good(name)
        self.assertIn(Shared.manifest, self.said)
        self.assertTrue(os.path.exists(self.path("out", "index.json")))
        self.good(name, "--platform", "linux/" + ("s390x" if ARCH != "s390x" else "amd64"))
        self.assertNotIn(Shared.manifest, self.said)
        self.bad(PLATFORM, name, "--platform", "linux/riscv64", said='no image found in image index for architecture "riscv64"')

    def test_what_is_missing_is_not_found(self):
        self.conf("", [Shared.plain.host])
        self.bad(NOT_FOUND, f"{Shared.plain.host}/lib/none:1", said="manifest unknown")
        self.bad(NOT_FOUND, f"{Shared.plain.host}/lib/one@sha256:{'0' * 64}", said="404")

    def test_nobody_listening_is_unavailable(self):
        self.bad(UNAVAILABLE, f"127.0.0.1:{registries.free_port()}/x:1", said="connect")

    def test_https_with_an_authority_of_certs_d(self):
        registry = Shared.registry("https", tls=Shared.tls)
        self.bad(TLS, f"{registry.host}/lib/one:1", said="certificate")
        os.makedirs(self.path("certs.d", registry.host))
        shutil.copy(f"{Shared.dir}/ca.crt", self.path("certs.d", registry.host, "ca.crt"))
        self.good(f"{registry.host}/lib/many:1")
        # what is trusted for one registry is not for another
        os.rename(self.path("certs.d", registry.host), self.path("certs.d", "localhost:1"))
        self.bad(TLS, f"{registry.host}/lib/one:1")
        # insecure: without verification
        self.conf("", [registry.host])
        self.good(f"{registry.host}/lib/one:1")

    def test_the_bundle_of_the_machine_is_trusted(self):
        registry = Shared.registry("https-system", tls=Shared.tls)
        self.good(f"{registry.host}/lib/one:1", SSL_CERT_FILE=f"{Shared.dir}/ca.crt")

    def test_client_certificates_of_certs_d(self):
        registry = Shared.registry("mtls", tls=Shared.tls, client_ca=f"{Shared.dir}/ca.crt")
        where = self.path("certs.d", registry.host)
        os.makedirs(where)
        shutil.copy(f"{Shared.dir}/ca.crt", where)
        status, text = self.fetch(f"{registry.host}/lib/one:1")
        self.assertIn(status, (TLS, UNAVAILABLE), text)     # how it notices is a matter of time
        shutil.copy(f"{Shared.dir}/client.crt", f"{where}/client.cert")
        self.bad(1, f"{registry.host}/lib/one:1", said="client.key: No such file")
        shutil.copy(f"{Shared.dir}/client.key", f"{where}/client.key")
        self.good(f"{registry.host}/lib/one:1")

    def test_not_a_certificate_in_certs_d_is_an_error(self):
        registry = Shared.registry("https-bad", tls=Shared.tls)
        self.write(f"certs.d/{registry.host}/ca.crt", "what?\n")
        self.bad(TLS, f"{registry.host}/lib/one:1", said="certs.d")

    def test_policy_decides(self):
        self.conf("", [Shared.plain.host])
        host = Shared.plain.host
        self.write("policy.json", json.dumps({
            "default": [{"type": "reject"}],
            "transports": {"docker": {f"{host}/lib": [{"type": "insecureAcceptAnything"}],
                                      f"{host}/lib/many": [{"type": "reject"}],
                                      f"{host}/lib/docker": [{"type": "signedBy", "keyType": "GPGKeys", "keyPath": self.write("k", "x")}]}}}))
        self.good(f"{host}/lib/one:1")
        self.bad(POLICY, f"{host}/lib/many:1", said="rejected by policy")
        self.bad(POLICY, f"{host}/top:1", said="rejected by policy")
        self.bad(POLICY, f"{host}/lib/docker:1", said="signature")
        self.write("policy.json", '{"default":[]}')
        self.bad(INVALID, f"{host}/lib/one:1")

    def test_no_policy_names_the_places(self):
        self.conf("", [Shared.plain.host])
        os.unlink(self.path("policy.json"))
        self.bad(1, f"{Shared.plain.host}/lib/one:1", said="policy.json")

    def test_short_names(self):
        self.conf(f'unqualified-search-registries = ["{Shared.plain.host}"]\n[aliases]\n"uno" = "{Shared.plain.host}/lib/one"\n',
                  [])
        with open(self.path("registries.conf"), "a", encoding="ascii") as f:
            f.write(f'[[registry]]\nlocation = "{Shared.plain.host}"\ninsecure = true\n')
        self.good("uno:1")
        self.good("lib/docker:1")

    def test_short_names_of_two_registries_are_ambiguous(self):
        self.conf(f'unqualified-search-registries = ["example.invalid", "{Shared.plain.host}"]\n', [])
        self.bad(AMBIGUOUS, "lib/one:1", said="ambiguous")


class Pipes(Case):
    """fetch_pipes.c: layers go into small pipes whose reader takes its time."""

    def setUp(self):
        super().setUp()
        self.registries = [Shared.plain.host]
        self.conf("", self.registries)
        self.size = sum(layer["size"] for layer in self.good(f"{Shared.plain.host}/lib/many:1")["layers"])

    def pipes(self, mode, host):
        done = subprocess.run([PIPES, mode, self.path("registries.conf"), self.path("policy.json"), self.path("certs.d"),
                               f"{host}/lib/many:1"], check=False, capture_output=True, text=True, timeout=60,
                              env=dict(self.environment(), EMPTY_DIRECTORY=self.path("home"),
                                       **({"ASAN_OPTIONS": "detect_leaks=0"} if mode == "chroot" else {})))   # wants /proc
        if done.returncode == 77:
            self.skipTest("may not chroot")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        result, layers, size, cpu, text = (done.stdout.rstrip("\n") + " ").split(" ", 4)
        return int(result), int(layers), int(size), int(cpu), text

    def https(self):
        registry = Shared.registry(f"https-{self._testMethodName}", tls=Shared.tls)
        os.makedirs(self.path("certs.d", registry.host))
        shutil.copy(f"{Shared.dir}/ca.crt", self.path("certs.d", registry.host))
        return registry.host

    def check_slow_reader(self, host):
        result, layers, size, cpu, text = self.pipes("reverse", host)
        self.assertEqual((result, layers, size), (0, 13, self.size), text)
        self.assertLess(cpu, 900 if "ASAN_OPTIONS" not in os.environ else 5000)      # a second of waiting is not one of spinning

    def test_slow_reader_in_another_order(self):
        self.check_slow_reader(Shared.plain.host)

    def test_slow_reader_in_another_order_over_https(self):
        self.check_slow_reader(self.https())

    def test_a_reader_that_goes_away_is_an_error_and_no_signal(self):
        for host in (Shared.plain.host, self.https()):
            with self.subTest(host=host):
                result, _, _, _, text = self.pipes("close", host)
                self.assertEqual(result, -errno.EPIPE)
                self.assertIn("Broken pipe", text)

    def test_after_prepare_no_files_are_needed(self):
        for host in (Shared.plain.host, self.https()):
            with self.subTest(host=host):
                result, layers, size, _, text = self.pipes("chroot", host)
                self.assertEqual((result, layers, size), (0, 13, self.size), text)


class Mirrors(Case):
    def mirrored(self, *mirrors, location="registry.invalid", more=""):
        text = f'[[registry]]\nprefix = "example.invalid/team"\nlocation = "{location}"\n{more}\n'
        for host in mirrors:
            text += f'[[registry.mirror]]\nlocation = "{host}"\ninsecure = true\n'
        self.conf(text)

    def test_the_first_one_that_has_it_is_used(self):
        dead = f"127.0.0.1:{registries.free_port()}"
        self.mirrored(dead, Shared.plain.host + "/none", Shared.plain.host + "/lib")
        self.good("example.invalid/team/one:1")

    def test_when_all_fail_each_is_named(self):
        dead = f"127.0.0.1:{registries.free_port()}"
        self.mirrored(dead + "/m", Shared.plain.host + "/none", location="registry.invalid/x")
        text = self.bad(UNAVAILABLE, "example.invalid/team/one:1")
        for part in ("mirrors also failed", dead + "/m/one:1: GET http", "/none/one:1: GET http", "manifest unknown",
                     "resolve host: registry.invalid"):
            self.assertIn(part, text)

    def test_digest_only_mirror_is_left_out_for_a_tag(self):
        self.mirrored(Shared.plain.host + "/lib", more="mirror-by-digest-only = true")
        text = self.bad(UNAVAILABLE, "example.invalid/team/one:1", said="registry.invalid")
        self.assertNotIn("mirrors", text)
        self.good(f"example.invalid/team/one@{Shared.manifest}")

    def test_blocked(self):
        self.mirrored(more="blocked = true")
        self.bad(BLOCKED, "example.invalid/team/one:1", said="registries.conf")

    def test_a_mirror_with_other_content_is_passed_over(self):
        liar = self.serve(Fake())
        self.mirrored(liar.host + "/x", Shared.plain.host + "/lib")
        self.good(f"example.invalid/team/one@{Shared.manifest}")
        self.assertEqual(len(liar.headers_of("/manifests/")), 1)

    def test_credentials_of_the_caller_stay_away_from_mirrors(self):
        mirror = self.serve(Fake())
        mirror.faults["ping"] = mirror.faults["manifest"] = lambda q: (
            None if "Authorization" in q.headers else q.answer(401, b"", {"WWW-Authenticate": 'Basic realm="x"'}) or True)
        self.mirrored(mirror.host + "/x")
        self.bad(UNAVAILABLE, "example.invalid/team/y:1", "--creds", "joe:secret", said="401")
        self.assertFalse([h for _, _, h in mirror.seen if "Authorization" in h])
        # but what the auth file says for the mirror's own name is used
        auth = self.write("auth.json", json.dumps({"auths": {mirror.host: {"auth": base64.b64encode(b"me:pw").decode()}}}))
        self.good("example.invalid/team/y:1", "--creds", "joe:secret", "--authfile", auth)
        self.assertEqual({h["Authorization"] for h in mirror.headers_of("/manifests/") if "Authorization" in h},
                         {"Basic " + base64.b64encode(b"me:pw").decode()})


class Credentials(Case):
    @classmethod
    def setUpClass(cls):
        where = f"{Shared.dir}/basic"
        os.mkdir(where)
        with open(f"{where}/htpasswd", "w", encoding="ascii") as f:
            f.write(run("htpasswd", "-nbB", "joe", "se:cret").strip() + "\n")
        cls.registry = Shared.registry("basic", auth=f"auth:\n  htpasswd:\n    realm: r\n    path: {where}/htpasswd\n")

    def setUp(self):
        super().setUp()
        self.conf("", [self.registry.host])
        self.name = f"{self.registry.host}/lib/one:1"

    def auth(self, **entries):
        return self.write("auth.json", json.dumps(entries))

    @staticmethod
    def entry(text):
        return {"auth": base64.b64encode(text.encode()).decode()}

    def test_basic_of_the_caller(self):
        self.good(self.name, "--creds", "joe:se:cret")
        self.bad(DENIED, self.name, "--creds", "joe:wrong", said="401")
        self.bad(DENIED, self.name, said="401")

    def test_auth_file_with_the_most_specific_key(self):
        host = self.registry.host
        self.good(self.name, "--authfile", self.auth(auths={host: self.entry("joe:se:cret")}))
        self.good(self.name, "--authfile", self.auth(auths={host: self.entry("joe:no"), host + "/lib": self.entry("joe:se:cret")}))
        self.bad(DENIED, self.name, "--authfile",
                 self.auth(auths={host: self.entry("joe:se:cret"), host + "/lib/one": self.entry("joe:no")}))
        self.good(self.name, "--authfile", self.auth(auths={f"https://{host}/v1/": self.entry("joe:se:cret")}))

    def test_auth_file_of_skopeo_login(self):
        path = self.path("login.json")
        run("skopeo", "login", "--tls-verify=false", "--authfile", path, "-u", "joe", "-p", "se:cret", self.registry.host)
        self.good(self.name, "--authfile", path)

    def test_files_in_their_usual_places(self):
        self.write("home/.docker/config.json", json.dumps({"auths": {self.registry.host: self.entry("joe:se:cret")}}))
        self.good(self.name)
        # the runtime directory's file comes first
        self.write("home/containers/auth.json", json.dumps({"auths": {self.registry.host: self.entry("joe:no")}}))
        self.bad(DENIED, self.name)

    def helper(self, name, password="se:cret"):
        path = self.write(f"bin/docker-credential-{name}", '#!/bin/sh\nread -r server\ncase "$1 $server" in\n'
                          f"'get {self.registry.host}') echo '{{\"Username\":\"joe\",\"Secret\":\"{password}\"}}' ;;\n"
                          "*) echo 'credentials not found in native keychain'; exit 1 ;;\nesac\n")
        os.chmod(path, 0o755)
        return {"PATH": self.path("bin") + ":" + os.environ["PATH"]}

    def test_helpers(self):
        path = self.helper("vault")
        self.helper("wrong", "no")
        self.helper("empty")
        self.write("bin/docker-credential-empty", "#!/bin/sh\necho 'credentials not found in native keychain'\nexit 1\n")
        self.good(self.name, "--authfile", self.auth(credHelpers={self.registry.host: "vault"}), **path)
        self.bad(DENIED, self.name, "--authfile", self.auth(credHelpers={self.registry.host: "wrong"}), **path)
        self.bad(1, self.name, "--authfile", self.auth(credHelpers={self.registry.host: "missing"}),
                 said="docker-credential-missing", **path)
        self.conf('credential-helpers = ["containers-auth.json", "empty", "vault"]', [self.registry.host])
        self.good(self.name, "--authfile", self.auth(auths={}), **path)
        self.bad(DENIED, self.name, "--authfile", self.auth(auths={self.registry.host: self.entry("joe:no")}), **path)
        self.conf('credential-helpers = ["empty"]', [self.registry.host])
        self.bad(DENIED, self.name, "--authfile", self.auth(auths={self.registry.host: self.entry("joe:se:cret")}), **path)

    def test_broken_auth_file(self):
        text = self.bad(INVALID, self.name, "--authfile", self.write("broken.json", '{"auths": {"secret'), said="broken.json")
        self.assertNotIn("secret", text)
        self.bad(INVALID, self.name, "--authfile", self.auth(auths={self.registry.host: {"auth": "%%%"}}), said="base64")


class Tokens(Case):
    def start(self, users, tls=None, lifetime=300):
        where = tempfile.mkdtemp(prefix="token-", dir=Shared.dir)
        self.service = self.serve(TokenService(where, users, tls, lifetime))
        registry = Shared.registry(os.path.basename(where) + "-registry", auth=self.service.auth_yaml(),
                                   tls=Shared.tls if tls else None)
        self.name = f"{registry.host}/lib/many:1"
        self.host = registry.host
        return registry

    def test_anonymous(self):
        self.conf("", [self.start(None).host])
        self.good(self.name)
        self.assertEqual(len(self.service.seen), 1)     # one token for manifest, config and all layers
        self.assertIn("scope=repository%3alib%2fmany%3apull", self.service.seen[0][1].lower())
        self.assertNotIn("Authorization", self.service.seen[0][2])

    def test_with_a_password(self):
        self.conf("", [self.start({"joe": "pw"}).host])
        self.good(self.name, "--creds", "joe:pw")
        self.assertIn("account=joe", self.service.seen[0][1])
        self.bad(DENIED, self.name, "--creds", "joe:no", said="incorrect username or password")
        self.bad(DENIED, self.name)

    def test_with_an_identity_token(self):
        self.conf("", [self.start({}).host])
        auth = self.write("auth.json", json.dumps({"auths": {self.host: {"auth": "", "identitytoken": "refresh-me"}}}))
        self.good(self.name, "--authfile", auth)
        self.assertEqual(self.service.seen[0][0], "POST")
        self.write("auth.json", json.dumps({"auths": {self.host: {"auth": "", "identitytoken": "other"}}}))
        self.bad(DENIED, self.name, "--authfile", auth)

    def test_over_https(self):
        self.start({"joe": "pw"}, Shared.tls)
        os.makedirs(self.path("certs.d", self.host))
        shutil.copy(f"{Shared.dir}/ca.crt", self.path("certs.d", self.host))
        self.good(self.name, "--creds", "joe:pw")

    def test_password_never_goes_to_an_unencrypted_service_of_an_encrypted_registry(self):
        service = self.serve(TokenService(tempfile.mkdtemp(prefix="token-", dir=Shared.dir), {"joe": "pw"}))
        registry = Shared.registry("downgrade", auth=service.auth_yaml(), tls=Shared.tls)
        os.makedirs(self.path("certs.d", registry.host))
        shutil.copy(f"{Shared.dir}/ca.crt", self.path("certs.d", registry.host))
        self.bad(TLS, f"{registry.host}/lib/one:1", "--creds", "joe:pw", said="not https")
        self.assertEqual(service.seen, [])

    def test_a_token_that_ran_out_at_the_registry_is_replaced(self):
        fake = self.serve(Fake())
        issued = []

        def token(request):
            issued.append(f"t{len(issued)}")
            request.answer(200, json.dumps({"token": issued[-1], "expires_in": 3600}).encode())

        service = self.serve(Server(token))
        challenge = {"WWW-Authenticate": f'Bearer realm="{service.url}/t",service="s",scope="repository:x/y:pull"'}
        fake.faults["ping"] = lambda q: q.answer(401, b"", challenge) or True
        fake.faults["manifest"] = lambda q: None
        fake.faults["layer"] = lambda q: (
            None if q.headers["Authorization"] == "Bearer t1" else q.answer(401, b"", challenge) or True)
        self.conf("", [fake.host])
        self.good(fake.name)
        self.assertEqual(issued, ["t0", "t1"])

    def test_insufficient_scope_is_asked_for(self):
        fake = self.serve(Fake())
        service = self.serve(Server(lambda q: q.answer(200, b'{"access_token":"more"}' if "extra" in q.path else b'{"token":"less"}')))
        fake.faults["ping"] = lambda q: q.answer(401, b"", {"WWW-Authenticate": f'Bearer realm="{service.url}/t"'}) or True
        fake.faults["manifest"] = lambda q: None if q.headers["Authorization"] == "Bearer more" else q.answer(401, b"", {
            "WWW-Authenticate": f'Bearer realm="{service.url}/t",error="insufficient_scope",scope="repository:extra:pull"'}) or True
        self.conf("", [fake.host])
        self.good(fake.name)

    def test_tokens_that_are_no_tokens(self):
        fake = self.serve(Fake())
        answers = [b"{}", b"no JSON", b'{"token":"a\\r\\nX: y"}', b'{"token":7}', b'{"token":"' + b"x" * 70000 + b'"}']
        service = self.serve(Server(lambda q: q.answer(200, answers[0])))
        fake.faults["ping"] = lambda q: q.answer(401, b"", {"WWW-Authenticate": f'Bearer realm="{service.url}/t"'}) or True
        self.conf("", [fake.host])
        while answers:
            with self.subTest(answer=answers[0][:20]):
                self.bad(INVALID, fake.name, said="token service")
            answers.pop(0)

    def test_a_token_without_end_is_cut_off(self):
        fake = self.serve(Fake())

        def endless(request):
            request.send_response(200)
            request.end_headers()
            request.close_connection = True
            while True:
                request.wfile.write(b"x" * 65536)

        service = self.serve(Server(endless))
        fake.faults["ping"] = lambda q: q.answer(401, b"", {"WWW-Authenticate": f'Bearer realm="{service.url}/t"'}) or True
        self.conf("", [fake.host])
        self.bad(LIMIT, fake.name, said="larger than 1048576 bytes")


class Faults(Case):
    def setUp(self):
        super().setUp()
        self.fake = self.serve(Fake(os.urandom(300000)))
        self.conf("", [self.fake.host])

    def test_without_faults(self):
        self.good(self.fake.name)

    def truncate(self, times, keep=100000):
        """The first answers break off; returns the list of ranges that were asked for."""
        ranges = []

        def fault(request):
            ranges.append(request.headers.get("Range"))
            if len(ranges) > times:
                return False
            start = int((ranges[-1] or "bytes=0-")[6:-1])
            body = self.fake.layer
            request.send_response(206 if start else 200)
            if start:
                request.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            request.send_header("Content-Length", str(len(body) - start))
            request.end_headers()
            request.wfile.write(body[start:start + keep])
            request.close_connection = True
            return True

        self.fake.faults["layer"] = fault
        return ranges

    def test_a_broken_transfer_goes_on_where_it_broke(self):
        ranges = self.truncate(1)
        self.good(self.fake.name)
        self.assertEqual(ranges, [None, "bytes=100000-"])

    def test_a_transfer_that_breaks_again_at_once_fails(self):
        ranges = self.truncate(99, 10)
        self.bad(UNAVAILABLE, self.fake.name, said="blobs/sha256:")
        self.assertEqual(len(ranges), 2)

    def test_a_server_without_ranges_is_fine_too(self):
        ranges = self.truncate(1)
        inner = self.fake.faults["layer"]
        self.fake.faults["layer"] = lambda q: inner(q) or q.answer(200, self.fake.layer) or True
        self.good(self.fake.name)
        self.assertEqual(len(ranges), 2)

    def test_another_range_than_the_one_asked_for_is_refused(self):
        self.truncate(1)
        inner = self.fake.faults["layer"]
        self.fake.faults["layer"] = lambda q: inner(q) or q.answer(206, self.fake.layer, {
            "Content-Range": f"bytes 0-{len(self.fake.layer) - 1}/{len(self.fake.layer)}"}) or True
        self.bad(INVALID, self.fake.name, said="another part")

    def test_wrong_content_is_a_digest_error(self):
        wrong = bytes(len(self.fake.layer))
        self.fake.faults["layer"] = lambda q: q.answer(200, wrong) or True
        self.bad(DIGEST, self.fake.name, said=sha256(wrong))
        self.fake.faults["layer"] = lambda q: q.answer(200, self.fake.layer + b"x") or True
        self.bad(DIGEST, self.fake.name, said="longer than")
        self.fake.faults = {"config": lambda q: q.answer(200, b"x" * len(self.fake.config)) or True}
        self.bad(DIGEST, self.fake.name)
        self.fake.faults = {"manifest": lambda q: q.answer(200, self.fake.manifest + b" ") or True}
        self.bad(DIGEST, f"{self.fake.host}/x/y@{sha256(self.fake.manifest)}", said="does not match the digest")

    def test_a_short_layer_is_never_accepted(self):
        self.fake.faults["layer"] = lambda q: q.answer(200, self.fake.layer[:-1]) or True
        self.bad(UNAVAILABLE, self.fake.name, said="299999 of 300000")

    def test_credentials_stop_at_a_redirect(self):
        elsewhere = self.serve(Fake(self.fake.layer))
        basic = {"WWW-Authenticate": 'Basic realm="x"'}
        for what in ("ping", "manifest", "config", "layer"):
            self.fake.faults[what] = lambda q: None if "Authorization" in q.headers else q.answer(401, b"", basic) or True
        to_other = lambda q: q.answer(307, b"", {"Location": elsewhere.url + q.path + "?signature=abc"}) or True
        self.fake.faults["layer"] = to_other
        elsewhere.handle = lambda q: elsewhere.send(q, elsewhere.layer)
        self.good(self.fake.name, "--creds", "joe:secret")
        self.assertIn("Authorization", self.fake.headers_of("/blobs/")[0])
        self.assertEqual(len(elsewhere.seen), 1)
        self.assertNotIn("Authorization", elsewhere.seen[0][2])

    def test_credentials_are_not_for_who_asks_at_a_redirects_end(self):
        elsewhere = self.serve(Server(lambda q: q.answer(401, b"", {"WWW-Authenticate": 'Basic realm="x"'})))
        self.fake.faults["layer"] = lambda q: q.answer(302, b"", {"Location": elsewhere.url + "/x"}) or True
        self.bad(DENIED, self.fake.name, "--creds", "joe:secret")
        self.assertEqual([("Authorization" in h) for _, _, h in elsewhere.seen], [False])

    def test_redirects_within_the_registry_keep_credentials(self):
        basic = {"WWW-Authenticate": 'Basic realm="x"'}
        for what in ("ping", "manifest", "config"):
            self.fake.faults[what] = lambda q: None if "Authorization" in q.headers else q.answer(401, b"", basic) or True

        def layer(request):
            if "Authorization" not in request.headers:
                request.answer(401, b"", basic)
                return True
            if "again" not in request.path:
                request.answer(307, b"", {"Location": f"/v2/again/blobs/{sha256(self.fake.layer)}"})
                return True
            return False

        self.fake.faults["layer"] = layer
        self.good(self.fake.name, "--creds", "joe:secret")

    def test_redirects_that_are_not_followed(self):
        for where, status in (("ftp://127.0.0.1/x", INVALID), ("file:///etc/passwd", INVALID),
                              ("http://user:pw@127.0.0.1/", INVALID), ("http://example.invalid/x", TLS),
                              ("https://" + "x" * 9000, INVALID), (self.fake.url + "/v2/loop", NOT_FOUND)):
            with self.subTest(where=where[:40]):
                self.fake.faults["layer"] = lambda q, where=where: q.answer(307, b"", {"Location": where}) or True
                self.bad(status, self.fake.name)
        self.fake.faults["layer"] = lambda q: q.answer(307, b"", {"Location": q.path}) or True
        self.bad(UNAVAILABLE, self.fake.name, said="cannot be followed")
        self.fake.faults["layer"] = lambda q: q.answer(307) or True
        self.bad(UNAVAILABLE, self.fake.name, said="307")

    def test_too_many_requests_waits_as_told(self):
        times = []

        def busy(request):
            times.append(time.monotonic())
            if len(times) > 2:
                return False
            request.answer(429, b"", {"Retry-After": "1"})
            return True

        self.fake.faults["manifest"] = busy
        self.good(self.fake.name)
        self.assertEqual(len(times), 3)
        self.assertGreaterEqual(times[1] - times[0], 1)
        self.assertLess(times[2] - times[0], 20)

    def test_too_many_requests_for_ever_is_busy(self):
        self.fake.faults["manifest"] = lambda q: q.answer(429, b"", {"Retry-After": "1"}) or True
        self.bad(BUSY, self.fake.name, said="429")
        self.assertEqual(len(self.fake.headers_of("/manifests/")), 5)

    def test_limits(self):
        self.fake.faults["manifest"] = lambda q: q.answer(200, b" " * (4 << 20) + b" ") or True
        self.bad(LIMIT, self.fake.name, said="larger than 4194304 bytes")
        self.fake.faults["manifest"] = lambda q: q.answer(200, self.fake.manifest, {f"X-{i}": "x" * 1000 for i in range(90)}) or True
        self.bad(LIMIT, self.fake.name, said="headers")
        self.fake.faults["manifest"] = lambda q: q.answer(500, b"x" * (3 << 20)) or True
        self.bad(UNAVAILABLE, self.fake.name, said="500")
        self.fake.faults.clear()
        big = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": sha256(b""), "size": (4 << 20) + 1}
        self.fake.manifest = self.fake.make_manifest(config=big)
        self.bad(LIMIT, self.fake.name, said="config")

    def test_kinds_of_manifests(self):
        fake = self.fake
        for change, status in (({"config": {"mediaType": "application/vnd.example+json", "digest": sha256(b"x"), "size": 1}}, ARTIFACT),
                               ({"manifests": []}, INVALID), ({"schemaVersion": 1}, UNSUPPORTED),
                               ({"mediaType": "application/vnd.docker.distribution.manifest.v2+json"}, INVALID),
                               ({"Layers": []}, INVALID), ({"layers": []}, INVALID)):
            with self.subTest(change=change):
                fake.manifest = fake.make_manifest(**change)
                self.bad(status, fake.name)

    def test_error_texts_of_the_registry_are_made_harmless(self):
        self.fake.faults["manifest"] = lambda q: q.answer(403, json.dumps(
            {"errors": [{"code": "DENIED", "message": "no\n\x1b[31m" + "é" * 300}]}).encode()) or True
        text = self.bad(DENIED, self.fake.name, said="no??[31m")
        self.assertTrue(text.isascii())

    def test_cancel_ends_a_waiting_fetch(self):
        reached = threading.Event()

        def hang(request):
            reached.set()
            time.sleep(20)
            return True

        self.fake.faults["layer"] = hang
        process = subprocess.Popen(self.command(self.fake.name), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                   env=self.environment())
        self.assertTrue(reached.wait(20))
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        _, text = process.communicate(timeout=20)
        self.assertEqual((process.returncode, "cancelled" in text), (CANCELLED, True))
        self.assertLess(time.monotonic() - began, 3)

    def test_proxy_of_the_environment(self):
        proxy = self.serve(Server(lambda q: q.answer(502)))
        self.conf("", ["registry.invalid"])
        self.bad(UNAVAILABLE, "registry.invalid/x:1", said="502", HTTP_PROXY=proxy.url, https_proxy=proxy.url)
        self.assertIn("http://registry.invalid/v2/", [p for _, p, _ in proxy.seen])
        self.conf("", [self.fake.host])
        self.good(self.fake.name, HTTP_PROXY=proxy.url, http_proxy=proxy.url)   # loopback is never behind a proxy


def main():
    lacking = registries.missing()
    if lacking:
        print("not installed: " + ", ".join(lacking))
        return 77
    result = unittest.main(module="__main__", exit=False, verbosity=1).result
    bad, errors, n = len(result.failures), len(result.errors), result.testsRun
    # in libcheck's form, so that tests/run counts the cases
    print(f"{100 * (n - bad - errors) // max(n, 1)}%: Checks: {n}, Failures: {bad}, Errors: {errors}")
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
