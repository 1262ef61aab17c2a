"""The marketplace images that the account offers, and those that it offered once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from batch_emulator.catalogue.offers import (
    DOCKER,
    OFFERED_SINCE_2024,
    RETIRED_OFFERS,
    SUPPORTED_OFFERS,
    Offer,
)


def _images(offers: Iterable[Offer]) -> list[dict[str, Any]]:
    """In the order of the service: by publisher, offer and SKU."""
    found = (_image(offer, sku) for offer in offers for sku in offer.skus.split())
    return sorted(found, key=lambda image: _name(image["imageReference"]))


def _image(offer: Offer, sku: str) -> dict[str, Any]:
    reference = {"publisher": offer.publisher, "offer": offer.offer, "sku": sku, "version": "latest"}
    found: dict[str, Any] = {
        "imageReference": reference,
        "verificationType": "verified" if offer.verified else "unverified",
        "nodeAgentSKUId": f"batch.node.{offer.agent}",
    }
    if offer.capabilities:
        found["capabilities"] = list(offer.capabilities)
    if offer.end:
        found["batchSupportEndOfLife"] = offer.end
    return found | {"osType": "windows" if offer.agent.startswith("windows") else "linux"}


def _name(reference: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(reference.get(part, "")).lower() for part in ("publisher", "offer", "sku"))


SUPPORTED_IMAGES = _images(SUPPORTED_OFFERS)
"""What List Supported Images answers. Read them, never change them."""

FORMER_IMAGES = _images((*SUPPORTED_OFFERS, *RETIRED_OFFERS))
"""The same with what has been retired since: for API versions that still get those."""

OLDEST_IMAGES = [each for each in FORMER_IMAGES if each["imageReference"]["offer"] not in OFFERED_SINCE_2024]
"""The same for API versions before 2024-07."""

_KNOWN = {_name(image["imageReference"]): image for image in FORMER_IMAGES}


def node_agents() -> list[dict[str, Any]]:
    """The node agents of the oldest images in order of their ids, each with the images verified with it."""
    verified = [image for image in OLDEST_IMAGES if image["verificationType"] == "verified"]
    return [
        {
            "id": agent,
            "verifiedImageReferences": [each["imageReference"] for each in verified if _has(each, agent)],
            "osType": "windows" if "windows" in agent else "linux",
        }
        for agent in sorted({image["nodeAgentSKUId"] for image in verified})
    ]


def _has(image: dict[str, Any], agent: str) -> bool:
    return image["nodeAgentSKUId"] == agent


def find_image(reference: dict[str, Any]) -> dict[str, Any] | None:
    """The image of a publisher, offer and sku (case does not matter), retired ones too, or None."""
    return _KNOWN.get(_name(reference))


def has_old_agent(pool: dict[str, Any]) -> bool:
    """Whether the nodes of a pool's specification have an image that ended before 2024: such pools speak
    `classic` still in recordings of July 2025, others of the same days `simplified`. Inferred from those."""
    image = find_image(pool.get("virtualMachineConfiguration", {}).get("imageReference", {}))
    return image is not None and image.get("batchSupportEndOfLife", "9999") < "2024"


def runs_windows(pool: dict[str, Any]) -> bool:
    """Whether the nodes of a pool's specification have Windows, by their node agent; cloud services do."""
    machine = pool.get("virtualMachineConfiguration")
    agent = machine.get("nodeAgentSKUId") if isinstance(machine, dict) else None
    is_windows = isinstance(agent, str) and "windows" in agent.lower()
    return is_windows or bool(pool.get("cloudServiceConfiguration"))


def runs_containers(image: dict[str, Any]) -> bool:
    """Whether the nodes of a pool with this image can run container tasks."""
    return DOCKER in image.get("capabilities", ())


def is_retired(image: dict[str, Any]) -> bool:
    """Whether the service has taken an image off its list."""
    return "batchSupportEndOfLife" in image
