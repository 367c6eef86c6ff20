# SPDX-License-Identifier: Apache-2.0
"""Pods with a user namespace of their own: what their containers see, own and may do; with runc and with crun."""

import json
import os
import unittest

import grpc
from crid_harness import NodeCase, cri_pb2

INVALID = grpc.StatusCode.INVALID_ARGUMENT
FIRST, COUNT = 200000, 65536
POD, CONTAINER, NODE, TARGET = range(4)


def mapping(host=FIRST, inside=0, count=COUNT):
    return {"host_id": host, "container_id": inside, "length": count}


def userns(**more):
    return {"mode": POD, "uids": [mapping()], "gids": [mapping(host=FIRST + 1000)], **more}


class UserNamespaces(NodeCase):
    def config(self, options=None, **namespaces):
        namespaces.setdefault("pid", CONTAINER)
        return self.pod_config(linux={"security_context": {"namespace_options": {
            **namespaces, "userns_options": options or userns()}}})

    def run_in(self, script, config=None, **more):
        """(pod, container, lines of the script's output); the container goes on."""
        self.pull(self.busybox)
        pod, config = self.run_pod(config or self.config())
        container = self.start_container(pod, config, ["sleep", "1000"], **more)
        code, out, err = self.exec(container, "sh", "-c", script)
        self.assertEqual((code, err), (0, ""), out)
        return pod, container, out.splitlines()

    def test_ids_inside_and_outside(self):
        pod, container, out = self.run_in(
            "cat /proc/self/uid_map /proc/self/gid_map; stat -c '%u %g' / /etc /etc/passwd /etc/resolv.conf /etc/hostname /dev/shm "
            "/run/.containerenv; ls -ldn /etc/mtab | tr -s ' ' | cut -d' ' -f3,4; touch /made; "
            "chown 1000:1000 /made; stat -c '%u %g' /made; echo y > /etc/resolv.conf; touch /dev/shm/x; echo x > /etc/passwd; "
            "ls -dn /dev/pts/ptmx | cut -c1-10")
        self.assertEqual([line.split() for line in out[:2]], [["0", "200000", "65536"], ["0", "201000", "65536"]])
        self.assertEqual(out[2:10], ["0 0"] * 8)
        self.assertEqual(out[10:], ["1000 1000", "crw-rw-rw-"])
        info = self.status(container)
        self.assertEqual(list(info.user.linux.supplemental_groups), [0])
        options = self.pod_status(pod).linux.namespaces.options.userns_options
        self.assertEqual((options.mode, options.uids[0].host_id, options.gids[0].host_id, options.uids[0].length),
                         (POD, FIRST, FIRST + 1000, COUNT))
        self.assertEqual(self.owner(container), (FIRST, FIRST + 1000))

    def owner(self, container):
        """uid and gid of its first process, seen from here."""
        pid = json.loads(self.cri.ContainerStatus(container_id=container, verbose=True).info["info"])["pid"]
        with open(f"/proc/{pid}/status") as f:
            ids = [line.split()[1:] for line in f if line.startswith(("Uid:", "Gid:"))]
        return int(ids[0][0]), int(ids[1][0])

    def test_root_inside_is_nobody_outside(self):
        data = self.node.path("data")
        os.makedirs(data, exist_ok=True)
        with open(os.path.join(data, "secret"), "w") as f:
            f.write("of the host\n")
        os.chmod(os.path.join(data, "secret"), 0o600)
        _, _, out = self.run_in("cat /data/secret 2>/dev/null || echo refused; touch /data/x 2>/dev/null || echo refused; "
                                "stat -c '%u %g' /data; grep CapEff /proc/self/status | cut -f2; cat /sys/kernel/mm/ksm/run >/dev/null; "
                                "(echo 1 > /proc/sys/kernel/panic) 2>/dev/null || echo refused",
                                mounts=[{"container_path": "/data", "host_path": data}])
        self.assertEqual(out, ["refused", "refused", "65534 65534", "00000000000005fb", "refused"])

    def test_user_of_the_request(self):
        linux = {"security_context": {"run_as_user": {"value": 1234}, "run_as_group": {"value": 2345}, "supplemental_groups": [77]}}
        _, container, out = self.run_in("id; echo home >> /tmp/x; tail -1 /etc/passwd; stat -c '%u %g' /etc/passwd; id -un", linux=linux)
        self.assertEqual(out[0], "uid=1234(1234) gid=2345(2345) groups=77,2345(2345)")
        self.assertEqual(out[2:], ["0 0", "1234"])
        self.assertEqual(self.owner(container), (FIRST + 1234, FIRST + 1000 + 2345))

    def test_shared_pid_namespace(self):
        _, _, out = self.run_in("cat /proc/1/cmdline | tr '\\0' ' '; stat -c %u /proc/1", config=self.config(pid=POD))
        self.assertEqual(out, ["/pause 0"])

    def test_host_network(self):
        _, _, out = self.run_in("ls /sys/class/net | grep -c lo; touch /sys/x 2>/dev/null || echo refused; "
                                "readlink /proc/self/ns/net; grep -c ' /sys/fs/cgroup' /proc/self/mountinfo",
                                config=self.config(network=NODE))
        self.assertEqual(out[:3], ["1", "refused", os.readlink("/proc/self/ns/net")])
        self.assertGreaterEqual(int(out[3]), 1)

    def test_host_ipc(self):
        _, _, out = self.run_in("readlink /proc/self/ns/ipc", config=self.config(ipc=NODE))
        self.assertEqual(out, [os.readlink("/proc/self/ns/ipc")])

    def test_small_map_without_the_group_of_terminals(self):
        self.pull(self.busybox)
        pod, config = self.run_pod(self.config({"mode": POD, "uids": [mapping(count=3)], "gids": [mapping(count=3)]}))
        container = self.start_container(pod, config, ["sleep", "1000"], tty=True)
        code, out, _ = self.exec(container, "sh", "-c", "tty; stat -c %u /dev/pts/0")
        self.assertEqual((code, out.split()), (0, ["/dev/pts/1", "0"]))

    def test_restart_changes_nothing(self):
        pod, container, _ = self.run_in("echo kept > /file; chown 5:5 /file")
        before = self.pod_status(pod), self.status(container)
        self.node.process.kill()
        self.node.process.wait()
        self.start_crid()
        self.assertEqual((self.pod_status(pod), self.status(container)), before)
        config = self.config()
        self.assertEqual(self.exec(container, "stat", "-c", "%u %g", "/file"), (0, "5 5\n", ""))
        second = self.start_container(pod, config, ["sleep", "1000"], name="second",
                                      linux={"security_context": {"namespace_options": {"pid": CONTAINER, "userns_options": userns()}}})
        self.assertEqual(self.exec(second, "cat", "/proc/self/uid_map")[1].split(), ["0", str(FIRST), str(COUNT)])
        self.assertEqual(self.exec(second, "readlink", "/proc/self/ns/user")[1], self.exec(container, "readlink", "/proc/self/ns/user")[1])


