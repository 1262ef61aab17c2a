"""Pools: Add, Patch, Replace Properties, Resize, Remove Nodes, autoscale."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from batch_emulator.api.bodies.accounts import UserAccount, check_system
from batch_emulator.api.bodies.base import Body, missing_property
from batch_emulator.api.bodies.common import (
    DEFAULT_USER,
    ApplicationPackages,
    Container,
    EnvironmentSettings,
    Metadata,
    MetadataItem,
    ResourceFiles,
    UserIdentity,
)
from batch_emulator.api.bodies.machines import (
    CloudServiceConfiguration,
    UpgradePolicy,
    VirtualMachineConfiguration,
)
from batch_emulator.api.bodies.networks import Mounts, NetworkConfiguration
from batch_emulator.api.bodies.scalars import (
    Bool,
    Choice,
    CommandLine,
    Count,
    DeallocationOption,
    DisplayName,
    Id,
    Lower,
    NonEmpty,
    Number,
    Retries,
    duration,
    up_to,
    within,
)
from batch_emulator.catalogue.images import runs_windows
from batch_emulator.errors import BatchError, invalid_property

ResizeTimeout = Annotated[str, duration("PT5M")]
EvaluationInterval = Annotated[str, duration("PT5M", "P7D")]
NodeCommunicationMode = Choice[Literal["default", "classic", "simplified"]]
TaskSlots = Annotated[Number, within(1, 256)]

_TARGET_DEFAULTS = {"targetDedicatedNodes": 0, "targetLowPriorityNodes": 0}
_FORMULA_DEFAULTS = {"autoScaleEvaluationInterval": "PT15M"}

_MAX_FORMULA_CHARACTERS = 8192
_MAX_NODES_REMOVED = 100


class StartTask(Body):
    command_line: CommandLine
    container_settings: Container = None
    resource_files: ResourceFiles = None
    environment_settings: EnvironmentSettings = None
    user_identity: UserIdentity = DEFAULT_USER
    max_task_retry_count: Retries = 0
    wait_for_success: Bool = True


class TaskSchedulingPolicy(Body):
    node_fill_type: Choice[Literal["Spread", "Pack"]] = "Spread"
    job_default_order: Choice[Literal["none", "creationtime"]] = "none"


class CertificateReference(Body):
    thumbprint: Annotated[Lower, Field(min_length=1)]
    thumbprint_algorithm: NonEmpty
    store_location: Choice[Literal["CurrentUser", "LocalMachine"]] | None = None
    store_name: str | None = None
    visibility: list[Choice[Literal["starttask", "task", "remoteuser"]]] | None = None


_IN_USERS_STORE = {
    "storeLocation": "CurrentUser",
    "storeName": "My",
    "visibility": ["starttask", "task", "remoteuser"],
}


class PoolSpecification(Body):
    """What Add Pool and an auto pool have in common."""

    display_name: DisplayName | None = None
    vm_size: Annotated[Lower, Field(min_length=1)]
    task_slots_per_node: TaskSlots = 1
    task_scheduling_policy: TaskSchedulingPolicy = TaskSchedulingPolicy()
    resize_timeout: ResizeTimeout = "PT15M"
    target_dedicated_nodes: Count | None = None
    target_low_priority_nodes: Count | None = None
    enable_auto_scale: Bool = False
    auto_scale_formula: NonEmpty | None = None
    auto_scale_evaluation_interval: EvaluationInterval | None = None
    enable_inter_node_communication: Bool = False
    network_configuration: NetworkConfiguration | None = None
    start_task: StartTask | None = None
    certificate_references: list[CertificateReference] | None = None
    application_package_references: ApplicationPackages = None
    application_licenses: list[str] | None = None
    user_accounts: list[UserAccount] | None = None
    metadata: Metadata = None
    cloud_service_configuration: CloudServiceConfiguration | None = None
    virtual_machine_configuration: VirtualMachineConfiguration | None = None
    mount_configuration: Mounts | None = None
    target_node_communication_mode: NodeCommunicationMode | None = None
    upgrade_policy: UpgradePolicy | None = None
    resource_tags: dict[str, str] | None = None

    @model_validator(mode="before")
    @classmethod
    def fill_size(cls, value: Any) -> Any:
        """A pool has targets, or the interval at which its formula is evaluated."""
        if not isinstance(value, dict):
            return value
        given = {name: part for name, part in value.items() if part is not None}
        return (_FORMULA_DEFAULTS if is_true(given.get("enableAutoScale")) else _TARGET_DEFAULTS) | given

    @model_validator(mode="before")
    @classmethod
    def fill_for_system(cls, value: Any) -> Any:
        return fill_certificates(value, fill_accounts(value, value))

    @model_validator(mode="after")
    def check_machine(self) -> PoolSpecification:
        kinds = (self.virtual_machine_configuration, self.cloud_service_configuration)
        if kinds.count(None) == 2:
            raise missing_property("virtualMachineConfiguration")
        if None not in kinds:
            reason = "virtualMachineConfiguration and cloudServiceConfiguration are mutually exclusive"
            raise invalid_property("cloudServiceConfiguration", "cloudServiceConfiguration", reason)
        check_system(self.to_wire())
        return self

    @model_validator(mode="after")
    def check_size(self) -> PoolSpecification:
        """A pool is sized either by targets or by a formula."""
        if not self.enable_auto_scale:
            _refuse_unless_auto_scaled("autoScaleFormula", self.auto_scale_formula)
            _refuse_unless_auto_scaled("autoScaleEvaluationInterval", self.auto_scale_evaluation_interval)
            return self
        if self.auto_scale_formula is None:
            raise missing_property("autoScaleFormula")
        _check_formula(self.auto_scale_formula)
        _refuse_if_auto_scaled("targetDedicatedNodes", self.target_dedicated_nodes)
        _refuse_if_auto_scaled("targetLowPriorityNodes", self.target_low_priority_nodes)
        return self


class PoolAdd(PoolSpecification):
    """The body of Add Pool."""

    id: Id


class PoolPatch(Body):
    """The body of Patch Pool: only what is to change, each nested object whole."""

    display_name: DisplayName | None = None
    vm_size: Lower | None = None
    enable_inter_node_communication: Bool | None = None
    start_task: StartTask | None = None
    certificate_references: list[CertificateReference] | None = None
    application_package_references: ApplicationPackages = None
    metadata: Metadata = None
    virtual_machine_configuration: VirtualMachineConfiguration | None = None
    target_node_communication_mode: NodeCommunicationMode | None = None
    task_slots_per_node: TaskSlots | None = None
    task_scheduling_policy: TaskSchedulingPolicy | None = None
    network_configuration: NetworkConfiguration | None = None
    resource_tags: dict[str, str] | None = None
    user_accounts: list[UserAccount] | None = None
    mount_configuration: Mounts | None = None
    upgrade_policy: UpgradePolicy | None = None


class PoolReplace(Body):
    """The body of Replace Pool Properties; what is not in it, or is an empty list, the pool loses."""

    start_task: StartTask | None = None
    certificate_references: list[CertificateReference] | None = None
    application_package_references: ApplicationPackages
    metadata: list[MetadataItem]
    target_node_communication_mode: NodeCommunicationMode = "default"

    def to_wire(self) -> dict[str, Any]:
        """An empty list of certificates stays, as recorded."""
        wire = super().to_wire()
        return {name: value for name, value in wire.items() if value or name == "certificateReferences"}


class PoolResize(Body):
    """The body of Resize Pool."""

    target_dedicated_nodes: Count | None = None
    target_low_priority_nodes: Count | None = None
    resize_timeout: ResizeTimeout = "PT15M"
    node_deallocation_option: DeallocationOption = "requeue"

    @model_validator(mode="after")
    def check_targets(self) -> PoolResize:
        if self.target_dedicated_nodes is None and self.target_low_priority_nodes is None:
            raise missing_property("targetDedicatedNodes and/or targetLowPriorityNodes")
        return self


class NodeRemove(Body):
    """The body of Remove Nodes."""

    node_list: Annotated[list[Annotated[str, up_to(256)]], Field(min_length=1, max_length=_MAX_NODES_REMOVED)]
    resize_timeout: ResizeTimeout = "PT15M"
    node_deallocation_option: DeallocationOption = "requeue"


class AutoScaleEnable(Body):
    """The body of Enable Auto Scale; what is missing stays as the pool has it."""

    auto_scale_formula: NonEmpty | None = None
    auto_scale_evaluation_interval: EvaluationInterval | None = None

    @model_validator(mode="after")
    def check_length(self) -> AutoScaleEnable:
        _check_formula(self.auto_scale_formula or "")
        return self


class AutoScaleEvaluate(Body):
    """The body of Evaluate Auto Scale."""

    auto_scale_formula: NonEmpty

    @model_validator(mode="after")
    def check_length(self) -> AutoScaleEvaluate:
        _check_formula(self.auto_scale_formula)
        return self


def fill_accounts(pool: Any, body: Any) -> Any:
    """A body of that pool, whose accounts on Windows have what is usual there: one that does not say how to
    log in does so as the kind of pool has it, and what is said of Linux is ignored."""
    mode = _default_login_mode(pool) if isinstance(pool, dict) else None
    if mode is None or not isinstance(body.get("userAccounts"), list):
        return body
    accounts = [
        _fill_account(each, mode) if isinstance(each, dict) else each for each in body["userAccounts"]
    ]
    return body | {"userAccounts": accounts}


def fill_certificates(pool: Any, body: Any) -> Any:
    """A body of that pool, whose certificates on Windows go to the user's own store, and are seen by all,
    where they say nothing else."""
    named = body.get("certificateReferences") if isinstance(body, dict) else None
    if not isinstance(named, list) or _default_login_mode(pool) is None:
        return body
    filled = [_fill_certificate(each) if isinstance(each, dict) else each for each in named]
    return body | {"certificateReferences": filled}


def _fill_certificate(reference: dict[str, Any]) -> dict[str, Any]:
    first = {name: value for name, value in reference.items() if name not in _IN_USERS_STORE}
    return first | _IN_USERS_STORE | reference


def _fill_account(account: dict[str, Any], mode: str) -> dict[str, Any]:
    own = {name: value for name, value in account.items() if name != "linuxUserConfiguration"}
    return {"windowsUserConfiguration": {"loginMode": mode}} | own


def _default_login_mode(pool: dict[str, Any]) -> str | None:
    """How accounts log in on the nodes of a Windows pool; None for a Linux pool."""
    if pool.get("cloudServiceConfiguration"):
        return "interactive"
    return "batch" if runs_windows(pool) else None


def is_true(value: Any) -> bool:
    return value is True or (isinstance(value, str) and value.lower() == "true")


def _check_formula(formula: str) -> None:
    if len(formula) > _MAX_FORMULA_CHARACTERS:
        raise BatchError("AutoScalingFormulaTooLong")


def _refuse_unless_auto_scaled(name: str, value: Any) -> None:
    if value is not None:
        raise invalid_property(name, value, f"{name} must not be specified if enableAutoScale is false")


def _refuse_if_auto_scaled(name: str, value: Any) -> None:
    if value is not None:
        raise invalid_property(name, value, f"{name} must not be specified if enableAutoScale is true")
