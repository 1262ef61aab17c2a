"""A run as it is to be, checked as far as that goes without an account."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from prefect.runtime import flow_run

from tasks.azure.blocks import using_accounts
from tasks.base.printable import say_count
from tasks.bodies.batch_tasks import TaskPlan
from tasks.downloads import locate_output_folder, prepare_output_folder
from tasks.errors import IdleNodesError, InputError
from tasks.extra_files import ExtraFile, UploadedFile, find_extra_files
from tasks.logs import run_logger
from tasks.planning.blob_inputs import BlobFinder
from tasks.planning.output_place import open_output_place
from tasks.planning.public_prices import find_public_prices
from tasks.pools import is_shared_by_start_task
from tasks.spec.blob_places import is_place
from tasks.spec.command_line import build_command
from tasks.spec.file_names import why_no_blob_name
from tasks.spec.input_files import InputFile
from tasks.spec.inputs import make_inputs
from tasks.spec.local_paths import locate_path
from tasks.spec.naming import RunNames, name_by_content, names_of_run
from tasks.spec.output_places import OutputPlace
from tasks.spec.prices import Prices, check_max_cost, find_prices
from tasks.spec.recipe import UploadedProgram
from tasks.spec.run_spec import RunSpec
from tasks.spec.sources import Sources, find_sources
from tasks.spec.specs import PoolSpec
from tasks.spec.task_specs import TaskSpec, pool_for, uses_identity
from tasks.spec.vm_sizes import why_too_many_slots

# So many more than the files need may be a matter of taste, or of a folder that was fuller yesterday.
IDLE_NODES_MAX = 10
# Constraints of Batch tasks that each file of a bundle has by itself, and the parameters that say so.
OF_EACH_FILE = {"maxTaskRetryCount": "max_task_retry_count", "maxWallClockTime": "max_wall_clock_minutes"}


@dataclass(frozen=True)
class Plan:
    """All that a run needs to know beforehand: what it was told, and what follows from that."""

    spec: RunSpec
    names: RunNames
    files: Sequence[InputFile]
    application: Path | None
    is_shared: bool
    """Whether the start task brings the application to the nodes, or each Batch task its own copy."""

    output_folder: Path | None
    """None if outputs stay in blob storage, at the next."""

    given_outputs: OutputPlace | None = None
    extra_files: tuple[ExtraFile, ...] = ()
    """The local files that each Batch task gets besides its input."""

    files_per_task: int = 1
    """Before the run knows what is left to do, 1 where it is to find it itself."""

    prices: Prices | None = None
    """What the nodes cost, if that was said."""

    @property
    def outputs(self) -> OutputPlace:
        """Where Batch tasks write outputs."""
        return self.given_outputs or OutputPlace(self.names.output_container)

    @property
    def output_dir(self) -> str:
        """Where outputs are to be: a path, or a URL."""
        return self.given_outputs.url if self.given_outputs else str(self.output_folder)


def plan_run(spec: RunSpec) -> Plan:
    """The plan of a run. Raises InputError for whatever is wrong with it, before anything is created."""
    refuse_contradictions(spec)
    # The nodes fetch the image of the tasks' container before the first task.
    spec = spec.model_copy(update={"pool": pool_for(spec.task, spec.pool)})
    program = find_application(spec.application)
    is_shared = is_shared_by_start_task(spec.pool, spec.cleanup)
    prices = find_plan_prices(spec)
    check_max_cost(spec.max_cost, prices, spec.pool, spec.prices)
    given_outputs = find_output_place(spec)
    files = find_plan_inputs(spec, given_outputs)
    refuse_unfit(spec, files)
    # It is built again once it is known where the application lies.
    build_command(spec.command, program and program.name)
    return Plan(
        spec=spec,
        names=names_of_run(_choose_run_key(spec), spec.pool.pool_id),
        files=files,
        application=program,
        is_shared=is_shared,
        output_folder=None if given_outputs else prepare_output_folder(spec.output_dir),
        given_outputs=given_outputs,
        extra_files=tuple(find_extra_files(spec.task.files)),
        files_per_task=_first_files_per_task(spec),
        prices=prices,
    )


def find_plan_prices(spec: RunSpec) -> Prices | None:
    """What the nodes cost, as far as it is given or, where that is wished, publicly listed."""
    listed = None
    if spec.prices.public:
        with using_accounts(spec.accounts, spec.storage_accounts):
            key = spec.run_key or flow_run.id or ""
            listed = find_public_prices(spec.prices, spec.pool.vm_size, key)
    return find_prices(spec.prices, spec.pool, listed)


def refuse_contradictions(spec: RunSpec) -> None:
    """Raise InputError for options that don't go together."""
    _refuse_identity(spec.task, spec.pool)
    _refuse_bundled_containers(spec)
    _refuse_bundled_constraints(spec)
    _refuse_wide_tasks(spec)
    if problem := why_too_many_slots(spec.pool.vm_size, spec.pool.slots_per_node):
        raise InputError(problem)


def refuse_unfit(spec: RunSpec, files: Sequence[InputFile]) -> None:
    """Raise InputError for options that these inputs are not for."""
    _check_stream_output(spec.stream_output, files)
    _refuse_idle_nodes(spec, len(files), _first_files_per_task(spec))


def _first_files_per_task(spec: RunSpec) -> int:
    return 1 if spec.files_per_task == "auto" else spec.files_per_task


def find_output_place(spec: RunSpec) -> OutputPlace | None:
    """Where in blob storage the outputs are to stay; None for a local folder."""
    if not is_place(spec.output_dir):
        return None
    with using_accounts(spec.accounts, spec.storage_accounts):
        return open_output_place(spec.output_dir)