class UserNamespacesCrun(UserNamespaces):
    runtime = "crun"

    # what no runtime has a say in

    def test_user_that_is_not_mapped(self):
        self.pull(self.busybox)
        pod, config = self.run_pod(self.config())
        for field in ({"run_as_user": {"value": 65536}}, {"run_as_user": {"value": 0}, "run_as_group": {"value": 65536}},
                      {"supplemental_groups": [65536]}):
            with self.subTest(field=field):
                text = self.assert_code(INVALID, self.create, pod, config,
                                        self.container_config(["true"], linux={"security_context": field}))
                self.assertIn("65536 is not mapped", text)

    def test_sysctls(self):
        config = self.config()
        config["linux"]["sysctls"] = {"net.ipv4.ip_unprivileged_port_start": "80", "kernel.msgmax": "9000",
                                      "net.ipv4.ping_group_range": "0 2147483647"}
        _, _, out = self.run_in("cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/msgmax "
                                "/proc/sys/net/ipv4/ping_group_range", config=config)
        self.assertEqual([line.split() for line in out], [["80"], ["9000"], ["0", "65535"]])

    def test_requests_that_make_no_sense(self):
        two = [mapping(), mapping(host=300000)]
        for options in ({"mode": CONTAINER}, {"mode": TARGET}, {"mode": POD}, userns(uids=two), userns(gids=two),
                        userns(uids=[mapping(inside=1)]), userns(gids=[mapping(inside=1)]), userns(uids=[mapping(count=0)]),
                        userns(uids=[mapping(host=4294967295, count=2)]), userns(uids=[mapping(host=4294967000, count=296)]),
                        userns(mode=NODE), {"mode": POD, "uids": [mapping()]}, {"mode": 9}):
            with self.subTest(options=options):
                self.assert_code(INVALID, self.cri.RunPodSandbox, config=self.config(options))
        self.assertEqual(list(self.cri.ListPodSandbox().items), [])

    def test_container_must_be_in_the_pods(self):
        self.pull(self.busybox)
        pod, config = self.run_pod(self.config())
        plain, plain_config = self.run_pod()
        for where, pod_config, options in ((pod, config, {"mode": NODE}), (pod, config, userns(uids=[mapping(host=400000)])),
                                           (pod, config, {"mode": CONTAINER}), (plain, plain_config, userns())):
            with self.subTest(options=options):
                self.assert_code(INVALID, self.create, where, pod_config, self.container_config(["true"], linux={
                    "security_context": {"namespace_options": {"pid": CONTAINER, "userns_options": options}}}))


if __name__ == "__main__":
    unittest.main()
