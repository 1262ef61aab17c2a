"""Request bodies in tests: what the service keeps of one, or how it refuses it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from batch_emulator.api.bodies import Body, parse_body
from batch_emulator.errors import BatchError

IDENTITY = {"autoUser": {"scope": "pool", "elevationLevel": "nonadmin"}}
TASK = {"id": "t", "commandLine": "true"}
IMAGE = {"publisher": "Canonical", "offer": "UbuntuServer", "sku": "18.04-LTS"}
MACHINE = {"imageReference": IMAGE, "nodeAgentSKUId": "batch.node.ubuntu 18.04"}
POOL = {"id": "p", "vmSize": "STANDARD_D2_V2", "virtualMachineConfiguration": MACHINE}
JOB = {"id": "j", "poolInfo": {"poolId": "p"}}


def kept(model: type[Body], body: Any) -> dict[str, Any]:
    """What the service keeps of a body; `body` is JSON or, as bytes, what may not be."""
    return parse_body(model, body if isinstance(body, bytes) else json.dumps(body).encode()).to_wire()


def refused(model: type[Body], body: Any) -> tuple[str, dict[str, str]]:
    """The code and the values with which the service refuses a body."""
    with pytest.raises(BatchError) as caught:
        kept(model, body)
    return caught.value.code, dict(caught.value.values)