def find_plan_inputs(spec: RunSpec, outputs: OutputPlace | None = None) -> Sequence[InputFile]:
    """The inputs; the log says what a folder or a glob has left out."""
    folder = None if is_place(spec.output_dir) else locate_output_folder(spec.output_dir)
    inputs = [spec.inputs] if isinstance(spec.inputs, str) else spec.inputs
    sources = find_sources(inputs, folder, lambda *places: _find_blobs(spec, outputs, *places))
    if sources.left_out.counts:
        run_logger().info("Inputs: %s; left out: %s", say_count(len(sources.named), "file"), sources.left_out)
    return make_inputs(sources, spec.output_name, folder, outputs)


def _find_blobs(
    spec: RunSpec, outputs: OutputPlace | None, places: Sequence[str], are_plain: bool, found: Sources
) -> None:
    """Find inputs in blob storage: the accounts are asked only if there are such."""
    with using_accounts(spec.accounts, spec.storage_accounts):
        BlobFinder(outputs)(places, are_plain, found)


def _choose_run_key(spec: RunSpec) -> str:
    """The key that the run was given, else the id of the flow run that this is in."""
    key = spec.run_key or flow_run.id
    if key is None:
        raise InputError("A run outside of a flow needs a run_key, which names what it makes.")
    return key


def _refuse_idle_nodes(spec: RunSpec, file_count: int, files_per_task: int) -> None:
    """Raise IdleNodesError for a pool of the run's own with many more nodes than it could use."""
    pool, nodes = spec.pool, spec.pool.most_nodes
    needed = math.ceil(file_count / files_per_task / pool.tasks_per_node(spec.required_slots))
    if pool.pool_id is None and not pool.allow_idle_nodes and nodes - needed > IDLE_NODES_MAX:
        together = f", {files_per_task:,} in each Batch task" if files_per_task > 1 else ""
        raise IdleNodesError(
            f"{nodes:,} nodes for {say_count(file_count, 'file')}{together}: {nodes - needed:,} of them "
            f"would have nothing to do. Ask for {say_count(needed, 'node')} (pool.dedicated_nodes, or "
            f"nodes), or say that the pool is to have all of them, which costs money "
            f"(pool.allow_idle_nodes)."
        )


def _check_stream_output(name: str | None, files: Sequence[InputFile]) -> None:
    """Raise InputError for a name that no input has."""
    if name is not None and all(file.name != name for file in files):
        raise InputError(
            f"stream_output: none of the {len(files)} inputs is named {name!r}; the first is "
            f"{files[0].name!r}."
        )


def _refuse_bundled_containers(spec: RunSpec) -> None:
    """Raise InputError for several files in a task that runs in a container: its image need not have what
    runs them."""
    if spec.files_per_task != 1 and spec.task.container.image is not None:
        raise InputError(
            "files_per_task and task.container.image don't go together: what runs the files of a task one "
            "after another needs Python, which an image may not have. Leave out one of them."
        )


def _refuse_bundled_constraints(spec: RunSpec) -> None:
    """Raise InputError for constraints of a Batch task that are meant for each of its files."""
    given = spec.task.overrides.get("constraints")
    if spec.files_per_task == 1 or not isinstance(given, dict):
        return
    for name, parameter in OF_EACH_FILE.items():
        if name in given:
            raise InputError(
                f"files_per_task and task.overrides.constraints.{name} don't go together: it would be of all "
                f"files of a Batch task. Give {parameter}, which is of each."
            )


def _refuse_wide_tasks(spec: RunSpec) -> None:
    """Raise InputError for tasks that no node has room for: the service takes them, and never runs one."""
    slots = spec.pool.slots_per_node
    if spec.required_slots > slots:
        raise InputError(
            f"Each Batch task takes {spec.required_slots} slots (task.overrides.requiredSlots), and a node "
            f"has {say_count(slots, 'slot')}: no task would ever run. Give nodes more (task_slots_per_node)."
        )


def _refuse_identity(task: TaskSpec, pool: PoolSpec) -> None:
    """Raise InputError for a managed identity on a pool of the run's own."""
    if uses_identity(task, pool) and pool.pool_id is None:
        raise InputError(
            "A pool that a run makes has no managed identity: only Azure Resource Manager gives one to a "
            "pool. Make the pool there, and give its pool_id."
        )


def find_application(application: str | None) -> Path | None:
    """The program's path, if there is to be one. Raises InputError."""
    if application is None:
        return None
    path = locate_path(application)
    if not path.is_file():
        raise InputError(f"There is no application {application} (looked from {Path.cwd()}).")
    reason = why_no_blob_name(path.name)
    if reason:
        raise InputError(f"The application's name {path.name!r} {reason}.")
    return path


def name_shared_application(plan: Plan, program: UploadedProgram) -> str | None:
    """The application's blob if the start task is to bring it to the nodes."""
    return _name_application(plan, program) if plan.is_shared else None


def _name_application(plan: Plan, program: UploadedProgram) -> str | None:
    """The application's blob, which is also its path below the folder that it is brought into."""
    if plan.application is None or program.application_md5 is None:
        return None
    return name_by_content(plan.application.name, program.application_md5)


def make_task_plan(
    plan: Plan, program: UploadedProgram, files: Sequence[UploadedFile], is_shared: bool, runs_all: bool
) -> TaskPlan:
    """What all Batch tasks have in common. `is_shared` says that the nodes have the application already."""
    application = _name_application(plan, program)
    command = build_command(plan.spec.command, application, is_shared)
    copied = None if is_shared else application
    return TaskPlan(
        plan.names,
        plan.spec,
        command,
        copied,
        tuple(files),
        runs_all=runs_all,
        given_outputs=plan.given_outputs,
    )
