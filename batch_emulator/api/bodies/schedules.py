"""Job schedules: Add, Patch, Update."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict

from batch_emulator.api.bodies.base import Body
from batch_emulator.api.bodies.common import Metadata
from batch_emulator.api.bodies.jobs import JobSpecification
from batch_emulator.api.bodies.scalars import DisplayName, Id, Time, duration

_LEAST_INTERVAL = "PT1M"


class Schedule(Body):
    do_not_run_until: Time | None = None
    do_not_run_after: Time | None = None
    start_window: Annotated[str, duration(_LEAST_INTERVAL)] | None = None
    recurrence_interval: Annotated[str, duration(_LEAST_INTERVAL)] | None = None


class JobScheduleAdd(Body):
    """The body of Add Job Schedule."""

    id: Id
    display_name: DisplayName | None = None
    schedule: Schedule
    job_specification: JobSpecification
    metadata: Metadata = None

    def to_wire(self) -> dict[str, Any]:
        return super().to_wire() | {"jobSpecification": self.job_specification.to_wire()}


class JobScheduleReplace(Body):
    """The body of Update Job Schedule; what is not in it is removed."""

    model_config = ConfigDict(extra="ignore")

    schedule: Schedule
    job_specification: JobSpecification
    metadata: Metadata = None

    def to_wire(self) -> dict[str, Any]:
        return super().to_wire() | {"jobSpecification": self.job_specification.to_wire()}


class JobSchedulePatch(Body):
    """The body of Patch Job Schedule: only what is to change, each nested object whole."""

    schedule: Schedule | None = None
    job_specification: JobSpecification | None = None
    metadata: Metadata = None

    def to_wire(self) -> dict[str, Any]:
        wire = super().to_wire()
        if self.job_specification is not None:
            wire["jobSpecification"] = self.job_specification.to_wire()
        return wire
