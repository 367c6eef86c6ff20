# SPDX-License-Identifier: Apache-2.0
"""System calls made by another process's thread as if its own code had gone mad: planted through ptrace (x86-64)."""

import ctypes
import errno
import os
import platform
import struct

ATTACH, DETACH, STEP, GETREGS, SETREGS = 16, 17, 9, 12, 13
WALL = 0x40000000
NAMES = ("r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base "
         "ds es fs gs").split()
CALLS = {"read": 0, "write": 1, "open": 2, "socket": 41, "connect": 42, "kill": 62, "rename": 82, "mkdir": 83, "unlink": 87,
         "symlink": 88, "link": 86, "chmod": 90, "chown": 92, "ptrace": 101, "truncate": 76, "mknod": 133, "setxattr": 188,
         "rt_sigqueueinfo": 129, "tgkill": 234, "openat": 257, "utimensat": 280, "prlimit64": 302, "process_vm_readv": 310,
         "execve": 59, "fork": 57, "unshare": 272, "mount": 165, "pidfd_open": 434, "pidfd_send_signal": 424,
         "pidfd_getfd": 438, "open_tree": 428, "bpf": 321, "io_uring_setup": 425, "close": 3, "getuid": 102, "chroot": 161}
POSSIBLE = platform.machine() == "x86_64"
libc = ctypes.CDLL(None, use_errno=True)


def ptrace(request, tid, address=0, data=0):
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long
    if libc.ptrace(request, tid, address, data) < 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request}: {os.strerror(ctypes.get_errno())}")


class Plant:
    """with Plant(tid) as p: p.open(b"/etc/shadow", 0) is the result, or "EACCES"."""

    def __init__(self, tid):
        self.tid = tid

    def __enter__(self):
        ptrace(ATTACH, self.tid)
        os.waitpid(self.tid, WALL)
        self.before = self.registers()
        self.memory = open(f"/proc/{self.tid}/mem", "r+b", 0)
        self.code = self.peek(self.before["rip"], 2)
        self.poke(self.before["rip"], b"\x0f\x05")      # syscall
        return self

    def __exit__(self, *_):
        self.poke(self.before["rip"], self.code)
        self.set_registers(self.before)                 # the call it was waiting in begins again
        self.memory.close()
        ptrace(DETACH, self.tid)

    def registers(self):
        buffer = ctypes.create_string_buffer(8 * len(NAMES))
        ptrace(GETREGS, self.tid, 0, ctypes.addressof(buffer))
        return dict(zip(NAMES, struct.unpack(f"{len(NAMES)}Q", buffer.raw)))

    def set_registers(self, values):
        buffer = ctypes.create_string_buffer(struct.pack(f"{len(NAMES)}Q", *(values[n] for n in NAMES)))
        ptrace(SETREGS, self.tid, 0, ctypes.addressof(buffer))

    def peek(self, address, n):
        self.memory.seek(address)
        return self.memory.read(n)

    def poke(self, address, data):
        self.memory.seek(address)
        self.memory.write(data)

    def call(self, name, *arguments):
        """Bytes are passed as the address of a copy below the stack."""
        at = (self.before["rsp"] - 16384) & ~15
        values = []
        for one in arguments:
            if isinstance(one, bytes):
                self.poke(at, one + b"\0")
                values.append(at)
                at += (len(one) + 16) & ~15
            else:
                values.append(one & (1 << 64) - 1)
        values += [0] * (6 - len(values))
        registers = dict(self.before, rax=CALLS[name], orig_rax=(1 << 64) - 1,
                         **dict(zip(("rdi", "rsi", "rdx", "r10", "r8", "r9"), values)))
        self.set_registers(registers)
        end = self.before["rip"] + 2
        for _ in range(10):             # a stop that was under way already may come first
            ptrace(STEP, self.tid)
            os.waitpid(self.tid, WALL)
            if self.registers()["rip"] == end:
                break
        else:
            raise AssertionError("the planted call did not run")
        result = self.registers()["rax"]
        result -= 1 << 64 if result >> 63 else 0
        return errno.errorcode.get(-result, result) if -4096 < result < 0 else result

    def __getattr__(self, name):
        if name not in CALLS:
            raise AttributeError(name)
        return lambda *arguments: self.call(name, *arguments)
