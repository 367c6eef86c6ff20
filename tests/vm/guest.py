# SPDX-License-Identifier: Apache-2.0
"""A machine to test on: Debian's kernel in QEMU on the host's own files.

The guest has what a test machine in a container often lacks: cgroup v2, every capability, AppArmor, systemd as
pid 1, and a power switch. Its root is the host's root file system, which it cannot change (virtiofs, read-only,
under a tmpfs); so whatever is installed or built here is there too, under the same path. /data is a disk of its
own. There is no network to the outside.

A Guest is one disk; run() boots it with one job, a shell script, and gives the job's output while it comes. What is
needed from outside, the kernel package, is downloaded once by apt-get.
"""

import glob
import os
import shutil
import signal
import subprocess
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "crid-tests", "vm")
KERNEL = "linux-image-cloud-amd64"      # its dependency is the real package
MODULES = ("virtio_pci", "virtio_blk", "virtio_console", "virtiofs", "ext4", "crc32c_generic", "overlay")
# Of the host's units those that a machine without disks, clock or network of its own would wait for.
MASKED = ("systemd-binfmt.service systemd-timesyncd.service systemd-journal-flush.service systemd-pstore.service "
          "ldconfig.service systemd-random-seed.service systemd-udev-settle.service timers.target dev-hugepages.mount").split()
UNITS = {
    "job.target": "[Unit]\nRequires=sysinit.target dbus.service job.service\nAfter=sysinit.target\nAllowIsolate=yes\n",
    "job.service": "[Unit]\nAfter=sysinit.target dbus.service\nSuccessAction=poweroff-force\nFailureAction=poweroff-force\n"
                   "[Service]\nType=oneshot\nExecStart=/run/job/main\nDelegate=yes\nLimitNOFILE=1048576\n",
}


class Missing(Exception):
    """What this machine lacks, for people."""


def program(*names):
    for name in names:
        found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/lib/qemu:/usr/libexec")
        if found:
            return found
    raise Missing(f"{names[0]} is not installed: tools/install-deps vm")


