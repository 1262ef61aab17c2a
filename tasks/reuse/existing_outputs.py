"""What lies already where outputs are to be: outputs that still hold, and what would be overwritten."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from prefect import task

from tasks.azure import blobs
from tasks.azure.blobs import Blob
from tasks.azure.places import find_at
from tasks.azure.storage_accounts import at_account
from tasks.downloads import local_path
from tasks.plans import Plan
from tasks.reuse.earlier_attempts import identify_work
from tasks.reuse.earlier_runs import find_unchanged
from tasks.reuse.output_records import read_records
from tasks.sharding import FILES_EACH_VISIBLE, in_threads
from tasks.spec.file_results import FileResult
from tasks.spec.input_files import InputFile
from tasks.spec.naming import RECIPE_METADATA, SOURCE_METADATA
from tasks.spec.output_places import OutputPlace
from tasks.spec.sources import refuse_problems
from tasks.step import NOT_CACHED, RETRIED, Whole, as_whole, opaque, take_whole

Kind = Literal["unchanged", "own", "foreign"]


@dataclass(frozen=True)
class Existing:
    """What lies under the names of outputs, by the names of the inputs."""

    unchanged: Mapping[str, str] = field(default_factory=dict)
    """Where outputs are that still hold."""

    own: Mapping[str, str] = field(default_factory=dict)
    """Where outputs are that this command has made of inputs as they were; in a local folder, that any run
    has made, as its records don't say by which command."""

    foreign: Mapping[str, str] = field(default_factory=dict)
    """Where something else is."""


def find_existing(plan: Plan, recipe: str, is_refreshed: bool) -> Existing:
    """What lies where outputs are to be; nothing of it still holds if all files are to be run."""
    if plan.given_outputs is not None:
        found = _find_delivered(plan, recipe)
    else:
        found = _find_local(plan, {} if is_refreshed else find_unchanged(plan, recipe))
    return Existing({}, {**found.own, **found.unchanged}, found.foreign) if is_refreshed else found


def _find_delivered(plan: Plan, recipe: str) -> Existing:
    """What lies in a place in blob storage, by what the blobs say of themselves."""
    assert plan.given_outputs is not None
    found = take_whole(look_up_delivered(plan.given_outputs, opaque(plan.files), recipe))
    kinds: dict[Kind, dict[str, str]] = {"unchanged": {}, "own": {}, "foreign": {}}
    for file in plan.files:
        if kind := found.get(file.name):
            kinds[kind][file.name] = plan.given_outputs.locate(file.output_name).url
    return Existing(**kinds)


# Not cached: it is how the outputs are known that need not be made again.
@task(name="look up outputs", task_run_name="look up outputs", **NOT_CACHED, **RETRIED)
def look_up_delivered(
    outputs: OutputPlace, files: Sequence[InputFile], recipe: str
) -> Whole[dict[str, Kind]]:
    """Of the files that have a blob where their output is to be, what that is."""
    there = dict(_find_blobs(outputs, files))
    found = [file for file in files if file.output_name in there]
    kinds: list[Kind] = in_threads(lambda file: _judge(file, there[file.output_name], recipe, outputs), found)
    return as_whole({file.name: kind for file, kind in zip(found, kinds, strict=True)})


def _find_blobs(outputs: OutputPlace, files: Sequence[InputFile]) -> Iterator[tuple[str, Blob]]:
    """The blobs under the names of outputs: few by a request each, many by one listing."""
    names = {file.output_name for file in files}
    if len(names) <= FILES_EACH_VISIBLE:
        there = in_threads(lambda name: find_at(outputs.locate(name)), sorted(names))
        yield from ((name, blob) for name, blob in zip(sorted(names), there, strict=True) if blob)
        return
    with at_account(outputs.account):
        for name, blob in blobs.list_blobs(outputs.container, outputs.prefix):
            if name.removeprefix(outputs.prefix) in names:
                yield name.removeprefix(outputs.prefix), blob


def _judge(file: InputFile, blob: Blob, recipe: str, outputs: OutputPlace) -> Kind:
    if blob.metadata.get(RECIPE_METADATA) != recipe:
        return "foreign"
    if blob.metadata.get(SOURCE_METADATA) == identify_work(file, recipe, outputs).source:
        return "unchanged"
    # Nobody can write over one in the archive tier.
    return "foreign" if blob.is_archived else "own"


def _find_local(plan: Plan, unchanged: Mapping[str, str]) -> Existing:
    """What lies in a local folder, besides outputs that still hold. Nothing is looked at if all is to be
    overwritten."""
    if plan.output_folder is None or plan.spec.existing_outputs in (None, "overwrite"):
        return Existing(unchanged)
    paths = {file.name: local_path(plan.output_folder, file.output_name) for file in plan.files}
    there = {name: path for name, path in paths.items() if name not in unchanged and os.path.exists(path)}
    known = read_records(plan.output_folder) if there else {}
    return Existing(
        unchanged,
        own={name: path for name, path in there.items() if name in known},
        foreign={name: path for name, path in there.items() if name not in known},
    )


def settle_existing(plan: Plan, existing: Existing) -> dict[str, FileResult]:
    """The files that need not or must not be run. Raises InputError for what is not to be overwritten."""
    wanted = plan.spec.existing_outputs or ("refuse" if plan.given_outputs else "overwrite")
    if wanted == "refuse":
        maker = "another command, program or setting has made" if plan.given_outputs else "no run has made"
        refuse_problems(
            [f"{path}, of {name!r}" for name, path in existing.foreign.items()],
            "output",
            f"would take the place of what {maker}; choose another output_dir, or say "
            f"existing_outputs: skip or overwrite",
        )
    results = {
        name: FileResult(name, None, path, unchanged=True) for name, path in existing.unchanged.items()
    }
    if wanted == "skip":
        left = existing.foreign.items()
        results |= {name: FileResult(name, None, path, skipped=True) for name, path in left}
    return results
