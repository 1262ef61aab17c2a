"""What happens to pools and files, as Prefect events, which automations can wait for.

| event | resource | payload |
| --- | --- | --- |
| `azure-batch.pool.created`, `.reused` | `azure-batch.pool.POOL` | |
| `azure-batch.pool.lost` | `azure-batch.pool.POOL` | `reason` |
| `azure-batch.file.failed` | `azure-batch.task.JOB.TASK` | `file`, `problem`, `exit_code`, `node` |
| `azure-batch.job.failed` | `azure-batch.job.JOB` | `failed`, `total` |

Prefect adds the flow run, its flow and its deployment as related resources.
"""

from typing import Any, Literal

from prefect.events import emit_event
from prefect.runtime import flow_run

from tasks.base.printable import make_json_printable, make_printable
from tasks.prefect.observing import left_out_on_failure
from tasks.spec.run_results import RunResult

# Each event is a row of the server's database; a run of which thousands fail mostly fails for one reason.
FILES_MAX = 50


def emit_pool_event(pool_id: str, news: Literal["created", "reused", "lost"], reason: str = "") -> None:
    """Tell what became of a pool."""
    _emit(
        f"azure-batch.pool.{news}",
        f"azure-batch.pool.{pool_id}",
        pool_id,
        {"reason": reason} if reason else {},
    )


def emit_failed_files(result: RunResult) -> None:
    """Tell the first files that failed, each by itself, and how many there are; unfinished ones have not."""
    job_id, failures = result.job_id, [file for file in result.failures if file.state == "failed"]
    if not failures:
        return
    for file in failures[:FILES_MAX]:
        _emit(
            "azure-batch.file.failed",
            f"azure-batch.task.{job_id}.{file.task.task_id if file.task else file.name}",
            file.name,
            {
                "file": file.name,
                "problem": file.problem,
                "exit_code": file.task and file.task.exit_code,
                "node": file.task and file.task.node_id,
            },
        )
    counts = {"failed": len(failures), "total": len(result.files)}
    _emit("azure-batch.job.failed", f"azure-batch.job.{job_id}", job_id, counts)


def _emit(event: str, resource_id: str, name: str, payload: dict[str, Any]) -> None:
    """Emit an event of the flow run that this is in; outside of any there is nobody to tell."""
    if flow_run.id:
        resource: Any = {"prefect.resource.id": resource_id, "prefect.resource.name": name}
        with left_out_on_failure(f"The event {event}"):
            told: Any = make_json_printable(payload)
            emit_event(event, {key: make_printable(value) for key, value in resource.items()}, payload=told)
