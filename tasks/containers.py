"""The storage containers of a run: one for the application, one for inputs, one for outputs."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from prefect import task

from tasks.azure import blobs
from tasks.azure.sas import make_signer, why_too_short
from tasks.base.deadlines import first_call
from tasks.errors import BusyError, OutputsLeftError, RefusedError
from tasks.logs import run_logger
from tasks.outputs.unfetched import FETCHED, describe_destination, is_marked, secure_outputs
from tasks.prefect.caching import WhileUnchanged, build_identity, keyed_afterwards, of_inputs
from tasks.sharding import try_each
from tasks.spec.naming import OUTPUTS, RunNames
from tasks.spec.ownership import Ownership, as_metadata, build_ownership, read_ownership
from tasks.spec.run_spec import RunOptions
from tasks.step import NOT_CACHED, RETRIED

# In a container's metadata: what tells it from others of its name, made before or after it. Its ETag doesn't,
# as that changes with the metadata.
STAMP = "stamp"


# Not cached: it asks whether the account answers now.
@task(name="check storage", task_run_name="check storage", **NOT_CACHED, retries=0)
def check_storage(names: RunNames, timeout_seconds: float) -> bool:
    """Ask the storage account whether the run's containers exist, and whether it lets URLs be signed: the
    first calls of a run to it.

    An endpoint that answers nobody is told soon, as `choose_image` does; so are signatures that will not last
    for a run with this timeout.
    """
    with first_call():
        is_there = blobs.find_container(names.input_container) is not None
        if problem := why_too_short(make_signer(timeout_seconds), timeout_seconds):
            run_logger().warning("%s", problem)
        return is_there


def _identify(names: RunNames, spec: RunOptions, output_folder: Path | None = None) -> str | None:
    """The stamps of the run's containers; None unless all are there, will be for as long as the run, and say
    where the outputs go now."""
    wanted = build_ownership(names.key, spec.cleanup.containers, spec.timeout_seconds)
    told, stamps = _tell_containers(names, output_folder), []
    for container in names.containers:
        found = blobs.find_container(container)
        owned = found and read_ownership(found.metadata)
        if not found or not owned or not owned.is_good_for(wanted) or is_marked(found.metadata):
            return None
        if not told.get(container, {}).items() <= found.metadata.items():
            return None
        stamps.append(found.metadata.get(STAMP))
    return None if None in stamps else build_identity(*stamps)


@task(
    name="create containers",
    task_run_name="create containers",
    cache_policy=WhileUnchanged(
        look=_identify,
        made=lambda stamps, **_: build_identity(*stamps),
        work=of_inputs(
            lambda names, spec, output_folder: [names.containers, spec.cleanup.containers, str(output_folder)]
        ),
    ),
    result_serializer="json",
    **RETRIED,
)
@keyed_afterwards
def create_containers(names: RunNames, spec: RunOptions, output_folder: Path | None = None) -> list[str]:
    """Create the run's containers where they don't exist; the stamp of each.

    `output_folder` is where the outputs are to go: that of outputs says so, for who is to clean up.
    """
    owned = build_ownership(names.key, spec.cleanup.containers, spec.timeout_seconds)
    told = _tell_containers(names, output_folder)
    return [_create_container(container, owned, told.get(container, {})) for container in names.containers]


def _tell_containers(names: RunNames, output_folder: Path | None) -> dict[str, dict[str, str]]:
    """What containers say besides whose they are, by their names."""
    return {names.output_container: describe_destination(output_folder)}


def _create_container(container: str, owned: Ownership, told: Mapping[str, str]) -> str:
    """Create one container and say whose it is, or take the one that the run has made before; its stamp."""
    stamp = uuid4().hex
    if blobs.create_container(container, {**as_metadata(owned), **told, STAMP: stamp}):
        return stamp
    return _extend(container, owned, told, stamp)


def _extend(container: str, owned: Ownership, told: Mapping[str, str], stamp: str) -> str:
    """Let the run's own container expire later; its stamp, which is the given one if it has none. Raises
    RefusedError for one that is not the run's."""
    found = blobs.find_container(container)
    if found is None:
        raise BusyError(f"The container {container} is being deleted: its name will be free soon.")
    if _find_run_key(found) != owned.run_key:
        raise RefusedError(
            f"The container {container} exists, and was not made for the run {owned.run_key}. "
            f"Choose another run_key."
        )
    metadata = {STAMP: stamp, **found.metadata, **as_metadata(owned), **told}
    # There may be more to fetch from now on.
    metadata.pop(FETCHED, None)
    blobs.set_container_metadata(container, metadata)
    return metadata[STAMP]


def _find_run_key(container: blobs.Container) -> str | None:
    """The key of the run that made a container; None for one that no run made."""
    owned = read_ownership(container.metadata)
    return owned and owned.run_key


# Not cached: what was deleted once may have been made again.
@task(name="delete containers", task_run_name="delete containers", **NOT_CACHED, **RETRIED)
def delete_containers(names: RunNames) -> int:
    """Delete the run's containers with all in them, once its outputs have been fetched; how many there were.

    Raises OutputsLeftError if that of the outputs has to stay for some.
    """
    # What can't be deleted (a lease, a policy, a right that is missing) keeps no other.
    return sum(try_each(lambda container: _delete_own(container, names.key), names.containers))


def _delete_own(container: str, run_key: str) -> bool:
    """Delete one container; False if there is none, or it is not the run's."""
    found = blobs.find_container(container)
    if found is None or _find_run_key(found) != run_key:
        return False
    return delete_container(found)


def delete_container(
    container: blobs.Container, unmodified_since: datetime | None = None, is_forced: bool = False
) -> bool:
    """Delete a container of a run with all in it; False if it is gone, or was changed since that time.

    Raises OutputsLeftError if an output lies there alone and can't be fetched, unless it is `is_forced`.
    """
    try:
        if container.name.startswith(OUTPUTS):
            secure_outputs(container)
    except OutputsLeftError as error:
        if not is_forced:
            raise
        run_logger().warning("Deleted all the same: %s", error)
    return blobs.delete_container(container.name, unmodified_since)
