"""The storage containers of a run: one for the application, one for inputs, one for outputs."""

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobServiceClient, ContainerClient

from tasks.azure.azure_errors import code_of
from tasks.azure.clients import blob_service
from tasks.errors import RefusedError
from tasks.spec.naming import RunNames
from tasks.spec.ownership import Ownership, as_metadata, ownership, read_ownership
from tasks.spec.run_spec import RunOptions
from tasks.step import step


@step("check storage", retries=0)
def check_storage(names: RunNames) -> bool:
    """Ask the storage account whether the run's containers exist: the first call of a run to it.

    The client's own retries must do, for the reason that `choose_image` gives.
    """
    with blob_service("Looking for the run's containers") as service:
        return service.get_container_client(names.input_container).exists()


@step("create containers")
def create_containers(names: RunNames, spec: RunOptions) -> bool:
    """Create the run's containers where they don't exist; whether the one for inputs is new, so empty."""
    owned = ownership(names.key, spec.cleanup.containers, spec.timeout_seconds)
    with blob_service("Creating the containers") as service:
        created = [create_container(service, container, owned) for container in names.containers]
    return created[names.containers.index(names.input_container)]


def create_container(service: BlobServiceClient, container: str, owned: Ownership) -> bool:
    """Create one container and say whose it is; False if the run had made it before."""
    try:
        service.create_container(container, metadata=as_metadata(owned))
    except ResourceExistsError as error:
        if code_of(error) != "ContainerAlreadyExists":
            raise
        extend(service.get_container_client(container), owned)
        return False
    return True


def extend(container: ContainerClient, owned: Ownership) -> None:
    """Let the run's own container expire later. Raises RefusedError for one that is not the run's."""
    if owner_of(container) != owned.run_key:
        raise RefusedError(
            f"The container {container.container_name} exists, and was not made for the run "
            f"{owned.run_key}. Choose another run_key."
        )
    container.set_container_metadata(as_metadata(owned))


def owner_of(container: ContainerClient) -> str | None:
    """The key of the run that made a container; None for one that no run made."""
    owned = read_ownership(container.get_container_properties().metadata)
    return owned and owned.run_key


@step("delete containers")
def delete_containers(names: RunNames) -> int:
    """Delete the run's containers with all in them; how many there were."""
    with blob_service("Deleting the containers") as service:
        return sum(delete_container(service, container, names.key) for container in names.containers)


def delete_container(service: BlobServiceClient, container: str, run_key: str) -> bool:
    """Delete one container; False if there is none, or it is not the run's."""
    try:
        if owner_of(service.get_container_client(container)) != run_key:
            return False
        service.delete_container(container)
    except (ResourceNotFoundError, ResourceExistsError) as error:
        if code_of(error) not in ("ContainerNotFound", "ContainerBeingDeleted"):
            raise
        return False
    return True
