"""The storage containers of a run: one for the application, one for inputs, one for outputs."""

from prefect import task

from tasks.azure import blobs
from tasks.errors import RefusedError, TemporaryError
from tasks.spec.naming import RunNames
from tasks.spec.ownership import Ownership, as_metadata, ownership, read_ownership
from tasks.spec.run_spec import RunOptions
from tasks.step import NOT_CACHED, RETRIED


@task(name="check storage", task_run_name="check storage", **NOT_CACHED, retries=0)
def check_storage(names: RunNames) -> bool:
    """Ask the storage account whether the run's containers exist: the first call of a run to it.

    The client's own retries must do, for the reason that `choose_image` gives.
    """
    return blobs.find_container(names.input_container) is not None


@task(name="create containers", task_run_name="create containers", **NOT_CACHED, **RETRIED)
def create_containers(names: RunNames, spec: RunOptions) -> bool:
    """Create the run's containers where they don't exist; whether the one for inputs is new, so empty."""
    owned = ownership(names.key, spec.cleanup.containers, spec.timeout_seconds)
    created = [_create_container(container, owned) for container in names.containers]
    return created[names.containers.index(names.input_container)]


def _create_container(container: str, owned: Ownership) -> bool:
    """Create one container and say whose it is; False if the run had made it before."""
    if blobs.create_container(container, as_metadata(owned)):
        return True
    _extend(container, owned)
    return False


def _extend(container: str, owned: Ownership) -> None:
    """Let the run's own container expire later. Raises RefusedError for one that is not the run's."""
    found = blobs.find_container(container)
    if found is None:
        raise TemporaryError(f"The container {container} is being deleted: its name will be free soon.")
    if _find_run_key(found) != owned.run_key:
        raise RefusedError(
            f"The container {container} exists, and was not made for the run {owned.run_key}. "
            f"Choose another run_key."
        )
    blobs.set_container_metadata(container, as_metadata(owned))


def _find_run_key(container: blobs.Container) -> str | None:
    """The key of the run that made a container; None for one that no run made."""
    owned = read_ownership(container.metadata)
    return owned and owned.run_key


@task(name="delete containers", task_run_name="delete containers", **NOT_CACHED, **RETRIED)
def delete_containers(names: RunNames) -> int:
    """Delete the run's containers with all in them; how many there were."""
    return sum(_delete_container(container, names.key) for container in names.containers)


def _delete_container(container: str, run_key: str) -> bool:
    """Delete one container; False if there is none, or it is not the run's."""
    found = blobs.find_container(container)
    return found is not None and _find_run_key(found) == run_key and blobs.delete_container(container)
