# SPDX-License-Identifier: Apache-2.0
"""The images critest pulls, made from Debian's packages.

critest expects upstream's images by their names; what its specs look at in them is made here: programs (a busybox
with all applets, nginx, a setuid program), users, tags, digests, architectures. prepare() fetches and builds what
needs the network and keeps it in a cache; push() makes the images and puts them into a registry.
"""

import os
import shutil
import subprocess
import tempfile

import crid_node
import debian_packages
from crid_node import ARCH, BUSYBOX_CONFIG, DOCKER, OCI, Image, Index, busybox_layer, layer

HERE = os.path.dirname(os.path.abspath(__file__))
# Upstream's names; each is served by the registry under its path, see mirrors().
HOSTS = ("registry.k8s.io", "k8s.gcr.io", "gcr.io")
E2E = "e2e-test-images"
STAGING = "k8s-staging-cri-tools"
# Its digest is a constant in critest, see critest.with_digest().
DIGEST_IMAGE = f"{STAGING}/test-image-digest"
NGINX_PACKAGES = ("nginx", "libc6", "libcrypt1", "libpcre2-8-0", "libssl3", "zlib1g")
NGINX_CONF = """daemon off;
events {}
pid /var/run/nginx.pid;
http {
	access_log off;
	error_log stderr;
	server {
		listen %d;
		root /usr/share/nginx/html;
	}
}
"""


def build_busybox(part):
    """Debian's source with upstream's default configuration: busybox-static has no ipcs, pgrep or brctl."""
    files = debian_packages.download(os.path.join(part, "apt"), debian_packages.this_suite(), sources=["busybox"])
    source = os.path.join(part, "source")
    os.mkdir(source)
    subprocess.run(["tar", "-xf", next(f for f in files if ".orig.tar." in f), "-C", source, "--strip-components=1"], check=True,
                   capture_output=True)
    subprocess.run(["make", "defconfig"], cwd=source, check=True, capture_output=True)
    with open(os.path.join(source, ".config")) as f:
        config = f.read().replace("# CONFIG_STATIC is not set", "CONFIG_STATIC=y")
    with open(os.path.join(source, ".config"), "w") as f:
        f.write(config)
    subprocess.run(["make", f"-j{os.cpu_count()}", *(["CC=ccache gcc"] if shutil.which("ccache") else [])], cwd=source, check=True,
                   capture_output=True, timeout=900)
    shutil.copy(os.path.join(source, "busybox"), part)
    shutil.rmtree(source)
    shutil.rmtree(os.path.join(part, "apt"))


def prepare():
    """Fetches and builds once; debian_packages.Missing says what this machine cannot do."""
    suite = debian_packages.this_suite()
    busybox = debian_packages.made_once(debian_packages.cache(f"busybox-{suite}"), build_busybox)
    return os.path.join(busybox, "busybox"), debian_packages.unpacked("nginx", suite, NGINX_PACKAGES)


def programs(root, names):
    """Layer entries: these programs of an unpacked root with their libraries, below the same names."""
    libraries = os.path.join(root, debian_packages.LIBRARIES)
    linker = os.path.join(libraries, "ld-linux-x86-64.so.2")
    wanted = {"lib64/ld-linux-x86-64.so.2": linker}
    for name in names:
        path = os.path.join(root, name)
        wanted[name] = path
        listed = subprocess.run([linker, "--library-path", libraries, "--list", path], check=True, capture_output=True, text=True).stdout
        for line in listed.splitlines():
            words = line.split()
            if "=>" in words:
                wanted["lib/" + words[0]] = words[2]
    entries = []
    for name, path in wanted.items():
        with open(path, "rb") as f:
            entries.append((name, ("file", f.read(), 0o755)))
    return entries


def setuid_program():
    """The only program of the image for NoNewPrivs, static."""
    with tempfile.NamedTemporaryFile() as made:
        subprocess.run(["gcc", "-O2", "-static", "-o", made.name, os.path.join(HERE, "nonewprivs.c")], check=True)
        return made.read()


