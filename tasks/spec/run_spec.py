"""What a run is told: the parameters of the flows, each declared once.

A flow draws its signature, its form in the dashboard and the options of its command line from one of these
classes (`flows/parameters.py`), and is handed an instance of it. A new parameter is a field here, and is read
from the spec where it is used. Those of `RunOptions` are parameters of every flow that makes a run.
"""

import os
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from tasks.spec.bundle_sizes import FILES_MAX
from tasks.spec.forms import Unsigned
from tasks.spec.named_patterns import SLUG
from tasks.spec.naming import RUN_KEY_MAX
from tasks.spec.prices import DEFAULT_PRICES, PriceSpec
from tasks.spec.specs import DEFAULT_CLEANUP, DEFAULT_POOL, BlockName, Cleanup, PoolSpec, Spec
from tasks.spec.task_specs import DEFAULT_TASK, TaskSpec


def _as_text(value: object) -> object:
    """Paths as Prefect's form sends them, so that a Path does as well."""
    if isinstance(value, list | tuple):
        return [_as_text(item) for item in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value


Text = Annotated[str, BeforeValidator(_as_text)]
Place = Annotated[str, BeforeValidator(_as_text), Unsigned()]
Places = Annotated[str | list[str], BeforeValidator(_as_text), Unsigned()]
FilesPerTask = Annotated[int, Field(ge=1, le=FILES_MAX)] | Literal["auto"]
Seconds = Annotated[int, Field(ge=1, le=7 * 24 * 3600)]
RunKey = Annotated[str, Field(pattern=SLUG, max_length=RUN_KEY_MAX)]


class RunOptions(Spec):
    """How a run is run, whatever program it runs."""

    shown_first: ClassVar[tuple[str, ...]] = ("nodes", "timeout_seconds", "refresh")

    pool: PoolSpec = Field(
        default=DEFAULT_POOL,
        description="What machines these are: size, system, Spot nodes, a pool to reuse. As usual: "
        "of a pool of the run's own, with two cores and Ubuntu 24.04.",
    )
    cleanup: Cleanup = Field(
        default=DEFAULT_CLEANUP,
        description="What is deleted at the end, and when. As usual: all that the run made.",
    )
    timeout_seconds: Seconds = Field(
        default=1200,
        title="Time limit in seconds",
        description="How long the Batch tasks may take together, the start of the nodes included.",
    )
    stall_minutes: float = Field(
        default=10,
        gt=0,
        le=7 * 24 * 60,
        description="How long the run may stand still before it fails: Batch tasks wait, and none runs or "
        "ends. Nodes that start count only after pool.start_minutes.",
    )
    quota_minutes: float = Field(
        default=15,
        ge=0,
        le=7 * 24 * 60,
        description="How long the run waits for others that hold a quota of the Batch account: of pools, "
        "active jobs or cores. Within its time limit; 0: not at all.",
    )
    on_failure: Literal["fail", "complete"] = Field(
        default="fail",
        description="What the run comes to when Batch tasks have failed: it fails once the others are done, "
        "or completes, with a report of those.",
    )
    run_key: RunKey | None = Field(
        default=None,
        description="Names the run's resources, such as census-2026. With the key of an earlier run, "
        "this one goes on where that one stopped. Empty: the flow run's id.",
    )
    accounts: BlockName | None = Field(
        default=None,
        description="The name of the Prefect blocks of the Batch and the storage account, such as prod."
        " Empty: the accounts of the flow's environment.",
    )
    storage_accounts: list[BlockName] = Field(
        default=[],
        description="The names of the Prefect blocks of further storage accounts, on which inputs or outputs "
        "are by their URLs, such as archive. Empty: all are on the run's own.",
    )
    existing_outputs: Literal["refuse", "skip", "overwrite"] | None = Field(
        default=None,
        description="What becomes of a file under whose output's name something lies that this command has "
        "not made (in a local folder: that no run has made): the run refuses to begin, skips that file, or "
        "overwrites it. Empty: overwrite in a local folder, refuse in blob storage.",
    )
    max_cost: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        title="Cost limit",
        description="When the nodes have cost so much, over all attempts of the run, no further Batch task "
        "begins; those that run are finished. Needs prices. Empty: no limit.",
    )
    prices: PriceSpec = Field(
        default=DEFAULT_PRICES,
        description="What a node costs an hour, to tell what the run costs. As usual: not told.",
    )
    refresh: bool = Field(
        default=False,
        title="Run every file",
        description="Else those are left out whose outputs are there from an earlier run, of "
        "the same content, by the same command, program and settings.",
    )
    stream_output: Text | None = Field(
        default=None,
        title="Stream the output of",
        description="The name of an input, such as a.txt. What its Batch task prints appears in the log"
        " while it runs.",
    )
    nodes: int = Field(
        default=1,
        ge=1,
        le=1000,
        description="How many machines work on the files, if the pool below doesn't say it.",
    )

    files_per_task: FilesPerTask = Field(
        default=1,
        description="How many files share one Batch task, for programs that take seconds or less: each still "
        "succeeds, fails and is told by itself. auto: as many as suit their number, their sizes, the pool, "
        "and the seconds that such files have taken so far.",
    )
    keep_logs: Literal["failed", "all"] = Field(
        default="failed",
        description="Of which files all that their programs print is kept, in the folder .logs beside the "
        "outputs.",
    )

    @model_validator(mode="before")
    @classmethod
    def _count_nodes(cls, given: Any) -> Any:
        """Give the pool the run's nodes, unless it has a number of its own."""
        if not isinstance(given, dict) or given.get("nodes") is None:
            return given
        pool = PoolSpec.model_validate(given.get("pool") or {})
        if "dedicated_nodes" in pool.model_fields_set:
            return given
        return {**given, "pool": pool.model_copy(update={"dedicated_nodes": given["nodes"]})}

    def options(self) -> dict[str, Any]:
        """These alone, to be handed on to fan_out by a flow that has parameters of its own."""
        return {name: getattr(self, name) for name in RunOptions.model_fields}

    @property
    def required_slots(self) -> int:
        """How many of a node's task slots each Batch task takes."""
        return 1


