"""Outputs that earlier attempts of a run have left in its container, so that their files need not run again.

Each blob says of itself what made it. That counts, and not what a job says of its tasks: a task may have
ended well and its output be gone, or its job be gone and the output be there.
"""

from collections.abc import Iterator, Sequence

from prefect import task

from tasks.azure import blobs
from tasks.azure.storage_accounts import at_account
from tasks.base.known_texts import TextsByName
from tasks.base.packed import select
from tasks.errors import InputError
from tasks.sharding import SHARD_MAX, in_threads, split
from tasks.spec.input_files import InputFile
from tasks.spec.naming import SOURCE_METADATA
from tasks.spec.output_places import OutputPlace
from tasks.spec.work import WorkItem, WorkItems, make_item
from tasks.step import NOT_CACHED, RETRIED, Whole, as_whole, opaque, take_whole
from tasks.uploads import digest_input


def find_computed(outputs: OutputPlace, files: Sequence[InputFile], recipe: str) -> WorkItems:
    """Of these files those whose outputs are in their place, made by this recipe from what they are now."""
    return take_whole(list_computed(outputs, opaque(files), recipe))


# Not cached: it is how the outputs are known that need not be made again.
@task(name="find computed outputs", task_run_name="find computed outputs", **NOT_CACHED, **RETRIED)
def list_computed(outputs: OutputPlace, files: Sequence[InputFile], recipe: str) -> Whole[WorkItems]:
    """List the outputs of earlier attempts, and see which of them are still what is asked for."""
    sources, items = TextsByName(list_sources(outputs)), WorkItems()
    there = select(files, lambda file: sources.get(file.output_name))
    # Not all at once, as each is made an object.
    for some in split(there, SHARD_MAX):
        found = in_threads(lambda file: identify_work(file, recipe, outputs), some)
        items.extend(item for item in found if item.source == sources.get(item.output_name))
    return as_whole(items)


def list_sources(outputs: OutputPlace) -> Iterator[tuple[str, str]]:
    """The name of each output in its place, and what made it."""
    with at_account(outputs.account):
        for name, blob in blobs.list_blobs(outputs.container, outputs.prefix):
            if SOURCE_METADATA in blob.metadata:
                yield name.removeprefix(outputs.prefix), blob.metadata[SOURCE_METADATA]


def identify_work(file: InputFile, recipe: str, outputs: OutputPlace) -> WorkItem:
    """The work on a file as it is now. Raises InputError if it can't be read."""
    try:
        digest = digest_input(file)
    except OSError as error:
        raise InputError(f"The file {file.path} can't be read any more: {error.strerror}.") from error
    return make_item(file.name, file.output_name, digest, recipe, file.blob, outputs.identity)
