"""What the programs of files have printed, kept in a folder beside the outputs before its containers go.

A failed task's standard output and error are sent to storage by the service itself; where they didn't get
there, they are read from the node.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from prefect import task
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from tasks.azure import blobs
from tasks.azure.node_logs import TAIL_BYTES, stream_task_log
from tasks.base.deadlines import glance, is_time_up
from tasks.base.partial_files import replacing
from tasks.base.printable import make_printable, say_count
from tasks.downloads import local_path
from tasks.errors import FanOutError, NotFoundError, PermanentError
from tasks.logs import run_logger
from tasks.report.failed_logs import read_end
from tasks.sharding import in_threads
from tasks.spec.bundles import bundled_log
from tasks.spec.naming import LOGS, log_blob, name_log
from tasks.spec.output_places import OutputPlace
from tasks.spec.work import WorkItem
from tasks.step import NOT_CACHED, RETRIED

NAMES_IN_MESSAGE = 100
# For the logs of all files that a step keeps, of those that only the nodes have.
NODE_LOGS_SECONDS = 120.0


@dataclass(frozen=True)
class LogFolder:
    """Where the logs of a run's Batch tasks are, and the folder where they are to be."""

    run_key: str
    job_id: str
    container: str
    """The run's own."""

    output_folder: Path | None
    """None if the nodes themselves have sent them to where outputs are."""

    outputs: OutputPlace
    """Where Batch tasks write outputs."""

    bundled: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The bundles of files that share a Batch task (`tasks.spec.bundles.map_bundled`)."""

    def locate_on_node(self, task_id: str, log: str) -> tuple[str, str]:
        """Which Batch task has a log of a file on its node, and where."""
        bundle_id = self.bundled.get(task_id)
        return (bundle_id, bundled_log(task_id, log)) if bundle_id else (task_id, log)

    def locate(self, folder: Path, name: str, log: str) -> Path:
        """Where a log of an input is to lie. Raises PermanentError for a name that would lead elsewhere."""
        return Path(local_path(folder, name_log(self.run_key, name, log)))


# Not cached: it is what makes a failed file red in each attempt in which it fails.
@task(name="keep logs", task_run_name="{label}", **NOT_CACHED, **RETRIED)
def keep_logs(
    label: str, folder: LogFolder, items: Sequence[WorkItem], problems: Mapping[str, str]
) -> State[Any]:
    """Keep what the programs of some files have printed. It fails, with their names, if the files have.

    `problems` says by the inputs' names why those have no output that have none.
    """
    if (place := folder.output_folder) is not None:
        missing = in_threads(lambda item: _keep_both_logs(folder, place, item), items)
        with glance(NODE_LOGS_SECONDS):
            in_threads(lambda one: _keep_log_of_node(folder, place, *one), chain.from_iterable(missing))
    if not problems:
        return Completed(message=f"The logs of {say_count(len(items), 'file')} are kept.")
    first = [f"{name}: {problem}" for name, problem in list(problems.items())[:NAMES_IN_MESSAGE]]
    more = [f"... and {len(problems) - len(first)} more"] if len(problems) > len(first) else []
    said = [next(iter(problems.values()))] if len(items) == 1 else [f"{len(problems)} files failed.", *first]
    return Failed(message=make_printable("\n".join([*said, *more])))


def _keep_both_logs(folder: LogFolder, place: Path, item: WorkItem) -> list[tuple[WorkItem, str]]:
    """Keep both logs of a file from storage; those that are not there. One that can't be kept is left out, as
    that is no reason to fail."""
    return [(item, log) for log in LOGS if not _keep_log(folder, place, item, log)]


def _keep_log(folder: LogFolder, place: Path, item: WorkItem, log: str) -> bool:
    """False for a log that is not in storage."""
    try:
        path = folder.locate(place, item.name, log)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(place, path) as file:
            blobs.download_blob(folder.container, log_blob(item.task_id, log), file)
    except NotFoundError:
        return False
    except (PermanentError, OSError) as error:
        _tell_left_out(item, log, error)
    return True


def _tell_left_out(item: WorkItem, log: str, error: Exception) -> None:
    run_logger().warning("What %s printed to %s is not kept: %s", item.name, log, error)


def _keep_log_of_node(folder: LogFolder, place: Path, item: WorkItem, log: str) -> None:
    """Take a log from the node, as far as that gives it in time; none of a program that has not run, or whose
    node is gone."""
    path = folder.locate(place, item.name, log)
    try:
        with replacing(place, path) as file:
            for block in stream_task_log(folder.job_id, *folder.locate_on_node(item.task_id, log)):
                file.write(block)
                if is_time_up():
                    run_logger().warning("Of what %s printed to %s only the start is kept", item.name, log)
                    break
    except FanOutError as error:
        run_logger().debug("There is no %s of %s: %s", log, item.name, error)
        _remove_if_empty(path.parent)
    except OSError as error:
        _tell_left_out(item, log, error)


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        pass


def read_tail(path: Path) -> str:
    """The end of a log that was kept, fit to be shown; "" if there is none."""
    return read_end(path, TAIL_BYTES)
