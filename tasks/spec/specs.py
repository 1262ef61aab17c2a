"""What a user says about a run: the parameters that Prefect's form shows, with their bounds and defaults."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, GetJsonSchemaHandler, model_validator

from tasks.base.printable import say_count
from tasks.spec.forms import CHOOSE, fold_groups, take_empty_as_default, title_field
from tasks.spec.named_patterns import BATCH_ID, IDENTITY, SLUG, SUBNET, VARIABLE
from tasks.spec.overrides import check_pool_overrides
from tasks.spec.vm_sizes import SLOTS_MAX, read_cores

When = Literal["always", "on_success", "never"]
NodeOrder = Literal["dedicated_first", "spot_first", "spot_or_dedicated"]
Slots = Annotated[int, Field(ge=1, le=SLOTS_MAX)] | Literal["cores"]
BatchId = Annotated[str, Field(pattern=BATCH_ID)]
BlockName = Annotated[str, Field(pattern=SLUG)]
VariableName = Annotated[str, Field(pattern=VARIABLE)]
SubnetId = Annotated[str, Field(pattern=SUBNET)]
IdentityId = Annotated[str, Field(pattern=IDENTITY)]


def _refuse_nul(text: str) -> str:
    """The text. Raises ValueError for one that neither an argument nor a variable of a program can be."""
    if "\0" in text:
        raise ValueError("it holds a NUL, which nothing that a program is told can")
    return text


PlainText = Annotated[str, AfterValidator(_refuse_nul)]


class Spec(BaseModel):
    """Parameters that belong together: a group of Prefect's form."""

    shown_first: ClassVar[tuple[str, ...]] = ()
    """The fields that forms show first, of those that a flow's parameters inherit."""

    model_config = ConfigDict(extra="forbid", frozen=True, title=CHOOSE, field_title_generator=title_field)

    @model_validator(mode="before")
    @classmethod
    def _leave_out_empty(cls, given: Any) -> Any:
        return take_empty_as_default(given, cls.model_fields) if isinstance(given, dict) else given

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = handler(core_schema)
        fold_groups(handler.resolve_ref_schema(schema)["properties"], cls.model_fields)
        return schema


class ImageSpec(Spec):
    """A marketplace image, which must be among those that Azure Batch has verified."""

    publisher: str = Field(default="canonical", description="The image's publisher.")
    offer: str = Field(default="ubuntu-24_04-lts", description="The image's offer.")
    sku: str = Field(default="server", description="The image's SKU.")


class RegistrySpec(Spec):
    """Where container images come from, if not from a public registry. The password is never given itself:
    parameters are recorded."""

    server: str | None = Field(
        default=None,
        description="The registry's host. Empty: public images.",
        examples=["mywords.azurecr.io"],
    )
    username: str | None = Field(default=None, description="Who signs in to the registry.")
    password_secret: BlockName | None = Field(
        default=None, description="The name of the Prefect Secret block that has the password."
    )
    password_variable: VariableName | None = Field(
        default=None, description="Or the environment variable that has it where the flow runs."
    )
    identity: IdentityId | None = Field(
        default=None,
        description="Or, instead of user and password, the resource id of a managed identity of the pool.",
    )

    @model_validator(mode="after")
    def one_way_in(self) -> "RegistrySpec":
        passwords = [self.password_secret, self.password_variable]
        if self.server is None:
            if any([self.username, self.identity, *passwords]):
                raise ValueError("name the registry's server")
        elif self.identity is not None:
            if self.username or any(passwords):
                raise ValueError("sign in with an identity or with a password, not with both")
        elif not self.username or passwords.count(None) != 1:
            raise ValueError(
                "a registry needs an identity, or a username with one of password_secret and "
                "password_variable"
            )
        return self


class ContainersSpec(Spec):
    """What nodes need to run container tasks."""

    images: list[str] = Field(
        default=[],
        description="Container images that each node fetches before its first task.",
        examples=[["python:3.12-slim"]],
    )
    registry: RegistrySpec = Field(default=RegistrySpec(), description="Where they come from.")

    @property
    def are_wanted(self) -> bool:
        return bool(self.images or self.registry.server)


# What `some_node` says, for those who have only the schema: Prefect refuses such a run before it is made.
NODES_IN_SCHEMA: dict[str, Any] = {
    "dedicated_nodes": {
        "anyOf": [
            {"properties": {"dedicated_nodes": {"minimum": 1}}},
            {"not": {"properties": {"low_priority_nodes": {"const": 0}}}},
        ]
    }
}


