"""Runs that end early and runs that are repeated: what remains, and what isn't done twice."""

import os
import shutil
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.sorting import FlowRunSort
from prefect.states import Crashed, State

from flows.fan_out import fan_out
from tasks.cleanup import clean_up_after
from tasks.errors import FilesFailedError
from tasks.spec.naming import names_of_run
from tasks.spec.specs import Cleanup, PoolSpec
from tests.flows.attempts import COMMAND, KEEP_ALL, START_SECONDS, flow_run_with, running_elsewhere
from tests.flows.services import (
    batch,
    blobs_of,
    exists,
    remains_of,
    steps_of,
    tasks_of,
    wait_for_remains,
    write_files,
)
from tests.sampling import sample
from tests.waiting import wait_until


@pytest.fixture
def inputs(tmp_path):
    return write_files(tmp_path / "in", {f"file {number}.txt": f"text {number}" for number in range(6)})


@pytest.fixture
def application(tmp_path):
    """A program that leaves a line in `ran` for each time it is run, and waits while `hold` is there."""
    script = tmp_path / "app.sh"
    script.write_text(
        f'echo "$1" >> {tmp_path}/ran\nwhile [ -e {tmp_path}/hold ]; do sleep 0.1; done\ncp "$1" "$2"\n'
    )
    return str(script)


ALL = {"containers", "job", "pool"}
ON_SUCCESS = Cleanup(containers="on_success", job="on_success", pool="on_success")
MIXED = Cleanup(containers="never", pool="never")
# What is kept by each policy.
POLICIES = {
    "always, after success": (Cleanup(), True, set[str]()),
    "always, after failure": (Cleanup(), False, set[str]()),
    "never, after success": (KEEP_ALL, True, ALL),
    "never, after failure": (KEEP_ALL, False, ALL),
    "on success, after success": (ON_SUCCESS, True, set[str]()),
    "on success, after failure": (ON_SUCCESS, False, ALL),
    "mixed, after success": (MIXED, True, {"containers", "pool"}),
    "mixed, after failure": (MIXED, False, {"containers", "pool"}),
}


@pytest.mark.parametrize(
    ("policy", "succeeds", "kept_resources"),
    sample(POLICIES, "on success, after failure", "mixed, after success"),
)
def test_what_remains_is_what_the_policy_keeps(kept, inputs, tmp_path, policy, succeeds, kept_resources):
    """After success and after failure exactly the resources stay that the policy says."""
    command = "cat {input}" if succeeds else "false"
    run = [str(inputs / "file 1.txt"), None, command, str(tmp_path / "out"), PoolSpec(), policy]
    if succeeds:
        fan_out(*run, run_key=kept)
    else:
        with pytest.raises(FilesFailedError):
            fan_out(*run, run_key=kept)
    wait_for_remains(kept, kept_resources)


@pytest.mark.parametrize("on_disk", [True, pytest.param(False, marks=pytest.mark.soak)])
def test_a_second_attempt_does_nothing_twice(kept, inputs, application, tmp_path, on_disk):
    """Run again with its key, a run uploads nothing, submits nothing, and has the same outputs."""
    run = (inputs, application, COMMAND, tmp_path / "out", PoolSpec(), KEEP_ALL)
    first = fan_out(*run, run_key=kept)
    names = names_of_run(kept)
    before = [tasks_of(kept), *(blobs_of(container) for container in names.containers)]
    if not on_disk:
        shutil.rmtree(tmp_path / "out")
    second = fan_out(*run, run_key=kept)
    assert [tasks_of(kept), *(blobs_of(container) for container in names.containers)] == before
    assert second.outputs == first.outputs
    assert {file.state for file in second.files} == {"unchanged" if on_disk else "succeeded"}
    assert len((tmp_path / "ran").read_text().splitlines()) == len(first.outputs) == 6


def steps_done(files: int) -> set[str]:
    """The steps that a second attempt needn't take, of a run whose driver died with its tasks added."""
    uploads = {f"upload file {number}.txt" for number in range(files)}
    made = {"create containers", "create pool", "create job", "add tasks", "close job"}
    return {*made, "upload application app.sh", *uploads}


