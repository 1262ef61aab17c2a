"""Compute nodes: reboot, reimage, deallocate, scheduling, users, log upload."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from batch_emulator.api.bodies.base import Body
from batch_emulator.api.bodies.common import IdentityReference
from batch_emulator.api.bodies.scalars import (
    Bool,
    Choice,
    DeallocationOption,
    NonEmpty,
    Time,
    refusable,
    up_to,
)


class NodeReboot(Body):
    node_reboot_option: DeallocationOption = "requeue"


class NodeReimage(Body):
    node_reimage_option: DeallocationOption = "requeue"


class NodeDeallocate(Body):
    node_deallocate_option: DeallocationOption = "requeue"


class NodeDisableScheduling(Body):
    node_disable_scheduling_option: Choice[Literal["requeue", "terminate", "taskcompletion"]] = "requeue"


class NodeUserAdd(Body):
    """The body of Add User; the password is checked and forgotten."""

    name: Annotated[str, up_to(20)]
    is_admin: Bool = False
    expiry_time: Time | None = None
    password: Annotated[str | None, Field(exclude=True)] = None
    ssh_public_key: str | None = None


class NodeUserReplace(Body):
    """The body of Update User; the password is checked and forgotten."""

    password: Annotated[str | None, Field(exclude=True)] = None
    expiry_time: Time | None = None
    ssh_public_key: str | None = None


class LogUpload(Body):
    """The body of Upload Batch Service Logs."""

    container_url: NonEmpty
    start_time: Time
    end_time: Time | None = None
    identity_reference: Annotated[IdentityReference | None, refusable("identityReference")] = None
