"""What lies already where outputs are to be: outputs that still hold, and what would be overwritten."""

import os
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from prefect import task

from tasks.azure import blobs
from tasks.azure.blobs import Blob
from tasks.azure.places import find_at
from tasks.azure.storage_accounts import at_account
from tasks.base.known_texts import KnownTexts
from tasks.base.packed import PackedSequence, Selection
from tasks.downloads import local_path
from tasks.plans import Plan
from tasks.reuse.earlier_attempts import identify_work
from tasks.reuse.earlier_runs import find_unchanged
from tasks.reuse.output_records import read_records
from tasks.sharding import FILES_EACH_VISIBLE, SHARD_MAX, in_threads
from tasks.spec.file_results import FileResult
from tasks.spec.input_files import InputFile, InputFiles, list_names, list_output_names
from tasks.spec.naming import RECIPE_METADATA, SOURCE_METADATA
from tasks.spec.output_places import OutputPlace
from tasks.spec.packed_results import IS_SKIPPED, IS_UNCHANGED, FileResults
from tasks.spec.sources import refuse_problems
from tasks.step import NOT_CACHED, RETRIED, Whole, as_whole, opaque, take_whole

# What lies where a file's output is to be.
NOTHING, UNCHANGED, OWN, FOREIGN = range(4)


@dataclass(frozen=True)
class Existing:
    """What lies under the names of outputs, by the numbers of the plan's files.

    What this command has made of inputs as they were is neither; nor, in a local folder, what any run has
    made, as its records don't say by which command.
    """

    unchanged: Sequence[int] = ()
    """Where outputs are that still hold."""

    foreign: Sequence[int] = ()
    """Where something else is."""


class SettledFiles(PackedSequence[FileResult]):
    """What became of those files of a plan that need not or must not be run; each is made when it is asked
    for."""

    def __init__(self, plan: Plan, unchanged: Iterable[int] = (), skipped: Iterable[int] = ()):
        self._plan, self._marks = plan, bytearray(len(plan.files))
        for number in unchanged:
            self._marks[number] = IS_UNCHANGED
        for number in skipped:
            self._marks[number] = IS_SKIPPED
        self._numbers = array("I", (number for number, mark in enumerate(self._marks) if mark))

    def __len__(self) -> int:
        return len(self._numbers)

    def _make(self, number: int) -> FileResult:
        file_number = self._numbers[number]
        file, mark = self._plan.files[file_number], self._marks[file_number]
        path = self._locate(file.output_name)
        return FileResult(file.name, None, path, unchanged=mark == IS_UNCHANGED, skipped=mark == IS_SKIPPED)

    def _locate(self, output_name: str) -> str:
        outputs = self._plan.given_outputs
        return (
            outputs.locate(output_name).url if outputs else os.path.join(self._plan.output_dir, output_name)
        )

    def list_left(self) -> Sequence[InputFile]:
        """The files of the plan that are to be run."""
        if not self._numbers:
            return self._plan.files
        return Selection(self._plan.files, (number for number, mark in enumerate(self._marks) if not mark))

    def fill_in(self, results: Iterator[FileResult]) -> FileResults:
        """What became of each file of the plan, given that of those that were to be run, in order."""
        files, folder = self._plan.files, os.path.join(self._plan.output_dir, "")
        filled = FileResults(names=files.names if isinstance(files, InputFiles) else None)
        outputs = self._plan.given_outputs
        for name, output_name, mark in zip(
            list_names(files), list_output_names(files), self._marks, strict=True
        ):
            if not mark:
                filled.append(next(results))
            elif outputs is None:
                filled.append_settled(name, folder, output_name, mark)
            else:
                filled.append_settled(name, "", outputs.locate(output_name).url, mark)
        return filled


def find_existing(plan: Plan, recipe: str, is_refreshed: bool) -> Existing:
    """What lies where outputs are to be; nothing of it still holds if all files are to be run."""
    if plan.given_outputs is not None:
        found = _find_delivered(plan, recipe)
        return Existing((), found.foreign) if is_refreshed else found
    return _find_local(plan, () if is_refreshed else find_unchanged(plan, recipe))