@pytest.mark.soak
def test_a_second_attempt_with_another_file_runs_that_one(kept, inputs, application, tmp_path):
    """A job whose tasks have completed takes no more: what is new goes into the run's next job."""
    run = (inputs, application, COMMAND, tmp_path / "out", PoolSpec(), KEEP_ALL)
    fan_out(*run, run_key=kept)
    write_files(inputs, {"one more.txt": "x"})
    result = fan_out(*run, run_key=kept)
    assert {file.name: file.state for file in result.files}["one more.txt"] == "succeeded"
    assert len((tmp_path / "ran").read_text().splitlines()) == len(result.outputs) == 7
    assert result.job_id == names_of_run(kept).name_job(2)


def attempt_held(tmp_path: Path, *run: object, run_key: str, until: Callable[[], object], what: str) -> State:
    """The end of an attempt behind a killed one, whose Batch tasks are held until a condition is true."""
    with ThreadPoolExecutor(1) as thread:
        # Prefect's settings are a context variable, which a new thread doesn't have by itself.
        again = partial(fan_out, return_state=True)
        attempt = thread.submit(copy_context().run, again, *run, run_key=run_key)
        wait_until(until, START_SECONDS, what)
        (tmp_path / "hold").unlink()
        return attempt.result()


def latest_run() -> UUID:
    """The flow run that began last."""
    with get_client(sync_client=True) as client:
        return client.read_flow_runs(sort=FlowRunSort.START_TIME_DESC, limit=1)[0].id


def has_come_to_the_job(killed: UUID) -> bool:
    """Whether there is a flow run after the killed one, which has looked at the tasks."""
    return (latest := latest_run()) != killed and "add tasks" in steps_of(latest)


def hits_of(flow_run_id: UUID) -> set[str]:
    """The steps that Prefect answered from its cache in a flow run, in any of its attempts."""
    chosen = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id]))
    with get_client(sync_client=True) as client:
        listed = client.read_task_runs(flow_run_filter=chosen)
    return {one.name for one in listed if one.state_name == "Cached"}


@pytest.mark.soak
def test_a_killed_run_is_finished_by_the_next_attempt(kept, inputs, application, tmp_path):
    """After SIGKILL in the middle the next attempt attaches: each Batch task was submitted and ran once."""
    with running_elsewhere(tmp_path, kept, application, KEEP_ALL) as process:
        wait_until(lambda: len(tasks_of(kept)) == 6, START_SECONDS, "six Batch tasks")
        # From then on what it did before is on record.
        wait_until(lambda: "wait for tasks" in steps_of(latest_run()), START_SECONDS, "a run that waits")
        process.kill()
        process.wait()
        created, has_come = tasks_of(kept), partial(has_come_to_the_job, latest_run())
        run = (inputs, application, COMMAND, tmp_path / "out", PoolSpec(), KEEP_ALL)
        state = attempt_held(tmp_path, *run, run_key=kept, until=has_come, what="attempt at the job")
    assert tasks_of(kept) == created
    flow_run_id = state.state_details.flow_run_id
    wait_until(lambda: hits_of(flow_run_id) >= steps_done(6), START_SECONDS, "hits in Prefect's cache")
    ran = sorted((tmp_path / "ran").read_text().splitlines())
    assert ran == sorted(f"inputs/{name}" for name in state.result().outputs)
    assert (tmp_path / "out" / "file 3_OUTPUT.txt").read_text() == "text 3"


@pytest.mark.soak
def test_an_attempt_waits_for_the_tasks_that_have_not_completed(kept, inputs, application, tmp_path):
    """Of a job with tasks that have completed, and others that have not, nothing is added or done again."""
    Path(application).write_text(
        Path(application).read_text().replace("[ -e", '[ "$1" != "inputs/file 0.txt" -a -e')
    )
    with running_elsewhere(tmp_path, kept, application, KEEP_ALL) as process:
        wait_until(lambda: "file 0_OUTPUT.txt" in outputs_of(kept), START_SECONDS, "one output")
        process.kill()
        process.wait()
        created, has_come = tasks_of(kept), partial(has_come_to_the_job, latest_run())
        run = (inputs, application, COMMAND, tmp_path / "out", PoolSpec(), KEEP_ALL)
        state = attempt_held(tmp_path, *run, run_key=kept, until=has_come, what="attempt at the job")
    assert tasks_of(kept) == created
    assert {file.state for file in state.result().files} == {"succeeded"}
    flow_run_id = state.state_details.flow_run_id
    wait_until(lambda: "add tasks" in hits_of(flow_run_id), START_SECONDS, "hit in Prefect's cache")
    assert len((tmp_path / "ran").read_text().splitlines()) == 6


