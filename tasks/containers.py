"""The storage containers of a run: one for the application, one for inputs, one for outputs."""

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobServiceClient

from tasks.azure_errors import code_of
from tasks.clients import blob_service
from tasks.naming import MADE_BY, RunNames
from tasks.policies import step


@step("check storage", retries=0)
def check_storage(names: RunNames) -> bool:
    """Ask the storage account whether the run's containers exist: the first call of a run to it.

    The client's own retries must do, for the reason that `choose_image` gives.
    """
    with blob_service("Looking for the run's containers") as service:
        return service.get_container_client(names.input_container).exists()


@step("create containers")
def create_containers(names: RunNames) -> bool:
    """Create the run's containers where they don't exist; whether the one for inputs is new, so empty."""
    with blob_service("Creating the containers") as service:
        created = [create_container(service, container, names.key) for container in names.containers]
    return created[names.containers.index(names.input_container)]


def create_container(service: BlobServiceClient, container: str, run_key: str) -> bool:
    """Create one container and say whose it is; False if it was there."""
    try:
        service.create_container(container, metadata={"made_by": MADE_BY, "run_key": run_key})
    except ResourceExistsError as error:
        if code_of(error) != "ContainerAlreadyExists":
            raise
        return False
    return True


@step("delete containers")
def delete_containers(names: RunNames) -> int:
    """Delete the run's containers with all in them; how many there were."""
    with blob_service("Deleting the containers") as service:
        return sum(delete_container(service, container) for container in names.containers)


def delete_container(service: BlobServiceClient, container: str) -> bool:
    try:
        service.delete_container(container)
    except (ResourceNotFoundError, ResourceExistsError) as error:
        if code_of(error) not in ("ContainerNotFound", "ContainerBeingDeleted"):
            raise
        return False
    return True
