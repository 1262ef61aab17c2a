"""A pool's network, and how its nodes mount: checked, kept and returned; nothing is done with them here."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic.alias_generators import to_camel

from batch_emulator.api.bodies.base import Body, missing_property
from batch_emulator.api.bodies.common import IdentityReference
from batch_emulator.api.bodies.endpoints import PoolEndpointConfiguration
from batch_emulator.api.bodies.scalars import (
    Bool,
    Choice,
    NonEmpty,
)
from batch_emulator.errors import invalid_property

VNetScope = Choice[Literal["none", "job"]]
Secret = Annotated[str | None, Field(exclude=True)]
RequiredSecret = Annotated[str, Field(exclude=True)]


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

    @model_validator(mode="after")
    def check_address(self) -> NetworkConfiguration:
        address = self.public_ip_address_configuration
        if self.endpoint_configuration and address and address.provision == "NoPublicIPAddresses":
            reason = "The property must not be specified if provision is NoPublicIPAddresses"
            raise invalid_property("endpointConfiguration", None, reason)
        return self


class AzureBlobFileSystem(Body):
    account_name: NonEmpty
    container_name: NonEmpty
    account_key: Secret = None
    sas_key: Secret = None
    blobfuse_options: str | None = None
    relative_mount_path: NonEmpty
    identity_reference: IdentityReference | None = None

    @model_validator(mode="after")
    def check_credential(self) -> AzureBlobFileSystem:
        given = [each for each in (self.account_key, self.sas_key, self.identity_reference) if each]
        if not given:
            raise missing_property("accountKey")
        if len(given) > 1:
            reason = "accountKey, sasKey and identityReference are mutually exclusive"
            raise invalid_property("azureBlobFileSystemConfiguration", None, reason)
        return self


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
        kinds = [to_camel(name) for name, value in self if value is not None]
        if not kinds:
            raise missing_property("azureBlobFileSystemConfiguration")
        if len(kinds) > 1:
            reason = "The kinds of file system are mutually exclusive; specify exactly one of them"
            raise invalid_property("mountConfiguration", ", ".join(kinds), reason)
        return self


#: Documentation page "Mount a virtual file system on a Batch pool".
_MOST_MOUNTS = 10

Mounts = Annotated[list[MountConfiguration], Field(max_length=_MOST_MOUNTS)]
