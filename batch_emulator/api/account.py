"""Operations on the account: what it offers."""

from __future__ import annotations

from starlette.responses import Response

from batch_emulator.api.answers import json_answer
from batch_emulator.api.call import Call
from batch_emulator.api.fields import IMAGES
from batch_emulator.api.listing import list_page, read_filter, start_key
from batch_emulator.api.versions import FIRST_WITHOUT_RETIRED
from batch_emulator.catalogue.images import FORMER_IMAGES, SUPPORTED_IMAGES
from batch_emulator.errors import BatchError


def list_supported_images(call: Call) -> Response:
    images = SUPPORTED_IMAGES if call.version >= FIRST_WITHOUT_RETIRED else FORMER_IMAGES
    numbered = ((f"{number:06d}", image) for number, image in enumerate(images))
    after = start_key(call) or ""
    candidates = [each for each in numbered if each[0] > after]
    return list_page(call, "supportedimages", candidates, dict, read_filter(call, IMAGES))


def list_applications(call: Call) -> Response:
    """Applications are made in Azure Resource Manager, which is not here: the account has none."""
    return json_answer(call, "listapplicationsummariesresponses", {"value": []})


def get_application(call: Call) -> Response:
    raise BatchError("ApplicationNotFound")


ROUTES = [
    ("GET", "/supportedimages", list_supported_images),
    ("GET", "/applications", list_applications),
    ("GET", "/applications/{application}", get_application),
]
