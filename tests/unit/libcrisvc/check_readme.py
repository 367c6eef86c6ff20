#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The examples in README are files that the build compiles, and they understand each other.

usage: check_readme.py README SERVER.C SERVER CLIENT.C CLIENT
"""
import os
import subprocess
import sys
import tempfile
import time

readme, server_c, server, client_c, client = sys.argv[1:]
with open(readme) as f:
    text = f.read()
for example in server_c, client_c:
    with open(example) as f:
        if '```c\n' + f.read() + '```\n' not in text:
            sys.exit(f'{readme} does not show {example} as it is')

with tempfile.TemporaryDirectory() as directory:
    socket = os.path.join(directory, 'sock')
    with subprocess.Popen([server, socket]) as running:
        end, said = time.monotonic() + 10, ''
        while not said and running.poll() is None and time.monotonic() < end:   # until it listens
            said = subprocess.run([client, socket], stdout=subprocess.PIPE, text=True, check=False).stdout
        running.terminate()
    if said != 'hello 0.1.0 (API v1)\n' or running.returncode != 0 or os.path.exists(socket):
        sys.exit(f'the client says {said!r}, the server ends with {running.returncode}')
