"""The flows and steps as parts of a flow of somebody's own."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from azure.batch import models
from prefect import flow, task
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.runtime import flow_run
from prefect.states import Crashed, Running

import batch_emulator
from flows.cleanup import cleanup
from flows.fan_out import fan_out
from flows.streaming import fan_out_in_shards
from tasks.bodies.existing_pools import read_pool_run_key
from tasks.cleanup import clean_up
from tasks.errors import FilesFailedError, InputError, PoolError
from tasks.images import choose_image
from tasks.jobs import create_job
from tasks.pools import create_pool, delete_pool, find_pools
from tasks.provisioning import provisioned
from tasks.spec.naming import names_of_run
from tasks.spec.run_spec import RunOptions
from tasks.spec.specs import Cleanup, ImageSpec, PoolSpec
from tasks.spec.task_specs import TaskSpec
from tests.flows.services import batch, blobs, exists, remains_of, wait_for_remains, write_files
from tests.waiting import wait_until

SECONDS = 60
DOCKER_IMAGE = ImageSpec(publisher="microsoft-dsvm", offer="ubuntu-hpc", sku="2404")


@pytest.fixture
def inputs(tmp_path) -> str:
    return str(write_files(tmp_path / "in", {"one.txt": "a b", "two.txt": "c d e"}))


def wait_until_gone(pool_id: str) -> None:
    wait_until(lambda: not exists(lambda: batch().get_pool(pool_id)), SECONDS, f"end of {pool_id}")


def test_fan_outs_share_a_pool_and_tell_what_became_of_each_file(accounts, inputs, tmp_path):
    """The pool belongs to the flow run; an error that is caught has the result; in the end the pool goes,
    also with a job left on it whose tasks are done."""
    script = """sh -c 'if grep -q d "$FAN_OUT_INPUT"; then echo no d >&2; exit 3; fi; echo fine'"""

    @flow
    def count_and_check():
        with provisioned(PoolSpec(task_slots_per_node=2)) as pool:
            owner = read_pool_run_key(batch().get_pool(pool.pool_id))
            keep = Cleanup(job="never")
            counted = fan_out(inputs, None, "wc -w {input}", tmp_path / "counts", pool, keep)
            with pytest.raises(FilesFailedError) as caught:
                fan_out(inputs, None, script, tmp_path / "checks", pool)
            return owner == flow_run.id, pool.pool_id, counted, caught.value.result

    is_own, pool_id, counted, checked = count_and_check()
    wait_until_gone(pool_id)
    batch().begin_delete_job(counted.job_id, polling_interval=1)
    assert is_own
    assert counted.pool_id == checked.pool_id == pool_id
    assert {file.name: (file.state, file.exit_code) for file in counted.files} == {
        "one.txt": ("succeeded", 0),
        "two.txt": ("succeeded", 0),
    }
    one, two = checked.files
    assert (one.state, one.exit_code) == ("succeeded", 0)
    assert Path(one.output_path).read_text() == "fine\n"
    assert (two.state, two.exit_code, two.output_path, two.stderr) == ("failed", 3, None, "no d")


@pytest.mark.parametrize(
    ("when", "stays"), [("always", False), ("on_success", True), ("never", True)], ids=lambda one: str(one)
)
def test_a_pool_is_deleted_by_its_policy_when_the_block_raises(accounts, when, stays):
    """The error goes through, and the pool goes unless the policy keeps it after a failure."""
    pool_id = f"block-{uuid.uuid4().hex[:8]}"

    @flow
    def fail():
        with provisioned(PoolSpec(pool_id=pool_id), Cleanup(pool=when)) as pool:
            assert batch().get_pool(pool.pool_id).state == "active"
            raise LookupError(pool.pool_id)

    with pytest.raises(LookupError, match=pool_id):
        fail()
    if stays:
        assert batch().get_pool(pool_id).state == "active"
        batch().begin_delete_pool(pool_id, polling_interval=1)
    wait_until_gone(pool_id)


def test_a_pool_belongs_to_a_flow_run(accounts):
    """Outside of a flow there is nothing that it could belong to."""
    with pytest.raises(InputError, match="in a flow"), provisioned():
        pass


def test_a_retried_flow_finds_its_pool_and_what_was_done(accounts, inputs, tmp_path):
    """Between the attempts the pool stays; a fan-out that has completed isn't run again if it is told so."""
    seen = []

    @flow(retries=1)
    def flaky():
        with provisioned() as pool:
            made = batch().get_pool(pool.pool_id).creation_time
            count = fan_out.with_options(persist_result=True)
            result = count(inputs, None, "wc -w {input}", str(tmp_path / "out"), pool)
            seen.append((made, result.run_key, len(result.outputs)))
            if len(seen) == 1:
                raise LookupError("the first attempt")
        return pool.pool_id

    wait_until_gone(flaky())
    assert len(seen) == 2
    assert seen[0] == seen[1]


