# SPDX-License-Identifier: Apache-2.0
"""Runs the suites and counts single test cases; started by tests/run, which installs what is missing.

unit		meson's tests in build/: libcheck programs (their cases are counted) and others (one each)
abi		tests/abi: headers, symbol maps, pkg-config, external programs
integration	tests/integration: crid with real conmon, OCI runtimes, CNI plugins and a registry
fault		tests/fault: kill -9 at each step of each operation, broken helpers, reboots, torn files
interop		tests/interop: other people's clients and tools as peers
sanitize	the unit suite and some of the integration files once more in build-asan/, with ASan and UBSan

The Python suites are unittest files. Each runs in a process, mount and network namespace of its own and
reports its cases through a pipe; a case that never reports (a crash, a timeout) has failed. They mostly wait, so
several run at once, but those that look at the load or the memory of the machine.
"""

import glob
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

TESTS = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(TESTS)
sys.path += [os.path.join(TOP, one) for one in ("tools", "tests/integration", "tests/interop", "tests/conformance")]

import debian_packages  # noqa: E402

BUILD = os.path.join(TOP, "build")
BUILD_ASAN = os.path.join(TOP, "build-asan")
SUITES = ("unit", "abi", "integration", "fault", "interop", "conformance", "sanitize")
FILE_TIMEOUT = 400 * float(os.environ.get("CRID_SLOW", "1"))      # seconds for one Python file
if os.environ.get("CONFORMANCE_ALL"):
    FILE_TIMEOUT = 3600
AT_ONCE = min(os.cpu_count(), 4)
ALONE = ("test_compilers", "test_critest", "test_footprint", "test_load")     # the first two fill all processors by themselves
SANITIZED = ("test_containers", "test_errors", "test_lifecycle", "test_road")   # of the integration files
SANITIZERS = {"ASAN_OPTIONS": "abort_on_error=0:detect_leaks=1:allocator_may_return_null=1",
              "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1"}
CRI_TOOLS = "v1.36.0"
REPORT_FD = "CRID_TEST_REPORT_FD"


class Tally:
    def __init__(self):
        self.passed = 0
        self.failed = []
        self.skipped = []
        self.lock = threading.Lock()

    def add(self, *what, **more):
        with self.lock:
            self.add_locked(*what, **more)

    def add_locked(self, outcome, name, detail="", seconds=None, count=1):
        took = f" ({seconds:.1f} s)" if seconds is not None and seconds >= 0.1 else ""
        if outcome == "ok":
            self.passed += count
            print(f"ok    {name}{took}" + (f": {count} cases" if count != 1 else ""))
        elif outcome == "skip":
            self.skipped.append((name, detail))
            print(f"skip  {name}: {detail}")
        else:
            self.failed.append(name)
            print(f"FAIL  {name}{took}")
            for line in detail.rstrip().splitlines():
                print(f"      {line}")
        sys.stdout.flush()


# ---- building ----