class PoolSpec(Spec):
    """The machines: a pool made for this run, or one to reuse."""

    model_config = ConfigDict(json_schema_extra={"dependentSchemas": NODES_IN_SCHEMA})

    pool_id: BatchId | None = Field(
        default=None,
        description="The id of a pool to reuse; it is made if there is none. Empty: a pool of the run's own.",
    )
    vm_size: str = Field(
        default="STANDARD_D2S_V3",
        min_length=1,
        description="The size of a node. A reused pool must have this size.",
        examples=["STANDARD_D2S_V3", "STANDARD_F4S_V2"],
    )
    dedicated_nodes: int = Field(
        default=1,
        ge=0,
        le=1000,
        description="Nodes that nobody takes away, at the most: the pool has as many as its Batch tasks "
        "need. Empty: the nodes of the run, else 1.",
        json_schema_extra={"default": None},
    )
    low_priority_nodes: int = Field(
        default=0,
        ge=0,
        le=1000,
        description="Spot nodes, at the most: cheaper, and taken away when Azure needs them.",
    )
    node_order: NodeOrder = Field(
        default="dedicated_first",
        description="Which nodes come first, and go last, where the tasks need fewer than both. "
        "spot_or_dedicated: Spot nodes, and dedicated ones only in the place of those that can't be had.",
    )
    task_slots_per_node: Slots = Field(
        default=1, description="Batch tasks that a node runs at once. cores: as many as its VM size has."
    )
    allow_idle_nodes: bool = Field(
        default=False,
        description="Have all nodes as long as there is a Batch task, also those that the tasks can't keep "
        "busy.",
    )
    idle_minutes: int = Field(
        default=5,
        ge=5,
        le=7 * 24 * 60,
        description="Minutes after which a pool that a run made gives back nodes that no Batch task needs; "
        "they come again with the tasks.",
    )
    start_minutes: float = Field(
        default=10,
        gt=0,
        le=7 * 24 * 60,
        description="Minutes that nodes may take to be allocated and to start, their start task included. "
        "After that a run that waits for them counts as standing still.",
    )
    image: ImageSpec = Field(default_factory=ImageSpec, description="The nodes' operating system.")
    start_command: PlainText | None = Field(
        default=None,
        description="A shell command that each node runs as root before its first task, to install things.",
        examples=["apt-get update && apt-get install -y ffmpeg"],
    )
    containers: ContainersSpec = Field(
        default=ContainersSpec(),
        description="For container tasks: what nodes fetch. The image must know Docker.",
    )
    subnet_id: SubnetId | None = Field(
        default=None, description="The resource id of the subnet of a virtual network that the nodes join."
    )
    overrides: Annotated[dict[str, Any], AfterValidator(check_pool_overrides)] = Field(
        default={},
        description="Whatever else the service knows of a pool, as REST operation Pool Add has it. "
        "No secrets: it is recorded.",
        examples=[{"taskSchedulingPolicy": {"nodeFillType": "pack"}}],
    )

    @model_validator(mode="after")
    def some_node(self) -> "PoolSpec":
        if self.dedicated_nodes + self.low_priority_nodes == 0:
            raise ValueError("a pool needs a node: dedicated_nodes or low_priority_nodes must be 1 or more")
        return self

    @model_validator(mode="after")
    def both_kinds(self) -> "PoolSpec":
        if self.node_order == "spot_or_dedicated" and not (self.dedicated_nodes and self.low_priority_nodes):
            raise ValueError(
                "node_order spot_or_dedicated needs low_priority_nodes, and as dedicated_nodes how many of "
                "them dedicated ones may stand in for"
            )
        return self

    @model_validator(mode="after")
    def known_cores(self) -> "PoolSpec":
        if self.task_slots_per_node == "cores" and read_cores(self.vm_size) is None:
            raise ValueError(
                f"task_slots_per_node: how many cores {self.vm_size} has is not known: give a number"
            )
        return self

    @property
    def slots_per_node(self) -> int:
        """The task slots of a node, as a number."""
        if self.task_slots_per_node == "cores":
            return min(SLOTS_MAX, read_cores(self.vm_size) or 1)
        return self.task_slots_per_node

    def tasks_per_node(self, required_slots: int) -> int:
        """How many Batch tasks a node runs at once, if each takes so many slots."""
        return max(1, self.slots_per_node // required_slots)

    @property
    def most_nodes(self) -> int:
        """How many nodes Batch tasks can keep busy, at the most."""
        if self.node_order == "spot_or_dedicated":
            return self.low_priority_nodes
        return self.dedicated_nodes + self.low_priority_nodes


def describe_nodes(pool: PoolSpec) -> str:
    """The machines of a pool in words, such as `2 nodes of STANDARD_D2S_V3, 4 task slots each`."""
    kinds = ((pool.dedicated_nodes, ""), (pool.low_priority_nodes, "Spot "))
    nodes = " and ".join(say_count(count, f"{kind}node") for count, kind in kinds if count)
    if pool.node_order == "spot_or_dedicated":
        spot = say_count(pool.low_priority_nodes, "Spot node")
        nodes = f"{spot}, or up to {pool.dedicated_nodes} dedicated in their place,"
    slots = f", {pool.slots_per_node} task slots each" if pool.slots_per_node > 1 else ""
    return f"{nodes} of {pool.vm_size}{slots}"


class Cleanup(Spec):
    """What a run deletes when it ends."""

    containers: When = Field(default="always", description="When to delete the run's storage containers.")
    job: When = Field(default="always", description="When to delete the job with its tasks.")
    pool: When = Field(
        default="always", description="When to delete a pool that the run made; a pool that it found stays."
    )


def is_due(when: When, succeeded: bool) -> bool:
    """Whether something with this policy is deleted at the end of a run."""
    return when == "always" or (when == "on_success" and succeeded)


DEFAULT_POOL = PoolSpec()
DEFAULT_CLEANUP = Cleanup()
