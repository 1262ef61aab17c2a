"""How files get to the nodes: what is not made yet is uploaded, and has a Batch task to come."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone

from prefect.runtime import flow_run

from flows.feeding import Feed
from flows.renewing import Renewer
from tasks.base.known_texts import KnownTexts
from tasks.base.packed import select
from tasks.base.printable import say_count
from tasks.bodies.bundles import upload_runner
from tasks.errors import CostLimitError, FanOutError, JobEndedError, JobError
from tasks.extra_files import UploadedFile, identify_remote_files, upload_extra_files
from tasks.images import Image
from tasks.jobs import Job, close_job, create_job, find_active_job
from tasks.logs import run_logger
from tasks.outputs.unfetched import note_attempt
from tasks.plans import Plan, make_task_plan, name_shared_application
from tasks.pools import Pool, create_pool
from tasks.reuse.earlier_attempts import find_computed
from tasks.reuse.remembering import early_remembered
from tasks.sharding import shard_size
from tasks.spec.bundles import Bundle, Unit, find_bundles
from tasks.spec.first_tasks import count_first_tasks
from tasks.spec.input_files import InputFile
from tasks.spec.recipe import UploadedProgram, digest_recipe
from tasks.spec.run_spec import RunSpec
from tasks.spec.specs import describe_nodes
from tasks.spec.work import WorkItem, WorkItems
from tasks.uploads import upload_application
from tasks.watch.early_outputs import EarlyOutputs
from tasks.watch.pool_watch import PoolWatch
from tasks.watch.spending import Spending
from tasks.watch.upload_watch import UploadWatch

# A job ends under our hands only if the last tasks of an earlier attempt complete just then.
JOBS_TRIED = 3


@dataclass(frozen=True)
class Submitted:
    """What became of the files of a run: outputs that are there, and Batch tasks to wait for."""

    computed: Sequence[WorkItem]
    """The work that earlier attempts have done."""

    items: WorkItems = field(default_factory=WorkItems)
    units: Sequence[Unit] = ()
    """The Batch tasks in which these are: each by itself, or several in one."""

    job: Job | None = None
    """None, like the pool, if nothing was left to do."""

    pool: Pool | None = None

    bundles: Sequence[Bundle] = ()
    """Those of the Batch tasks that have several files."""

    uploaded_at: tuple[datetime, datetime] | None = None
    """When the uploads of inputs began and ended."""

    early: EarlyOutputs | None = None
    """The outputs that were fetched meanwhile."""

    watch: PoolWatch | None = None
    """How the pool was seen so far."""

    stopped: FanOutError | None = None
    """What has ended the uploads before all files had their tasks."""

    @property
    def job_id(self) -> str:
        return self.job.id if self.job else ""

    @property
    def pool_id(self) -> str:
        return self.pool.id if self.pool else ""


@dataclass(frozen=True)
class Program:
    """What each Batch task is given besides its input, as it was uploaded."""

    content: UploadedProgram
    files: list[UploadedFile]
    recipe: str
    """The digest of all that makes outputs out of inputs."""


def submit_files(plan: Plan, image: Image, spending: Spending) -> Submitted:
    """See that each file has its output, or a Batch task to come.

    If the job of an earlier attempt ends before all tasks are added, what it has made by then counts, and the
    rest goes into the next job. Where earlier attempts have cost as much as the run may, nothing is added.
    """
    is_repeated, spent = may_be_repeated(plan), _find_spent(plan, spending)
    if spent and runs_all(plan):
        return Submitted([], stopped=spent)
    # A quota of jobs is to be met before there are inputs and nodes.
    job = None if is_repeated else create_job(plan.names, plan.spec, is_first=True)
    program = _upload_program(plan)
    if is_repeated:
        note_attempt(plan.names.output_container, program.recipe)
    for _ in range(JOBS_TRIED):
        # Before the outputs are listed: what completes from here on, completes in this job.
        active_id = find_active_job(plan.names) if is_repeated else None
        computed = _find_outputs(plan, program) if is_repeated and not runs_all(plan) else []
        left = _leave_out(plan.files, computed)
        if not left or spent:
            return Submitted(computed, stopped=spent if left else None)
        try:
            job = job or create_job(plan.names, plan.spec)
            if active_id not in (None, job.id):
                raise JobEndedError(f"The job {active_id} of an earlier attempt has ended.")
            is_taken_up = active_id is not None
            return _submit(replace(plan, files=left), program, image, computed, job, is_taken_up, spending)
        except JobEndedError as error:
            run_logger().info("%s", error)
            job, is_repeated = None, True
    raise JobError(f"The jobs of the run {plan.names.key} end before tasks can be added to them.")


def _leave_out(files: Sequence[InputFile], done: Sequence[WorkItem]) -> Sequence[InputFile]:
    """The files that are not done."""
    if not done:
        return files
    names = KnownTexts(item.name for item in done)
    return select(files, lambda file: file.name not in names)


def _find_spent(plan: Plan, spending: Spending) -> CostLimitError | None:
    """Whether earlier attempts have cost as much as the run may, in words."""
    if not spending.is_over(now := datetime.now(timezone.utc)):
        return None
    return CostLimitError(
        f"Earlier attempts of the run {plan.names.key} have cost as much as it may (max_cost): "
        f"{spending.sum_up(now)}. Run again with the same run_key and a higher max_cost for the rest."
    )


def may_be_repeated(plan: Plan) -> bool:
    """Whether an earlier attempt may have made things for this run."""
    return plan.names.key != flow_run.id or (flow_run.run_count or 1) > 1


def runs_all(plan: Plan) -> bool:
    """Whether nothing counts that was made before. What this flow run itself has made does, when Prefect
    runs it again."""
    return plan.spec.refresh and (flow_run.run_count or 1) <= 1


def _upload_program(plan: Plan) -> Program:
    """Upload the application and the further files. What was uploaded is what makes the outputs."""
    container, application = plan.names.application_container, plan.application
    md5 = upload_application(container, application.name, str(application)).md5 if application else None
    files = upload_extra_files(container, plan.extra_files)
    remote = identify_remote_files(plan.spec.task.files, plan.names.key)
    content = UploadedProgram(md5, {file.node_path: file.md5 for file in files}, remote)
    return Program(content, files, digest_recipe(plan.spec, application and application.name, content))


def _find_outputs(plan: Plan, program: Program) -> Sequence[WorkItem]:
    return find_computed(plan.outputs, plan.files, program.recipe)


def _submit(
    plan: Plan,
    program: Program,
    image: Image,
    computed: Sequence[WorkItem],
    job: Job,
    is_taken_up: bool,
    spending: Spending,
) -> Submitted:
    """See that there is a pool, and that each file has a Batch task to come in the job, which may have been
    taken up from an earlier attempt.

    Raises JobEndedError if the job has ended meanwhile.
    """
    names, spec = plan.names, plan.spec
    shared = name_shared_application(plan, program.content)
    first_tasks = count_first_tasks(plan.files, plan.files_per_task, is_added_early=not is_taken_up)
    pool = create_pool(names, spec, image, shared, first_tasks)
    run_logger().info("The pool %s: at most %s, as tasks need them", pool.id, describe_nodes(spec.pool))
    began_at = datetime.now(timezone.utc)
    told = make_task_plan(plan, program.content, program.files, pool.shares_application, runs_all(plan))
    task_plan = replace(told, recipe=program.recipe, runner=_upload_runner(plan))
    are_single, size = plan.files_per_task == 1, shard_size(len(plan.files))
    folder = plan.output_folder if are_single else None
    early = EarlyOutputs(job.id, names.output_container, folder, size)
    renewer = Renewer(plan, task_plan, job, pool, shared)
    upload_watch = UploadWatch(_watch_pool(job, pool, spec), spending)
    feed = Feed(plan, task_plan, job, computed, renewer, early, upload_watch, is_new=not is_taken_up)
    with early_remembered(folder, early, feed.items), early.ended_on_failure():
        items, units = feed.run()
        close_job(job, names, spec)
    uploaded_at = began_at, feed.uploaded_at
    if upload_watch.stopped is None:
        _tell_tasks(plan, job, items, units)
    return Submitted(
        computed,
        items,
        units,
        job,
        pool,
        [] if are_single else find_bundles(units),
        uploaded_at,
        early,
        upload_watch.watch,
        upload_watch.stopped,
    )


def _watch_pool(job: Job, pool: Pool, spec: RunSpec) -> PoolWatch:
    since = None if pool.is_own else job.created_at
    # Its end is looked after by the flow.
    now = datetime.now(timezone.utc)
    return PoolWatch(pool.id, pool.lease, since, now, 60.0 * spec.quota_minutes, job.id)


def _tell_tasks(plan: Plan, job: Job, items: WorkItems, units: Sequence[Unit]) -> None:
    of_files = f" for {say_count(len(items), 'file')}" if plan.files_per_task > 1 else ""
    run_logger().info("In the job %s: %s%s", job.id, say_count(len(units), "Batch task"), of_files)


def _upload_runner(plan: Plan) -> tuple[UploadedFile, ...]:
    return upload_runner(plan.names.application_container) if plan.files_per_task > 1 else ()
