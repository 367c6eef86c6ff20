# SPDX-License-Identifier: Apache-2.0
"""What a container may do and be, seen from inside: identity, capabilities, devices, namespaces, annotations of CRI-O."""

import os
import unittest

import grpc
from crid_harness import NodeCase, cri_pb2
import crid_node

INVALID, STATE = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION
POD, CONTAINER, NODE, TARGET = range(4)
DEFAULT_CAPS = 0x5fb


class Security(NodeCase):
    @classmethod
    def images(cls):
        super().images()
        cls.groups = cls.registry.push("groups", ["1"], crid_node.Image([crid_node.busybox_layer(), crid_node.layer([
            ("etc/group", b"root:x:0:\nalice:x:1000:\nextra:x:50000:alice\nbad:x:99999999999:alice\n"),
            ("etc/passwd", b"root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n")])], {"User": "1000"}))

    @classmethod
    def configuration(cls):
        return ('additional_devices = ["/dev/zero:/dev/more/zero:r", "/dev/full:rw"]\nallowed_devices = ["/dev/fuse", "/dev/random"]\n'
                'default_sysctls = ["net.ipv4.ip_forward=1", "kernel.msgmax=9000"]\ndefault_ulimits = ["nofile=123:456", "core=0"]\n')

    def start(self, pod=None, config=None, image=None, **more):
        self.pull(image or self.busybox)
        if not pod:
            pod, config = self.run_pod()
        return self.start_container(pod, config, ["sleep", "1000"], image=image, **more)

    def sh(self, container, script):
        code, out, err = self.exec(container, "sh", "-c", script)
        self.assertEqual((code, err), (0, ""), out)
        return out.splitlines()

    def restarted(self, container):
        """The status, the same from a crid that was killed and started again."""
        before = self.status(container)
        self.node.process.kill()
        self.node.process.wait()
        self.start_crid()
        self.assertEqual(self.status(container), before)
        return before

    def refused(self, code, pod=None, config=None, **more):
        self.pull(self.busybox)
        if not pod:
            pod, config = self.run_pod()
        return self.assert_code(code, self.create, pod, config, self.container_config(["true"], **more))

    @staticmethod
    def context(**fields):
        return {"security_context": fields}

    def privileged_pod(self, **fields):
        return self.run_pod(self.pod_config(linux=self.context(privileged=True, namespace_options={"pid": CONTAINER}), **fields))

    # ---- identity ----

    def test_groups_of_the_image_and_of_the_request(self):
        for policy, groups in ((cri_pb2.Merge, [1000, 50000, 1234]), (cri_pb2.Strict, [1000, 1234])):
            with self.subTest(policy=policy):
                container = self.start(image=self.groups, linux=self.context(
                    supplemental_groups=[1234], supplemental_groups_policy=policy))
                lines = self.sh(container, "grep -E 'Uid|Gid|Groups' /proc/1/status; id -G")
                self.assertEqual(sorted(map(int, lines[2].split()[1:])), sorted(groups))
                self.assertEqual(sorted(map(int, lines[3].split())), sorted(groups))
                self.assertEqual([lines[0].split()[1:], lines[1].split()[1:]], [["1000"] * 4] * 2)
                user = self.restarted(container).user.linux
                self.assertEqual((user.uid, user.gid, sorted(user.supplemental_groups)), (1000, 1000, sorted(groups)))
        self.refused(INVALID, linux=self.context(supplemental_groups_policy=2))

    # ---- capabilities and limits ----

    def caps(self, container):
        return {line.split(":")[0]: int(line.split()[1], 16) for line in self.sh(container, "grep ^Cap /proc/1/status")}

    def test_capabilities(self):
        with open("/proc/self/status") as f:
            own = int(next(line for line in f if line.startswith("CapBnd")).split()[1], 16)
        net_admin, sys_resource, net_raw = 1 << 12, 1 << 24, 1 << 13
        self.pull(self.busybox)
        pod, config = self.run_pod()
        for number, (want, bounding, ambient) in enumerate((
                ({}, DEFAULT_CAPS, 0), ({"add_capabilities": ["NET_ADMIN"]}, DEFAULT_CAPS | net_admin, 0),
                ({"add_capabilities": ["ALL"]}, own, 0), ({"drop_capabilities": ["ALL"]}, 0, 0),
                ({"add_capabilities": ["cap_net_raw"], "drop_capabilities": ["all"]}, net_raw, 0),
                ({"add_capabilities": ["SYS_RESOURCE"]}, (DEFAULT_CAPS | sys_resource) & own, 0),
                ({"drop_capabilities": ["ALL"], "add_ambient_capabilities": ["NET_RAW"]}, net_raw, net_raw))):
            with self.subTest(want=want):
                caps = self.caps(self.start(pod, config, name=f"c{number}", linux=self.context(capabilities=want)))
                self.assertEqual(caps, {"CapBnd": bounding, "CapPrm": bounding, "CapEff": bounding, "CapInh": ambient, "CapAmb": ambient})
        for bad in ({"add_capabilities": ["NONE_SUCH"]}, {"drop_capabilities": ["CAP_X"]}, {"add_ambient_capabilities": [""]}):
            self.refused(INVALID, pod, config, linux=self.context(capabilities=bad))

    def test_no_new_privileges_and_limits(self):
        container = self.start(linux={"security_context": {"no_new_privs": True}, "resources": {"oom_score_adj": -1000}})
        lines = self.sh(container, "grep NoNewPrivs /proc/1/status; cat /proc/1/oom_score_adj; grep -E 'open files|core' /proc/1/limits; "
                                   "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax")
        self.assertEqual(lines[0].split()[1], "1")
        with open("/proc/self/oom_score_adj") as f:
            lowest = int(f.read())
        self.assertIn(int(lines[1]), (-1000, lowest))
        self.assertEqual([line.split()[-3:-1] for line in lines[2:4]], [["0", "0"], ["123", "456"]])
        self.assertEqual(lines[4:], ["1", "9000"])

    # ---- privileged, devices ----

    def test_privileged(self):
        pod, config = self.privileged_pod()
        container = self.start(pod, config, linux=self.context(
            privileged=True, masked_paths=["/proc/kcore"], readonly_paths=["/proc/sys"], seccomp={"profile_type": 0}))
        lines = self.sh(container, "grep Seccomp: /proc/1/status; grep -E ' /sys | /sys/fs/cgroup ' /proc/self/mountinfo | cut -d' ' -f6; "
                                   "test -e /dev/full && test -e /dev/tty1 && echo devices; grep -c ' /proc/' /proc/self/mountinfo; true")
        self.assertEqual(lines[0].split()[1], "0")
        self.assertTrue(all("rw" in options.split(",") for options in lines[1:-2]), lines)
        self.assertEqual(lines[-2:], ["devices", "0"])
        here = {f for f in os.listdir("/dev") if os.path.exists(f"/dev/{f}") and not os.path.isdir(f"/dev/{f}") and not os.path.islink(f"/dev/{f}")}
        self.assertEqual(here - {"console"} - set(self.sh(container, "ls /dev")), set())
        caps = self.caps(container)
        self.assertEqual(caps["CapEff"], caps["CapBnd"])
        plain, plain_config = self.run_pod()
        self.refused(INVALID, plain, plain_config, linux=self.context(privileged=True))
        self.refused(INVALID, pod, config, linux=self.context(privileged=True), name="other",
                     devices=[{"host_path": "/dev/zero", "container_path": "/dev/null", "permissions": "r"}])

    def test_devices(self):
        container = self.start(devices=[{"host_path": "/dev/kmsg", "container_path": "/dev/x/log", "permissions": "r"},
                                        {"host_path": "/dev/net", "container_path": "/dev/n", "permissions": "rwm"}])
        self.assertEqual(self.sh(container, "stat -c '%t:%T' /dev/x/log /dev/n/tun /dev/more/zero; head -c 2 /dev/more/zero | wc -c; "
                                            "test -e /dev/full && echo full; test -e /dev/fuse || echo none"),
                         ["1:b", "a:c8", "1:5", "2", "full", "none"])


