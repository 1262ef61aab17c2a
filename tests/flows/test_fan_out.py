"""Any command over any files: what the general flow does beyond the tutorial."""

import pytest
from prefect.exceptions import ParameterTypeError
from prefect.futures import PrefectConcurrentFuture
from pydantic import ValidationError

from flows.check import check
from flows.fan_out import fan_out
from tasks.errors import FilesFailedError, InputError, PermanentError
from tasks.spec.specs import Cleanup, PoolSpec
from tests.flows.services import wait_for_remains, write_files

FILES = {"one.txt": "a b", "two.txt": "c d e", "sub/three.txt": ""}


@pytest.fixture
def inputs(tmp_path):
    return write_files(tmp_path / "in", FILES)


def test_without_output_in_the_command_what_it_prints_is_kept(accounts, inputs, tmp_path):
    """`wc -w` writes no file: its standard output becomes the output."""
    result = fan_out(inputs, None, "wc -w {input}", tmp_path / "out", output_name="{stem}.count")
    assert set(result.outputs) == set(FILES)
    assert (tmp_path / "out" / "two.count").read_text() == "3 inputs/two.txt\n"
    assert (tmp_path / "out" / "sub" / "three.count").read_text() == "0 inputs/sub/three.txt\n"


def test_a_script_of_one_s_own_gets_its_places(accounts, inputs, tmp_path):
    """An application is brought to the nodes, and finds input, output and name by its arguments."""
    script = tmp_path / "my $(script) 'x'.sh"
    script.write_text('#!/bin/sh\nprintf "%s|" "$@" > "$2"; cat "$1" >> "$2"\n')
    command = "{application} {input} {output} {name} '; touch x' --flag={name} '{{literal}}'"
    result = fan_out(f"{inputs}/*.txt", str(script), command, tmp_path / "out")
    assert set(result.outputs) == {"one.txt", "two.txt"}
    assert (tmp_path / "out" / "one_OUTPUT.txt").read_text() == (
        "inputs/one.txt|outputs/one_OUTPUT.txt|one.txt|; touch x|--flag=one.txt|{literal}|a b"
    )


def test_a_shell_script_in_the_command_uses_the_variables(accounts, inputs, tmp_path):
    """A pipeline reads the file's places from its environment, and what it writes there is the output."""
    command = """sh -c 'echo noise; tr a-z A-Z < "$FAN_OUT_INPUT" | rev > "$FAN_OUT_OUTPUT"'"""
    fan_out([f"{inputs}/one.txt"], None, command, tmp_path / "out")
    assert (tmp_path / "out" / "one_OUTPUT.txt").read_text() == "B A"


def test_a_failed_batch_task_is_told_and_the_others_are_collected(accounts, inputs, tmp_path):
    """The error names file, exit code and the end of stderr; the other outputs are there."""
    script = tmp_path / "app.sh"
    script.write_text(
        'case "$1" in *two*) echo "cannot do two" >&2; exit 3;; *none*) exit 0;; esac; cp "$1" "$2"\n'
    )
    write_files(inputs, {"none.txt": ""})
    with pytest.raises(FilesFailedError) as caught:
        fan_out(inputs, str(script), "sh {application} {input} {output}", tmp_path / "out")
    message = str(caught.value)
    assert "2 of 4 files failed" in message
    assert "two.txt: exit code 3" in message
    assert "UserError" in message
    assert "    cannot do two" in message
    assert "none.txt: exit code 0, but the program wrote no output" in message
    assert (tmp_path / "out" / "one_OUTPUT.txt").read_text() == "a b"
    outputs = [path for path in (tmp_path / "out").rglob("*.txt") if ".logs" not in path.parts]
    assert sorted(path.name for path in outputs) == [
        "one_OUTPUT.txt",
        "three_OUTPUT.txt",
    ]


def test_what_has_ended_counts_though_it_has_not_told_yet(accounts, inputs, tmp_path, monkeypatch):
    """A future's callbacks run after it is done: an output that is on disk is never called unfetched."""
    monkeypatch.setattr(PrefectConcurrentFuture, "add_done_callback", lambda *_: None)
    command = """sh -c 'case "$FAN_OUT_NAME" in two*) exit 3;; esac; cat "$FAN_OUT_INPUT"'"""
    with pytest.raises(FilesFailedError) as caught:
        fan_out(inputs, None, command, tmp_path / "out")
    assert {file.name: file.state for file in caught.value.result.files} == {
        "one.txt": "succeeded",
        "sub/three.txt": "succeeded",
        "two.txt": "failed",
    }


