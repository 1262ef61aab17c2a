"""What a measurement starts ends with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import psutil
import pytest

from bench.costs import run_group

# What it starts says who it is, and starts another one, which would go on alone.
PROGRAM = """
import signal, sys
for name in sys.argv[1:]:
    signal.signal(signal.Signals[name], signal.SIG_DFL)
from bench.costs import run_group
from deployments.supervisor import interrupted_by_signals
with interrupted_by_signals():
    run_group(["sh", "-c", "sleep 300 & echo $! >&2; wait"], is_read=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_nothing_goes_on_after_a_signal(number):
    """However a measurement is ended, neither its commands nor what these have started go on."""
    # Whoever started the tests may ignore it.
    argv = [sys.executable, "-c", PROGRAM, number.name]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        started = psutil.Process(int(process.stderr.readline()))
        process.send_signal(number)
        process.stderr.read()
    gone, _ = psutil.wait_procs([started], timeout=30)
    assert gone


def test_a_command_that_fails_is_an_error():
    """What is measured must have worked."""
    assert run_group(["cat"], given=b"text", is_read=True) == b"text"
    with pytest.raises(subprocess.CalledProcessError):
        run_group(["false"], dict(os.environ), is_read=False)