@task
def flow_name_of(files: list[str]) -> str:
    return flow_run.flow_name


def test_files_come_while_others_still_run(accounts, inputs, tmp_path):
    """The first file is there before the second one ends; tasks in the loop belong to its own flow."""
    hold = tmp_path / "hold"
    hold.touch()
    wait = f'case "$FAN_OUT_INPUT" in *two*) while [ -e {hold} ]; do sleep 0.1; done;; esac'
    command = f"""sh -c '{wait}; cat "$FAN_OUT_INPUT"'"""

    @flow(name="outer")
    def take():
        pool, seen = PoolSpec(task_slots_per_node=2), []
        for shard in fan_out_in_shards(
            inputs=inputs, application=None, command=command, output_dir=tmp_path / "out", pool=pool
        ):
            seen += [(file.name, Path(file.output_path).read_text(), hold.exists()) for file in shard]
            assert flow_name_of.submit([file.name for file in shard]).result() == "outer"
            hold.unlink(missing_ok=True)
        return seen

    assert take() == [("one.txt", "a b", True), ("two.txt", "c d e", False)]


def test_whoever_leaves_the_loop_stops_the_rest(accounts, inputs, tmp_path, run_key):
    """The tasks that still run are stopped with their job, and nothing is left."""

    @flow
    def take_one():
        command = """sh -c 'case "$FAN_OUT_INPUT" in *two*) sleep 600;; esac; echo done'"""
        for shard in fan_out_in_shards(
            inputs=inputs,
            application=None,
            command=command,
            output_dir=tmp_path / "out",
            pool=PoolSpec(task_slots_per_node=2),
            run_key=run_key,
        ):
            return [file.name for file in shard]

    assert take_one() == ["one.txt"]
    wait_for_remains(run_key, set())


def test_a_loop_ends_with_the_error_of_the_fan_out(accounts, inputs, tmp_path):
    """Failed files come like others, and at the end the error has all of them."""
    command, seen = "cat nothing {input}", []

    def take():
        for shard in fan_out_in_shards(
            inputs=inputs, application=None, command=command, output_dir=tmp_path / "out"
        ):
            seen.extend((file.name, file.state, "nothing" in file.stderr) for file in shard)

    with pytest.raises(FilesFailedError) as caught:
        take()
    assert sorted(seen) == [("one.txt", "failed", True), ("two.txt", "failed", True)]
    assert len(caught.value.result.failures) == 2


@flow
def of_somebody(pool: str = "gpu", folder: str = "data") -> None:
    """A flow with parameters that mean other things than ours."""


def crashed_with_subflow(pool_id: str, when: str) -> tuple[FlowRun, FlowRun]:
    """A flow run that was killed in a block with a pool, in the midst of a fan-out on that."""
    with get_client(sync_client=True) as client:
        parent = client.create_flow_run(of_somebody, parameters={"pool": "gpu"}, state=Crashed())
        link = client.create_task_run(flow_name_of, parent.id, dynamic_key="0", state=Running())
        child = client.create_flow_run(
            fan_out, parameters={"pool": {"pool_id": pool_id}}, parent_task_run_id=link.id, state=Running()
        )
    spec = PoolSpec(pool_id=pool_id)
    options = RunOptions(pool=spec, cleanup=Cleanup(pool=when), timeout_seconds=60)
    create_pool.fn(names_of_run(str(parent.id), pool_id), options, choose_image.fn(spec.image))
    create_job.fn(names_of_run(str(child.id), pool_id), options)
    return parent, child


def test_what_a_killed_flow_had_provisioned_is_found(accounts, run_key):
    """By the flow run's id the pool is found whatever it is called; the job of its subflow run goes too."""
    parent, child = crashed_with_subflow(f"pool-{run_key}", "always")
    done = {deed.thing: deed.outcome for deed in cleanup(parent.id)}
    assert done[f"the job fan-out-{child.id}"] == "deleted"
    assert done[f"the pool pool-{run_key}"] == "deleted"
    wait_until_gone(f"pool-{run_key}")
    assert find_pools.fn(str(parent.id)) == {}


