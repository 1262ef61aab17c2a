"""What the program of one file prints, in the run's log."""

from __future__ import annotations

import pytest

from flows.fan_out import fan_out
from tasks.errors import InputError
from tasks.watch.live_output import LINES_MAX
from tests.flows.services import write_files

PROGRAM = (
    """sh -c 'echo begun; echo odd >&2; sleep 1; printf done; cat "$FAN_OUT_INPUT" > "$FAN_OUT_OUTPUT"'"""
)


@pytest.fixture
def inputs(tmp_path) -> str:
    return str(write_files(tmp_path / "in", {"one.txt": "1", "two.txt": "2"}))


def test_the_lines_of_one_file_are_in_the_log(accounts, inputs, tmp_path, caplog):
    """Both streams of that file's task are there once, the last line too, which has no end; and nothing
    of the library that asks for them before there are any."""
    fan_out(inputs, None, PROGRAM, str(tmp_path / "out"), stream_output="two.txt")
    shown = [message for message in caplog.messages if " | " in message]
    assert sorted(shown) == ["two.txt | begun", "two.txt | done", "two.txt | odd"]
    assert not [record.name for record in caplog.records if record.name.startswith("azure")]


def test_much_that_is_printed_is_cut(accounts, inputs, tmp_path, caplog):
    """Of half a megabyte of lines the first ones are shown, in their order, and that there are more."""
    fan_out(inputs, None, "seq 1 100000", str(tmp_path / "out"), stream_output="one.txt")
    shown = [message.removeprefix("one.txt | ") for message in caplog.messages if " | " in message]
    assert shown[:-1] == [str(number) for number in range(1, LINES_MAX + 1)]
    assert "not shown" in shown[-1]


def test_a_name_that_no_input_has_is_refused(accounts, inputs, tmp_path):
    """The message names the parameter and one that would do."""
    with pytest.raises(InputError, match=r"stream_output.*three.txt.*one.txt"):
        fan_out(inputs, None, "cat {input}", str(tmp_path / "out"), stream_output="three.txt")
