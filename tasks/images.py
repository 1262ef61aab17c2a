"""The nodes' operating system, chosen from the images that Azure Batch has verified."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone

from azure.batch.models import BatchSupportedImage
from prefect import task

from tasks.azure.clients import batch_client
from tasks.base.deadlines import first_call
from tasks.errors import PoolError
from tasks.spec.specs import ImageSpec
from tasks.step import NOT_CACHED

SUGGESTIONS = 8
# The capability of an image that has a container runtime.
CONTAINERS = "DockerCompatible"


@dataclass(frozen=True)
class Image:
    """A marketplace image and the Batch node agent that goes with it."""

    publisher: str
    offer: str
    sku: str
    version: str
    node_agent_sku_id: str


# Not cached: images are withdrawn, and it shows whether the account answers now.
@task(name="choose image", task_run_name="choose image", **NOT_CACHED, retries=0)
def choose_image(spec: ImageSpec, for_containers: bool = False) -> Image:
    """Find the image among those that the account may use; the first call of a run to Azure Batch.

    An endpoint that answers nobody is mostly a wrong one, and is told soon.
    """
    with first_call(), batch_client("Listing the supported images") as client:
        return pick_image(client.list_supported_images(), spec, datetime.now(timezone.utc), for_containers)


def pick_image(
    images: Iterable[BatchSupportedImage], spec: ImageSpec, now: datetime, for_containers: bool = False
) -> Image:
    """The verified, still supported image that a spec names, with Docker on it if it is for containers.

    Raises PoolError naming the alternatives.
    """
    usable = [image for image in images if _is_usable(image, now)]
    if for_containers:
        usable = [image for image in usable if CONTAINERS in (image.capabilities or [])]
    for image in usable:
        publisher, offer, sku = found = _read_names(image)
        if [part.lower() for part in found] == [
            part.lower() for part in (spec.publisher, spec.offer, spec.sku)
        ]:
            version = image.image_reference.version or "latest"
            return Image(publisher, offer, sku, version, image.node_agent_sku_id)
    what = "verified image for container tasks" if for_containers else "verified image"
    raise PoolError(
        f"The account offers no {what} {spec.publisher} {spec.offer} {spec.sku}. "
        f"There are: {', '.join(_suggest_images(usable, spec)) or 'none'}."
    )


def _is_usable(image: BatchSupportedImage, now: datetime) -> bool:
    ends_at = image.batch_support_end_of_life
    return image.verification_type.lower() == "verified" and (ends_at is None or ends_at > now)


def _suggest_images(images: Iterable[BatchSupportedImage], spec: ImageSpec) -> list[str]:
    """A few images to choose from, those of the same publisher first."""
    names = [_read_names(image) for image in images]
    names.sort(key=lambda found: (found[0].lower() != spec.publisher.lower(), found[1]))
    return [" ".join(found) for found in names[:SUGGESTIONS]]


def _read_names(image: BatchSupportedImage) -> tuple[str, str, str]:
    """Publisher, offer and SKU, which a reference to an image of one's own would not have."""
    found = image.image_reference
    return found.publisher or "", found.offer or "", found.sku or ""
