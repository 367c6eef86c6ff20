# SPDX-License-Identifier: Apache-2.0
"""Each library as a stranger gets it: built alone, installed into a private prefix, used through pkg-config.

Checked for each: what it exports is what its header declares and its symbol map lists, every symbol can
be linked, the headers compile alone as C99 and as C++, the soname, which libraries it pulls in, and the
program of tests/external/ builds with nothing but `pkg-config --cflags --libs` and works.
"""

import glob
import os
import re
import shutil
import subprocess
import tempfile
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CC = os.environ.get("CC", "cc")
CXX = os.environ.get("CXX", "c++")
# What a user of the library carries besides libc. Nothing of the others, and no network, archive or crypto
# code by way of the core.
NEEDS = {
    "libcimage": {"libyajl", "libcrypto"},
    "libcstorage": {"libyajl", "libcrypto", "libz"},
    "libocispec": {"libyajl"},
    "libcnic": {"libyajl"},
    "libcrisvc": {"libnghttp2"},
    "libcrisvc-cri": {"libprotobuf-c"},
    "libcrisvc-streaming": {"libz", "libwslay"},
}
LIBC = {"libc", "libm", "libpthread", "ld-linux-x86-64", "ld-linux-aarch64", "libgcc_s"}


def run(command, **more):
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
    if done.returncode:
        raise AssertionError(f"{' '.join(command)}: status {done.returncode}\n{done.stdout[-4000:]}")
    return done.stdout


def functions(header, prefix):
    """Names of the functions a header declares."""
    with open(header) as f:
        text = re.sub(r"/\*.*?\*/", " ", f.read(), flags=re.S)
    text = re.sub(r"^\s*#.*(\\\n.*)*$", " ", text, flags=re.M)
    text = re.sub(r"\(\s*\*\s*\w+\s*\)", " ", text)
    return {m for m in re.findall(rf"\b({prefix}_\w+)\s*\(", text) if not m.endswith("_fn")}


def exported(library):
    """{name: version node} of what a shared object defines."""
    found = {}
    for line in run(["nm", "-D", "--defined-only", "--with-symbol-versions", library]).splitlines():
        kind, name = line.split()[1:3]
        if kind != "A":
            found[name.split("@")[0]] = name.rpartition("@")[2] if "@" in name else None
    return found


def mapped(path):
    """(node, names) of a symbol map with one node."""
    with open(path) as f:
        text = re.sub(r"/\*.*?\*/", " ", f.read(), flags=re.S)
    node = re.search(r"([\w.]+)\s*\{(.*?)\}", text, re.S)
    names = node.group(2).split("local:")[0].replace("global:", " ")
    return node.group(1), set(re.findall(r"[\w*]+", names))


