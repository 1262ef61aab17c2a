"""What a user says about the Batch tasks of a run, beyond their command; shown in Prefect's form."""

import re
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, Field, model_validator

from tasks.spec.command_line import APPLICATION_FOLDER, BUNDLE_FOLDER, INPUTS_FOLDER, OUTPUTS_FOLDER
from tasks.spec.forms import Unsigned
from tasks.spec.overrides import check_task_overrides
from tasks.spec.specs import BlockName, ContainersSpec, IdentityId, PlainText, PoolSpec, RegistrySpec, Spec

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
OUR_VARIABLES = re.compile(r"FAN_OUT_|AZ_BATCH_")
OUR_FOLDERS = (APPLICATION_FOLDER, INPUTS_FOLDER, OUTPUTS_FOLDER, BUNDLE_FOLDER)


def _check_url(url: str) -> str:
    """A URL that may be recorded. Raises ValueError for one with a signature or a password in it."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("it must be a URL that begins with https:// or http://")
    if parts.password or any(name.lower() == "sig" for name, _ in parse_qsl(parts.query)):
        raise ValueError(
            "a URL may have no signature, as Prefect records parameters. Leave it out for what is on the "
            "run's own storage account, which is signed for; elsewhere use a managed identity"
        )
    return url


def _check_node_path(path: str) -> str:
    """A path in the task's working directory. Raises ValueError for one that leads out of it or to ours."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\\" in path:
        raise ValueError("it must be a relative path, without `..`")
    if parts[0] in OUR_FOLDERS:
        raise ValueError(f"the folders {', '.join(OUR_FOLDERS)} are the run's own")
    return path


def _check_variables(environment: dict[str, str]) -> dict[str, str]:
    """Environment variables. Raises ValueError for a name that can't be one, or is ours or the service's."""
    for name in environment:
        if not VARIABLE.fullmatch(name):
            raise ValueError(f"{name!r} can't be the name of a variable")
        if OUR_VARIABLES.match(name):
            raise ValueError(f"{name}: names that begin with FAN_OUT_ or AZ_BATCH_ are reserved")
    return environment


Url = Annotated[str, AfterValidator(_check_url), Unsigned()]
NodePath = Annotated[str, AfterValidator(_check_node_path)]


class ContainerSpec(Spec):
    """The container that a command runs in. Its image needs /bin/sh."""

    image: str | None = Field(
        default=None,
        min_length=1,
        description="The container image. Empty: the command runs on the node itself.",
        examples=["python:3.12-slim"],
    )
    run_options: str = Field(
        default="", description="Options of `docker create`. No secrets.", examples=["--shm-size=1g"]
    )
    registry: RegistrySpec = Field(
        default=RegistrySpec(), description="Where the image comes from, if the pool doesn't know it already."
    )
    working_directory: Literal["taskWorkingDirectory", "containerImageDefault"] = Field(
        default="taskWorkingDirectory",
        description="Where the command starts. The places in the command are relative to the first.",
    )


class FileSpec(Spec):
    """A file, or several, that each Batch task gets besides its input. It has exactly one source."""

    local_path: str | None = Field(
        default=None, description="A file, folder or glob where the flow runs; it is uploaded once."
    )
    http_url: Url | None = Field(default=None, description="The URL of a file.")
    storage_container_url: Url | None = Field(default=None, description="The URL of a blob container.")
    blob_prefix: str | None = Field(
        default=None, description="Of the container only the blobs whose names begin so."
    )
    file_path: NodePath | None = Field(
        default=None,
        description="Where it is put in the task's working directory; of several files, their folder. "
        "Empty: under its own name.",
    )
    identity: IdentityId | None = Field(
        default=None, description="The resource id of a managed identity of the pool, which may read the URL."
    )

    @model_validator(mode="after")
    def one_source(self) -> "FileSpec":
        if [self.local_path, self.http_url, self.storage_container_url].count(None) != 2:
            raise ValueError("give one of local_path, http_url and storage_container_url")
        if self.blob_prefix is not None and self.storage_container_url is None:
            raise ValueError("a blob_prefix goes with a storage_container_url")
        if self.identity is not None and self.local_path is not None:
            raise ValueError("an identity goes with a URL")
        if self.http_url is not None and not self.file_path:
            name = PurePosixPath(urlsplit(self.http_url).path).name
            if not name:
                raise ValueError("give a file_path: the URL does not say what the file is called")
            _check_node_path(name)
        return self


class UserSpec(Spec):
    """As whom the command runs on its node."""

    elevation_level: Literal["nonadmin", "admin"] = Field(
        default="nonadmin", description="With or without administrator rights."
    )
    scope: Literal["pool", "task"] = Field(
        default="pool", description="A user that all tasks on a node share, or one for each task."
    )


class TaskSpec(Spec):
    """The Batch tasks: what each has besides the command and its input."""

    container: ContainerSpec = Field(
        default=ContainerSpec(), description="The container to run the command in."
    )
    environment: Annotated[dict[str, PlainText], AfterValidator(_check_variables)] = Field(
        default={},
        description="Environment variables. No secrets: they are recorded; those go below.",
    )
    secret_environment: Annotated[dict[str, BlockName], AfterValidator(_check_variables)] = Field(
        default={},
        description="Environment variables with secrets: for each the name of the Prefect Secret block that "
        "has it, which is read when the tasks are added.",
        examples=[{"API_TOKEN": "words-api-token"}],
    )
    files: list[FileSpec] = Field(default=[], description="Files that each task gets besides its input.")
    user: UserSpec = Field(default=UserSpec(), description="As whom the command runs.")
    overrides: Annotated[dict[str, Any], AfterValidator(check_task_overrides)] = Field(
        default={},
        description="Whatever else the service knows of a task, as REST operation Task Add has it. "
        "No secrets: it is recorded.",
        examples=[{"constraints": {"maxWallClockTime": "PT10M"}}],
    )

    @model_validator(mode="after")
    def one_value(self) -> "TaskSpec":
        both = sorted(self.environment.keys() & self.secret_environment.keys())
        if both:
            raise ValueError(
                f"{', '.join(both)}: give it in environment or in secret_environment, not in both"
            )
        return self

    @property
    def required_slots(self) -> int:
        """How many of a node's task slots each task takes."""
        given = self.overrides.get("requiredSlots")
        # What is no such number the service refuses.
        return given if isinstance(given, int) and given > 0 else 1


DEFAULT_TASK = TaskSpec()


def pool_for(task: TaskSpec, pool: PoolSpec) -> PoolSpec:
    """The pool with what the tasks' container needs of it: its image is fetched before the first task."""
    image, containers = task.container.image, pool.containers
    if image is None:
        return pool
    fetched = ContainersSpec(
        images=list(dict.fromkeys([*containers.images, image])),
        registry=containers.registry if containers.registry.server else task.container.registry,
    )
    return pool.model_copy(update={"containers": fetched})


def uses_identity(task: TaskSpec, pool: PoolSpec) -> bool:
    """Whether nodes are to use a managed identity, which only a pool made by Azure Resource Manager has."""
    registries = (task.container.registry, pool.containers.registry)
    return any(part.identity for part in (*registries, *task.files))
