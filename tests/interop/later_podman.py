# SPDX-License-Identifier: Apache-2.0
"""A podman of a later Debian suite beside the host's."""

import os

import debian_packages
from debian_packages import Missing

SUITE = "trixie"
PACKAGES = ("podman", "netavark", "libc6", "libgpgme11t64", "libassuan9", "libgpg-error0", "libseccomp2", "libsubid5", "libsqlite3-0",
            "libselinux1", "libpcre2-8-0", "libaudit1", "libcap-ng0", "libacl1", "libattr1", "libgcc-s1")


def fetch(download=True):
    """The directory it is unpacked in."""
    if not download and not os.path.exists(debian_packages.cache(f"podman-{SUITE}")):
        raise Missing(os.environ.get("LATER_PODMAN_MISSING") or f"no podman of Debian {SUITE} was fetched")
    return debian_packages.unpacked("podman", SUITE, PACKAGES)
