# SPDX-License-Identifier: Apache-2.0
"""libcnic against libcni 1.3, byte by byte: cache files, results, errors, what plugins are given, which files are taken.

$LIBCNI_PEER is a small program over libcni (tests/interop/libcni; tests/run builds it where Go is). Both sides run
the same plugins, scripts that write down what they are given and say what they are told to.
"""

import json
import os
import re
import subprocess
import unittest

from cnic_case import PATH, VERSIONS, CnicCase, canonical

PEER = os.environ.get("LIBCNI_PEER")

FULL = {
    "interfaces": [{"name": "br0", "mac": "aa:bb:cc:dd:ee:01"},
                   {"name": "eth0", "mac": "aa:bb:cc:dd:ee:02", "mtu": 1450, "sandbox": "/run/netns/x", "socketPath": "/s", "pciID": "0"}],
    "ips": [{"interface": 1, "address": "10.1.2.3/16", "gateway": "10.1.0.1"}, {"interface": 1, "address": "FD00:0:0::5/64"},
            {"address": "10.1.2.4/16"}],
    "routes": [{"dst": "0.0.0.0/0", "gw": "10.1.0.1", "mtu": 1400, "advmss": 1300, "priority": 7, "table": 0, "scope": 253},
               {"dst": "fd01::/16"}, {"dst": "::/0", "gw": "fd00::1"}],
    "dns": {"nameservers": ["10.1.0.53"], "domain": "x<y>&z", "search": ["a", "b"], "options": ["ndots:1"]},
    "unknown": {"dropped": True},
}
OLD = {"ip4": {"ip": "10.1.2.3/16", "gateway": "10.1.0.1", "routes": [{"dst": "0.0.0.0/0"}, {"dst": "10.0.0.0/8", "gw": "10.1.0.9"}]},
       "ip6": {"ip": "fd00::5/64", "routes": [{"dst": "::/0", "gw": "fd00::1"}]}, "dns": {"domain": "d"}}


def result_of(version, content):
    """content is FULL or OLD or less of them; 0.3 and 0.4 name the family."""
    document = json.loads(json.dumps(content))
    document["cniVersion"] = version
    if version in ("0.3.0", "0.3.1", "0.4.0"):
        for ip in document.get("ips", []):
            ip["version"] = "6" if ":" in ip["address"] else "4"
    return document


