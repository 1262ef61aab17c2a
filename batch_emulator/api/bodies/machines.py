"""A pool's machines: image, disks, extensions, security, upgrades; checked, kept and returned."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from batch_emulator.api.bodies.base import Body, missing_property
from batch_emulator.api.bodies.common import ContainerRegistry
from batch_emulator.api.bodies.scalars import Bool, Choice, KeptDuration, NonEmpty, Number, within
from batch_emulator.errors import BatchError, invalid_property

StorageAccountType = Choice[Literal["standard_lrs", "premium_lrs", "standardssd_lrs"]]
SecurityEncryptionType = Choice[Literal["DiskWithVMGuestState", "NonPersistedTPM", "VMGuestStateOnly"]]
Caching = Choice[Literal["none", "readonly", "readwrite"]]
OsDiskCaching = Choice[Literal["None", "ReadOnly", "ReadWrite"]]
"""As the service writes it of an operating system's disk, where of a data disk it writes small letters."""

_DEFAULT_STORAGE = "standard_lrs"

_IMAGE_FORMATS = (
    "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}/providers/Microsoft.Compute/"
    "images/{imageName}",
    "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}/providers/Microsoft.Compute/"
    "galleries/{galleryName}/images/{galleryImageName}/versions/{galleryImageVersionName}",
    "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}/providers/Microsoft.Compute/"
    "galleries/{galleryName}/images/{galleryImageName}",
)

_IMAGE_ID = re.compile(
    r"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.Compute/"
    r"(images/[^/]+|galleries/[^/]+/images/[^/]+(/versions/[^/]+)?)",
    re.IGNORECASE,
)

_MANAGED_IMAGE = re.compile(r"/providers/Microsoft\.Compute/images/", re.IGNORECASE)


class ImageReference(Body):
    """An image of the marketplace (publisher, offer, sku) or one's own (a resource id)."""

    publisher: NonEmpty | None = None
    offer: NonEmpty | None = None
    sku: NonEmpty | None = None
    version: str | None = None
    virtual_machine_image_id: NonEmpty | None = None
    exact_version: str | None = None
    shared_gallery_image_id: NonEmpty | None = None
    community_gallery_image_id: NonEmpty | None = None

    @model_validator(mode="before")
    @classmethod
    def fill_version(cls, value: Any) -> Any:
        """A marketplace image that names no version is the latest."""
        if isinstance(value, dict) and value.get("publisher") and not value.get("version"):
            return {**value, "version": "latest"}
        return value

    @model_validator(mode="after")
    def check_source(self) -> ImageReference:
        if self.virtual_machine_image_id is not None:
            _check_image_id(self.virtual_machine_image_id)
        elif self.shared_gallery_image_id is None and self.community_gallery_image_id is None:
            for name in ("publisher", "offer", "sku"):
                if getattr(self, name) is None:
                    raise missing_property(name)
        return self


def _check_image_id(image_id: str) -> None:
    if not _IMAGE_ID.fullmatch(image_id):
        raise _wrong_format(image_id, f"{', '.join(_IMAGE_FORMATS[:-1])}, or {_IMAGE_FORMATS[-1]}")


def refuse_managed_image(image_id: str) -> None:
    """400 for a managed image: they take a Microsoft Entra token, which a request with a key lacks."""
    if _MANAGED_IMAGE.search(image_id):
        raise _wrong_format(image_id, " or ".join(_IMAGE_FORMATS[1:]))


def _wrong_format(image_id: str, formats: str) -> BatchError:
    reason = f"The specified resource id must be of the format {formats}"
    return invalid_property("virtualMachineImageId", image_id, reason)


class WindowsConfiguration(Body):
    enable_automatic_updates: Bool | None = None


class DiskEncryptionSet(Body):
    id: str | None = None


class DiskSecurityProfile(Body):
    security_encryption_type: (
        Choice[Literal["DiskWithVMGuestState", "NonPersistedTPM", "VMGuestStateOnly"]] | None
    ) = None


class ManagedDisk(Body):
    storage_account_type: StorageAccountType = _DEFAULT_STORAGE
    security_profile: DiskSecurityProfile | None = None
    disk_encryption_set: DiskEncryptionSet | None = None


class DataDisk(Body):
    """`storageAccountType` is of API versions before 2025-06-01, `managedDisk` of those since. Both are
    kept, so that a client of either sees the kind of its disks."""

    lun: Annotated[Number, within(0, 63)]
    caching: Caching = "none"
    disk_size_gb: Annotated[Number, within(1)] = Field(alias="diskSizeGB")
    storage_account_type: StorageAccountType = _DEFAULT_STORAGE
    managed_disk: ManagedDisk = ManagedDisk()

    @model_validator(mode="before")
    @classmethod
    def fill_type(cls, value: Any) -> Any:
        """Either of the two says it for the other."""
        if not isinstance(value, dict):
            return value
        managed = value.get("managedDisk") or {}
        kind = managed.get("storageAccountType") if isinstance(managed, dict) else None
        kind = kind or value.get("storageAccountType") or _DEFAULT_STORAGE
        whole = {"storageAccountType": kind, **managed} if isinstance(managed, dict) else managed
        return {**value, "storageAccountType": kind, "managedDisk": whole}