def call(command):
    """Runs a build step; what it says is shown when it failed, or with V=1. True when it worked."""
    print("+ " + " ".join(os.path.relpath(c, TOP) if c.startswith(TOP) else c for c in command), flush=True)
    if os.environ.get("V"):
        return subprocess.run(command, cwd=TOP, check=False).returncode == 0
    done = subprocess.run(command, cwd=TOP, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace")
    if done.returncode:
        print("\n".join(done.stdout.splitlines()[-60:]))
    return done.returncode == 0


def components():
    with open(os.path.join(TOP, "meson_options.txt")) as f:
        choices = re.search(r"'components'.*?choices:\s*\[(.*?)\]", f.read(), re.S).group(1)
    return ",".join(re.findall(r"'([a-z]+)'", choices))


def build(directory, *options):
    """Configures directory with everything in it and builds; True when that worked."""
    options = [f"-Dcomponents={components()}", "-Dwerror=true", *options]
    if os.path.exists(os.path.join(directory, "build.ninja")):
        wrong = []
        with open(os.path.join(directory, "meson-info/intro-buildoptions.json")) as f:
            have = {o["name"]: o["value"] for o in json.load(f)}
        if have.get("components") != components().split(","):
            wrong.append(options[0])
        if have.get("werror") is not True:
            wrong.append(options[1])
        if wrong and not call(["meson", "configure", directory, *wrong]):
            return False
    elif not call(["meson", "setup", directory, *options]):
        return False
    return call(["ninja", "-C", directory])


# ---- meson's tests ----

def check_counts(text):
    """(cases, failed) over all summary lines libcheck wrote, or None."""
    lines = re.findall(r"^\d+%: Checks: (\d+), Failures: (\d+), Errors: (\d+)", text, re.M)
    return (sum(int(c) for c, _, _ in lines), sum(int(f) + int(e) for _, f, e in lines)) if lines else None


def run_meson(tally, suite, directory, pattern):
    prefix = "unit" if suite == "unit" else "sanitize"
    log = os.path.join(directory, "meson-logs", f"{prefix}.json")
    if os.path.exists(log):
        os.unlink(log)
    listed = subprocess.run(["meson", "test", "-C", directory, "--list"], cwd=TOP, check=False, capture_output=True, text=True)
    names = [line.split(" / ")[-1].strip() for line in listed.stdout.splitlines() if line and not line.startswith("ninja")]
    if pattern:
        names = [n for n in names if pattern in n]
    if not names:
        return
    subprocess.run(["meson", "test", "-C", directory, "--no-rebuild", "--logbase", prefix,
                    "--timeout-multiplier", "4", *names], cwd=TOP, check=False,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   env={**os.environ, **SANITIZERS})
    seen = 0
    try:
        with open(log) as f:
            results = [json.loads(line) for line in f if line.strip()]
    except OSError:
        results = []
    for one in results:
        seen += 1
        name = f"{prefix}/{one['name'].replace('crid:', '', 1)}"
        text = one.get("stdout") or ""
        both = text + (one.get("stderr") or "")
        cases = check_counts(text)
        if one["result"] == "SKIP":
            tally.add("skip", name, " ".join(both.split())[-200:] or "no reason given")
        elif one["result"] in ("OK", "EXPECTEDFAIL"):
            tally.add("ok", name, seconds=one["duration"], count=cases[0] if cases else 1)
        else:
            good = cases[0] - cases[1] if cases else 0
            tally.passed += good
            for number in range(max(cases[1], 1) if cases else 1):
                detail = f"{one['result']}, {good} other cases passed\n" + "\n".join(both.splitlines()[-60:])
                tally.add("FAIL", name, detail if number == 0 else "(one more case)", one["duration"])
    if not seen:
        tally.add("FAIL", prefix, "meson test wrote no results")


# ---- Python files ----

class Reporter(unittest.TestResult):
    """Writes one JSON line for each case."""

    def __init__(self, stream):
        super().__init__()
        self.stream = stream
        self.began = {}
        self.bad = set()

    def say(self, outcome, test, detail=""):
        spent = time.monotonic() - self.began.get(test.id(), time.monotonic())
        self.say_case(outcome, test.id(), detail, spent)

    def say_case(self, outcome, name, detail, seconds):
        """A case that a test counts itself, because it is one of many of a foreign program."""
        self.stream.write(json.dumps({"outcome": outcome, "name": name, "detail": detail, "seconds": seconds}) + "\n")
        self.stream.flush()

    def startTest(self, test):
        super().startTest(test)
        self.began[test.id()] = time.monotonic()

    def fail(self, test, err):
        self.bad.add(test.id())
        self.say("FAIL", test, self._exc_info_to_string(err, test))

    def addSuccess(self, test):
        if test.id() not in self.bad:
            self.say("ok", test)

    def addFailure(self, test, err):
        self.fail(test, err)

    def addError(self, test, err):
        self.fail(test, err)

    def addSubTest(self, test, subtest, err):
        if err is not None and test.id() not in self.bad:
            self.bad.add(test.id())
            self.say("FAIL", test, f"{subtest}\n" + self._exc_info_to_string(err, test))

    def addSkip(self, test, reason):
        self.say("skip", test, reason)

    def addExpectedFailure(self, test, err):
        self.say("ok", test)

    def addUnexpectedSuccess(self, test):
        self.say("FAIL", test, "unexpected success")


def cases(suite):
    for one in suite:
        if isinstance(one, unittest.TestSuite):
            yield from cases(one)
        else:
            yield one


def child(path, pattern):
    """In the namespaces of one file: run its cases, report on the pipe."""
    report = os.fdopen(int(os.environ[REPORT_FD]), "w")
    os.set_inheritable(report.fileno(), False)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=False, stderr=subprocess.DEVNULL)
    subprocess.run(["umount", "/sys/fs/cgroup/unified"], check=False, stderr=subprocess.DEVNULL)
    sys.path.insert(0, os.path.dirname(path))
    reporter = Reporter(report)
    name = os.path.basename(path)[:-3]
    loader = unittest.TestLoader()
    every = list(cases(loader.loadTestsFromName(name)))
    chosen = [c for c in every if pattern in f"{name} {c.id()}"]
    report.write(json.dumps({"ids": [c.id() for c in chosen]}) + "\n")
    report.flush()
    unittest.TestSuite(
        unittest.TestSuite(c for c in chosen if type(c) is k) for k in dict.fromkeys(type(c) for c in chosen)
    ).run(reporter)
    report.close()
    sys.stdout.flush()
    os._exit(0)


