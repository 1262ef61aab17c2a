"""Outputs of earlier runs that still hold, so that their files need not be run again.

A run remembers, in Prefect's result storage, of what and how each output was made. A later run over the same
output folder may leave a file out if all that is the same, and the output lies there unchanged: both are read
and compared, so that nothing is taken to be there which isn't.
"""

import math
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, tee
from pathlib import Path
from typing import Any, NamedTuple

from prefect import task
from prefect.client.schemas.objects import State
from prefect.futures import wait
from prefect.states import Completed

from tasks.base.packed import PackedSequence, Selection
from tasks.downloads import local_path
from tasks.errors import InputError, PermanentError
from tasks.extra_files import identify_remote_files
from tasks.plans import Plan
from tasks.reuse.output_records import read_records, write_records
from tasks.reuse.record_lines import OutputRecord, OutputRecords
from tasks.sharding import (
    READS,
    SHARD_MAX,
    SHARD_MIN,
    SHARDS_WANTED,
    in_threads,
    list_results,
    name_shards,
    shard_size,
    split,
)
from tasks.spec.input_files import InputFile, list_names
from tasks.spec.recipe import UploadedProgram, digest_source
from tasks.step import NOT_CACHED, RETRIED, Whole, as_whole, opaque, take_whole
from tasks.uploads import compute_md5, digest_input

# The state of a look-up whose files need not run, by its name in Prefect.
UNCHANGED = "Unchanged"


class Candidate(NamedTuple):
    """A file with an output of an earlier run, of which is to be seen whether it still holds."""

    number: int
    """Which of the plan's files it is."""

    file: InputFile
    record: OutputRecord


class Candidates(PackedSequence[Candidate]):
    """The files of which something is remembered; each is made when it is asked for."""

    def __init__(self, files: Sequence[InputFile], records: OutputRecords):
        self._files, self._records = files, records
        self._numbers, self._record_numbers = array("I"), array("I")
        for number, name in enumerate(list_names(files)):
            if (found := records.find(name)) is not None:
                self._numbers.append(number)
                self._record_numbers.append(found)

    def __len__(self) -> int:
        return len(self._numbers)

    def _make(self, number: int) -> Candidate:
        return next(self.make_all([number]))

    def make_all(self, numbers: Iterable[int]) -> Iterator[Candidate]:
        for_files, for_records = tee(numbers)
        of_files = array("I", map(self._numbers.__getitem__, for_files))
        records = map(self._records.read, map(self._record_numbers.__getitem__, for_records))
        return map(Candidate, of_files, Selection(self._files, of_files), records)


def find_unchanged(plan: Plan, recipe: str) -> Sequence[int]:
    """The numbers of the files whose outputs still hold, in order."""
    folder = plan.output_folder
    if folder is None:
        return ()
    found = Candidates(plan.files, read_records(folder))
    if not found:
        return ()
    if shard_size(len(found)) == 1:
        futures = [look_up_output.submit(one.file.name, opaque(one), recipe, folder) for one in found]
    else:
        shards = split(found, max(SHARD_MIN, math.ceil(len(found) / SHARDS_WANTED)))
        futures = [
            look_up_shard.submit(label, opaque(shard), recipe, folder)
            for label, shard in zip(name_shards(shards), shards, strict=True)
        ]
    wait(futures)
    held: list[Any] = list_results(futures)
    return array("I", chain.from_iterable(map(take_whole, held)))


# Not cached by Prefect: it is a look into a cache, which has one record for a whole folder, where Prefect
# would keep one for each of 100,000 files.
@task(name="look up output", task_run_name="look up {name}", **NOT_CACHED, **RETRIED)
def look_up_output(name: str, candidate: Candidate, recipe: str, folder: Path) -> State[Whole[Sequence[int]]]:
    """Does the output of one file still hold? If so, its number."""
    return _check_candidates([candidate], recipe, folder)


# Not cached, like the other.
@task(name="look up outputs", task_run_name="look up files {label}", **NOT_CACHED, **RETRIED)
def look_up_shard(
    label: str, candidates: Sequence[Candidate], recipe: str, folder: Path
) -> State[Whole[Sequence[int]]]:
    """Do the outputs of a shard of files still hold? The numbers of those that do."""
    return _check_candidates(candidates, recipe, folder)


def _check_candidates(
    candidates: Sequence[Candidate], recipe: str, folder: Path
) -> State[Whole[Sequence[int]]]:
    held = array("I")
    # Not all at once, as each is made an object.
    for some in split(candidates, SHARD_MAX):
        found = in_threads(lambda one: _find_unchanged_output(one, recipe, folder), some, READS)
        held.extend(number for number in found if number is not None)
    return Completed(name=UNCHANGED if len(held) == len(candidates) else None, data=as_whole(held))


def _find_unchanged_output(candidate: Candidate, recipe: str, folder: Path) -> int | None:
    """The file's number, None if its output, the file, or how it is made has changed."""
    file = candidate.file
    try:
        path = local_path(folder, file.output_name)
        # The output first: where it is gone, the input need not be read.
        is_same = _read_md5(path) == candidate.record.md5 and (
            digest_source(recipe, file.name, file.output_name, digest_input(file)) == candidate.record.source
        )
    except (OSError, PermanentError):
        return None
    return candidate.number if is_same else None


def read_program(plan: Plan) -> UploadedProgram:
    """The program as it is now, by its content. Raises InputError if it can't be read."""
    remote = identify_remote_files(plan.spec.task.files, plan.names.key)
    try:
        application = _read_md5(str(plan.application)) if plan.application else None
        files = {one.node_path: _read_md5(one.path) for one in plan.extra_files}
        return UploadedProgram(application, files, remote)
    except OSError as error:
        raise InputError(f"The file {error.filename} can't be read any more: {error.strerror}.") from error


def _read_md5(path: str) -> str:
    return compute_md5(path)[0].hex()


# Not cached: it is a record itself.
@task(name="remember outputs", task_run_name="remember outputs", **NOT_CACHED, **RETRIED)
def remember_outputs(folder: Path, made: Sequence[tuple[str, OutputRecord]]) -> None:
    """Remember what made each output that was fetched, and its content. Nothing here fails a run."""
    write_records(folder, made)
