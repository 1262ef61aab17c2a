"""Faults that can be asked for: rules that say what goes wrong, where and how often.

In Python the names of a rule are spelled as here, in JSON as on the wire: `retry_after_seconds`,
`retryAfterSeconds`. `injector` decides by them; docs/emulator.md shows their use.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.alias_generators import to_camel

from batch_emulator.catalogue.error_codes import CATALOGUE
from batch_emulator.catalogue.operations import OPERATIONS
from batch_emulator.resources.transitions import FaultEvent

Rate = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0)]
PoolIds = tuple[str, ...]

RESIZE_ERRORS: dict[str, str] = {
    "AccountCoreQuotaReached": "The specified account has reached core quota",
    "AccountLowPriorityCoreQuotaReached": "The specified account has reached low-priority core quota",
    "AccountSpotCoreQuotaReached": "The specified account has reached spot core quota",
    "AccountVMSeriesCoreQuotaReached": "The specified account has reached VM series core quota",
    "AllocationFailed": "Desired number of {kind} nodes could not be allocated",
    "AllocationTimedout": (
        "Desired number of {kind} nodes could not be allocated as the resize timeout was reached"
    ),
    "CommunicationEnabledPoolReachedMaxVMCount": (
        "The pool has reached the largest number of nodes with inter-node communication"
    ),
    "RemoveNodesFailed": "One or more nodes could not be removed from the pool",
    "ResizeStopped": "Desired number of {kind} nodes could not be allocated due to a stop resize operation",
    "Unknown": "An unknown error has occurred",
    "UnsupportedVMSize": "The specified VM size is not supported",
}
"""Code of a resize error -> message; `{kind}` is `dedicated` or `low priority`.

Sources: `PoolResizeErrorCodes` of the .NET client; examples of the REST documentation; articles "Azure Batch
pool resizing failure" and "Check for pool and node errors"; recorded traffic.
"""


class Rule(BaseModel):
    """What all rules have in common: how often, of all the occasions that they are for, they strike.

    The first `skip` occasions pass; of the others each is struck with probability `rate`, at most `times`
    (None: always again).
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)

    rate: Rate = 1.0
    skip: Annotated[int, Field(ge=0)] = 0
    times: Annotated[int, Field(ge=1)] | None = None


class RequestFault(Rule):
    """A request of one of these operations (by default of any) is delayed, refused or left without an answer.

    `operations` are method names of the official client (`create_task_collection`). A refusal has an error
    `code` of the service, which brings its status, or a bare `status` without a body, as of a gateway.
    `drop` closes the connection without an answer, `before` or `after` the request has been carried out.
    """

    operations: tuple[str, ...] = ()
    latency_seconds: Seconds = 0
    code: str | None = None
    status: Annotated[int, Field(ge=400, le=599)] | None = None
    retry_after_seconds: Annotated[int, Field(ge=0)] | None = None
    drop: Literal["before", "after"] | None = None

    @field_validator("operations")
    @classmethod
    def check_operations(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := set(names) - set(OPERATIONS.values()):
            raise ValueError(f"the official client has no {', '.join(sorted(unknown))}")
        return names

    @field_validator("code")
    @classmethod
    def check_code(cls, code: str | None) -> str | None:
        if code is not None and code not in CATALOGUE:
            raise ValueError(f"the service has no error code {code}")
        return code

    @model_validator(mode="after")
    def check_effect(self) -> RequestFault:
        if not (self.code or self.status or self.drop or self.latency_seconds):
            raise ValueError("a request fault needs a code, a status, drop or latencySeconds")
        return self

    @property
    def ends_request(self) -> bool:
        """Whether the request gets no answer of its own."""
        return bool(self.code or self.status or self.drop)


class NodeFault(Rule):
    """Something happens to a node `after_seconds` of service time after each of its boots.

    `preempt`: a Spot node is taken away, and replaced later (`Settings.node_replacement_seconds`). `lose`:
    contact is lost, state unknown. `break`: the node is unusable, with `errors` where they are known.
    A node that was lost or broke comes back, starting anew, after `recover_seconds`, unless that is None.
    """

    event: FaultEvent
    pool_ids: PoolIds = ()
    after_seconds: Seconds = 0
    recover_seconds: Seconds | None = None
    errors: tuple[dict[str, Any], ...] = ()


class StartTaskFault(Rule):
    """A start task fails with this exit code, whatever its command made of it."""

    pool_ids: PoolIds = ()
    exit_code: int = 1


class AllocationFault(Rule):
    """A resize gets at most `nodes` of the nodes that it asks for, and ends with this resize error.

    AllocationTimedout comes when the pool's resizeTimeout is over, the others at once. RemoveNodesFailed is
    for resizes that take nodes away: at most `nodes` go. `reason` is told in the error's values.
    """

    code: str = "AllocationFailed"
    pool_ids: PoolIds = ()
    dedicated: bool | None = None
    nodes: Annotated[int, Field(ge=0)] = 0
    reason: str | None = None

    @field_validator("code")
    @classmethod
    def check_code(cls, code: str) -> str:
        if code not in RESIZE_ERRORS:
            raise ValueError(f"the service has no resize error {code}; it has {', '.join(RESIZE_ERRORS)}")
        return code


class DiskFault(Rule):
    """The disk of the node that a Batch task comes to is full, or takes `bytes_per_second` of resource files.

    On a full disk the task fails with DiskFull before its command, and its node becomes unusable.
    """

    pool_ids: PoolIds = ()
    full: bool = False
    bytes_per_second: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def check_effect(self) -> DiskFault:
        if self.full == (self.bytes_per_second is not None):
            raise ValueError("a disk is either full or has bytesPerSecond")
        return self


class Faults(BaseModel):
    """All rules of one service. With the same `seed` a rule strikes the same occasions each time."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)

    seed: int = 0
    requests: tuple[RequestFault, ...] = ()
    nodes: tuple[NodeFault, ...] = ()
    start_tasks: tuple[StartTaskFault, ...] = ()
    allocations: tuple[AllocationFault, ...] = ()
    disks: tuple[DiskFault, ...] = ()


KINDS = tuple(name for name in Faults.model_fields if name != "seed")
"""What rules can be for: the fields of `Faults` that hold them."""
