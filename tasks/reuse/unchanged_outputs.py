"""Outputs of earlier runs that still hold, so that their files need not be run again.

A run remembers, in Prefect's result storage, of what and how each output was made. A later run over the same
output folder may leave a file out if all that is the same, and the output lies there unchanged: both are read
and compared, so that nothing is taken to be there which isn't.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from prefect import task
from prefect.futures import wait
from prefect.states import State
from prefect.utilities.annotations import opaque

from tasks.batch_tasks import WorkItem
from tasks.downloads import local_path
from tasks.errors import PermanentError
from tasks.plans import Plan
from tasks.reuse.output_records import OutputRecord, digest_json, read_records, write_records
from tasks.sharding import find_failure, in_threads, shard_size, split
from tasks.spec.inputs import InputFile
from tasks.step import NOT_CACHED, RETRIED, outcome
from tasks.uploads import compute_md5

# Of a pool, what a program may find another way on its nodes; not how many there are, or how large.
OF_THE_POOL = {"image", "start_command", "containers", "overrides"}


@dataclass(frozen=True)
class Candidate:
    """A file with an output of an earlier run, of which is to be seen whether it still holds."""

    file: InputFile
    made: OutputRecord


def find_unchanged(plan: Plan, recipe: str) -> dict[str, str]:
    """The paths of the outputs that still hold, by the names of their inputs."""
    known = read_records(plan.output_folder)
    found = [Candidate(file, known[file.name]) for file in plan.files if file.name in known]
    if not found:
        return {}
    size = shard_size(len(found))
    if size == 1:
        futures = [look_up_output.submit(one.file.name, one, recipe, plan.output_folder) for one in found]
    else:
        futures = [
            look_up_shard.submit(str(number), opaque(shard), recipe, plan.output_folder)
            for number, shard in enumerate(split(found, size), 1)
        ]
    wait(futures)
    return {
        name: path for future in futures if find_failure(future) is None for name, path in future.result()
    }


@task(name="look up output", task_run_name="look up {name}", **NOT_CACHED, **RETRIED)
def look_up_output(
    name: str, candidate: Candidate, recipe: str, folder: Path
) -> State[list[tuple[str, str]]]:
    """Does the output of one file still hold? If so, its name and its output's path."""
    return _check_candidates([candidate], recipe, folder)


@task(name="look up outputs", task_run_name="look up shard {label}", **NOT_CACHED, **RETRIED)
def look_up_shard(
    label: str, candidates: list[Candidate], recipe: str, folder: Path
) -> State[list[tuple[str, str]]]:
    """Do the outputs of a shard of files still hold? The names and the paths of those that do."""
    return _check_candidates(candidates, recipe, folder)


def _check_candidates(candidates: list[Candidate], recipe: str, folder: Path) -> State[list[tuple[str, str]]]:
    paths = in_threads(lambda one: _find_unchanged_output(one, recipe, folder), candidates)
    held = [(one.file.name, path) for one, path in zip(candidates, paths, strict=True) if path is not None]
    return outcome(held, len(held) == len(candidates))


def _find_unchanged_output(candidate: Candidate, recipe: str, folder: Path) -> str | None:
    """The path of the file's output, None if that, the file, or how it is made has changed."""
    try:
        path = str(local_path(folder, candidate.file.output_name))
        # The output first: where it is gone, the input need not be read.
        is_same = _read_md5(path) == candidate.made.output and (
            _digest_source(recipe, candidate.file, _read_md5(candidate.file.path)) == candidate.made.source
        )
    except (OSError, PermanentError):
        return None
    return path if is_same else None


def digest_recipe(plan: Plan) -> str:
    """A digest of all that makes outputs out of inputs: command, programs, environment, image."""
    application = plan.application and (plan.application.name, _read_md5(str(plan.application)))
    extra = [(file.node_path, _read_md5(file.path)) for file in plan.extra_files]
    task, pool = (
        plan.spec.task.model_dump(mode="json"),
        plan.spec.pool.model_dump(mode="json", include=OF_THE_POOL),
    )
    command = [plan.command.command_line, plan.command.environment]
    return digest_json([command, application, extra, task, pool])


def _digest_source(recipe: str, file: InputFile | WorkItem, content_md5: str) -> str:
    """A digest of all that made the output of one file, whose program knows its name too."""
    return digest_json([recipe, file.name, file.output_name, content_md5])


def _read_md5(path: str) -> str:
    return compute_md5(path)[0].hex()


@task(name="remember outputs", task_run_name="remember outputs", **NOT_CACHED, **RETRIED)
def remember_outputs(folder: Path, recipe: str, outputs: Sequence[tuple[WorkItem, str]]) -> int:
    """Remember how outputs were made, of each what was to be done and its path; how many. Those that somebody
    has taken away meanwhile are not, and nothing here fails a run."""
    made = in_threads(lambda one: _make_record(recipe, *one), outputs)
    found = {item.name: one for (item, _), one in zip(outputs, made, strict=True) if one is not None}
    write_records(folder, found)
    return len(found)


def _make_record(recipe: str, item: WorkItem, path: str) -> OutputRecord | None:
    """How an output was made; None if it can't be read any more."""
    try:
        return OutputRecord(_digest_source(recipe, item, item.content_md5), _read_md5(path))
    except OSError:
        return None
