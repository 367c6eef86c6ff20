#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The example in a README is a file that the build compiles. usage: check_readme.py README EXAMPLE"""
import sys

with open(sys.argv[1]) as readme, open(sys.argv[2]) as example:
    if '```c\n' + example.read() + '```\n' not in readme.read():
        sys.exit(f'{sys.argv[1]} does not show {sys.argv[2]} as it is')