def _locate_output(plan: Plan, file: InputFile) -> str:
    """Where a file's output is: its path, or its URL. Raises PermanentError for a name that leads out of the
    folder."""
    if plan.given_outputs is not None:
        return plan.given_outputs.locate(file.output_name).url
    assert plan.output_folder is not None
    return local_path(plan.output_folder, file.output_name)


def _find_delivered(plan: Plan, recipe: str) -> Existing:
    """What lies in a place in blob storage, by what the blobs say of themselves."""
    assert plan.given_outputs is not None
    kinds = take_whole(look_up_delivered(plan.given_outputs, opaque(plan.files), recipe))
    return Existing(_list_numbers(kinds, UNCHANGED), _list_numbers(kinds, FOREIGN))


def _list_numbers(kinds: bytearray, wanted: int) -> Sequence[int]:
    return array("I", (number for number, kind in enumerate(kinds) if kind == wanted))


# Not cached: it is how the outputs are known that need not be made again.
@task(name="look up outputs", task_run_name="look up outputs", **NOT_CACHED, **RETRIED)
def look_up_delivered(outputs: OutputPlace, files: Sequence[InputFile], recipe: str) -> Whole[bytearray]:
    """What lies where the output of each of the files is to be, by their numbers."""
    kinds, names = bytearray(len(files)), KnownTexts(list_output_names(files))
    numbered = ((names.find(name), blob) for name, blob in _find_blobs(outputs, files))
    found = ((number, blob) for number, blob in numbered if number is not None)
    # Not all at once, as what a listing tells of each takes memory.
    while some := [*islice(found, SHARD_MAX)]:
        judged = in_threads(lambda one: _judge(files[one[0]], one[1], recipe, outputs), some)
        for (number, _), kind in zip(some, judged, strict=True):
            kinds[number] = kind
    return as_whole(kinds)


def _find_blobs(outputs: OutputPlace, files: Sequence[InputFile]) -> Iterator[tuple[str, Blob]]:
    """The blobs under the names of few outputs, by a request each; for many those of one listing, which may
    have others too."""
    if len(files) <= FILES_EACH_VISIBLE:
        names = sorted(list_output_names(files))
        there = in_threads(lambda name: find_at(outputs.locate(name)), names)
        yield from ((name, blob) for name, blob in zip(names, there, strict=True) if blob)
        return
    with at_account(outputs.account):
        for name, blob in blobs.list_blobs(outputs.container, outputs.prefix):
            yield name.removeprefix(outputs.prefix), blob


def _judge(file: InputFile, blob: Blob, recipe: str, outputs: OutputPlace) -> int:
    if blob.metadata.get(RECIPE_METADATA) != recipe:
        return FOREIGN
    if blob.metadata.get(SOURCE_METADATA) == identify_work(file, recipe, outputs).source:
        return UNCHANGED
    # Nobody can write over one in the archive tier.
    return FOREIGN if blob.is_archived else OWN


def _find_local(plan: Plan, unchanged: Sequence[int]) -> Existing:
    """What lies in a local folder, besides outputs that still hold. Nothing is looked at if all is to be
    overwritten."""
    if plan.output_folder is None or plan.spec.existing_outputs in (None, "overwrite"):
        return Existing(unchanged)
    held = set(unchanged)
    there = {
        number: file.name
        for number, file in enumerate(plan.files)
        if number not in held and os.path.exists(_locate_output(plan, file))
    }
    known = read_records(plan.output_folder) if there else ()
    return Existing(unchanged, array("I", (number for number, name in there.items() if name not in known)))


def settle_existing(plan: Plan, existing: Existing) -> SettledFiles:
    """The files that need not or must not be run. Raises InputError for what is not to be overwritten."""
    wanted = plan.spec.existing_outputs or ("refuse" if plan.given_outputs else "overwrite")
    if wanted == "refuse":
        maker = "another command, program or setting has made" if plan.given_outputs else "no run has made"
        foreign = Selection(plan.files, existing.foreign)
        refuse_problems(
            [f"{_locate_output(plan, file)}, of {file.name!r}" for file in foreign],
            "output",
            f"would take the place of what {maker}; choose another output_dir, or say "
            f"existing_outputs: skip or overwrite",
        )
    return SettledFiles(plan, existing.unchanged, existing.foreign if wanted == "skip" else ())
