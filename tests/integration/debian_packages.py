# SPDX-License-Identifier: Apache-2.0
"""Debian packages that are unpacked in a cache directory, never installed: of this suite or of a later one.

apt gets lists, state and cache of its own. What was fetched once is kept, because tens of megabytes are not to be
fetched for each run. A program of a later suite runs with that suite's own libc (own_loader).
"""

import fcntl
import os
import shutil
import subprocess

KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
LIBRARIES = "usr/lib/x86_64-linux-gnu"


class Missing(Exception):
    pass


def cache(*names):
    """A path in the directory where the tests keep what they fetched or built, outside the tree."""
    top = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(top, "crid-tests", *names)


def made_once(path, make):
    """path, made by make(unfinished path) if it is not there; of several processes one makes it. Missing if that fails."""
    if os.path.exists(path):
        return path
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not os.path.exists(path):
                part = path + ".part"
                shutil.rmtree(part, ignore_errors=True)
                make(part)
                os.rename(part, path)
    except subprocess.CalledProcessError as e:
        said = e.stderr or e.stdout or b""
        said = said if isinstance(said, str) else said.decode(errors="replace")
        raise Missing(f"{os.path.basename(path)} could not be made: {said.strip()[-300:] or e}")
    except (OSError, subprocess.SubprocessError) as e:
        raise Missing(f"{os.path.basename(path)} could not be made: {e}")
    return path


def this_suite():
    with open("/etc/os-release") as f:
        for line in f:
            if line.startswith("VERSION_CODENAME="):
                return line.partition("=")[2].strip().strip('"')
    raise Missing("/etc/os-release names no Debian suite")


def mirror():
    """Where this machine gets its packages from."""
    sites = subprocess.run(["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages"], check=True, capture_output=True,
                           text=True).stdout.split()
    for site in sites:
        if site.rstrip("/").endswith("/debian"):
            return site
    raise Missing("apt of this machine knows no Debian archive")


def apt(where, *arguments):
    options = [f"Dir::Etc::SourceList={where}/sources.list", "Dir::Etc::SourceParts=/dev/null", f"Dir::State={where}/state",
               f"Dir::State::status={where}/state/status", f"Dir::Cache={where}/cache", "Acquire::Retries=1", "Acquire::http::Timeout=20"]
    subprocess.run(["apt-get", "-qq", *[x for o in options for x in ("-o", o)], *arguments], cwd=f"{where}/packages", check=True,
                   timeout=240, capture_output=True)


def download(where, suite, packages=(), sources=()):
    """The paths of the files of these packages and source packages, below the new directory where."""
    if os.uname().machine != "x86_64":
        raise Missing("Debian packages for the tests are only known for amd64")
    for name in ("packages", "state/lists/partial", "cache/archives/partial"):
        os.makedirs(os.path.join(where, name))
    open(os.path.join(where, "state/status"), "w").close()
    with open(os.path.join(where, "sources.list"), "w") as f:
        f.write("".join(f"{kind} [signed-by={KEYS}] {mirror()} {suite} main\n" for kind in ["deb"] + ["deb-src"] * bool(sources)))
    apt(where, "update")
    if packages:
        apt(where, "download", *packages)
    if sources:
        apt(where, "source", "--download-only", *sources)
    return [os.path.join(where, "packages", one) for one in sorted(os.listdir(os.path.join(where, "packages")))]


def unpacked(name, suite, packages):
    """The directory in the cache with the files of these packages; the name stands for suite and list of packages."""
    def make(part):
        for merged in ("lib", "lib64", "bin", "sbin"):          # as every Debian of today is installed
            os.makedirs(os.path.join(part, "root/usr", merged))
            os.symlink("usr/" + merged, os.path.join(part, "root", merged))
        for package in download(os.path.join(part, "apt"), suite, packages):
            files = subprocess.run(["dpkg-deb", "--fsys-tarfile", package], check=True, capture_output=True).stdout
            subprocess.run(["tar", "-x", "--keep-directory-symlink", "-C", os.path.join(part, "root")], input=files, check=True, capture_output=True)
        shutil.rmtree(os.path.join(part, "apt"))
    return os.path.join(made_once(cache(f"{name}-{suite}"), make), "root")


def own_loader(root, program, to):
    """A copy of the program in root that starts with root's loader and libraries, also when it executes itself."""
    libraries = os.path.join(root, LIBRARIES)
    subprocess.run(["patchelf", "--set-interpreter", os.path.join(libraries, "ld-linux-x86-64.so.2"), "--force-rpath", "--set-rpath", libraries,
                    "--output", to, os.path.join(root, program)], check=True, capture_output=True)
    os.chmod(to, 0o755)
    return to