def run_file(tally, suite, path, pattern, environment=None):
    name = os.path.basename(path)[:-3]
    reading, writing = os.pipe()
    command = [sys.executable, os.path.abspath(__file__), "--child", path, pattern]
    if os.geteuid() == 0:
        command = ["unshare", "-m", "-n", "--"] + command
    elif suite != "abi":
        os.close(reading)
        os.close(writing)
        tally.add("skip", f"{suite}/{name}", "needs root")
        return
    # A file, not a pipe: what a test leaves running must not keep us waiting for its end.
    printed = tempfile.TemporaryFile("w+", errors="replace")
    process = subprocess.Popen(command, pass_fds=[writing], stdin=subprocess.DEVNULL,
                               env={**os.environ, **(environment or {}), REPORT_FD: str(writing)}, stdout=printed, stderr=subprocess.STDOUT, start_new_session=True)
    os.close(writing)
    timeout = threading.Timer(FILE_TIMEOUT, os.killpg, (process.pid, signal.SIGKILL))
    timeout.start()
    ids, classes = {}, {}
    with os.fdopen(reading) as f:
        for line in f:
            one = json.loads(line)
            if "ids" in one:
                ids = dict.fromkeys(one["ids"])
                continue
            # setUpClass and the like are reported under a name of their own: "setUpClass (module.Class)"
            whole = re.match(r"(setUp|tearDown)(Class|Module) \((.*)\)$", one["name"])
            if whole:
                classes[whole.group(3)] = one
                if whole.group(1) == "tearDown":
                    tally.add("FAIL", f"{suite}/{one['name']}", one["detail"])
                continue
            ids[one["name"]] = one["outcome"]
            tally.add(one["outcome"], f"{suite}/{one['name']}", one["detail"], one["seconds"])
    timeout.cancel()
    process.wait()
    printed.seek(0)
    output = printed.read()
    printed.close()
    told = set()
    for i in [i for i, outcome in ids.items() if outcome is None]:
        why = next((one for key, one in classes.items() if i.startswith(key + ".")), None)
        why = why or {"name": "", "outcome": "FAIL", "detail": "did not finish\n" + output[-3000:]}
        again = why["outcome"] != "skip" and why["name"] in told
        tally.add(why["outcome"], f"{suite}/{i}", "as above" if again else why["detail"])
        told.add(why["name"])
    if not ids and (process.returncode or not pattern):
        tally.add("FAIL", f"{suite}/{name}", "no cases:\n" + output[-3000:])
    elif output.strip() and os.environ.get("V"):
        print(output)


def run_files(tally, suite, pattern, paths=None, environment=None):
    paths = paths or sorted(glob.glob(os.path.join(TESTS, suite, "test_*.py")))
    alone = [path for path in paths if os.path.basename(path)[:-3] in ALONE]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for one in [pool.submit(run_file, tally, suite, path, pattern, environment) for path in paths if path not in alone]:
            one.result()
    for path in alone:
        run_file(tally, suite, path, pattern, environment)


def prepare_go(variable, name, sources, package, command=("build",)):
    """A program from Go modules in $variable, built once into a cache outside the tree; the tests skip without it."""
    if os.environ.get(variable) or not shutil.which("go"):
        return

    def make(program):
        print(f"+ go {command[0]} {name} into {os.path.dirname(program)} (once)", flush=True)
        with tempfile.TemporaryDirectory() as source:
            for file, text in sources.items():
                with open(os.path.join(source, file), "w") as f:
                    f.write(text)
            subprocess.run(["go", *command, "-mod=mod", "-o", program, package], cwd=source, check=True, capture_output=True)

    def fetch():
        os.environ[variable] = debian_packages.made_once(debian_packages.cache(name), make)
    remember_missing(f"{variable}_MISSING", fetch)


def remember_missing(variable, fetch):
    """Before the tests lose the network; they say themselves, with $variable, why it is missing."""
    try:
        fetch()
    except debian_packages.Missing as e:
        print(f"      {e}")
        os.environ[variable] = str(e)


