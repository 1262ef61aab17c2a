"""A pool's inbound NAT pools, with the limits that their properties' descriptions give; nothing listens here.

Source: REST documentation of Add Pool, `inboundNATPools` and `networkSecurityGroupRules`. Which code and
wording a broken limit has is inferred; that it is HTTP 400 is not.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from batch_emulator.api.bodies.base import Body
from batch_emulator.api.bodies.scalars import Choice, NonEmpty, Number, within
from batch_emulator.errors import invalid_property

_MOST_NAT_POOLS = 5
_MOST_RULES = 25
_FEWEST_FRONTEND_PORTS = 40
_LAST_PORT = 65535
#: Of the service itself: node ports, and frontend ports.
_RESERVED_BACKEND_PORTS = frozenset({29876, 29877})
_RESERVED_FRONTEND_PORTS = (50000, 55000)
#: Of every node until API version 2024-07-01.20.0, for remote login.
_LOGIN_PORTS = frozenset({22, 3389})

_NAME = r"^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$"
_PORTS = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")

Name = Annotated[str, StringConstraints(min_length=1, max_length=77)]
FrontendPort = Annotated[Number, within(1, _LAST_PORT - 1)]


def _check_source_ports(values: list[str]) -> list[str]:
    """`*`, ports and ranges of ports, of which no two have one in common."""
    taken: list[tuple[int, int]] = []
    for value in values:
        first, last = _read_ports(value)
        if any(first <= end and start <= last for start, end in taken):
            raise ValueError(f"The source port range {value} overlaps another one")
        taken.append((first, last))
    return values


def _read_ports(value: str) -> tuple[int, int]:
    if value == "*":
        return 0, _LAST_PORT
    found = _PORTS.fullmatch(value)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
    if not first <= last <= _LAST_PORT:
        raise ValueError("A source port range is *, a port, or a range of ports up to 65535, such as 100-200")
    return first, last


class NetworkSecurityGroupRule(Body):
    priority: Annotated[Number, within(150, 4096)]
    access: Choice[Literal["allow", "deny"]]
    source_address_prefix: NonEmpty
    source_port_ranges: Annotated[list[str], AfterValidator(_check_source_ports)] = Field(
        default_factory=lambda: ["*"]
    )


class InboundNatPool(Body):
    name: Name
    protocol: Choice[Literal["tcp", "udp"]]
    backend_port: Annotated[Number, within(1, _LAST_PORT)]
    frontend_port_range_start: FrontendPort
    frontend_port_range_end: FrontendPort
    network_security_group_rules: list[NetworkSecurityGroupRule] | None = None

    @model_validator(mode="after")
    def check_ports(self) -> InboundNatPool:
        if not re.fullmatch(_NAME, self.name):
            reason = "The value must begin with a letter or digit and end with one or an underscore"
            raise invalid_property("name", self.name, reason)
        if self.backend_port in _RESERVED_BACKEND_PORTS:
            raise invalid_property("backendPort", self.backend_port, "The port is reserved")
        self._check_frontend_ports()
        return self

    def _check_frontend_ports(self) -> None:
        first, last = self.frontend_port_range_start, self.frontend_port_range_end
        if first > last:
            reason = "The start of the frontend port range must not be after its end"
            raise invalid_property("frontendPortRangeStart", first, reason)
        low, high = _RESERVED_FRONTEND_PORTS
        if first <= high and low <= last:
            reason = f"The frontend ports from {low} to {high} are reserved"
            raise invalid_property("frontendPortRangeStart", first, reason)
        if last - first + 1 < _FEWEST_FRONTEND_PORTS:
            reason = f"The frontend port range must have at least {_FEWEST_FRONTEND_PORTS} ports"
            raise invalid_property("frontendPortRangeEnd", last, reason)


class PoolEndpointConfiguration(Body):
    inbound_nat_pools: Annotated[list[InboundNatPool], Field(max_length=_MOST_NAT_POOLS)] = Field(
        alias="inboundNATPools"
    )

    @model_validator(mode="after")
    def check_together(self) -> PoolEndpointConfiguration:
        """What the pools of one pool may not have in common, and how many rules they may have together."""
        pools = self.inbound_nat_pools
        rules = [rule for pool in pools for rule in pool.network_security_group_rules or ()]
        if len(rules) > _MOST_RULES:
            reason = f"A pool must not have more than {_MOST_RULES} network security group rules"
            raise invalid_property("networkSecurityGroupRules", len(rules), reason)
        _check_distinct("name", (pool.name for pool in pools))
        _check_distinct("backendPort", (pool.backend_port for pool in pools))
        _check_distinct("priority", (rule.priority for rule in rules))
        _check_ranges(pools)
        return self


def _check_distinct(name: str, values: Iterable[Any]) -> None:
    seen: set[Any] = set()
    for value in values:
        if value in seen:
            raise invalid_property(name, value, "The value must be unique within a pool")
        seen.add(value)


def _check_ranges(pools: list[InboundNatPool]) -> None:
    ranges = sorted((pool.frontend_port_range_start, pool.frontend_port_range_end) for pool in pools)
    for (_, end), (start, _) in itertools.pairwise(ranges):
        if start <= end:
            raise invalid_property("frontendPortRangeStart", start, "The frontend port ranges overlap")


def refuse_login_ports(pool: dict[str, Any]) -> None:
    """400 for backend ports that every node had for remote login in older API versions."""
    endpoints = pool.get("networkConfiguration", {}).get("endpointConfiguration", {})
    for each in endpoints.get("inboundNATPools", ()):
        if each["backendPort"] in _LOGIN_PORTS:
            raise invalid_property("backendPort", each["backendPort"], "The port is reserved")