def test_a_run_that_is_to_complete_reports_the_files_that_failed(accounts, inputs, tmp_path, caplog):
    """It returns its result with the failures in it, and names them in the log."""
    command = """sh -c 'case "$FAN_OUT_NAME" in one*) exit 3;; esac; cat "$FAN_OUT_INPUT"'"""
    result = fan_out(f"{inputs}/*.txt", None, command, tmp_path / "out", on_failure="complete")
    assert [(file.name, file.exit_code) for file in result.failures] == [("one.txt", 3)]
    assert set(result.outputs) == {"two.txt"}
    assert "1 of 2 files failed; the outputs of the others are there.\none.txt: exit code 3" in caplog.text


def test_a_program_that_is_not_there_is_told(accounts, inputs, tmp_path):
    """A command that no node has fails the files with what the shell said."""
    with pytest.raises(FilesFailedError, match=r"one\.txt: exit code 127(.|\n)*not found"):
        fan_out(inputs / "one.txt", None, "no-such-program {input}", tmp_path / "out")


def test_batch_repeats_a_failing_task_as_often_as_asked(accounts, inputs, tmp_path):
    """With retries on the service's side a program that fails once succeeds in the end."""
    marker = tmp_path / "failed-once"
    script = f"if [ -e {marker} ]; then echo fine; else touch {marker}; exit 1; fi"
    result = fan_out(inputs / "one.txt", None, f"sh -c '{script}'", tmp_path / "out", max_task_retry_count=1)
    assert (tmp_path / "out" / "one_OUTPUT.txt").read_text() == "fine\n"
    assert result.files[0].task.tries == 2


def test_a_pool_is_made_under_its_id_and_reused(accounts, inputs, tmp_path, run_key):
    """A named pool is made by the first run and kept by its policy; the second, which found it, leaves it."""
    pool = PoolSpec(pool_id=f"shared-{run_key}")
    keep = Cleanup(pool="never")
    script = tmp_path / "app.sh"
    script.write_text('cp "$1" "$2"')
    command = "sh {application} {input} {output}"
    first = fan_out(inputs, str(script), command, tmp_path / "one", pool, keep)
    wait_for_remains(first.run_key, {"pool"}, pool.pool_id)
    second = fan_out(inputs, str(script), command, tmp_path / "two", pool)
    assert second.pool_id == pool.pool_id
    assert (tmp_path / "two" / "two_OUTPUT.txt").read_text() == "c d e"
    wait_for_remains(second.run_key, {"pool"}, pool.pool_id)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(
            {"vm_size": "STANDARD_D4S_V3"},
            "(?i)vm_size STANDARD_D2S_V3 instead of STANDARD_D4S_V3",
            marks=pytest.mark.soak,
        ),
        ({"task_slots_per_node": 2}, "task_slots_per_node 1 instead of 2"),
    ],
)
def test_a_pool_that_is_another_is_refused(accounts, inputs, tmp_path, run_key, change, message, caplog):
    """A pool id whose pool has another size is an error that says which, before anything is made, and the
    pool stays; the check says it too."""
    pool = PoolSpec(pool_id=f"other-{run_key}")
    first = fan_out(inputs / "one.txt", None, "cat {input}", tmp_path / "out", pool, Cleanup(pool="never"))
    second, other = f"{run_key}-second", pool.model_copy(update=change)
    caplog.clear()
    with pytest.raises(PermanentError, match=message):
        fan_out(
            inputs / "one.txt",
            None,
            "cat {input}",
            tmp_path / "other",
            other,
            run_key=second,
        )
    assert "Deleted" not in caplog.text
    with pytest.raises(PermanentError, match=message):
        check(pool=other)
    wait_for_remains(second, {"pool"}, pool.pool_id)
    wait_for_remains(first.run_key, {"pool"}, pool.pool_id)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": "nowhere"}, "There is no file or folder nowhere"),
        ({"command": "cat {inptu}"}, "there are only"),
        ({"command": "{application} {input}"}, "no application is given"),
        ({"application": "nowhere.py"}, "There is no application nowhere.py"),
        ({"output_name": "all.txt"}, r"would be written to 'all\.txt'"),
        ({"output_dir": "/dev/null/out"}, "output folder"),
    ],
)
def test_bad_input_is_told_before_anything_is_created(
    prefect_server, inputs, tmp_path, monkeypatch, run_key, change, message
):
    """What is wrong with the description itself is told though there is not even an account."""
    monkeypatch.delenv("AZURE_BATCH_ENDPOINT", raising=False)
    described = {
        "inputs": inputs,
        "application": None,
        "command": "cat {input}",
        "output_dir": tmp_path / "out",
    }
    with pytest.raises(InputError, match=message):
        fan_out(**{**described, **change}, run_key=run_key)


def test_parameters_out_of_bounds_are_refused_with_their_name(prefect_server, inputs, tmp_path):
    """Prefect checks parameters by the models before the flow begins."""
    with pytest.raises((ParameterTypeError, ValidationError), match="timeout_seconds"):
        fan_out(inputs, None, "cat {input}", tmp_path / "out", timeout_seconds=0)