class Library:
    """Mixed into one TestCase per library."""

    name = None
    header = None
    prefix = None

    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="crid-abi-")
        cls.addClassCleanup(shutil.rmtree, cls.dir)
        cls.prefix_dir = os.path.join(cls.dir, "inst")
        run(["meson", "setup", os.path.join(cls.dir, "b"), TOP, f"-Dcomponents={cls.name}", f"--prefix={cls.prefix_dir}",
             "--libdir=lib", "-Dwerror=true"])
        run(["ninja", "-C", os.path.join(cls.dir, "b"), "install"])
        cls.lib_dir = os.path.join(cls.prefix_dir, "lib")
        cls.modules = sorted(os.path.basename(p)[:-3] for p in glob.glob(cls.lib_dir + "/pkgconfig/*.pc"))
        cls.env = dict(os.environ, PKG_CONFIG_PATH=cls.lib_dir + "/pkgconfig", LD_LIBRARY_PATH=cls.lib_dir)

    def flags(self, what, modules=None):
        return run(["pkg-config", what, *(modules or self.modules)], env=self.env).split()

    def compile(self, text, name, command, *more):
        path = os.path.join(self.dir, name)
        with open(path, "w") as f:
            f.write(text)
        run([*command, path, *more])

    def test_only_this_library_is_installed(self):
        expected = [self.name] if self.name != "libcrisvc" else ["libcrisvc", "libcrisvc-cri", "libcrisvc-streaming"]
        self.assertEqual(self.modules, expected)
        shared = {os.path.basename(p).split(".so")[0] for p in glob.glob(self.lib_dir + "/*.so*")}
        self.assertEqual(sorted(shared), expected)
        self.assertEqual(glob.glob(self.lib_dir + "/*cbase*"), [], "cbase is hidden")

    def test_header_compiles_alone(self):
        for header in sorted(os.path.basename(h) for h in glob.glob(self.prefix_dir + "/include/*.h")):
            if header.endswith(".pb-c.h"):
                continue
            strict = [] if header == "crisvc-cri.h" else ["-pedantic-errors"]     # protobuf-c's is not strict
            with self.subTest(header=header):
                text = f"#include <{header}>\nint nothing_else;\n"
                flags = self.flags("--cflags") + ["-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
                self.compile(text, "h.c", [CC, "-std=c99", *strict, *flags])
                self.compile(text, "h.cc", [CXX, "-std=c++11", *strict, *flags])

    def shared_objects(self):
        return {m: os.path.realpath(os.path.join(self.lib_dir, m + ".so")) for m in self.modules}

    def test_exports_are_those_of_the_map(self):
        for module, path in self.shared_objects().items():
            with self.subTest(module=module):
                node, names = mapped(os.path.join(TOP, self.name, module + ".sym"))
                self.assertTrue(node.startswith(module.upper().replace("-", "_") + "_"), node)
                # Only what is generated from cri.proto may come by wildcard.
                self.assertEqual({n for n in names if "*" in n} - {"runtime__v1__*"}, set())
                found = exported(path)
                listed = {n for n in found if "runtime__v1__*" in names and n.startswith("runtime__v1__")} | names
                self.assertEqual(sorted(set(found)), sorted(listed - {"runtime__v1__*"}))
                self.assertEqual(set(found.values()), {node})

    def test_exports_are_those_of_the_header(self):
        declared = functions(os.path.join(self.prefix_dir, "include", self.header), self.prefix)
        self.assertGreater(len(declared), 5)
        found = exported(self.shared_objects()[self.name])
        self.assertEqual(declared - set(found), set(), "declared, not exported")
        self.assertEqual(set(found) - declared, set(), "exported, not declared")

    def test_every_symbol_links(self):
        declared = sorted(functions(os.path.join(self.prefix_dir, "include", self.header), self.prefix))
        text = f"#include <{self.header}>\ntypedef void (*fn)(void);\nextern const fn all[];\nconst fn all[] = {{\n"
        text += "".join(f"\t(fn){name},\n" for name in declared) + "};\nint main(void)\n{\n\treturn all[0] == 0;\n}\n"
        out = os.path.join(self.dir, "all")
        self.compile(text, "all.c", [CC, "-Wl,-z,now"], "-o", out, *self.flags("--cflags", [self.name]),
                     *self.flags("--libs", [self.name]))
        run([out], env=self.env)

    def test_soname_and_needs(self):
        for module, path in self.shared_objects().items():
            with self.subTest(module=module):
                dynamic = run(["readelf", "-dW", path])
                soname = re.search(r"\(SONAME\).*\[(.*)\]", dynamic).group(1)
                self.assertRegex(soname, rf"^{re.escape(module)}\.so\.[0-9.]+$")
                self.assertTrue(os.path.exists(os.path.join(self.lib_dir, soname)))
                needed = {re.split(r"[.]so", n)[0] for n in re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic)}
                self.assertEqual(needed - LIBC - NEEDS[module], set())
                self.assertNotIn("(TEXTREL)", dynamic)
                self.assertNotIn("(RUNPATH)", dynamic)

    def test_external_program(self):
        out = os.path.join(self.dir, "external")
        run([CC, "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE", os.path.join(TOP, "tests/external", self.name + ".c"), "-o", out,
             *self.flags("--cflags"), *self.flags("--libs"), "-pthread"])
        self.assertEqual(run([out], env=self.env).strip(), "ok")


class Image(Library, unittest.TestCase):
    name, header, prefix = "libcimage", "cimage.h", "cimage"


class Storage(Library, unittest.TestCase):
    name, header, prefix = "libcstorage", "cstorage.h", "cstore"


class Spec(Library, unittest.TestCase):
    name, header, prefix = "libocispec", "ocispec.h", "ocispec"


class Cni(Library, unittest.TestCase):
    name, header, prefix = "libcnic", "cnic.h", "cnic"


class Service(Library, unittest.TestCase):
    name, header, prefix = "libcrisvc", "crisvc.h", "crisvc"

    def test_streaming_exports_are_those_of_its_header(self):
        declared = functions(os.path.join(self.prefix_dir, "include/crisvc-streaming.h"), "crisvc")
        self.assertEqual(declared, set(exported(self.shared_objects()["libcrisvc-streaming"])))
