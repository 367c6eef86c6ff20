#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Lists what protobuf-c generated, which has no registry of its own.

usage: list_descriptors.py CRI.PB-C.H OUT.H
"""
import re
import sys

with open(sys.argv[1]) as f:
    text = f.read()
with open(sys.argv[2], 'w') as out:
    for kind in 'Message', 'Enum':
        symbols = re.findall(rf'^extern const ProtobufC{kind}Descriptor\s+(\w+);', text, re.M)
        out.write(f'static const ProtobufC{kind}Descriptor *const all_{kind.lower()}s[] = {{\n')
        out.writelines(f'\t&{s},\n' for s in symbols)
        out.write('};\n')