@unittest.skipUnless(PEER, os.environ.get("LIBCNI_PEER_MISSING") or "Go is not on this machine to build libcni's side, and LIBCNI_PEER is not set")
class Libcni(CnicCase):
    def peer(self, do, file="10.conflist", bin_dir="bin", **more):
        request = {"do": do, "path": [self.path(bin_dir)], "cache": self.path("theirs"), "file": self.path("conf", file), **more}
        done = subprocess.run([PEER], input=json.dumps(request), capture_output=True, text=True, timeout=60, check=True, cwd="/",
                              env={"PATH": PATH})
        return json.loads(done.stdout)

    def setUp(self):
        super().setUp()
        os.mkdir(self.path("bin2"))
        for name in ("one", "two"):
            for directory in ("bin", "bin2"):
                self.recorder(name, directory)

    def say(self, name, **files):
        for directory in ("bin", "bin2"):
            self.recorder(name, directory, **files)

    def given(self, name, command, directory):
        """What a plugin got: its document and its variables, without the path of its directory."""
        document = self.read(f"{directory}/{name}.{command}.in").decode()
        variables = self.read(f"{directory}/{name}.{command}.env").decode()
        return document, re.sub(r"CNI_PATH=.*\n", "", variables)

    def same_given(self, name, command):
        ours, our_env = self.given(name, command, "bin")
        theirs, their_env = self.given(name, command, "bin2")
        # libcni prints results in it by their structs, all else by name
        self.assertEqual(ours, canonical(json.loads(theirs)))
        self.assertEqual(our_env, their_env)

    def conf(self, version, **more):
        document = {"name": "net", "plugins": [{"type": "one", "capabilities": {"ports": True, "off": False}, "odd": ["<", 1.5, None]},
                                               {"type": "two", "name": "own", "capabilities": {"mac": True}}], **more}
        if version:
            document["cniVersion"] = version
        self.write("conf/10.conflist", json.dumps(document, indent=1))

    ARGS = ["--arg", "IgnoreUnknown=1", "--arg", "K8S_POD_NAME=p&q"]
    CAPABILITIES = {"mac": "aa:bb:cc:00:00:01", "other": 1, "ports": [{"containerPort": 80, "hostPort": 8080}]}
    RT = {"id": "c-1", "netns": "/run/netns/x", "ifname": "eth0", "args": [["IgnoreUnknown", "1"], ["K8S_POD_NAME", "p&q"]],
          "capabilities": CAPABILITIES}

    def both_add(self):
        ours = self.cnic("add", "--json", *self.ARGS, "--capabilities", json.dumps(self.CAPABILITIES), "c-1", "/run/netns/x")
        theirs = self.peer("add", bin_dir="bin2", **self.RT)
        self.assertEqual(theirs["error"], "")
        return ours.rstrip("\n"), theirs["result"]

    def same_cache(self):
        self.assertEqual(os.listdir(self.path("cache")), os.listdir(self.path("theirs/results")))
        for name in os.listdir(self.path("cache")):
            self.assertEqual(self.read(f"cache/{name}"), self.read(f"theirs/results/{name}"))
            for mine, other in ((f"cache/{name}", f"theirs/results/{name}"), ("cache", "theirs/results")):
                self.assertEqual(os.stat(self.path(mine)).st_mode, os.stat(self.path(other)).st_mode)

    def whole_life(self, version, first, second):
        """ADD, CHECK and DEL on both sides with these results of the two plugins."""
        self.conf(version)
        self.say("one", ADD_out=first)
        self.say("two", ADD_out=second)
        ours, theirs = self.both_add()
        self.assertEqual(ours, theirs)
        self.same_cache()
        self.same_given("one", "ADD")
        checked = version in VERSIONS and version >= "0.4.0"
        if checked:
            self.cnic("check", "c-1", "/run/netns/x")
            self.assertEqual(self.peer("check", bin_dir="bin2", **self.RT)["error"], "")
        self.cnic("del", "c-1", "/run/netns/x")
        self.assertEqual(self.peer("del", bin_dir="bin2", **self.RT)["error"], "")
        for command in ("CHECK", "DEL") if checked else ("DEL",):
            for name in ("one", "two"):
                self.same_given(name, command)
        self.assertEqual(os.listdir(self.path("cache")), [])
        self.assertEqual(os.listdir(self.path("theirs/results")), [])
        self.assertEqual(self.read("bin/calls"), self.read("bin2/calls"))

    def test_a_life_in_every_version_with_its_own_results(self):
        for version in VERSIONS:
            with self.subTest(version):
                result = result_of(version, OLD if version < "0.3.0" else FULL)
                self.whole_life(version, result, result)
                self.same_given("two", "ADD")

    def test_results_of_every_version_in_lists_of_every_version(self):
        # what libcni hands on in an ADD is the other version's; a converted one is what it hands on afterwards
        for version in VERSIONS:
            for other in VERSIONS:
                with self.subTest(f"{other} in {version}"):
                    result = result_of(other, OLD if other < "0.3.0" else FULL)
                    self.whole_life(version, result, result)

    def test_results_without_version_or_content(self):
        for version, text in (("1.0.0", "{}"), ("1.1.0", "null"), ("0.4.0", '{"cniVersion":""}'), ("0.3.1", '{"ips":null,"dns":{}}'),
                              ("0.2.0", '{"ip4":{"ip":"10.0.0.1/8"}}'), ("1.0.0", '{"ips":[],"interfaces":[],"dns":{"domain":""}}'),
                              ("1.0.0", '{"interfaces":[{"name":""}],"ips":[{"address":"10.0.0.1/8","interface":-1}]}')):
            with self.subTest(text):
                self.whole_life(version, text, text)

    def test_a_single_configuration_is_cached_as_a_list(self):
        self.write("conf/10.conf", '{ "type":"one", "name" : "lone", "cniVersion":"0.4.0", "z":[1,{"b":"<&>","a":"\\u00e9\\u2028"}], "a":1.50e2 }'
                   .replace("1.50e2", "150"))
        self.say("one", ADD_out=result_of("0.4.0", FULL))
        ours = self.cnic("add", "--json", "c-1", "/run/netns/x").rstrip("\n")
        theirs = self.peer("add", file="10.conf", bin_dir="bin2", id="c-1", netns="/run/netns/x", ifname="eth0")
        self.assertEqual((theirs["error"], theirs["result"]), ("", ours))
        self.same_cache()
        self.same_given("one", "ADD")

    def test_each_detaches_what_the_other_attached(self):
        self.conf("1.0.0")
        self.say("one", ADD_out=result_of("1.0.0", FULL))
        self.say("two", ADD_out=result_of("1.0.0", FULL))
        self.both_add()
        os.rename(self.path("cache"), self.path("x"))
        os.mkdir(self.path("cache"))
        os.rmdir(self.path("cache"))
        os.rename(self.path("theirs/results"), self.path("cache"))
        os.rename(self.path("x"), self.path("theirs/results"))
        listed = json.loads(self.cnic("list", "--attachments", "--json"))["attachments"]
        self.assertEqual([(a["container"], a["addresses"]) for a in listed], [("c-1", ["10.1.2.3", "fd00::5", "10.1.2.4"])])
        self.cnic("del", "c-1", "/run/netns/x")
        self.assertEqual(self.peer("del", bin_dir="bin2", **self.RT)["error"], "")
        for name in ("one", "two"):
            self.same_given(name, "DEL")
        self.assertEqual((os.listdir(self.path("cache")), os.listdir(self.path("theirs/results"))), ([], []))

    def told(self, error):
        """Our error without what libcni does not tell: the network before it, code and stderr behind it."""
        self.assertTrue(error.startswith('cnic: network "net": '), error)
        return re.sub(r" \((code \d+|exit status \d+)(, stderr .*)?\)$", "", error[len('cnic: network "net": '):].rstrip("\n"))

    def test_errors_have_the_same_words(self):
        outcomes = [
            ('{"code":11,"msg":"try later","details":"busy"}', "", "1"), ('{"cniVersion":"1.0.0","code":7,"msg":"invalid"}', "noise", "1"),
            ('{"code":999,"msg":"<odd> \\"text\\" \\u00e9"}', "", "3"), ("", "only\tstderr \"quoted\" \x1b[1m \u00e9\n", "1"), ("", "", "4"), ("", "", "139"),
        ]
        self.conf("1.0.0")
        for name in ("one", "two"):
            for out, err, status in outcomes:
                with self.subTest(f"{name} {out} {err} {status}"):
                    good = result_of("1.0.0", {"ips": [{"address": "10.0.0.1/8"}]})
                    self.say("one", ADD_out=good, ADD_err="", ADD_status="0")
                    self.say(name, ADD_out=out, ADD_err=err, ADD_status=status)
                    ours = self.cnic("add", "c-1", "/run/netns/x", status=1)
                    theirs = self.peer("add", bin_dir="bin2", **self.RT)
                    self.assertEqual(self.told(ours), theirs["error"])
                    if theirs["code"]:
                        self.assertIn(f"(code {theirs['code']}", ours)
                    if err:
                        self.assertIn(err.strip().split()[0], ours)
        self.assertFalse(os.path.exists(self.path("cache/net-c-1-eth0")))

    def test_errors_of_the_other_operations(self):
        self.conf("1.1.0")
        for name in ("one", "two"):
            self.say(name, ADD_out=result_of("1.1.0", {"ips": [{"address": "10.0.0.1/8"}]}))
        self.both_add()
        for operation, command in (("del", "DEL"), ("check", "CHECK"), ("status", "STATUS")):
            with self.subTest(operation):
                self.say("two", **{f"{command}_out": '{"code":5,"msg":"no","details":"way"}', f"{command}_status": "1"})
                ours = self.cnic(operation, *(() if operation == "status" else ("c-1", "/run/netns/x")), status=1) if operation != "status" else \
                    "cnic: " + json.loads(self.status_json())["networks"][0]["message"]
                theirs = self.peer(operation, bin_dir="bin2", **self.RT)
                self.assertEqual(theirs["code"], 5)
                self.assertTrue(self.told(ours).endswith(theirs["error"]), (ours, theirs["error"]))

    def status_json(self):
        return subprocess.run(self.command("status", "--json"), capture_output=True, text=True, check=False, timeout=60).stdout

    def test_a_missing_plugin(self):
        self.conf("1.0.0")
        for name in ("one", "two"):
            self.say(name, ADD_out=result_of("1.0.0", {"ips": [{"address": "10.0.0.1/8"}]}))
        self.both_add()
        os.unlink(self.path("bin/two"))
        os.unlink(self.path("bin2/two"))
        ours = self.told(self.cnic("del", "c-1", "/run/netns/x", status=1))
        theirs = self.peer("del", bin_dir="bin2", **self.RT)
        self.assertEqual(ours, theirs["error"].replace("/bin2]", "/bin]"))

    def test_status_asks_the_same(self):
        self.conf("1.1.0")
        self.cnic("status")
        self.assertEqual(self.peer("status", bin_dir="bin2")["error"], "")
        for name in ("one", "two"):
            self.same_given(name, "STATUS")

    def test_gc_releases_and_asks_the_same(self):
        self.conf("1.1.0")
        for name in ("one", "two"):
            self.say(name, ADD_out=result_of("1.1.0", FULL))
        for container in ("keep", "gone", "gone2"):
            for netns in ("/run/netns/none",):
                self.cnic("add", container, netns)
                self.peer("add", bin_dir="bin2", id=container, netns=netns, ifname="eth0")
        self.write("bin/calls", "")
        self.write("bin2/calls", "")
        self.cnic("gc", "--keep", "keep", "--keep", "keep:net1")
        theirs = self.peer("gc", bin_dir="bin2", valid=[{"containerID": "keep", "ifname": "eth0"}, {"containerID": "keep", "ifname": "net1"}])
        self.assertEqual(theirs["error"], "")
        self.assertEqual(self.read("bin/calls"), self.read("bin2/calls"))
        self.same_cache()
        for name in ("one", "two"):
            self.same_given(name, "GC")
            ours, theirs = (self.given(name, "DEL", d) for d in ("bin", "bin2"))
            self.assertEqual(json.loads(ours[0]), json.loads(theirs[0]))
            # a namespace that is gone is not named; libcni does
            self.assertEqual(ours[1].replace("CNI_NETNS=\n", "CNI_NETNS=/run/netns/none\n"), theirs[1])

    # What people write, and what they should not. True: taken.
    FILES = (
        '{"name":"a","cniVersion":"1.0.0","plugins":[{"type":"one"}]}', '{"name":"a","plugins":[{"type":"one"}]}',
        '{"name":"a","cniVersion":"1.0.0","plugins":[]}', '{"name":"a","cniVersion":"1.0.0"}', '{"cniVersion":"1.0.0","plugins":[{"type":"one"}]}',
        '{"name":1,"cniVersion":"1.0.0","plugins":[{"type":"one"}]}', '{"name":"a","cniVersion":1,"plugins":[{"type":"one"}]}',
        '{"name":"a","cniVersion":"1.0.0","plugins":{}}', '{"name":"a","cniVersion":"1.0.0","plugins":[{"typ":"one"}]}',
        '{"name":"a","cniVersion":"1.0.0","plugins":[{"type":""}]}', '{"name":"a","cniVersion":"1.0.0","plugins":[{"type":3}]}',
        '{"name":"a","cniVersion":"1.0.0","plugins":[7]}', '{"name":"a","cniVersion":"1.0.0","plugins":[{"type":"one"}]', "[]", "", "null", "7",
        '{"name":"a","cniVersion":"1.0.0","plugins":[{"type":"none"}]}', '{"name":"a","cniVersion":"2.0.0","plugins":[{"type":"one"}]}',
        '{"name":"a","cniVersion":"0.4","plugins":[{"type":"one"}]}', '{"name":"a","cniVersion":"x","plugins":[{"type":"one"}]}',
        '{"name":"a","cniVersion":"1.0.0","disableCheck":"TRUE","plugins":[{"type":"one"}]}',
        '{"name":"a","cniVersion":"1.0.0","disableCheck":"yes","plugins":[{"type":"one"}]}',
        '{"name":"a","cniVersion":"1.0.0","disableGC":0,"plugins":[{"type":"one"}]}',
        '{"name":"a","cniVersion":"1.0.0","loadOnlyInlinedPlugins":true}',
        '{"name":"a","cniVersion":"1.0.0","loadOnlyInlinedPlugins":true,"plugins":[{"type":"one"}]}',
        '{"name":"a","cniVersions":["0.3.1","0.4.0","1.1.0","9.0.0"],"plugins":[{"type":"one"}]}',
        '{"name":"a","cniVersion":"0.4.0","cniVersions":["0.3.1"],"plugins":[{"type":"one"}]}',
        '{"name":"a","cniVersion":"7.0.0","cniVersions":["1.0.0"],"plugins":[{"type":"one"}]}',
        '{"name":"a","cniVersions":["x"],"plugins":[{"type":"one"}]}', '{"name":"a","cniVersions":"1.0.0","plugins":[{"type":"one"}]}',
        '{"name":"a","cniVersions":[1],"plugins":[{"type":"one"}]}', '{"name":"a","cniVersions":[],"plugins":[{"type":"one"}]}',
        '{"name":"a","cniVersion":"1.0.0","plugins":[{"type":"one","capabilities":["x"]}]}',
        '{"name":"a","cniVersion":"1.0.0","plugins":[{"type":"one","capabilities":{"x":"true"}}]}',
        '{"name":"a","cniVersion":"1.0.0","plugins":[{"type":"one","ipam":{}}]}',
    )

    def test_the_same_lists_are_taken_in_the_same_version(self):
        for text in self.FILES:
            with self.subTest(text):
                self.write("conf/10.conflist", text)
                theirs = self.peer("validate")
                listed = json.loads(self.cnic("list", "--json"))["networks"]
                self.assertEqual(bool(listed), not theirs["error"], theirs["error"])
                if listed:
                    self.assertEqual((listed[0]["name"], listed[0]["cniVersion"], listed[0]["plugins"]),
                                     (theirs["name"], theirs["version"] or "0.1.0", theirs["plugins"]))

    def test_the_same_single_configurations_are_taken(self):
        for text in ('{"name":"a","cniVersion":"1.0.0","type":"one"}', '{"name":"a","type":"one"}', '{"type":"one"}', '{"name":"a"}',
                     '{"name":"a","plugins":[{"type":"one"}]}', '{"name":"a","type":"one","capabilities":3}', "{"):
            with self.subTest(text):
                self.write("conf/10.conf", text)
                theirs = self.peer("validate", file="10.conf")
                listed = json.loads(self.cnic("list", "--json"))["networks"]
                if '"name"' not in text:  # libcni finds out at the first ADD
                    self.assertEqual(listed, [])
                    continue
                self.assertEqual(bool(listed), not theirs["error"], theirs["error"])

    def test_plugins_of_the_folder(self):
        self.write("conf/10.conflist", '{"name":"net","cniVersion":"1.0.0","plugins":[{"type":"one"}]}')
        os.mkdir(self.path("conf/net"))
        self.write("conf/net/10.conf", '{"type":"two","x":1}')
        self.write("conf/net/20.json", '{"type":"none"}')
        theirs = self.peer("validate")
        listed = json.loads(self.cnic("list", "--json"))["networks"]
        self.assertEqual((theirs["error"], theirs["plugins"]), ("", listed[0]["plugins"]))
        self.assertEqual(theirs["plugins"], ["one", "two"])

    def test_versions_that_plugins_answer(self):
        self.conf("0.4.0")
        for out, status in (('{"cniVersion":"1.0.0","supportedVersions":["0.3.1","0.4.0"]}', "0"), ('{"cniVersion":"1.0.0","supportedVersions":["1.0.0"]}', "0"),
                            ('{"cniVersion":"0.2.0"}', "0"), ("{}", "0"), ("nonsense", "0"), ('{"code":4,"msg":"unknown CNI_COMMAND: VERSION"}', "1"),
                            ('{"code":4,"msg":"other"}', "1"), ("", "1")):
            for version in ("0.1.0", "0.2.0", "0.4.0", "1.0.0"):
                with self.subTest(f"{out} {version}"):
                    self.write("conf/10.conflist", {"name": "n", "cniVersion": version, "plugins": [{"type": "one"}]})
                    self.say("one", VERSION_out=out, VERSION_status=status)
                    listed = json.loads(self.cnic("list", "--json"))["networks"]
                    self.assertEqual(bool(listed), not self.peer("validate")["error"])
