"""Runs on a service that is busy, loses connections and takes nodes away."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import batch_emulator
from batch_emulator.faults import AllocationFault, Faults, NodeFault, RequestFault
from flows.fan_out import fan_out
from tasks.errors import AccessError, FilesFailedError, PoolError
from tasks.spec.naming import names_of_run
from tasks.spec.specs import Cleanup, PoolSpec
from tests.flows.services import blobs, tasks_of, wait_for_remains, write_files

COUNT = 150
BUSY = (
    RequestFault(code="ServerBusy", rate=0.1),
    RequestFault(status=429, rate=0.1),
    RequestFault(status=429, retry_after_seconds=1, rate=0.05),
    RequestFault(code="InternalError", rate=0.05),
)
LOSSY = (RequestFault(drop="before", rate=0.08), RequestFault(drop="after", rate=0.08))


@pytest.fixture
def inputs(tmp_path):
    return write_files(tmp_path / "in", {"one.txt": "text 1", "two.txt": "text 2"})


@pytest.fixture
def serve_with(storage, prefect_server, use_batch, monkeypatch) -> Iterator[Callable[..., None]]:
    """Start a local Batch service of the test's own, with these faults."""
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", storage.connection_string)
    with ExitStack() as stack:

        def serve(**faults) -> None:
            settings = {"port": 0, "faults": Faults(seed=7, **faults)}
            use_batch(stack.enter_context(batch_emulator.serve(**settings)))

        yield serve


@pytest.mark.slow
@pytest.mark.parametrize("faults", [BUSY, LOSSY], ids=["busy", "lossy"])
@pytest.mark.soak
def test_an_unreliable_service_gets_every_task_exactly_once(serve_with, tmp_path, run_key, faults):
    """Throttled, failing and lost requests are repeated until each file has one Batch task and its output."""
    inputs = write_files(tmp_path / "in", {f"{number}.txt": f"text {number}" for number in range(COUNT)})
    serve_with(requests=faults)
    pool = PoolSpec(dedicated_nodes=2, task_slots_per_node=4)
    run = (inputs, None, "cat {input}", tmp_path / "out", pool, Cleanup(job="never"))
    result = fan_out(*run, run_key=run_key)
    assert len(tasks_of(run_key)) == COUNT
    assert {Path(path).read_text() for path in result.outputs.values()} == {f"text {n}" for n in range(COUNT)}


def test_an_allocation_that_failed_is_asked_for_again(serve_with, inputs, tmp_path, caplog):
    """A fixed pool that got no nodes for a passing reason gets them at the second request."""
    serve_with(allocations=(AllocationFault(code="AllocationFailed", times=1),))
    result = fan_out(inputs, None, "cat {input}", tmp_path / "out", timeout_seconds=120)
    assert len(result.outputs) == 2
    assert "AllocationFailed" in caplog.text
    assert "Asking for the nodes again" in caplog.text


@pytest.mark.soak
def test_fewer_nodes_than_asked_for_do_the_work(serve_with, inputs, tmp_path, caplog):
    """A quota that leaves one node of three is a warning with the remedy, and the run succeeds."""
    serve_with(allocations=(AllocationFault(code="AccountCoreQuotaReached", nodes=1),))
    command = "sh -c 'sleep 2; cat \"$FAN_OUT_INPUT\"'"
    result = fan_out(inputs, None, command, tmp_path / "out", PoolSpec(dedicated_nodes=3))
    assert len(result.outputs) == 2
    assert "more quota of dedicated cores" in caplog.text


def test_a_spot_node_that_is_taken_away_is_waited_for(serve_with, inputs, tmp_path):
    """A preempted node's task runs again on its replacement."""
    serve_with(nodes=(NodeFault(event="preempt", after_seconds=1, times=1),))
    pool = PoolSpec(dedicated_nodes=0, low_priority_nodes=1)
    command = "sh -c 'sleep 1; cat \"$FAN_OUT_INPUT\"'"
    result = fan_out(inputs, None, command, tmp_path / "out", pool, timeout_seconds=120)
    assert len(result.outputs) == 2


def test_nodes_that_are_unusable_fail_the_run_soon(serve_with, inputs, tmp_path, run_key):
    """When every node is unusable the error has what the service knows about them."""
    errors = ({"code": "DiskFull", "message": "There is not enough disk space on the node"},)
    serve_with(nodes=(NodeFault(event="break", errors=errors),))
    with pytest.raises(
        PoolError, match=r"none of its 2 nodes can run tasks(.|\n)*DiskFull: There is not enough"
    ):
        fan_out(inputs, None, "cat {input}", tmp_path / "out", PoolSpec(dedicated_nodes=2), run_key=run_key)
    wait_for_remains(run_key, set())


def test_an_output_is_fetched_whose_completion_the_driver_was_not_told(serve_with, tmp_path, run_key):
    """The counts say that the task has completed, the list of tasks is refused: what it made is on disk."""
    inputs = write_files(tmp_path / "in", {"one.txt": "text 1"})
    serve_with(requests=(RequestFault(code="AuthenticationFailed", operations=("list_tasks",)),))
    with pytest.raises(AccessError):
        fan_out(inputs, None, "cat {input}", tmp_path / "out", run_key=run_key)
    assert (tmp_path / "out" / "one_OUTPUT.txt").read_text() == "text 1"


def test_an_output_that_cannot_be_written_stays_in_its_container(serve_with, tmp_path, run_key):
    """The containers are kept for it, and a rerun fetches it without running anything again."""
    inputs = write_files(tmp_path / "in", {"one.txt": "1", "two.txt": "2"})
    ran = tmp_path / "ran"
    in_the_way = tmp_path / "out" / "one_OUTPUT.txt"
    serve_with()
    # Made while the run goes on: what is there beforehand is refused.
    command = f"sh -c 'echo x >> {ran}; mkdir -p {in_the_way}; cat $FAN_OUT_INPUT'"
    run = (inputs, None, command, tmp_path / "out")
    with pytest.raises(FilesFailedError, match="can't be written"):
        fan_out(*run, run_key=run_key)
    assert blobs().get_container_client(names_of_run(run_key).output_container).exists()
    in_the_way.rmdir()
    result = fan_out(*run, run_key=run_key)
    assert {Path(path).read_text() for path in result.outputs.values()} == {"1", "2"}
    assert len(ran.read_text().split()) == 2
