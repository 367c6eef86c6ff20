# SPDX-License-Identifier: Apache-2.0
"""runc and crun of a later Debian suite beside the host's."""

import debian_packages

SUITE = "forky"
PACKAGES = ("runc", "crun", "libc6", "libseccomp2", "libcap2", "libsystemd0", "libjson-c5", "libblake3-0")


def fetch():
    """The directory they are unpacked in."""
    return debian_packages.unpacked("runtimes", SUITE, PACKAGES)
