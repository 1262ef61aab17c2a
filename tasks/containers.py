"""The storage containers of a run: one for the application, one for inputs, one for outputs."""

from typing import Any
from uuid import uuid4

from prefect import task

from tasks.azure import blobs
from tasks.caching import WhileUnchanged, build_identity, keyed_afterwards, of_inputs
from tasks.errors import RefusedError, TemporaryError
from tasks.spec.naming import RunNames
from tasks.spec.ownership import Ownership, as_metadata, build_ownership, read_ownership
from tasks.spec.run_spec import RunOptions
from tasks.step import NOT_CACHED, RETRIED

# In a container's metadata: what tells it from others of its name, made before or after it. Its ETag doesn't,
# as that changes with the metadata.
STAMP = "stamp"


# Not cached: it asks whether the account answers now.
@task(name="check storage", task_run_name="check storage", **NOT_CACHED, retries=0)
def check_storage(names: RunNames) -> bool:
    """Ask the storage account whether the run's containers exist: the first call of a run to it.

    The client's own retries must do, for the reason that `choose_image` gives.
    """
    return blobs.find_container(names.input_container) is not None


def _identify(names: RunNames, spec: RunOptions, **_: Any) -> str | None:
    """The stamps of the run's containers; None unless all are there, and will be for as long as the run."""
    wanted = build_ownership(names.key, spec.cleanup.containers, spec.timeout_seconds)
    stamps = []
    for container in names.containers:
        found = blobs.find_container(container)
        owned = found and read_ownership(found.metadata)
        if not found or not owned or not owned.is_good_for(wanted):
            return None
        stamps.append(found.metadata.get(STAMP))
    return None if None in stamps else build_identity(*stamps)


@task(
    name="create containers",
    task_run_name="create containers",
    cache_policy=WhileUnchanged(
        look=_identify,
        made=lambda stamps, **_: build_identity(*stamps),
        work=of_inputs(lambda names, spec, **_: [names.containers, spec.cleanup.containers]),
    ),
    result_serializer="json",
    **RETRIED,
)
@keyed_afterwards
def create_containers(names: RunNames, spec: RunOptions) -> list[str]:
    """Create the run's containers where they don't exist; the stamp of each."""
    owned = build_ownership(names.key, spec.cleanup.containers, spec.timeout_seconds)
    return [_create_container(container, owned) for container in names.containers]


def _create_container(container: str, owned: Ownership) -> str:
    """Create one container and say whose it is, or take the one that the run has made before; its stamp."""
    stamp = uuid4().hex
    if blobs.create_container(container, {**as_metadata(owned), STAMP: stamp}):
        return stamp
    return _extend(container, owned, stamp)


def _extend(container: str, owned: Ownership, stamp: str) -> str:
    """Let the run's own container expire later; its stamp, which is the given one if it has none. Raises
    RefusedError for one that is not the run's."""
    found = blobs.find_container(container)
    if found is None:
        raise TemporaryError(f"The container {container} is being deleted: its name will be free soon.")
    if _find_run_key(found) != owned.run_key:
        raise RefusedError(
            f"The container {container} exists, and was not made for the run {owned.run_key}. "
            f"Choose another run_key."
        )
    metadata = {STAMP: stamp, **found.metadata, **as_metadata(owned)}
    blobs.set_container_metadata(container, metadata)
    return metadata[STAMP]


def _find_run_key(container: blobs.Container) -> str | None:
    """The key of the run that made a container; None for one that no run made."""
    owned = read_ownership(container.metadata)
    return owned and owned.run_key


# Not cached: what was deleted once may have been made again.
@task(name="delete containers", task_run_name="delete containers", **NOT_CACHED, **RETRIED)
def delete_containers(names: RunNames) -> int:
    """Delete the run's containers with all in them; how many there were."""
    return sum(_delete_container(container, names.key) for container in names.containers)


def _delete_container(container: str, run_key: str) -> bool:
    """Delete one container; False if there is none, or it is not the run's."""
    found = blobs.find_container(container)
    return found is not None and _find_run_key(found) == run_key and blobs.delete_container(container)