class Images:
    """All images in memory; push() puts them into a registry."""

    def __init__(self, build, busybox, nginx):
        self.made = {}              # "path:tag" -> Image or Index
        self.busybox = busybox_layer(busybox)
        # what is not for this architecture is never unpacked
        self.other = layer([("other-architecture", b"nothing\n")])
        self.add(f"{E2E}/busybox:1.29-2", [self.busybox], BUSYBOX_CONFIG)
        self.add_servers(nginx)
        self.add(f"{E2E}/nonewprivs:1.3", [layer([("nnp", ("file", setuid_program(), 0o4755))])], {"Entrypoint": ["/nnp"]}, OCI)
        self.add_users()
        self.add_names()
        self.made["pause:1"] = crid_node.pause_image(build)         # the node's own, which no spec may remove
        self.made["pause:3.9"] = crid_node.pause_image(build, Labels={"version": "3.9"})

    def add(self, name, layers, config, types=DOCKER):
        """A list for two architectures."""
        other = "arm64" if ARCH != "arm64" else "amd64"
        self.made[name] = Index([Image([self.other], config, types, other), Image(layers, config, types)], types)

    def add_servers(self, nginx):
        html = [("usr/share/nginx/html/index.html", b"<html>Welcome to nginx</html>\n"),
                ("var/log/nginx", ("dir", 0o755)), ("var/lib/nginx", ("dir", 0o755)), ("var/run", ("dir", 0o755))]
        server = layer(programs(nginx, ["usr/sbin/nginx"]) + html)
        for name, port in ((f"{E2E}/nginx:1.14-2", 80), (f"{STAGING}/hostnet-nginx-{ARCH}:latest", 12003)):
            self.add(name, [self.busybox, server, layer([("etc/nginx/nginx.conf", (NGINX_CONF % port).encode())])],
                     dict(BUSYBOX_CONFIG, Cmd=["nginx", "-c", "/etc/nginx/nginx.conf"]), OCI)
        self.add(f"{E2E}/httpd:2.4.39-4", [self.busybox, layer([("var/www/index.html", b"<html>It works</html>\n")])],
                 dict(BUSYBOX_CONFIG, Cmd=["sh", "-c", "echo httpd: serving /var/www >&2; exec httpd -f -h /var/www"]))

    def add_users(self):
        for name, user in (("uid", "1002"), ("username", "www-data"), ("uid-group", "1003:1004"), ("username-group", "www-data:100")):
            self.add(f"{STAGING}/test-image-user-{name}:latest", [self.busybox], dict(BUSYBOX_CONFIG, User=user))
        users = layer([
            ("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\ndefault-user:x:1000:1000::/home/default-user:/bin/sh\n"),
            ("etc/group", b"root:x:0:\ndefault-user:x:1000:\ngroup-defined-in-image:x:50000:default-user\n")])
        self.add(f"{STAGING}/test-image-predefined-group:latest", [self.busybox, users], dict(BUSYBOX_CONFIG, User="1000"), OCI)

    def add_names(self):
        """Upstream's differ in one file each."""
        for number, name in enumerate(("latest:latest", "tag:test", "tag:all", "1:latest", "2:latest", "3:latest", "tags:1")):
            self.add(f"{STAGING}/test-image-{name}", [self.busybox, layer([("TEST", name.encode())])], BUSYBOX_CONFIG, (DOCKER, OCI)[number % 2])
        for tag in "23":
            self.made[f"{STAGING}/test-image-tags:{tag}"] = self.made[f"{STAGING}/test-image-tags:1"]
        # no list: exactly one digest leads to it
        self.digest = Image([self.busybox, layer([("TEST", b"digest")])], BUSYBOX_CONFIG)
        self.made[f"{DIGEST_IMAGE}:latest"] = self.digest

    def push(self, registry):
        for name, one in self.made.items():
            path, _, tag = name.rpartition(":")
            registry.push(path, [tag], one)


def mirrors(registry):
    """Lines of registries.conf: every upstream host is this registry. A prefix of its own would change the tags."""
    return "".join(f'\n[[registry]]\nlocation = "{host}"\n\n[[registry.mirror]]\nlocation = "{registry.host}"\ninsecure = true\n'
                   for host in HOSTS)
