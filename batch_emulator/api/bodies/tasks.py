"""Tasks: Add Task, Add Task Collection, Update Task."""

from __future__ import annotations

import functools
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, model_validator

from batch_emulator.api.bodies.base import Body, invalid_body, missing_property, parse_json
from batch_emulator.api.bodies.common import (
    DEFAULT_IDENTITY,
    ApplicationPackages,
    AuthenticationToken,
    Container,
    EnvironmentSettings,
    OutputFiles,
    RequiredSlots,
    ResourceFiles,
    UserIdentity,
)
from batch_emulator.api.bodies.scalars import (
    Choice,
    CommandLine,
    Count,
    DisplayName,
    Id,
    Int,
    Limit,
    NonEmpty,
    Number,
    Retries,
    within,
)
from batch_emulator.durations import UNLIMITED
from batch_emulator.errors import BatchError, invalid_property

_DEFAULT_RETENTION = "P7D"

_MAX_TASKS = 100
_MAX_DEPENDENCY_CHARACTERS = 64_000


class TaskConstraints(Body):
    """`max_task_retry_count` is the job's where the task names none."""

    max_wall_clock_time: Limit = UNLIMITED
    retention_time: Limit = _DEFAULT_RETENTION
    max_task_retry_count: Retries | None = None


class ExitOptions(Body):
    job_action: Choice[Literal["none", "disable", "terminate"]] | None = None
    dependency_action: Choice[Literal["satisfy", "block"]] | None = None


class ExitCode(Body):
    code: Int
    exit_options: ExitOptions


class ExitCodeRange(Body):
    start: Int
    end: Int
    exit_options: ExitOptions


class ExitConditions(Body):
    exit_codes: list[ExitCode] | None = None
    exit_code_ranges: list[ExitCodeRange] | None = None
    pre_processing_error: ExitOptions | None = None
    file_upload_error: ExitOptions | None = None
    default: ExitOptions | None = None


class AffinityInformation(Body):
    affinity_id: NonEmpty


class TaskIdRange(Body):
    start: Count
    end: Count

    @model_validator(mode="after")
    def check_order(self) -> TaskIdRange:
        if self.start > self.end:
            raise invalid_property(
                "taskIdRanges", self.start, "The start of a range must not be after its end"
            )
        return self


class TaskDependencies(Body):
    task_ids: list[Id] | None = None
    task_id_ranges: list[TaskIdRange] | None = None

    @model_validator(mode="after")
    def check_length(self) -> TaskDependencies:
        if sum(map(len, self.task_ids or ())) > _MAX_DEPENDENCY_CHARACTERS:
            raise BatchError("TaskDependencyListTooLong")
        return self


class MultiInstanceSettings(Body):
    number_of_instances: Annotated[Number, within(1)] = 1
    coordination_command_line: CommandLine
    common_resource_files: ResourceFiles = None


class TaskAdd(Body):
    """The body of Add Task, and of each task in Add Task Collection."""

    id: Id
    display_name: DisplayName | None = None
    command_line: CommandLine
    container_settings: Container = None
    exit_conditions: ExitConditions | None = None
    resource_files: ResourceFiles = None
    output_files: OutputFiles = None
    environment_settings: EnvironmentSettings = None
    affinity_info: AffinityInformation | None = None
    constraints: TaskConstraints | None = None
    required_slots: RequiredSlots = 1
    user_identity: UserIdentity | None = None
    multi_instance_settings: MultiInstanceSettings | None = None
    depends_on: TaskDependencies | None = None
    application_package_references: ApplicationPackages = None
    authentication_token_settings: AuthenticationToken = None

    @model_validator(mode="after")
    def check_slots(self) -> TaskAdd:
        if self.multi_instance_settings is not None and self.required_slots != 1:
            reason = "The value must be 1 for a multi-instance task"
            raise invalid_property("requiredSlots", self.required_slots, reason)
        return self

    def to_wire(self, job_retries: int | None = None) -> dict[str, Any]:
        """The task's JSON with all defaults.

        `job_retries` is the job's `maxTaskRetryCount`; without it that default is left out. Default parts are
        one object shared by all tasks, which saves half the memory of a task: read them, never change them.
        """
        wire = super().to_wire()
        wire.setdefault("userIdentity", DEFAULT_IDENTITY)
        _complete_constraints(wire, job_retries)
        return wire


class TaskReplace(Body):
    """The body of Update Task; what clients send back of a task beside `constraints` is passed over."""

    model_config = ConfigDict(extra="ignore")

    constraints: TaskConstraints | None = None

    def to_wire(self, job_retries: int | None = None) -> dict[str, Any]:
        """`constraints` with all defaults, which is what an update without them puts back."""
        wire = super().to_wire()
        _complete_constraints(wire, job_retries)
        return wire


def _complete_constraints(wire: dict[str, Any], job_retries: int | None) -> None:
    constraints = wire.get("constraints")
    if constraints is None:
        wire["constraints"] = _default_constraints(job_retries)
    elif job_retries is not None:
        constraints.setdefault("maxTaskRetryCount", job_retries)


@functools.lru_cache(maxsize=64)
def _default_constraints(retries: int | None) -> dict[str, Any]:
    """The constraints of a task that names none. Shared: read them, never change them."""
    return TaskConstraints.model_validate({"maxTaskRetryCount": retries}).to_wire()


def parse_collection(raw: bytes) -> list[dict[str, Any]]:
    """The tasks in the body of Add Task Collection, unread: each is answered for by itself."""
    body = parse_json(raw)
    if not isinstance(body, dict) or not isinstance(body.get("value", []), list):
        raise invalid_body("A JSON object with a list named 'value' was expected.")
    if "value" not in body:
        raise missing_property("value")
    entries = body["value"]
    if not all(isinstance(entry, dict) for entry in entries):
        raise invalid_body("Every item of the list named 'value' must be a JSON object.")
    if len(entries) > _MAX_TASKS:
        reason = f"The number of tasks in a collection must not be greater than {_MAX_TASKS}"
        raise invalid_property("value", len(entries), reason)
    return entries


def check_exit_conditions(task: dict[str, Any], job: dict[str, Any]) -> None:
    """400 where a task's exit conditions ask for what its job has not switched on.

    Both are as `to_wire` gives them. Source: the REST documentation of Add Task, `exitConditions`.
    """
    conditions = task.get("exitConditions")
    for options in exit_options(conditions) if conditions else ():
        if "jobAction" in options and job.get("onTaskFailure", "noaction") == "noaction":
            reason = "The job's onTaskFailure is noaction: set it to performexitoptionsjobaction"
            raise invalid_property("jobAction", options["jobAction"], reason)
        if "dependencyAction" in options and not job.get("usesTaskDependencies"):
            reason = "The job's usesTaskDependencies is false: set it to true"
            raise invalid_property("dependencyAction", options["dependencyAction"], reason)


def exit_options(conditions: dict[str, Any]) -> list[dict[str, Any]]:
    listed = [*conditions.get("exitCodes", ()), *conditions.get("exitCodeRanges", ())]
    single = [conditions.get(name) for name in ("preProcessingError", "fileUploadError", "default")]
    return [*(item["exitOptions"] for item in listed), *filter(None, single)]