def outputs_of(run_key: str) -> dict[str, str]:
    return blobs_of(names_of_run(run_key).output_container)


@pytest.mark.soak
def test_a_file_that_changed_since_a_killed_run_is_run_anew(kept, inputs, application, tmp_path):
    """The next attempt replaces the Batch task of the changed file, and no other."""
    with running_elsewhere(tmp_path, kept, application) as process:
        wait_until(lambda: len(tasks_of(kept)) == 6, START_SECONDS, "six Batch tasks")
        process.kill()
        process.wait()
        before = tasks_of(kept)
        write_files(inputs, {"file 2.txt": "changed"})
        run = (inputs, application, COMMAND, tmp_path / "out", PoolSpec(), KEEP_ALL)

        def is_replaced() -> object:
            return tasks_of(kept).keys() - before.keys()

        attempt_held(tmp_path, *run, run_key=kept, until=is_replaced, what="new Batch task").result()
    after = tasks_of(kept)
    assert len(after.keys() - before.keys()) == len(before.keys() - after.keys()) == 1
    assert (tmp_path / "out" / "file 2_OUTPUT.txt").read_text() == "changed"
    assert (tmp_path / "out" / "file 3_OUTPUT.txt").read_text() == "text 3"


@pytest.mark.soak
def test_a_killed_run_is_cleaned_up_by_its_hook(accounts, inputs, application, tmp_path, run_key):
    """What SIGKILL left behind goes when the hook gets no more than the flow run, also the second time."""
    with running_elsewhere(tmp_path, run_key, application) as process:
        process.kill()
        process.wait()
        assert remains_of(run_key) == {"containers", "job", "pool"}
        for _ in range(2):
            clean_up_after(fan_out, flow_run_with(run_key, Cleanup()), Crashed())
        wait_for_remains(run_key, set())


@pytest.mark.parametrize("number", [signal.SIGHUP, pytest.param(signal.SIGTERM, marks=pytest.mark.soak)])
def test_a_terminated_run_cleans_up_by_itself(accounts, inputs, application, tmp_path, run_key, number):
    """SIGTERM, by which a worker cancels, and SIGHUP, by which a terminal closes, delete what the run made
    before its process ends; a second one of these doesn't interrupt that."""
    with running_elsewhere(tmp_path, run_key, application) as process:
        process.send_signal(number)
        if number == signal.SIGHUP:
            process.send_signal(number)
        assert process.wait(timeout=60) == -number
        wait_for_remains(run_key, set())


def test_prefect_s_retry_of_the_flow_runs_only_what_failed(accounts, inputs, tmp_path, run_key):
    """The second attempt runs the failed file again and no other, and cleans up at its end."""
    marks = tmp_path / "ran"
    command = f"""sh -c 'echo $FAN_OUT_NAME >> {marks}; [ "$FAN_OUT_NAME" != "file 1.txt" ]'"""
    flow = fan_out.with_options(retries=1, retry_delay_seconds=0)
    with pytest.raises(FilesFailedError, match="exit code 1"):
        flow(inputs, None, command, tmp_path / "out", run_key=run_key)
    ran = marks.read_text().splitlines()
    assert sorted(ran) == sorted([*os.listdir(inputs), "file 1.txt"])
    wait_for_remains(run_key, set())
    hits = {"create containers", "create pool", "upload file 1.txt"}
    wait_until(lambda: hits <= hits_of(latest_run()), START_SECONDS, "hits in Prefect's cache")


def test_a_pool_of_others_is_never_deleted(accounts, inputs, tmp_path, run_key, kept):
    """The hook of a run that reused a pool leaves that pool alone."""
    pool_id = f"fan-out-{kept}"
    fan_out(
        inputs / "file 1.txt",
        None,
        "cat {input}",
        tmp_path / "out",
        PoolSpec(),
        Cleanup(pool="never"),
        run_key=kept,
    )
    other = flow_run_with(f"{kept}-other", Cleanup())
    other.parameters["pool"] = {"pool_id": pool_id}
    clean_up_after(fan_out, other, Crashed())
    assert exists(lambda: batch().get_pool(pool_id))
    assert batch().get_pool(pool_id).state == "active"
