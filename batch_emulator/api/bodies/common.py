"""Parts that several request bodies share."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, model_validator

from batch_emulator.api.bodies.base import Body, missing_property
from batch_emulator.api.bodies.scalars import (
    Bool,
    Choice,
    ElevationLevel,
    FileMode,
    NonEmpty,
    Number,
    refusable,
    within,
)
from batch_emulator.api.refusals import check_packages
from batch_emulator.errors import BatchError, invalid_property


class IdentityReference(Body):
    resource_id: str | None = None


class EnvironmentSetting(Body):
    name: NonEmpty
    value: str | None = None


class MetadataItem(Body):
    name: str
    value: str

    @model_validator(mode="after")
    def check_name(self) -> MetadataItem:
        if not self.name:
            raise BatchError("EmptyMetadataKey")
        return self


class HttpHeader(Body):
    name: NonEmpty
    value: str | None = None


class AutoUser(Body):
    scope: Choice[Literal["task", "pool"]] = "pool"
    elevation_level: ElevationLevel = "nonadmin"


class UserIdentity(Body):
    username: NonEmpty | None = None
    auto_user: AutoUser | None = None

    @model_validator(mode="after")
    def check_one(self) -> UserIdentity:
        if self.username is not None and self.auto_user is not None:
            reason = "username and autoUser are mutually exclusive; only one of them can be specified"
            raise invalid_property("userIdentity", self.username, reason)
        return self


DEFAULT_USER = UserIdentity.model_validate({"autoUser": AutoUser()})

DEFAULT_IDENTITY: dict[str, Any] = DEFAULT_USER.to_wire()
"""The `userIdentity` of a task that names none. Shared: read it, never change it."""


class ContainerRegistry(Body):
    username: str | None = None
    password: str | None = None
    registry_server: str | None = None
    identity_reference: IdentityReference | None = None


class ContainerHostBindMount(Body):
    source: Choice[Literal["Shared", "Startup", "VfsMounts", "Task", "JobPrep", "Applications"]] | None = None
    is_read_only: Bool | None = None


class ContainerSettings(Body):
    container_run_options: str | None = None
    image_name: NonEmpty
    registry: ContainerRegistry | None = None
    working_directory: Choice[Literal["taskWorkingDirectory", "containerImageDefault"]] = (
        "taskWorkingDirectory"
    )
    container_host_batch_bind_mounts: list[ContainerHostBindMount] | None = None


class ResourceFile(Body):
    """A file to bring to the node, from exactly one of three sources."""

    auto_storage_container_name: NonEmpty | None = None
    storage_container_url: NonEmpty | None = None
    http_url: NonEmpty | None = None
    blob_prefix: str | None = None
    file_path: str | None = None
    file_mode: FileMode | None = None
    identity_reference: Annotated[IdentityReference | None, refusable("identityReference")] = None

    @model_validator(mode="after")
    def check_source(self) -> ResourceFile:
        sources = (self.http_url, self.storage_container_url, self.auto_storage_container_name)
        if sources.count(None) != 2:
            raise _source_error(sources)
        if self.http_url is not None and not self.file_path:
            raise missing_property("filePath")
        if self.http_url is not None and self.blob_prefix is not None:
            reason = "blobPrefix is valid only with autoStorageContainerName or storageContainerUrl"
            raise invalid_property("blobPrefix", self.blob_prefix, reason)
        return self


def _source_error(sources: tuple[str | None, ...]) -> BatchError:
    names = "autoStorageContainerName, storageContainerUrl and httpUrl"
    if sources.count(None) == len(sources):
        return missing_property("httpUrl")
    reason = f"{names} are mutually exclusive and exactly one of them must be specified"
    return invalid_property("resourceFiles", next(filter(None, sources)), reason)


class BlobContainerDestination(Body):
    container_url: NonEmpty
    identity_reference: Annotated[IdentityReference | None, refusable("identityReference")] = None
    path: str | None = None
    upload_headers: list[HttpHeader] | None = None


class OutputFileDestination(Body):
    container: BlobContainerDestination


class OutputFileUploadOptions(Body):
    upload_condition: Choice[Literal["TaskSuccess", "TaskFailure", "TaskCompletion"]] = "TaskCompletion"


class OutputFile(Body):
    file_pattern: NonEmpty
    destination: OutputFileDestination
    upload_options: OutputFileUploadOptions = OutputFileUploadOptions()


class ApplicationPackageReference(Body):
    application_id: NonEmpty
    version: str | None = None


class AuthenticationTokenSettings(Body):
    access: list[Choice[Literal["job"]]] | None = None


def _check_references(references: list[ApplicationPackageReference] | None) -> Any:
    check_packages(reference.application_id for reference in references or ())
    return references


EnvironmentSettings = list[EnvironmentSetting] | None
ResourceFiles = list[ResourceFile] | None
OutputFiles = list[OutputFile] | None
Metadata = list[MetadataItem] | None

Container = Annotated[ContainerSettings | None, refusable("containerSettings")]
AuthenticationToken = AuthenticationTokenSettings | None
ApplicationPackages = Annotated[list[ApplicationPackageReference] | None, AfterValidator(_check_references)]

RequiredSlots = Annotated[Number, within(1, 256)]