def call(*command, **more):
    done = subprocess.run(command, check=False, capture_output=True, text=True, **more)
    if done.returncode:
        raise Missing(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def pack(directory, path):
    """directory as an initial ram disk; the kernel takes several of them, one behind the other."""
    with open(path, "wb") as out:
        subprocess.run([program("cpio"), "-o", "-H", "newc", "--quiet"], cwd=directory, check=True, stdout=out,
                       input="\n".join(call("find", ".", cwd=directory).split("\n")), text=True)


def download():
    """Unpacks the kernel package into the cache, once."""
    name = next((line.split()[-1] for line in call("apt-cache", "depends", KERNEL).splitlines() if "Depends: linux-image" in line), None)
    if not name:
        raise Missing(f"apt-cache does not know {KERNEL}")
    tree = os.path.join(CACHE, name)
    if not os.path.exists(tree):
        os.makedirs(CACHE, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
            print(f"+ apt-get download {name}", flush=True)
            call("apt-get", "-q", "download", name, cwd=scratch)
            call("dpkg-deb", "-x", glob.glob(scratch + "/*.deb")[0], scratch + "/tree")
            os.rename(scratch + "/tree", tree)
    return tree


def prepare():
    """(kernel, initial ram disk): made of the kernel package and this directory's init."""
    tree = download()
    version = os.listdir(os.path.join(tree, "lib/modules"))[0]
    if not os.path.exists(os.path.join(tree, "lib/modules", version, "modules.dep.bin")):
        call(program("depmod"), "-b", tree, version)
    image = os.path.join(tree, "initrd")
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        for d in ("bin", "modules", "proc", "sys", "dev", "host", "top", "new"):
            os.mkdir(os.path.join(scratch, d))
        shutil.copy(program("busybox"), scratch + "/bin/busybox")
        shutil.copy(os.path.join(HERE, "init"), scratch + "/init")
        order = []
        for module in MODULES:
            for line in call(program("modprobe"), "-d", tree, "-S", version, "--show-depends", module).splitlines():
                if line.startswith("insmod") and line.split()[1] not in order:
                    order.append(line.split()[1])
        for path in order:
            shutil.copy(path, scratch + "/modules")
        for name, text in (("order", "\n".join(map(os.path.basename, order))), ("tree", os.path.join(tree, "lib/modules"))):
            with open(os.path.join(scratch, "modules", name), "w") as f:
                f.write(text + "\n")
        pack(scratch, image + ".new")
        os.rename(image + ".new", image)
    return glob.glob(os.path.join(tree, "boot/vmlinuz-*"))[0], image


def accelerator():
    """KVM where the processor really has it: a device file alone has been seen to hang."""
    with open("/proc/cpuinfo") as f:
        flags = f.read().split()
    if os.access("/dev/kvm", os.W_OK) and ("vmx" in flags or "svm" in flags):
        return ["-accel", "kvm", "-cpu", "host"]
    # QEMU 7.2 computes wrong flags for cmpxchg16b, which kernels since 6.12 use
    return ["-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max,-cx16"]


class Guest:
    """One disk and the boots from it. A context manager: what it started and made is gone afterwards."""

    def __init__(self, systemd=False, cpus=2, memory=2048, disk_gb=8, shared=()):
        if os.geteuid() != 0:
            raise Missing("this needs root")
        self.systemd, self.cpus, self.memory = systemd, cpus, memory
        self.shared = [TOP, *shared]
        self.kernel, self.initrd = prepare()
        self.base = tempfile.mkdtemp(dir=CACHE)
        self.qemu = self.files = None
        call("truncate", "-s", f"{disk_gb}G", self.path("disk"))
        call(program("mkfs.ext4"), "-q", "-F", "-E", "lazy_itable_init=1,lazy_journal_init=1", self.path("disk"))

    def path(self, name):
        return os.path.join(self.base, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.power_off()
        shutil.rmtree(self.base)

    def serve_files(self):
        """virtiofsd in a mount namespace where only the root file system is, and what of ours lies on another one."""
        extra = [d for d in self.shared if os.stat(d).st_dev != os.stat("/").st_dev]
        script = ('mkdir -p root && mount --bind / root && for d in "$@"; do mount --bind "$d" "root$d"; done && '
                  'mount -o remount,bind,ro root && '
                  f'exec {program("virtiofsd")} --socket-path=$PWD/files -o source=$PWD/root,cache=always,sandbox=chroot,no_xattr')
        if os.path.exists(self.path("files")):
            os.unlink(self.path("files"))
        self.files = subprocess.Popen(["unshare", "-m", "--propagation", "private", "sh", "-c", script, "-", *extra], cwd=self.base,
                                      stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace")
        said = []
        for line in self.files.stderr:          # it says so when the socket is there
            said.append(line)
            if "Waiting for vhost-user socket connection" in line:
                threading.Thread(target=self.files.stderr.read, daemon=True).start()
                return
        raise Missing("virtiofsd does not start: " + "".join(said))

    def make_job(self, command):
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
            job = os.path.join(scratch, "job")
            os.makedirs(os.path.join(job, "units"))
            shutil.copy(os.path.join(HERE, "main"), job)
            files = {"command": command}
            if self.systemd:
                files["systemd"] = ""
                files.update({f"units/{name}": text for name, text in UNITS.items()})
            for name, text in files.items():
                with open(os.path.join(job, name), "w") as f:
                    f.write(text)
            pack(scratch, self.path("job"))
        with open(self.path("initrd"), "wb") as out:
            for part in (self.initrd, self.path("job")):
                with open(part, "rb") as f:
                    shutil.copyfileobj(f, out)

    def boot(self, command):
        """Switches it on with that job; its output is the lines of self.qemu.stdout."""
        self.make_job(command)
        self.serve_files()
        line = "console=ttyS0 quiet panic=-1 no_timer_check mitigations=off random.trust_cpu=on audit=0 cgroup_no_v1=all"
        if self.systemd:
            line += " systemd.unit=job.target systemd.show_status=0 " + " ".join(f"systemd.mask={unit}" for unit in MASKED)
        self.qemu = subprocess.Popen([
            program("qemu-system-x86_64"), *accelerator(), "-machine", "pc", "-smp", str(self.cpus), "-m", str(self.memory),
            "-display", "none", "-nodefaults", "-no-user-config", "-no-reboot",
            "-kernel", self.kernel, "-initrd", self.path("initrd"), "-append", line, "-serial", "file:console",
            "-drive", "file=disk,if=none,id=disk,format=raw,cache=unsafe,discard=unmap", "-device", "virtio-blk-pci,drive=disk",
            "-object", f"memory-backend-memfd,id=mem,size={self.memory}M,share=on", "-numa", "node,memdev=mem",
            "-chardev", "socket,id=files,path=files", "-device", "vhost-user-fs-pci,chardev=files,tag=host,queue-size=1024",
            "-chardev", "stdio,id=job,signal=off", "-device", "virtio-serial-pci", "-device", "virtserialport,chardev=job,name=job",
        ], cwd=self.base, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, errors="replace")

    def power_off(self):
        """Pulls the plug: what the guest's kernel had not written is lost."""
        for process in (self.qemu, self.files):
            if process and process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.wait()

    def run(self, command, timeout, each=None):
        """
        Boots, runs the job and returns (its exit status, its lines). each(line) is called for every line while it
        runs; when that returns True the power is cut. None for the status: the job did not end, the console is told.
        """
        status, lines = None, []
        self.boot(command)
        alarm = threading.Timer(timeout, self.power_off)
        alarm.start()
        for line in self.qemu.stdout:
            line = line.rstrip("\n")
            if line.startswith("vm: status "):
                status = int(line.split()[-1])
                continue
            lines.append(line)
            if each and each(line):
                self.power_off()
        self.qemu.wait()
        alarm.cancel()
        self.power_off()
        return status, lines

    def console(self, lines=30):
        with open(self.path("console"), errors="replace") as f:
            return "".join(f.readlines()[-lines:])
