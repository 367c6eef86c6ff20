# SPDX-License-Identifier: Apache-2.0
"""Plugins that misbehave: a clear error within the timeout, an undone ADD, and no process left, grandchildren included."""

import os
import subprocess
import threading
import time

from cnic_case import CnicCase

TIMEOUT = 1             # seconds
GRACE = 4               # for what comes on top: a busy machine, a second plugin's DEL
BEGIN = """#!/bin/sh
case $CNI_COMMAND in
VERSION) echo '{"cniVersion":"1.0.0","supportedVersions":["1.0.0"]}'; exit ;;
DEL) echo "DEL $CNI_CONTAINERID" >>"${0%/*}/calls"; exit ;;
esac
here=${0%/*}
"""
GOOD = """echo '{"cniVersion":"1.0.0","ips":[{"address":"10.0.0.1/8"}]}'"""
# Lives until it is killed, and says by its command line whose it is.
STAY = "sh -c 'while :; do sleep 1; done' \"$here/stays\""


class Hostile(CnicCase):
    def setUp(self):
        super().setUp()
        self.write("conf/10.conflist", {"name": "net", "cniVersion": "1.0.0", "plugins": [{"type": "bad"}]})

    def plugin(self, script, begin=BEGIN):
        self.write("bin/bad", begin + script + "\n", 0o755)

    def fails(self, script, *words, within=TIMEOUT + GRACE, undone=True):
        """An ADD of such a plugin: these words in its error, in that time, and nothing left."""
        self.plugin(script)
        began = time.monotonic()
        error = self.cnic("add", "--timeout", str(TIMEOUT), "c1", "/run/netns/x", status=1)
        self.assertLess(time.monotonic() - began, within)
        self.assertTrue(error.startswith('cnic: network "net": plugin type="bad" failed (add): '), error)
        for word in words:
            self.assertIn(word, error)
        self.assertEqual(len(error.splitlines()), 1, error)
        self.nothing_left()
        if undone:
            self.assertEqual(self.read("bin/calls"), b"DEL c1\n")
        self.assertFalse(os.path.exists(self.path("cache", "net-c1-eth0")))

    def nothing_left(self):
        self.assertEqual(self.processes_of(self.base), [])

    def test_one_that_hangs(self):
        self.fails("echo waiting for the agent >&2\nexec " + STAY, 'timed out; stderr "waiting for the agent\\n"')

    def test_one_that_hangs_with_its_output_closed(self):
        self.fails("exec >&- 2>&-\nexec " + STAY, "timed out")

    def test_one_that_ignores_signals(self):
        self.fails("trap '' TERM INT HUP\n" + STAY, "timed out")

    def test_one_that_floods_stdout(self):
        self.fails("exec cat /dev/zero", "wrote more than 1048576 bytes")

    def test_one_that_floods_stderr(self):
        self.fails("exec yes >&2", "timed out; stderr \"y\\ny\\n")

    def test_one_that_floods_through_a_child_of_another_session(self):
        self.fails('setsid sh -c \'exec cat /dev/zero "$0"\' "$here/x" & wait', "wrote more than 1048576 bytes")

    def test_one_that_dies_by_a_signal(self):
        self.fails("kill -SEGV $$", "netplugin failed with no error message: signal: segmentation fault")
        self.write("bin/calls", "")
        self.fails("echo half >&2; kill -KILL $$", 'netplugin failed: "half\\n" (signal: killed)')

    def test_one_that_dies_by_a_signal_and_leaves_children(self):
        self.fails(f"{STAY} &\nsetsid {STAY} &\nkill -ABRT $$", "signal: aborted")

    def test_one_that_writes_half_a_document(self):
        self.fails("""printf '{"cniVersion":"1.0.0","ips":[{"addre'""", "failed to unmarshal raw result: ")

    def test_one_that_writes_something_else(self):
        self.fails("echo everything is fine", "failed to unmarshal raw result: ")
        for text in ("[]", "7", '{"cniVersion":"9.0.0"}', '{"ips":[{"address":"nowhere"}]}', '{"ips":3}', "\\\\377\\\\376"):
            self.write("bin/calls", "")
            self.fails(f"printf '{text}'")
        self.write("bin/calls", "")
        self.fails("head -c 100000 /dev/zero | tr '\\0' '['", "failed to unmarshal raw result: ")

    def test_one_that_writes_half_an_error(self):
        self.fails("""printf '{"code":7,"msg":"ha'; exit 1""",
                   'netplugin failed but error parsing its diagnostic message "{\\"code\\":7,\\"msg\\":\\"ha": ', "(exit status 1)")

    def test_a_child_that_keeps_the_output_open(self):
        self.fails(f"{STAY} &\n{GOOD}", "a process it started kept its output open")

    def test_a_child_in_a_session_of_its_own_that_keeps_the_output_open(self):
        self.fails(f"setsid {STAY} &\n{GOOD}", "a process it started kept its output open")

    def test_a_grandchild_whose_parents_are_gone(self):
        self.fails(f"setsid sh -c 'setsid sh -c \"while :; do sleep 1; done\" $0 & exit' \"$here/deep\" &\nwait\n{GOOD}",
                   "a process it started kept its output open")

    def test_a_grandchild_that_keeps_only_stderr(self):
        self.fails(f"setsid {STAY} >&- &\n{GOOD}", "a process it started kept its output open")

    def test_one_whose_children_keep_changing(self):
        # never more than two at a time: each starts the next one and ends
        self.plugin('exec "$here/next"')
        self.write("bin/next", '#!/bin/sh\n[ -e "${0%/*}/stop" ] && exit\nsleep 0.05\nsetsid "$0" &\n', 0o755)
        self.addCleanup(self.write, "bin/stop", "")
        self.cnic("add", "--timeout", "1", "c1", "/run/netns/x", status=1)
        self.nothing_left()

    def test_one_that_hangs_in_del_too(self):
        self.plugin("exec " + STAY, BEGIN.replace('DEL) echo "DEL $CNI_CONTAINERID" >>"${0%/*}/calls"; exit', "DEL) exec sleep 1000"))
        began = time.monotonic()
        error = self.cnic("add", "--timeout", "1", "c1", "/run/netns/x", status=1)
        self.assertLess(time.monotonic() - began, 6 + GRACE)
        self.assertIn('; undo: network "net": plugin type="bad" failed (delete): timed out', error)
        self.nothing_left()

    def test_one_that_hangs_when_asked_for_its_versions(self):
        self.plugin("exec " + STAY, "#!/bin/sh\nhere=${0%/*}\n")
        began = time.monotonic()
        self.assertIn("timed out", self.cnic("status", status=1))
        self.assertLess(time.monotonic() - began, 10 + GRACE)
        self.nothing_left()

    def test_a_daemon_that_lets_go_is_not_touched(self):
        self.plugin(f"setsid {STAY} <&- >/dev/null 2>&1 &\n{GOOD}")
        self.assertIn("10.0.0.1", self.cnic("add", "c1", "/run/netns/x"))
        self.assertTrue(self.processes_of(self.path("bin/stays")))
        subprocess.run(["pkill", "-KILL", "-f", self.path("bin/stays")], check=True)

    def test_one_that_does_not_read_and_one_that_says_much(self):
        self.plugin("exec <&-\nhead -c 100000 /dev/zero | tr '\\0' x >&2\n" + GOOD)
        self.assertIn("10.0.0.1", self.cnic("add", "c1", "/run/netns/x"))

    def test_one_that_is_just_being_written(self):
        self.plugin(GOOD)
        self.cnic("list")
        program = os.open(self.path("bin/bad"), os.O_WRONLY)
        timer = threading.Timer(1.0, os.close, [program])
        timer.start()
        began = time.monotonic()
        self.assertIn("10.0.0.1", self.cnic("add", "c1", "/run/netns/x"))
        self.assertGreater(time.monotonic() - began, 0.9)
        timer.join()

    def test_ctrl_c_ends_it_and_undoes(self):
        self.plugin(f'echo >"$here/began"\nexec {STAY}')
        process = subprocess.Popen(self.command("add", "c1", "/run/netns/x"), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        while not os.path.exists(self.path("bin/began")):
            time.sleep(0.01)
        process.send_signal(2)
        _, error = process.communicate(timeout=10)
        self.assertEqual(process.returncode, 1)
        self.assertIn("failed (add): cancelled", error)
        self.assertEqual(self.read("bin/calls"), b"DEL c1\n")
        self.nothing_left()