class TaskOptions(Spec):
    """How the Batch tasks of a run are run."""

    output_name: str = Field(
        default="{stem}_OUTPUT{suffix}",
        description="What an output is called, from the input's {stem}, {suffix} and {name}: of a.txt "
        "these are a, .txt and a.txt.",
    )
    max_task_retry_count: int = Field(
        default=0,
        ge=0,
        le=100,
        title="Repetitions of a failed task",
        description="How often Batch repeats a task whose program fails.",
    )
    max_wall_clock_minutes: float | None = Field(
        default=None,
        gt=0,
        le=7 * 24 * 60,
        description="How long one task may run, its downloads included, before Batch ends it as failed. "
        "Empty: as long as the run.",
    )
    task: TaskSpec = Field(
        default=DEFAULT_TASK,
        description="The container, environment, user and further files of each Batch task. As usual: "
        "none of them.",
    )


class RunSpec(RunOptions, TaskOptions):
    """A run of any command over any files."""

    inputs: Places = Field(
        description="A folder (with its sub-folders), a glob, or a list of those: photos, "
        "photos/*.png. They lie on the machine where the flow runs, a deployment's worker, or in blob "
        "storage: az://container/photos/**, or the URL that the portal shows. "
        "Each file is a Batch task, or shares one. @FILE: the paths that this file lists, one a line; -: "
        "those on standard input."
    )
    application: Text | None = Field(
        default=None,
        description="A program to bring to the nodes, such as resize.py, from the machine where the "
        "flow runs. The command calls it {application}. Empty: none.",
    )
    command: str = Field(
        min_length=1,
        description="What to run for each file, such as python3 {application} {input} {output}. {input}"
        " and {output} are its files on the node, {name} is the input's name, {application} "
        "the program. It runs under no shell; without {output}, what it prints is the output.",
    )
    output_dir: Place = Field(
        default="output",
        description="The folder for the outputs, on the machine where the flow runs, or in blob storage: "
        "az://container/results, or a URL. Sub-folders of the inputs are kept.",
    )

    @property
    def required_slots(self) -> int:
        """How many of a node's task slots each Batch task takes."""
        return self.task.required_slots

    @property
    def files_per_node(self) -> int:
        """How many files a node works on at once: of a bundle one in each slot of its Batch task."""
        tasks = self.pool.tasks_per_node(self.required_slots)
        return tasks if self.files_per_task == 1 else tasks * self.required_slots
