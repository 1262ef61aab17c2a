"""Looking at the job while waiting, so that a run whose tasks can't come any more fails soon."""

from collections.abc import Iterable

from azure.batch import BatchClient

from tasks.azure import plain_batch
from tasks.azure.states import read_state
from tasks.base.printable import say_count
from tasks.errors import JobError
from tasks.spec.file_results import TaskResult
from tasks.watch.progress import Counts

OVER = ("terminating", "completed", "deleting")
# Of a job that ended because its tasks had: the page of REST type JobExecutionInformation names the first,
# and the service was recorded to tell the second.
_ALL_DONE = frozenset({"AllTasksComplete", "AllTasksCompleted"})
# That of a task whose output has nowhere to go: there is one container for the outputs of all.
NOWHERE = "FileUploadContainerNotFound"


def check_job(client: BatchClient, job_id: str, counts: Counts) -> str:
    """The job's state. Raises JobError if it is over though tasks wait: they would wait for ever."""
    state, reason = _read_job(client, job_id)
    # The counts may lag behind a job that has ended as it should.
    if counts.waiting and state in OVER and reason not in _ALL_DONE:
        raise JobError(f"The job {job_id} is {state} ({reason}), but: {counts}.")
    return state


def check_end(client: BatchClient, job_id: str, counts: Counts, ended: int) -> None:
    """Raise JobError if so many tasks did not end by themselves, but with their job."""
    state, reason = _read_job(client, job_id)
    if state in OVER and reason not in _ALL_DONE:
        tasks = say_count(ended, "Batch task")
        raise JobError(f"The job {job_id} is {state} ({reason}), with which {tasks} ended: {counts}.")


def refuse_lost_container(results: Iterable[TaskResult], counts: Counts) -> None:
    """Raise JobError if the container of the outputs is gone: every further task would run for nothing."""
    lost = next((result for result in results if result.code == NOWHERE), None)
    if lost is not None:
        raise JobError(
            f"{counts}. The container that outputs are written to is gone; somebody has deleted it, with the "
            f"outputs that had not been fetched. Run again with the same run_key for what is missing.\n"
            f"{lost.code}: {lost.message}"
        )


def _read_job(client: BatchClient, job_id: str) -> tuple[str, str]:
    """The job's state, and why it is over."""
    job = client.get_job(job_id, select=["id", "state", "executionInfo"])
    reason = job.execution_info.termination_reason if job.execution_info else None
    return read_state(job.state), reason or "no reason given"


def disable_job(client: BatchClient, job_id: str) -> None:
    """Let no further task of the job begin. Those that run go on to their end."""
    plain_batch.post(client, f"/jobs/{job_id}/disable", {"disableTasks": "wait"})
