# SPDX-License-Identifier: Apache-2.0
"""In the guest: runs the named files of the Python suites, one line for each case as tests/run prints it.

Each argument is [SUITE/]FILE[:TEXT], for the cases of tests/SUITE/FILE.py whose name contains TEXT; SUITE is
"integration" when it is left out. What is already built is taken from $CRID_BUILD.
"""

import os
import sys

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, TESTS)
import runner

tally = runner.Tally()
for argument in sys.argv[1:]:
    path, _, text = argument.partition(":")
    suite, _, name = path.rpartition("/")
    suite = suite or "integration"
    runner.run_file(tally, suite, os.path.join(TESTS, suite, name + ".py"), text)
sys.exit(1 if tally.failed or not tally.passed else 0)