class SecurityCrun(Security):
    runtime = "crun"

    # what no runtime has a say in

    def test_group_without_user(self):
        self.assertIn("without a user", self.refused(INVALID, linux=self.context(run_as_group={"value": 5})))

    def test_ids_out_of_range(self):
        pod, config = self.run_pod()
        for fields in ({"run_as_user": {"value": -1}}, {"run_as_user": {"value": 1 << 31}}, {"run_as_user": {"value": 1 << 32}},
                       {"run_as_user": {"value": 0}, "run_as_group": {"value": 1 << 32}}, {"supplemental_groups": [-1]},
                       {"supplemental_groups": [1 << 32]}, {"run_as_username": "nobody-here"}, {"run_as_username": "-1"},
                       {"run_as_username": "4294967296"}, {"run_as_username": "root "}):
            with self.subTest(fields=fields):
                self.refused(INVALID, pod, config, linux=self.context(**fields))

    def test_user_without_an_entry_gets_one(self):
        container = self.start(linux=self.context(run_as_user={"value": 4711}, run_as_group={"value": 815}), working_dir="/tmp",
                               envs=[{"key": "HOME", "value": b"/srv"}])
        self.assertEqual(self.sh(container, "tail -1 /etc/passwd; tail -1 /etc/group"),
                         ["4711:x:4711:815:4711 user:/srv:/sbin/nologin", "815:x:815:"])
        container = self.start(linux=self.context(run_as_user={"value": 4711}), working_dir="/tmp")
        self.assertEqual(self.sh(container, "tail -1 /etc/passwd"), ["4711:x:4711:0:4711 user:/tmp:/sbin/nologin"])
        for home in (b"/x\nroot2:x:0:0::/:/bin/sh", b"/x:/y"):
            self.refused(INVALID, linux=self.context(run_as_user={"value": 4711}), envs=[{"key": "HOME", "value": home}])

    def test_devices_that_make_no_sense(self):
        pod, config = self.run_pod()
        for device in ({"host_path": "/dev/zero", "permissions": "x"}, {"host_path": "/dev/zero", "permissions": ""},
                       {"host_path": "/dev/none", "permissions": "r"}, {"host_path": "/etc/passwd", "permissions": "r"},
                       {"host_path": "dev/zero", "permissions": "r"}, {"host_path": "/dev/zero", "container_path": "x", "permissions": "r"}):
            with self.subTest(device=device):
                self.refused(INVALID, pod, config, devices=[device])

    def test_every_mode_of_the_pid_namespace(self):
        self.pull(self.busybox)
        for mode in (POD, CONTAINER, NODE):
            pod, config = self.run_pod(self.pod_config(f"pid{mode}", linux=self.context(namespace_options={"pid": mode})))
            container = self.start(pod, config, linux=self.context(namespace_options={"pid": mode}))
            first = self.sh(container, "tr '\\0' ' ' < /proc/1/cmdline")[0]
            with self.subTest(mode=mode):
                if mode == NODE:
                    self.assertEqual(self.sh(container, "readlink /proc/self/ns/pid"), [os.readlink("/proc/self/ns/pid")])
                else:
                    self.assertEqual(first, {POD: "/pause ", CONTAINER: "sleep 1000 "}[mode])
            other = self.start(pod, config, name="other", linux=self.context(namespace_options={"pid": TARGET, "target_id": container}))
            ids = [self.sh(c, "readlink /proc/self/ns/pid") for c in (container, other)]
            self.assertEqual(ids[0], ids[1])
            self.restarted(other)
            self.assertEqual(self.sh(other, "readlink /proc/self/ns/pid"), [ids[0][0]])
        self.refused(STATE, pod, config, linux=self.context(namespace_options={"pid": POD}), name="x")
        self.refused(STATE, pod, config, linux=self.context(namespace_options={"pid": TARGET, "target_id": "f" * 64}), name="x")
        self.refused(INVALID, pod, config, linux=self.context(namespace_options={"pid": 7}), name="x")

    def test_every_mode_of_ipc_and_network(self):
        self.pull(self.busybox)
        for ipc in (POD, NODE):
            for network in (POD, NODE):
                with self.subTest(ipc=ipc, network=network):
                    options = {"pid": CONTAINER, "ipc": ipc, "network": network}
                    pod, config = self.run_pod(self.pod_config(f"p{ipc}{network}", linux=self.context(namespace_options=options)))
                    one, two = (self.start(pod, config, name=name, linux=self.context(namespace_options=options)) for name in ("one", "two"))
                    here = [os.readlink(f"/proc/self/ns/{kind}") for kind in ("ipc", "net")]
                    found = self.sh(one, "readlink /proc/self/ns/ipc; readlink /proc/self/ns/net")
                    self.assertEqual([a == b for a, b in zip(found, here)], [ipc == NODE, network == NODE])
                    self.assertEqual(self.sh(two, "readlink /proc/self/ns/ipc; readlink /proc/self/ns/net"), found)
                    status = self.pod_status(pod).linux.namespaces.options
                    self.assertEqual((status.ipc, status.network, status.pid), (ipc, network, CONTAINER))
        for options in ({"ipc": CONTAINER}, {"network": CONTAINER}, {"ipc": TARGET}, {"network": TARGET}, {"pid": TARGET}, {"pid": 9}):
            with self.subTest(options=options):
                self.assert_code(INVALID, self.cri.RunPodSandbox, config=self.pod_config(linux=self.context(namespace_options=options)))

    def test_annotations_that_no_handler_allows_have_no_effect(self):
        pod, config = self.run_pod(self.pod_config(annotations={
            "shm-size.crio.io": "1m", "umask.crio.io": "077", "devices.crio.io": "/dev/fuse", "io.kubernetes.cri-o.umask": "077",
            "run.oci.hooks.stdout": "/tmp/x", "org.systemd.property.After": "'x'", "mine": "stays"}))
        container = self.start(pod, config)
        self.assertEqual(self.sh(container, "umask; df -k /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2; test -e /dev/fuse || echo none"),
                         ["0022", "65536", "none"])
        self.assertEqual(self.pod_status(pod).annotations["mine"], "stays")
        self.assertNotIn("umask.crio.io", self.pod_status(pod).annotations)
        with open(self.node.path("storage/overlay-containers", container, "userdata/config.json")) as f:
            text = f.read()
        for name in ("run.oci", "org.systemd", "umask.crio"):
            self.assertNotIn(f'\n\t\t"{name}', text)


