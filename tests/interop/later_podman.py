# SPDX-License-Identifier: Apache-2.0
"""A podman of a later Debian suite beside the host's: unpacked in a cache directory, with its own libc.

Nothing is installed: apt gets lists, state and cache of its own, and packages are only unpacked. What was fetched
once is kept, because 30 MB are not to be fetched for each run.
"""

import fcntl
import os
import shutil
import subprocess

SUITE = "trixie"
PACKAGES = ("podman", "netavark", "libc6", "libgpgme11t64", "libassuan9", "libgpg-error0", "libseccomp2", "libsubid5", "libsqlite3-0",
            "libselinux1", "libpcre2-8-0", "libaudit1", "libcap-ng0", "libacl1", "libattr1", "libgcc-s1")
KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
LOADER = b"/lib64/ld-linux-x86-64.so.2\0"
LIBRARIES = "usr/lib/x86_64-linux-gnu"


class Missing(Exception):
    pass


def apt(where, *arguments):
    options = [f"Dir::Etc::SourceList={where}/sources.list", "Dir::Etc::SourceParts=/dev/null", f"Dir::State={where}/state",
               f"Dir::State::status={where}/state/status", f"Dir::Cache={where}/cache", "Acquire::Retries=1", "Acquire::http::Timeout=20"]
    subprocess.run(["apt-get", "-qq", *[x for o in options for x in ("-o", o)], *arguments], cwd=f"{where}/packages", check=True,
                   timeout=240, capture_output=True)


def mirror():
    """Where this machine gets its packages from."""
    sites = subprocess.run(["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages"], check=True, capture_output=True,
                           text=True).stdout.split()
    for site in sites:
        if site.rstrip("/").endswith("/debian"):
            return site
    raise Missing("apt of this machine knows no Debian archive")


def unpack(where):
    part = os.path.join(where, "root.part")
    for name in ("packages", "state/lists/partial", "cache/archives/partial", "root.part"):
        os.makedirs(os.path.join(where, name), exist_ok=True)
    open(os.path.join(where, "state/status"), "w").close()
    with open(os.path.join(where, "sources.list"), "w") as f:
        f.write(f"deb [signed-by={KEYS}] {mirror()} {SUITE} main\n")
    apt(where, "update")
    apt(where, "download", *PACKAGES)
    for package in os.listdir(os.path.join(where, "packages")):
        subprocess.run(["dpkg", "-x", os.path.join(where, "packages", package), part], check=True, capture_output=True)
    for name in ("packages", "state", "cache"):
        shutil.rmtree(os.path.join(where, name))
    os.rename(part, os.path.join(where, "root"))


def fetch(download=True):
    """The directory it is unpacked in."""
    if os.uname().machine != "x86_64":
        raise Missing("the later podman is only known for amd64")
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    where = os.path.join(cache, "crid-tests", "podman-" + SUITE)
    root = os.path.join(where, "root")
    if os.path.exists(os.path.join(root, "usr/bin/podman")):
        return root
    if not download:
        raise Missing(os.environ.get("LATER_PODMAN_MISSING") or f"no podman of Debian {SUITE} in {where}; run tests/interop/later_podman.py")
    try:
        os.makedirs(where, exist_ok=True)
        with open(os.path.join(where, "lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not os.path.exists(os.path.join(root, "usr/bin/podman")):
                shutil.rmtree(root + ".part", ignore_errors=True)
                unpack(where)
    except subprocess.CalledProcessError as e:
        raise Missing(f"no podman of Debian {SUITE}: {(e.stderr or b'').decode(errors='replace').strip()[-200:]}")
    except (OSError, subprocess.SubprocessError) as e:
        raise Missing(f"no podman of Debian {SUITE}: {e}")
    return root


def with_own_loader(root, directory):
    """A copy of the program in a directory of a short name that starts with its own loader, also when it executes itself."""
    loader = os.path.join(directory, "ld.so").encode()
    if len(loader) >= len(LOADER):
        raise ValueError(f"{directory} is too long a name")
    os.symlink(os.path.join(root, LIBRARIES, "ld-linux-x86-64.so.2"), loader)
    with open(os.path.join(root, "usr/bin/podman"), "rb") as f:
        program = f.read()
    path = os.path.join(directory, "podman")
    with open(path, "wb") as f:
        f.write(program.replace(LOADER, loader.ljust(len(LOADER), b"\0"), 1))
    os.chmod(path, 0o755)
    return path


if __name__ == "__main__":
    print(fetch())