CRI_TOOLS_MODULE = {"go.mod": f"module tools\n\ngo 1.26.2\n\nrequire sigs.k8s.io/cri-tools {CRI_TOOLS}\n"}


def prepare_crictl():
    prepare_go("CRICTL", f"crictl-{CRI_TOOLS}", CRI_TOOLS_MODULE, "sigs.k8s.io/cri-tools/cmd/crictl")


def prepare_conformance():
    """critest, the ginkgo of the version it is made with, the images; and with CONFORMANCE_ALL newer OCI runtimes."""
    prepare_go("CRITEST", f"critest-{CRI_TOOLS}", CRI_TOOLS_MODULE, "sigs.k8s.io/cri-tools/cmd/critest", ("test", "-c"))
    prepare_go("GINKGO", f"ginkgo-for-{CRI_TOOLS}", CRI_TOOLS_MODULE, "github.com/onsi/ginkgo/v2/ginkgo")
    if "CRITEST" in os.environ and "GINKGO" in os.environ:
        import images
        remember_missing("CONFORMANCE_MISSING", images.prepare)
        if os.environ.get("CONFORMANCE_ALL"):
            import later_runtimes
            remember_missing("LATER_RUNTIMES_MISSING", later_runtimes.fetch)


def prepare_peer(variable, directory, *flags):
    """A peer of the interop tests that is a Go program of its own, in tests/interop/DIRECTORY."""
    sources = {}
    for name in sorted(os.listdir(os.path.join(TESTS, "interop", directory))):
        with open(os.path.join(TESTS, "interop", directory, name)) as f:
            sources[name] = f.read()
    digest = hashlib.sha256("".join(sources.values()).encode()).hexdigest()[:12]
    prepare_go(variable, f"{directory}-peer-{digest}", sources, ".", ("build", *flags))


def prepare_later_podman():
    import later_podman
    remember_missing("LATER_PODMAN_MISSING", later_podman.fetch)


def main(arguments):
    chosen = [a[2:] for a in arguments if a.startswith("--")]
    rest = [a for a in arguments if not a.startswith("--")]
    if any(c not in SUITES for c in chosen) or len(rest) > 1:
        print("usage: tests/run [--" + "] [--".join(SUITES) + "] [FILTER]", file=sys.stderr)
        return 2
    chosen = chosen or SUITES
    pattern = rest[0] if rest else ""
    tally = Tally()
    began = time.monotonic()
    if any(s != "sanitize" for s in chosen) and not build(BUILD):
        tally.add("FAIL", "build")
    else:
        if "unit" in chosen:
            run_meson(tally, "unit", BUILD, pattern)
        if "abi" in chosen:
            run_files(tally, "abi", pattern)
        if "integration" in chosen:
            run_files(tally, "integration", pattern)
        if "fault" in chosen:
            run_files(tally, "fault", pattern)
        if "interop" in chosen:
            prepare_crictl()
            prepare_peer("LIBCNI_PEER", "libcni")
            prepare_peer("GRPC_PEER", "grpc_go")
            prepare_peer("OCISPEC_PEER", "ocispec_peer")
            prepare_peer("CIMAGE_PEER", "image_peer")
            prepare_peer("OSTREE_PEER", "ostree_peer", "-tags", "containers_image_ostree")
            prepare_later_podman()
            run_files(tally, "interop", pattern)
        if "conformance" in chosen:
            prepare_conformance()
            run_files(tally, "conformance", pattern)
    if "sanitize" in chosen:
        if build(BUILD_ASAN, "--native-file", os.path.join(TESTS, "sanitize.ini")):
            run_meson(tally, "sanitize", BUILD_ASAN, pattern)
            run_files(tally, "sanitize", pattern, [os.path.join(TESTS, "integration", name + ".py") for name in SANITIZED],
                      {"CRID_BUILD": BUILD_ASAN, **SANITIZERS})
        else:
            tally.add("FAIL", "sanitize: build")

    print()
    for name, why in tally.skipped:
        print(f"skipped: {name}: {why}")
    for name in tally.failed:
        print(f"failed: {name}")
    print(f"{time.monotonic() - began:.0f} s")
    print(f"{tally.passed} passed, {len(tally.failed)} failed, {len(tally.skipped)} skipped")
    return 1 if tally.failed or not tally.passed else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], sys.argv[3])
    sys.exit(main(sys.argv[1:]))