class ContainerConfiguration(Body):
    type: Choice[Literal["dockerCompatible", "criCompatible"]]
    container_image_names: list[str] | None = None
    container_registries: list[ContainerRegistry] | None = None


class DiskCustomerManagedKey(Body):
    key_url: str | None = None
    rotation_to_latest_key_version_enabled: Bool | None = None
    identity_reference: dict[str, Any] | None = None


class DiskEncryptionConfiguration(Body):
    targets: list[Choice[Literal["osdisk", "temporarydisk"]]] | None = None
    customer_managed_key: DiskCustomerManagedKey | None = None

    @model_validator(mode="after")
    def check_key(self) -> DiskEncryptionConfiguration:
        """A pool gets its identity from Azure Resource Manager only, so that no pool made here has one."""
        if self.customer_managed_key is not None:
            reason = "Pool Identity is required when using CustomerManagedKey."
            raise invalid_property("identity", None, reason)
        return self


class NodePlacementConfiguration(Body):
    policy: Choice[Literal["Regional", "Zonal"]] | None = None


class VmExtension(Body):
    name: NonEmpty
    publisher: NonEmpty
    type: NonEmpty
    type_handler_version: str | None = None
    auto_upgrade_minor_version: Bool | None = None
    enable_automatic_upgrade: Bool | None = None
    settings: dict[str, Any] | None = None
    protected_settings: Annotated[dict[str, Any] | None, Field(exclude=True)] = None
    provision_after_extensions: list[str] | None = None


class DiffDiskSettings(Body):
    placement: Choice[Literal["cachedisk"]] | None = None


class OsDisk(Body):
    ephemeral_os_disk_settings: DiffDiskSettings = Field(DiffDiskSettings(), alias="ephemeralOSDiskSettings")
    managed_disk: ManagedDisk = ManagedDisk()
    disk_size_gb: Annotated[Number, within(1)] | None = Field(None, alias="diskSizeGB")
    write_accelerator_enabled: Bool | None = None
    caching: OsDiskCaching = "None"


class UefiSettings(Body):
    secure_boot_enabled: Bool | None = None
    v_tpm_enabled: Bool | None = None


class HostEndpointSettings(Body):
    access_control_profile: str | None = Field(None, alias="inVMAccessControlProfileReferenceId")
    mode: Choice[Literal["Audit", "Enforce"]] | None = None


class ProxyAgentSettings(Body):
    enabled: Bool | None = None
    imds: HostEndpointSettings | None = None
    wire_server: HostEndpointSettings | None = None


class SecurityProfile(Body):
    security_type: Choice[Literal["trustedlaunch", "confidentialvm"]] | None = None
    encryption_at_host: Bool | None = None
    uefi_settings: UefiSettings | None = None
    proxy_agent_settings: ProxyAgentSettings | None = None


class ServiceArtifactReference(Body):
    id: NonEmpty


class VirtualMachineConfiguration(Body):
    image_reference: ImageReference
    os_disk: OsDisk | None = None
    node_agent_sku_id: NonEmpty = Field(alias="nodeAgentSKUId")
    windows_configuration: WindowsConfiguration | None = None
    data_disks: list[DataDisk] | None = None
    license_type: str | None = None
    container_configuration: ContainerConfiguration | None = None
    disk_encryption_configuration: DiskEncryptionConfiguration | None = None
    node_placement_configuration: NodePlacementConfiguration | None = None
    extensions: list[VmExtension] | None = None
    security_profile: SecurityProfile | None = None
    service_artifact_reference: ServiceArtifactReference | None = None

    @model_validator(mode="after")
    def check_disks(self) -> VirtualMachineConfiguration:
        numbers = [disk.lun for disk in self.data_disks or ()]
        twice = next((each for each in numbers if numbers.count(each) > 1), None)
        if twice is not None:
            raise invalid_property("lun", twice, "Each data disk must have a distinct logical unit number")
        return self


class CloudServiceConfiguration(Body):
    os_family: NonEmpty
    os_version: str = "*"


class AutomaticOsUpgradePolicy(Body):
    disable_automatic_rollback: Bool | None = None
    enable_automatic_os_upgrade: Bool | None = Field(None, alias="enableAutomaticOSUpgrade")
    use_rolling_upgrade_policy: Bool | None = None
    os_rolling_upgrade_deferral: Bool | None = None


class RollingUpgradePolicy(Body):
    enable_cross_zone_upgrade: Bool | None = None
    max_batch_instance_percent: Annotated[Number, within(5, 100)] | None = None
    max_unhealthy_instance_percent: Annotated[Number, within(5, 100)] | None = None
    max_unhealthy_upgraded_instance_percent: Annotated[Number, within(0, 100)] | None = None
    pause_time_between_batches: KeptDuration | None = None
    prioritize_unhealthy_instances: Bool | None = None
    rollback_failed_instances_on_policy_breach: Bool | None = None


class UpgradePolicy(Body):
    mode: Choice[Literal["automatic", "manual", "rolling"]]
    automatic_os_upgrade_policy: AutomaticOsUpgradePolicy | None = Field(
        None, alias="automaticOSUpgradePolicy"
    )
    rolling_upgrade_policy: RollingUpgradePolicy | None = None
