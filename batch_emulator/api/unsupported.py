"""Operations of the service that are not here: each is refused by name."""

from __future__ import annotations

from starlette.responses import Response

from batch_emulator.api.call import Call
from batch_emulator.errors import BatchError

_OPERATIONS = (
    ("GET", "/pools/{pool}/nodes/{node}/extensions"),
    ("GET", "/pools/{pool}/nodes/{node}/extensions/{extension}"),
    ("POST", "/pools/{pool}/nodes/{node}/uploadbatchservicelogs"),
)


def refuse(call: Call) -> Response:
    """501 that names the operation."""
    raise BatchError(
        "NotImplemented", ("Reason", f"The local Batch service has no {call.method} {call.path}")
    )


ROUTES = [(method, path, refuse) for method, path in _OPERATIONS]