def test_a_provisioned_pool_says_itself_what_is_to_become_of_it(accounts, run_key):
    """A pool that is to be kept is kept, though the flow run has no parameter that says so."""
    parent, _ = crashed_with_subflow(f"pool-{run_key}", "never")
    assert "kept" in [deed.outcome for deed in cleanup(parent.id) if deed.thing == f"the pool pool-{run_key}"]
    assert find_pools.fn(str(parent.id)) == {f"pool-{run_key}": "never"}
    clean_up(names_of_run(str(parent.id), f"pool-{run_key}"), Cleanup(), succeeded=True)
    wait_until_gone(f"pool-{run_key}")


def test_a_job_with_nothing_left_to_do_keeps_no_pool(accounts, run_key):
    """The service takes a while to end a job whose tasks are all done; the pool needn't wait for that."""
    names = names_of_run(run_key)
    create_pool.fn(names, RunOptions(timeout_seconds=60), choose_image.fn(PoolSpec().image))
    other = models.BatchJobCreateOptions(
        id=f"other-{run_key}", pool_info=models.BatchPoolInfo(pool_id=names.pool_id)
    )
    batch().create_job(other)
    assert not delete_pool.fn(names)
    done = models.BatchJobUpdateOptions(
        all_tasks_complete_mode=models.BatchAllTasksCompleteMode.TERMINATE_JOB
    )
    batch().update_job(other.id, done)
    assert delete_pool.fn(names)
    batch().begin_delete_job(other.id, polling_interval=1)
    wait_until_gone(names.pool_id)


def test_tasks_get_what_they_are_told(accounts, inputs, storage, tmp_path, run_key):
    """Files from here and from a container of the account, variables, and settings that aren't modelled."""
    write_files(tmp_path / "lists", {"stop.txt": "stop", "deep/more.txt": "more"})
    container = blobs().create_container(f"models-{run_key}")
    container.upload_blob("v2/small.bin", b"model")
    told = TaskSpec(
        files=[
            {"local_path": str(tmp_path / "lists"), "file_path": "lists"},
            {"http_url": f"{container.url}/v2/small.bin"},
            {"storage_container_url": container.url, "blob_prefix": "v2/", "file_path": "models"},
        ],
        environment={"WORD": "it's $(here)"},
        overrides={"constraints": {"maxWallClockTime": "PT5M"}},
    )
    shown = "lists/stop.txt lists/deep/more.txt small.bin models/v2/small.bin"
    command = f"""sh -c 'cat {shown}; echo "$WORD"'"""
    keep = Cleanup(job="never")
    one = f"{inputs}/one.txt"
    result = fan_out(one, None, command, tmp_path / "out", cleanup=keep, task=told, run_key=run_key)
    (sent,) = batch().list_tasks(result.job_id)
    batch().begin_delete_job(result.job_id, polling_interval=1)
    blobs().delete_container(container.container_name)
    assert Path(result.outputs["one.txt"]).read_text() == "stopmoremodelmodelit's $(here)\n"
    assert sent.constraints.max_wall_clock_time.total_seconds() == 300


def test_container_tasks_run_where_they_are_taken(accounts, use_batch, inputs, tmp_path, run_key):
    """The pool is prepared for the image; a pool that was made without containers is refused."""
    told = TaskSpec(container={"image": "python:3.12-slim", "run_options": "--shm-size=1g"})
    pool = PoolSpec(image=DOCKER_IMAGE)
    keep = Cleanup(job="never", pool="never")
    with batch_emulator.serve(containers="host") as account:
        use_batch(account)
        run = (inputs, None, "wc -w {input}", tmp_path / "out", pool, keep)
        result = fan_out(*run, task=told, run_key=run_key)
        machine = batch().get_pool(result.pool_id).virtual_machine_configuration
        (sent, _) = batch().list_tasks(result.job_id)
        plain = PoolSpec(image=DOCKER_IMAGE, pool_id=f"plain-{run_key}")
        options = RunOptions(pool=plain, timeout_seconds=60)
        create_pool.fn(names_of_run(run_key, plain.pool_id), options, choose_image.fn(plain.image))
        with pytest.raises(PoolError, match="no container configuration"):
            fan_out(*run[:3], tmp_path / "other", plain, task=told, run_key=f"{run_key}-plain")
    assert len(result.outputs) == 2
    assert machine.container_configuration.container_image_names == ["python:3.12-slim"]
    assert sent.container_settings.image_name == "python:3.12-slim"


def test_an_image_without_docker_is_told_before_anything_is_made(accounts, inputs, tmp_path, run_key):
    """The message names images that have it."""
    told = TaskSpec(container={"image": "python:3.12-slim"})
    with pytest.raises(PoolError, match=r"for container tasks canonical(.|\n)*ubuntu-hpc"):
        fan_out(inputs, None, "wc -w {input}", tmp_path / "out", task=told, run_key=run_key)
    assert remains_of(run_key) == set()
