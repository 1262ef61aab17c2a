"""Jobs: Add, Patch, Update, Disable, Terminate; and the job's own tasks."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from batch_emulator.api.bodies.base import Body, missing_property
from batch_emulator.api.bodies.common import (
    DEFAULT_USER,
    ApplicationPackages,
    AuthenticationToken,
    Container,
    EnvironmentSettings,
    Metadata,
    OutputFiles,
    RequiredSlots,
    ResourceFiles,
    UserIdentity,
)
from batch_emulator.api.bodies.pools import PoolSpecification
from batch_emulator.api.bodies.scalars import (
    Bool,
    Choice,
    CommandLine,
    DisplayName,
    Id,
    Limit,
    NonEmpty,
    Number,
    Retries,
    duration,
    up_to,
    within,
)
from batch_emulator.api.bodies.tasks import TaskConstraints
from batch_emulator.durations import UNLIMITED
from batch_emulator.errors import invalid_property


def _check_parallel_tasks(value: int) -> int:
    if value == 0:
        raise ValueError("The value must be -1 or greater than 0")
    return value


Priority = Annotated[Number, within(-1000, 1000)]
ParallelTasks = Annotated[Number, within(-1), AfterValidator(_check_parallel_tasks)]
OnAllTasksComplete = Choice[Literal["noaction", "terminatejob"]]
OnTaskFailure = Choice[Literal["noaction", "performexitoptionsjobaction"]]


class JobConstraints(Body):
    max_wall_clock_time: Limit = UNLIMITED
    max_task_retry_count: Retries = 0


class JobNetworkConfiguration(Body):
    subnet_id: NonEmpty
    skip_withdraw_from_vnet: Bool | None = Field(None, alias="skipWithdrawFromVNet")


class JobManagerTask(Body):
    id: Id
    display_name: DisplayName | None = None
    command_line: CommandLine
    container_settings: Container = None
    resource_files: ResourceFiles = None
    output_files: OutputFiles = None
    environment_settings: EnvironmentSettings = None
    constraints: TaskConstraints = TaskConstraints()
    required_slots: RequiredSlots = 1
    user_identity: UserIdentity = DEFAULT_USER
    run_exclusive: Bool = True
    application_package_references: ApplicationPackages = None
    authentication_token_settings: AuthenticationToken = None
    allow_low_priority_node: Bool = True
    kill_job_on_completion: Bool = True


class JobPreparationTask(Body):
    id: Id = "jobpreparation"
    command_line: CommandLine
    container_settings: Container = None
    resource_files: ResourceFiles = None
    environment_settings: EnvironmentSettings = None
    constraints: TaskConstraints = TaskConstraints.model_validate({"maxTaskRetryCount": 0})
    user_identity: UserIdentity = DEFAULT_USER
    wait_for_success: Bool = True
    rerun_on_node_reboot_after_success: Bool = True


class JobReleaseTask(Body):
    id: Id = "jobrelease"
    command_line: CommandLine
    container_settings: Container = None
    resource_files: ResourceFiles = None
    environment_settings: EnvironmentSettings = None
    max_wall_clock_time: Annotated[str, duration(greatest="PT15M")] = "PT15M"
    retention_time: Limit = "P7D"
    user_identity: UserIdentity = DEFAULT_USER


class AutoPoolSpecification(Body):
    auto_pool_id_prefix: Annotated[str, up_to(20)] | None = None
    pool_lifetime_option: Choice[Literal["jobschedule", "job"]]
    keep_alive: Bool = False
    pool: PoolSpecification | None = None


class PoolInformation(Body):
    """Exactly one of a pool's id and an auto pool's specification."""

    pool_id: Id | None = None
    auto_pool_specification: AutoPoolSpecification | None = None

    @model_validator(mode="after")
    def check_one(self) -> PoolInformation:
        if self.pool_id is None and self.auto_pool_specification is None:
            raise missing_property("poolId")
        if self.pool_id is not None and self.auto_pool_specification is not None:
            reason = "poolId and autoPoolSpecification are mutually exclusive; specify exactly one of them"
            raise invalid_property("poolInfo", self.pool_id, reason)
        return self


class JobSpecification(Body):
    """What Add Job and a job schedule's job have in common."""

    display_name: DisplayName | None = None
    priority: Priority = 0
    max_parallel_tasks: ParallelTasks = -1
    allow_task_preemption: Bool = False
    uses_task_dependencies: Bool = False
    on_all_tasks_complete: OnAllTasksComplete = "noaction"
    on_task_failure: OnTaskFailure = "noaction"
    constraints: JobConstraints = JobConstraints()
    job_manager_task: JobManagerTask | None = None
    job_preparation_task: JobPreparationTask | None = None
    job_release_task: JobReleaseTask | None = None
    common_environment_settings: EnvironmentSettings = None
    pool_info: PoolInformation
    network_configuration: JobNetworkConfiguration | None = None
    metadata: Metadata = None

    @model_validator(mode="after")
    def check_release(self) -> JobSpecification:
        if self.job_release_task is not None and self.job_preparation_task is None:
            raise missing_property("jobPreparationTask")
        return self

    def to_wire(self) -> dict[str, Any]:
        """The job's JSON with all defaults; its manager task takes the job's retries where it names none."""
        wire = super().to_wire()
        if manager := wire.get("jobManagerTask"):
            manager["constraints"].setdefault("maxTaskRetryCount", self.constraints.max_task_retry_count)
        if preparation := wire.get("jobPreparationTask"):
            preparation["constraints"].setdefault("maxTaskRetryCount", 0)
        return wire


class JobAdd(JobSpecification):
    """The body of Add Job."""

    id: Id


class JobReplace(Body):
    """The body of Update Job; what is not in it goes back to its default."""

    model_config = ConfigDict(extra="ignore")

    priority: Priority = 0
    max_parallel_tasks: ParallelTasks = -1
    allow_task_preemption: Bool = False
    constraints: JobConstraints = JobConstraints()
    pool_info: PoolInformation
    on_all_tasks_complete: OnAllTasksComplete = "noaction"
    metadata: Metadata = None
    network_configuration: JobNetworkConfiguration | None = None


class JobPatch(Body):
    """The body of Patch Job: only what is to change, each nested object whole."""

    priority: Priority | None = None
    max_parallel_tasks: ParallelTasks | None = None
    allow_task_preemption: Bool | None = None
    constraints: JobConstraints | None = None
    pool_info: PoolInformation | None = None
    on_all_tasks_complete: OnAllTasksComplete | None = None
    metadata: Metadata = None
    network_configuration: JobNetworkConfiguration | None = None


class JobDisable(Body):
    disable_tasks: Choice[Literal["requeue", "terminate", "wait"]]


class JobTerminate(Body):
    terminate_reason: str | None = None