ALLOWED = ("shm-size.crio.io", "io.kubernetes.cri-o.umask", "devices.crio.io")


class Annotations(NodeCase):
    """A handler that allows some."""

    @classmethod
    def configuration(cls):
        return ""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        path = cls.node.path("crio.conf")
        with open(path) as f:
            text = f.read()
        line = f"allowed_annotations = [{', '.join(repr(a) for a in ALLOWED)}]\n".replace("'", '"')
        with open(path, "w") as f:
            f.write(text.replace('runtime_type = "oci"\n', 'runtime_type = "oci"\n' + line))
        cls.node.stop()
        cls.start_crid()

    def pod(self, **annotations):
        return self.run_pod(self.pod_config(annotations=annotations))

    def test_allowed_annotations_are_honoured(self):
        self.pull(self.busybox)
        pod, config = self.pod(**{"shm-size.crio.io": "1m", "umask.crio.io": "027", "devices.crio.io": "/dev/fuse,/dev/net/tun:/dev/t:rw"})
        container = self.start_container(pod, config, ["sleep", "1000"])
        script = "umask; df -k /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2; stat -c '%t:%T' /dev/fuse /dev/t"
        self.assertEqual(self.exec(container, "sh", "-c", script)[1].splitlines()[1:], ["1024", "a:e5", "a:c8"])
        again = self.start_container(pod, config, ["sh", "-c", "umask"], name="again")
        log = self.status(again).log_path
        self.wait_exit(again)
        with open(log) as f:
            self.assertIn("0027", f.read())

    def test_values_that_make_no_sense(self):
        self.pull(self.busybox)
        for size in ("", "0", "-1", "x", "1q", "99999999999999g", "1 m"):
            with self.subTest(size=size):
                self.assert_code(INVALID, self.cri.RunPodSandbox, config=self.pod_config(annotations={"shm-size.crio.io": size}))
        for name, value in (("umask.crio.io", "999"), ("umask.crio.io", "01777"), ("umask.crio.io", ""),
                            ("devices.crio.io", "/dev/kmsg"), ("devices.crio.io", "/dev/fuse:/x:q"), ("devices.crio.io", "/dev/../dev/kmsg")):
            with self.subTest(name=name, value=value):
                pod, config = self.pod(**{name: value})
                self.assert_code(INVALID, self.create, pod, config, self.container_config(["true"]))


if __name__ == "__main__":
    unittest.main()
