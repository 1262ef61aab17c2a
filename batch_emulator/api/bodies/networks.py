"""A pool's network, mounts and user accounts: checked, kept and returned; nothing is done with them here."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from batch_emulator.api.bodies.base import Body, missing_property
from batch_emulator.api.bodies.common import IdentityReference
from batch_emulator.api.bodies.scalars import (
    Bool,
    Choice,
    ElevationLevel,
    Int,
    NonEmpty,
    Number,
    up_to,
    within,
)
from batch_emulator.errors import invalid_property

VNetScope = Choice[Literal["none", "job"]]
Port = Annotated[Number, within(1, 65535)]
Secret = Annotated[str | None, Field(exclude=True)]
RequiredSecret = Annotated[str, Field(exclude=True)]


class NetworkSecurityGroupRule(Body):
    priority: Annotated[Number, within(150, 4096)]
    access: Choice[Literal["allow", "deny"]]
    source_address_prefix: NonEmpty
    source_port_ranges: list[str] = Field(default_factory=lambda: ["*"])


class InboundNatPool(Body):
    name: Annotated[str, up_to(77)]
    protocol: Choice[Literal["tcp", "udp"]]
    backend_port: Port
    frontend_port_range_start: Port
    frontend_port_range_end: Port
    network_security_group_rules: list[NetworkSecurityGroupRule] | None = None

    @model_validator(mode="after")
    def check_range(self) -> InboundNatPool:
        if self.frontend_port_range_start > self.frontend_port_range_end:
            reason = "The start of the frontend port range must not be after its end"
            raise invalid_property("frontendPortRangeStart", self.frontend_port_range_start, reason)
        return self


class PoolEndpointConfiguration(Body):
    inbound_nat_pools: list[InboundNatPool] = Field(alias="inboundNATPools")


class IpTag(Body):
    ip_tag_type: str | None = None
    tag: str | None = None


IpFamilies = Annotated[list[Choice[Literal["IPv4", "IPv6"]]], AfterValidator(sorted)]


class PublicIpAddressConfiguration(Body):
    provision: Choice[Literal["BatchManaged", "UserManaged", "NoPublicIPAddresses"]] | None = None
    ip_families: IpFamilies | None = None
    ip_address_ids: list[str] | None = None
    ip_tags: list[IpTag] | None = None


class NetworkConfiguration(Body):
    subnet_id: str | None = None
    dynamic_vnet_assignment_scope: Choice[Literal["none", "job"]] = Field(
        "none", alias="dynamicVNetAssignmentScope"
    )
    endpoint_configuration: PoolEndpointConfiguration | None = None
    public_ip_address_configuration: PublicIpAddressConfiguration | None = Field(
        None, alias="publicIPAddressConfiguration"
    )
    enable_accelerated_networking: Bool = False


class LinuxUserConfiguration(Body):
    uid: Int | None = None
    gid: Int | None = None
    ssh_private_key: Secret = None


class WindowsUserConfiguration(Body):
    login_mode: Choice[Literal["batch", "interactive"]] | None = None


class UserAccount(Body):
    name: Annotated[str, up_to(20)]
    password: RequiredSecret
    elevation_level: ElevationLevel = "nonadmin"
    linux_user_configuration: LinuxUserConfiguration | None = None
    windows_user_configuration: WindowsUserConfiguration | None = None


class AzureBlobFileSystem(Body):
    account_name: NonEmpty
    container_name: NonEmpty
    account_key: Secret = None
    sas_key: Secret = None
    blobfuse_options: str | None = None
    relative_mount_path: NonEmpty
    identity_reference: IdentityReference | None = None


class NfsMount(Body):
    source: NonEmpty
    relative_mount_path: NonEmpty
    mount_options: str | None = None


class CifsMount(Body):
    username: NonEmpty
    source: NonEmpty
    relative_mount_path: NonEmpty
    mount_options: str | None = None
    password: RequiredSecret


class AzureFileShare(Body):
    account_name: NonEmpty
    azure_file_url: NonEmpty
    account_key: RequiredSecret
    relative_mount_path: NonEmpty
    mount_options: str | None = None


class MountConfiguration(Body):
    """Exactly one kind of file system."""

    azure_blob_file_system_configuration: AzureBlobFileSystem | None = None
    nfs_mount_configuration: NfsMount | None = None
    cifs_mount_configuration: CifsMount | None = None
    azure_file_share_configuration: AzureFileShare | None = None

    @model_validator(mode="after")
    def check_one(self) -> MountConfiguration:
        kinds = [name for name, value in self if value is not None]
        if not kinds:
            raise missing_property("azureBlobFileSystemConfiguration")
        if len(kinds) > 1:
            reason = "The kinds of file system are mutually exclusive; specify exactly one of them"
            raise invalid_property("mountConfiguration", ", ".join(kinds), reason)
        return self
