"""Uploading, adding and running at the same time: what waits for what, and what an error leaves."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from prefect import flow, task
from prefect.task_runners import ThreadPoolTaskRunner

from flows.fan_out import fan_out
from tasks import uploads
from tasks.errors import InputError, PermanentError
from tasks.jobs import build_job
from tasks.reuse.output_records import read_records
from tasks.sharding import FILES_EACH_VISIBLE, run_bounded, shard_size
from tasks.spec.naming import names_of_run
from tasks.spec.run_spec import RunOptions
from tasks.spec.specs import PoolSpec
from tests.flows.attempts import KEEP_ALL
from tests.flows.services import batch, steps_of, wait_for_remains, write_files
from tests.waiting import wait_until

FIRST_SECONDS = 120
POOL = PoolSpec(dedicated_nodes=1, task_slots_per_node=4)
COUNT = FILES_EACH_VISIBLE + 50
LAST = f"{COUNT - 1:03d}.txt"


@pytest.fixture
def inputs(tmp_path) -> Path:
    """So many files that they go up in shards."""
    return write_files(tmp_path / "in", {f"{number:03d}.txt": f"text {number}" for number in range(COUNT)})


@pytest.mark.slow
def test_the_first_output_is_there_before_the_last_upload(accounts, inputs, tmp_path, run_key, monkeypatch):
    """A file that is uploaded has its task run, and its output fetched, though another file is still to be
    uploaded. One whose program writes none is told, though it came with those of others."""
    read = uploads._read_file

    def read_last_last(path):
        if str(path).endswith(LAST):
            wait_until(lambda: any((tmp_path / "out").glob("*.txt")), FIRST_SECONDS, "first output")
        return read(path)

    monkeypatch.setattr(uploads, "_read_file", read_last_last)
    command = """sh -c '[ "$FAN_OUT_NAME" = 003.txt ] || cp "$0" "$1"' {input} {output}"""
    state = fan_out(inputs, None, command, tmp_path / "out", POOL, run_key=run_key, return_state=True)
    result = state.result(raise_on_failure=False).result
    assert [file.name for file in result.failures] == ["003.txt"]
    assert len(result.outputs) == COUNT - 1
    assert all(Path(path).read_text() == f"text {int(name[:3])}" for name, path in result.outputs.items())
    steps = steps_of(state.state_details.flow_run_id)
    assert any(name.startswith("add tasks 1 to ") for name in steps)
    wait_for_remains(run_key, set())


@pytest.mark.slow
def test_what_came_early_is_remembered_by_a_run_whose_uploads_fail(accounts, inputs, tmp_path, monkeypatch):
    """What lies in the output folder then need not run again."""
    read, out = uploads._read_file, tmp_path / "out"

    def refuse_last(path):
        if str(path).endswith(LAST):
            wait_until(lambda: any(out.glob("*.txt")), FIRST_SECONDS, "first output")
            raise PermissionError(13, "Permission denied")
        return read(path)

    monkeypatch.setattr(uploads, "_read_file", refuse_last)
    state = fan_out(inputs, None, "cat {input}", out, POOL, return_state=True)
    with pytest.raises(InputError, match="can't be read any more"):
        state.result()
    remembered = {name.replace(".txt", "_OUTPUT.txt") for name in read_records(out)}
    # Clean-up may have fetched more, that lay in storage alone.
    assert set() != remembered <= {path.name for path in out.glob("*.txt")}


def test_an_upload_that_fails_ends_the_run(accounts, inputs, tmp_path, monkeypatch):
    """A file that can't be read ends it with that file's name; nothing is left behind."""
    read = uploads._read_file

    def refuse_one(path):
        if str(path).endswith("007.txt"):
            raise PermissionError(13, "Permission denied")
        return read(path)

    monkeypatch.setattr(uploads, "_read_file", refuse_one)
    state = fan_out(inputs, None, "cat {input}", tmp_path / "out", return_state=True)
    with pytest.raises(InputError, match=r"007\.txt can't be read any more"):
        state.result()
    wait_for_remains(str(state.state_details.flow_run_id), set())


def test_a_job_is_kept_alive_while_uploads_last(kept, inputs, tmp_path, monkeypatch):
    """Its own limit, which counts from its start, is moved again and again, and once more at the end."""
    monkeypatch.setattr("flows.renewing.seconds_to_look", lambda timeout_seconds: 0.0)
    names = {path.name: path.read_text() for path in sorted(inputs.iterdir())[:2]}
    few = write_files(tmp_path / "few", names)
    options = {"run_key": kept, "cleanup": KEEP_ALL, "return_state": True}
    state = fan_out(few, None, "cat {input}", tmp_path / "out", **options)
    assert len(state.result().outputs) == 2
    # Prefect takes note of what a run has done a little later.
    flow_run_id = state.state_details.flow_run_id
    wait_until(lambda: "extend job" in steps_of(flow_run_id), 30, "step that extends the job")
    job = batch().get_job(names_of_run(kept).job_id)
    begun_with = build_job(job.id, names_of_run(kept), RunOptions()).constraints
    assert job.constraints.max_wall_clock_time > begun_with.max_wall_clock_time


@task
def hold(number: int, running: list[int], seen: list[int], gate: threading.Event) -> int:
    running.append(number)
    seen.append(len(running))
    gate.wait(60)
    running.remove(number)
    return number


def test_only_so_many_are_under_way(prefect_server):
    """Back-pressure: no more tasks are given out than asked for, and each result comes once."""
    started, seen, gate = [], [], threading.Event()
    running: list[int] = []

    def start(number: int):
        started.append(number)
        return hold.submit(number, running, seen, gate)

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=8))
    def many() -> list[tuple[int, int]]:
        results = run_bounded((lambda number=number: start(number) for number in range(10)), 3)
        # Nothing ends before this, so that it comes to a second without a result.
        assert next(results) is None
        assert len(started) == 3
        gate.set()
        return [one for one in results if one is not None]

    assert sorted(many()) == [(number, number) for number in range(10)]
    assert max(seen) <= 3


@task
def fail(number: int) -> int:
    raise PermanentError(f"number {number}")


def test_after_a_failure_no_more_are_started(prefect_server):
    """The first failure is raised, once those under way have ended."""
    started: list[int] = []

    def start(number: int):
        started.append(number)
        return fail.submit(number)

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=8))
    def many() -> None:
        list(run_bounded((lambda number=number: start(number) for number in range(10)), 3))

    with pytest.raises(PermanentError, match="2 more failed"):
        many()
    assert started == [0, 1, 2]


def test_shards_are_what_the_tests_take_them_for():
    """The files of these tests are several shards."""
    assert 1 < shard_size(COUNT) < COUNT
