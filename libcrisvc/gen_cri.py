#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the C sources of libcrisvc-cri from cri.proto.

usage: gen_cri.py PROTOC-C CRI.PROTO OUTDIR

Runs protoc-c, and writes the table of RPCs, which protobuf-c does not keep whole (its service
descriptors do not tell streaming methods apart): cri_methods.c as data, cri_rpcs.h with the C types.
"""
import os
import re
import subprocess
import sys

HEADER = '''/* SPDX-License-Identifier: Apache-2.0 */
/* Generated from cri.proto by gen_cri.py: all RPCs in its order. */
#include "crisvc-cri.h"
#include "private.h"

'''


RPCS = '''/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Generated from cri.proto by gen_cri.py: X(name, request type, response type, server streaming) for
 * each RPC, in its order.
 */
#ifndef CRISVC_CRI_RPCS

#define CRISVC_CRI_RPCS(X)'''


def strip_comments(text):
    return re.sub(r'//[^\n]*', '', text)


def rpcs(proto):
    """(service, method, request, response, streaming) of every rpc; names without package."""
    for service, body in re.findall(r'\bservice\s+(\w+)\s*\{(.*?)\n\}', proto, re.S):
        for name, req, stream, resp in re.findall(
                r'\brpc\s+(\w+)\s*\(\s*(\w+)\s*\)\s*returns\s*\(\s*(stream\s+)?(\w+)\s*\)\s*;', body):
            yield service, name, req, resp, bool(stream)


def messages(source):
    """Full message name -> (C symbol of its descriptor, C type), as protoc-c spelled them."""
    return {name: (symbol, ctype) for symbol, name, ctype in re.findall(
        r'const ProtobufCMessageDescriptor (\w+) =\s*\{\s*PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC,'
        r'\s*"([\w.]+)",\s*"\w+",\s*"(\w+)"', source)}


def fit_header(path):
    """Makes the header fit GNU C, which predefines "linux" as 1 (CRI has fields of that name), and
    compilers with -Wcast-qual, which would complain about every initializer of protobuf-c."""
    with open(path) as f:
        text = f.read()
    anchor = '#include <protobuf-c/protobuf-c.h>\n'
    if anchor not in text:
        sys.exit(f'{path}: no line {anchor!r}')
    note = '#include <stdint.h>\n\n#undef linux\t/* predefined by GNU C, and a field name below */\n'
    text = text.replace(anchor, anchor + note, 1)
    text = text.replace('(char *)protobuf_c_empty_string', '(char *)(uintptr_t)protobuf_c_empty_string')
    with open(path, 'w') as f:
        f.write(text)


def main():
    protoc_c, proto_path, outdir = sys.argv[1:]
    subprocess.check_call([protoc_c, '--c_out=' + outdir, '-I' + os.path.dirname(proto_path), proto_path])
    fit_header(os.path.join(outdir, 'cri.pb-c.h'))
    with open(proto_path) as f:
        proto = strip_comments(f.read())
    with open(os.path.join(outdir, 'cri.pb-c.c')) as f:
        known = messages(f.read())
    package = re.search(r'^package\s+([\w.]+)\s*;', proto, re.M).group(1)

    table, types = [HEADER, 'PUBLIC const struct crisvc_cri_method crisvc_cri_methods[] = {\n'], [RPCS]
    for service, name, req, resp, streaming in rpcs(proto):
        (req, req_type), (resp, resp_type) = known[f'{package}.{req}'], known[f'{package}.{resp}']
        table.append(f'\t{{ "{package}.{service}", "{name}", "/{package}.{service}/{name}",\n'
                     f'\t  &{req}, &{resp}, {int(streaming)} }},\n')
        types.append(f' \\\n\tX({name}, {req_type}, {resp_type}, {int(streaming)})')
    table.append('\t{ NULL, NULL, NULL, NULL, NULL, 0 }\n};\n')
    types.append('\n\n#endif\n')
    for name, text in ('cri_methods.c', table), ('cri_rpcs.h', types):
        with open(os.path.join(outdir, name), 'w') as f:
            f.write(''.join(text))


main()
