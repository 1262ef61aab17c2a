"""A pool's user accounts, and what its properties must not say of the system that its nodes have.

Source: descriptions of the properties in the REST specification. Codes and wording are inferred.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from batch_emulator.api.bodies.base import Body, missing_property
from batch_emulator.api.bodies.scalars import Choice, ElevationLevel, Int, up_to
from batch_emulator.errors import invalid_combination, invalid_property
from batch_emulator.resources.model import Wire

Secret = Annotated[str | None, Field(exclude=True)]
RequiredSecret = Annotated[str, Field(exclude=True)]

#: As recorded.
_MISMATCH = (
    "The user configuration for user account '{}' has a mismatch with the OS (Windows/Linux) configuration "
    "specified in VirtualMachineConfiguration"
)


class LinuxUserConfiguration(Body):
    uid: Int | None = None
    gid: Int | None = None
    ssh_private_key: Secret = None

    @model_validator(mode="after")
    def check_both(self) -> LinuxUserConfiguration:
        if (self.uid is None) != (self.gid is None):
            raise missing_property("uid" if self.uid is None else "gid")
        return self


class WindowsUserConfiguration(Body):
    login_mode: Choice[Literal["batch", "interactive"]] | None = None


class UserAccount(Body):
    name: Annotated[str, up_to(20)]
    password: RequiredSecret
    elevation_level: ElevationLevel = "nonadmin"
    linux_user_configuration: LinuxUserConfiguration | None = None
    windows_user_configuration: WindowsUserConfiguration | None = None


def check_system(pool: Wire) -> None:
    """What is of Windows is not said of Linux; and a Windows that a pool upgrades does not update itself.
    `pool` is a new one, or an old one with its changes."""
    machine = pool.get("virtualMachineConfiguration")
    if machine is None:
        return
    if "windows" in machine["nodeAgentSKUId"].lower():
        _check_updates(machine, pool.get("upgradePolicy", {}))
        return
    if "windowsConfiguration" in machine:
        reason = "The property must not be specified for a Linux image"
        raise invalid_combination("windowsConfiguration", reason)
    for account in pool.get("userAccounts", ()):
        if "windowsUserConfiguration" in account:
            raise invalid_combination("windowsUserConfiguration", _MISMATCH.format(account["name"]))


def _check_updates(machine: Wire, upgrade: Wire) -> None:
    policy = upgrade.get("automaticOSUpgradePolicy", {})
    own = machine.get("windowsConfiguration", {})
    if policy.get("enableAutomaticOSUpgrade") and own.get("enableAutomaticUpdates"):
        reason = "The value must not be true if enableAutomaticOSUpgrade is true"
        raise invalid_property("enableAutomaticUpdates", "true", reason)
