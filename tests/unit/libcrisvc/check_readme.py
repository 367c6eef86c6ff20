#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The examples in README are files that the build compiles, and they understand each other.

usage: check_readme.py README SERVER.C SERVER CLIENT.C CLIENT FORWARD.C FORWARD
"""
import os
from socket import create_server
import subprocess
import sys
import tempfile
import time

from streaming_peer import Spdy

readme, server_c, server, client_c, client, forward_c, forward = sys.argv[1:]
with open(readme) as f:
    text = f.read()
for example in server_c, client_c, forward_c:
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

with subprocess.Popen([forward], stdout=subprocess.PIPE, text=True) as running, create_server(('127.0.0.1', 0)) as target:
    _, _, host, path = running.stdout.readline().rstrip('\n').split('/', 3)
    z = Spdy(int(host.split(':')[1]), '/' + path, 'portforward.k8s.io')
    data, _ = z.pair(target.getsockname()[1], 1)
    peer, _ = target.accept()
    with peer:
        peer.sendall(b'through')
    z.until(lambda: data.ended)
    z.close()
    if data.data != b'through' or running.wait(10):
        sys.exit(f'forward passed {data.data!r} on and ends with {running.returncode}')
