"""Operations on the account: what it offers."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from batch_emulator.api.answers import json_answer
from batch_emulator.api.call import Call
from batch_emulator.api.fields import IMAGES, NODE_AGENTS
from batch_emulator.api.listing import list_page, read_filter, start_key
from batch_emulator.api.versions import FIRST_WITHOUT_RETIRED
from batch_emulator.catalogue.images import FORMER_IMAGES, OLDEST_IMAGES, SUPPORTED_IMAGES, node_agents
from batch_emulator.errors import BatchError

_FIRST_WITH_IMAGES = "2019-06"
_FIRST_WITH_ALMALINUX_HPC = "2024-07-01.20.0"


def list_supported_images(call: Call) -> Response:
    numbered = ((f"{number:06d}", image) for number, image in enumerate(_images(call.version)))
    after = start_key(call) or ""
    candidates = [each for each in numbered if each[0] > after]
    return list_page(call, "supportedimages", candidates, dict, read_filter(call, IMAGES))


def _images(version: str) -> list[dict[str, Any]]:
    if version >= FIRST_WITHOUT_RETIRED:
        return SUPPORTED_IMAGES
    return FORMER_IMAGES if version >= _FIRST_WITH_ALMALINUX_HPC else OLDEST_IMAGES


def list_node_agents(call: Call) -> Response:
    """The verified images of each node agent, which versions before 2019-06 had in place of the images."""
    call.require_before(_FIRST_WITH_IMAGES)
    after = start_key(call) or ""
    candidates = [(agent["id"], agent) for agent in node_agents() if agent["id"] > after]
    return list_page(call, "nodeagentskus", candidates, dict, read_filter(call, NODE_AGENTS))


def list_applications(call: Call) -> Response:
    """Applications are made in Azure Resource Manager, which is not here: the account has none."""
    return json_answer(call, "listapplicationsummariesresponses", {"value": []})


def get_application(call: Call) -> Response:
    raise BatchError("ApplicationNotFound")


ROUTES = [
    ("GET", "/supportedimages", list_supported_images),
    ("GET", "/nodeagentskus", list_node_agents),
    ("GET", "/applications", list_applications),
    ("GET", "/applications/{application}", get_application),
]
