"""What a command of ours loads before its first step."""

import subprocess
import sys

PROGRAM = """
import sys
import flows.command_line, flows.fan_out
print([name for name in ("matplotlib", "numpy") if name in sys.modules])
"""


def test_the_flows_load_no_library_that_draws():
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True
    )
    assert run.stdout == "[]\n"
