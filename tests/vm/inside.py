# SPDX-License-Identifier: Apache-2.0
"""In the guest: runs the named files of the integration suite, one line for each case as tests/run prints it.

Each argument is FILE or FILE:TEXT, for the cases of tests/integration/FILE.py whose name contains TEXT. What is
already built is taken from $CRID_BUILD.
"""

import os
import sys

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, TESTS)
import runner

tally = runner.Tally()
for argument in sys.argv[1:]:
    name, _, text = argument.partition(":")
    runner.run_file(tally, "integration", os.path.join(TESTS, "integration", name + ".py"), text)
sys.exit(1 if tally.failed or not tally.passed else 0)
