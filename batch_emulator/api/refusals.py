"""What the service would do and this one does not: refused by name, rather than accepted and not honoured.

To lift a refusal, build the thing and delete its row.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from batch_emulator.errors import BatchError, not_supported

REFUSALS: dict[str, str] = {
    "containerSettings": "tasks run as processes of this machine, unless the service was started otherwise",
    "identityReference": "files are read and written with a SAS, there are no managed identities",
}
"""Property of a request body -> why it is refused."""


def allowed_by(containers: str) -> frozenset[str]:
    """What `Settings.containers` has taken nevertheless."""
    return frozenset() if containers == "refuse" else frozenset({"containerSettings"})


def check_supported(name: str, value: Any, allowed: frozenset[str]) -> Any:
    """`value`, unless it asks for what is refused: then 400 UnsupportedProperty with the reason."""
    if value and name in REFUSALS and name not in allowed:
        raise not_supported(name, REFUSALS[name])
    return value


def check_packages(application_ids: Iterable[str]) -> None:
    """409 InvalidApplicationPackageReferences naming each: the account has no application packages."""
    missing = [(name, "The specified application package does not exist.") for name in application_ids]
    if missing:
        raise BatchError("InvalidApplicationPackageReferences", *missing)
