# SPDX-License-Identifier: Apache-2.0
"""Clients for the streaming server made of raw frames, so that they can also say what is wrong.

Spdy and WebSocket speak over a socket that raw_upgrade() has opened; Server runs streaming_server.
Python's zlib does the header blocks, so both halves of the compression are somebody else's.
"""

import base64
import os
import socket
import ssl
import struct
import subprocess
import zlib

DICTIONARY_FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../libcrisvc/streaming/spdy_dictionary.c")
SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
DATA = 0
FIN = 1


def dictionary():
    import re
    with open(DICTIONARY_FILE) as f:
        found = bytes(int(x, 16) for x in re.findall(r"0x([0-9a-f]{2})", f.read()))
    assert len(found) == 1423 and zlib.adler32(found) == 0xe3c6a7c2, "the dictionary is not SPDY/3's"
    return found


class Server:
    def __init__(self, program, *options):
        self.process = subprocess.Popen([program, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        word, port = self.process.stdout.readline().split()
        assert word == "port"
        self.port = int(port)

    def ask(self, *words):
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().rstrip("\n")

    def exec(self, flags, command):
        return self.ask("exec", flags, command)

    def attach(self, flags, how="-"):
        return self.ask("attach", flags, how)

    def forward(self, *ports):
        return self.ask("forward", ",".join(map(str, ports)) or "-")

    def stat(self):
        words = self.ask("stat").split()
        return dict(zip(words[::2], map(int, words[1::2])))

    def stop(self):
        self.process.stdin.close()
        status = self.process.wait(20)
        self.process.stdout.close()
        return status


def connect(port, tls=None, timeout=20):
    s = socket.create_connection(("127.0.0.1", port), timeout)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return tls.wrap_socket(s, server_hostname="localhost") if tls else s


def read_head(sock):
    """(status, headers, bytes behind)"""
    got = b""
    while b"\r\n\r\n" not in got:
        more = sock.recv(65536)
        if not more:
            break
        got += more
    head, _, rest = got.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    fields = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        fields[name.lower()] = value.strip()
    return (int(lines[0].split()[1]) if lines[0] else 0), fields, rest


def http(port, text, tls=None):
    """One request as it is: (status, headers, body)."""
    sock = connect(port, tls)
    sock.sendall(text if isinstance(text, bytes) else text.encode())
    status, fields, rest = read_head(sock)
    if status != 101:
        while True:
            more = sock.recv(65536)
            if not more:
                break
            rest += more
    sock.close()
    return status, fields, rest


class Refused(Exception):
    def __init__(self, status, fields):
        super().__init__(f"HTTP {status}")
        self.status, self.fields = status, fields


class Wire:
    def __init__(self, name, number):
        self.name, self.number = name, number
        self.data = b""
        self.replied = self.ended = False
        self.reset = None


class Spdy:
    def __init__(self, port, path, versions="v4.channel.k8s.io", method="POST", tls=None, sock=None, carrier=None):
        self.compress = zlib.compressobj(zdict=dictionary())
        self.expand = None
        self.wires, self.frames, self.buffer = {}, [], b""
        self.next_id = 1
        self.goaway = None
        self.carrier = carrier
        if carrier:
            return
        self.sock = sock or connect(port, tls)
        self.sock.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
                          f"X-Stream-Protocol-Version: {versions}\r\nContent-Length: 0\r\n\r\n".encode())
        status, self.fields, self.buffer = read_head(self.sock)
        if status != 101:
            self.sock.close()
            raise Refused(status, self.fields)

    def close(self):
        (self.carrier or self.sock).close()

    # ---- sending ----

    def raw(self, data):
        if self.carrier:
            self.carrier.send(2, data)
        else:
            self.sock.sendall(data)

    def control(self, kind, payload, flags=0, version=3):
        self.raw(struct.pack(">HHI", 0x8000 | version, kind, flags << 24 | len(payload)) + payload)

    def block(self, fields):
        text = struct.pack(">I", len(fields))
        for name, value in fields.items():
            for one in (name.encode(), value.encode()):
                text += struct.pack(">I", len(one)) + one
        return self.compress.compress(text) + self.compress.flush(zlib.Z_SYNC_FLUSH)

    def open(self, name, flags=0, **fields):
        number = self.next_id
        self.next_id += 2
        self.control(SYN_STREAM, struct.pack(">IIH", number, 0, 0) + self.block({"streamtype": name, **fields}), flags)
        self.wires[number] = Wire(name, number)
        return self.wires[number]

    def send(self, wire, data, fin=False):
        self.raw(struct.pack(">II", wire.number, (FIN if fin else 0) << 24 | len(data)) + data)

    def end(self, wire):
        self.send(wire, b"", True)

    def reset(self, wire, status=5):
        self.control(RST_STREAM, struct.pack(">II", wire.number, status))

    # ---- receiving ----

    def need(self, n):
        while len(self.buffer) < n:
            more = self.carrier.payload() if self.carrier else self.sock.recv(1 << 18)
            if not more:
                raise EOFError
            self.buffer += more
        found, self.buffer = self.buffer[:n], self.buffer[n:]
        return found

    def frame(self):
        """Reads one frame and keeps account of it: (kind, what)."""
        head = self.need(8)
        length = int.from_bytes(head[5:8], "big")
        payload = self.need(length)
        if not head[0] & 0x80:
            wire = self.wires[int.from_bytes(head[:4], "big")]
            assert not wire.ended, f"data behind the end of {wire.name}"
            wire.data += payload
            wire.ended = bool(head[4] & FIN)
            return DATA, wire
        assert head[:2] == b"\x80\x03", head
        kind = head[3]
        if kind == SYN_REPLY:
            self.expand = self.expand or zlib.decompressobj(zdict=dictionary())
            assert self.expand.decompress(payload[4:]) == b"\0\0\0\0"
            self.wires[int.from_bytes(payload[:4], "big")].replied = True
        elif kind == RST_STREAM:
            number, status = struct.unpack(">II", payload)
            if number in self.wires:
                self.wires[number].reset = status
        elif kind == GOAWAY:
            self.goaway = struct.unpack(">II", payload)[1]
        return kind, payload

    def until(self, test):
        while not test():
            self.frame()

    def drain(self):
        """Everything up to the end of the connection."""
        try:
            while True:
                self.frame()
        except (EOFError, ConnectionResetError):
            return self

    def command(self, *names):
        """Opens error and these: wires by name."""
        wires = {name: self.open(name) for name in ("error", *names)}
        self.until(lambda: all(w.replied for w in wires.values()))
        return wires

    def pair(self, port, request):
        error = self.open("error", port=str(port), requestid=str(request))
        self.end(error)
        return self.open("data", port=str(port), requestid=str(request)), error


class WebSocket:
    def __init__(self, port, path, protocol="v4.channel.k8s.io", tls=None, version="13", key=None, sock=None):
        self.sock = sock or connect(port, tls)
        key = key or base64.b64encode(os.urandom(16)).decode()
        line = f"Sec-WebSocket-Protocol: {protocol}\r\n" if protocol is not None else ""
        self.sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
                          f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: {version}\r\n{line}\r\n".encode())
        status, self.fields, self.buffer = read_head(self.sock)
        if status != 101:
            self.sock.close()
            raise Refused(status, self.fields)
        self.key = key
        self.channels, self.closed, self.pongs = {}, None, []

    def close(self):
        self.sock.close()

    def send(self, op, data, fin=True, mask=True, rsv=0):
        head = bytes([(0x80 if fin else 0) | rsv << 4 | op])
        m = 0x80 if mask else 0
        if len(data) < 126:
            head += bytes([m | len(data)])
        elif len(data) < 65536:
            head += bytes([m | 126]) + struct.pack(">H", len(data))
        else:
            head += bytes([m | 127]) + struct.pack(">Q", len(data))
        if mask:
            key = os.urandom(4)
            whole = key * (len(data) // 4 + 1)
            data = (int.from_bytes(data, "big") ^ int.from_bytes(whole[:len(data)], "big")).to_bytes(len(data), "big")
            head += key
        self.sock.sendall(head + data)

    def channel(self, number, data):
        self.send(2, bytes([number]) + data)

    def need(self, n):
        while len(self.buffer) < n:
            more = self.sock.recv(1 << 18)
            if not more:
                raise EOFError
            self.buffer += more
        found, self.buffer = self.buffer[:n], self.buffer[n:]
        return found

    def frame(self):
        first, second = self.need(2)
        assert first & 0x80 and not first & 0x70 and not second & 0x80
        length = second
        if second == 126:
            length = struct.unpack(">H", self.need(2))[0]
        elif second == 127:
            length = struct.unpack(">Q", self.need(8))[0]
        return first & 15, self.need(length)

    def payload(self):
        """Of the next data message; b"" at the end: the carrier of a tunnel."""
        try:
            op, data = self.frame()
        except EOFError:
            return b""
        return data if op == 2 else b""

    def step(self):
        op, data = self.frame()
        if op == 8:
            self.closed = struct.unpack(">H", data[:2])[0] if data else 0
        elif op == 10:
            self.pongs.append(data)
        elif op == 1:
            number = data[0] - ord("0")
            self.channels[number] = self.channels.get(number, b"") + base64.b64decode(data[1:], validate=True)
        else:
            self.channels[data[0]] = self.channels.get(data[0], b"") + data[1:]
        return op, data

    def until(self, test):
        while not test():
            self.step()

    def drain(self):
        try:
            while True:
                self.step()
        except (EOFError, ConnectionResetError):
            return self


def tls_client(ca, cert=None, key=None, most=None):
    context = ssl.create_default_context(cafile=ca)
    if cert:
        context.load_cert_chain(cert, key)
    if most:
        context.maximum_version = most
    return context
