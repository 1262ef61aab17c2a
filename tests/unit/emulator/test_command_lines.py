"""How a task's command line becomes a program and its arguments."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_emulator.node.failures import AttemptFailed
from batch_emulator.node.process import split_command_line


@given(st.text(alphabet="ab \t\r\n'\"\\$#é\u00a0"))
def test_splits_as_shlex_does(text: str) -> None:
    """Any command line is split as Python's shlex.split splits it; what that refuses fails to launch."""
    try:
        expected = shlex.split(f"program {text}")
    except ValueError:
        with pytest.raises(AttemptFailed) as error:
            split_command_line(f"program {text}")
        assert error.value.failure.code == "CommandLaunchFailed"
    else:
        assert split_command_line(f"program {text}") == expected


@pytest.mark.parametrize("line", ["", "   ", "''", '"" x'])
def test_line_without_a_program(line: str) -> None:
    """A command line without a program names none that could be found."""
    with pytest.raises(AttemptFailed) as error:
        split_command_line(line)
    assert error.value.failure.code == "CommandProgramNotFound"


@pytest.mark.timeout(20)
def test_long_line_takes_linear_time() -> None:
    """A command line as long as a request may be is split in a moment."""
    assert len(split_command_line("echo " + "x" * 1_000_000)[1]) == 1_000_000
    assert len(split_command_line("echo" + " 'x'" * 100_000)) == 100_001
