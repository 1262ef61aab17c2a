"""What a node has to run for a task: command, directory, environment, files and limits."""

from __future__ import annotations

from dataclasses import replace

from batch_emulator.catalogue.images import runs_windows
from batch_emulator.catalogue.vm_sizes import core_count
from batch_emulator.durations import UNLIMITED, parse_duration
from batch_emulator.job_tokens import issue_token
from batch_emulator.node.launch import Launch
from batch_emulator.resources.model import Job, Node, Pool, Task, Wire
from batch_emulator.resources.runs import Run
from batch_emulator.scheduler.world import World


def start_task_launch(world: World, pool: Pool, node: Node, spec: Wire, run: Run) -> Launch:
    """A node's start task, in its `startup` directory. `run` is the node's of it."""
    return Launch(
        node_id=node.id,
        task_directory="startup",
        command_line=spec["commandLine"],
        environment=_node_environment(world, pool, node) | _settings(spec),
        resource_files=spec.get("resourceFiles", []),
        output_files=[],
        max_wall_clock_seconds=None,
        retries_left=False,
        attempt=f"{node.boot_number}.{run.retry_count}",
        container=_container(world, pool, spec),
        on_windows=runs_windows(pool.spec),
    )


def task_launch(world: World, job: Job, task: Task, pool: Pool, node: Node) -> Launch:
    """A Batch task, in its directory below the job's."""
    return Launch(
        node_id=node.id,
        task_directory=task_directory(job, task),
        command_line=task.spec["commandLine"],
        environment=_job_environment(world, job, task.spec | {"id": task.id}, pool, node),
        resource_files=task.spec.get("resourceFiles", []),
        output_files=task.spec.get("outputFiles", []),
        max_wall_clock_seconds=limit_seconds(task.spec),
        retries_left=retries_left(task),
        retry=task.retry_count > 0,
        job_preparation_directory=_preparation_directory(job),
        attempt=f"{task.number}.{task.attempt}",
        container=_container(world, pool, task.spec),
        on_windows=runs_windows(pool.spec),
    )


def preparation_launch(world: World, job: Job, pool: Pool, node: Node, run: Run) -> Launch:
    """A job's preparation task. `run` is that of its `Preparation`."""
    spec = job.spec["jobPreparationTask"]
    return Launch(
        node_id=node.id,
        task_directory=own_task_directory(job, spec),
        command_line=spec["commandLine"],
        environment=_job_environment(world, job, spec, pool, node),
        resource_files=spec.get("resourceFiles", []),
        max_wall_clock_seconds=limit_seconds(spec),
        retry=run.retry_count > 0,
        attempt=f"{run.number}.{run.retry_count}",
        container=_container(world, pool, spec),
        on_windows=runs_windows(pool.spec),
    )


def release_launch(world: World, job: Job, pool: Pool, node: Node, run: Run) -> Launch:
    """A job's release task. `run` is that of its `Preparation`."""
    spec = job.spec["jobReleaseTask"]
    return Launch(
        node_id=node.id,
        task_directory=own_task_directory(job, spec),
        command_line=spec["commandLine"],
        environment=_job_environment(world, job, spec, pool, node),
        resource_files=spec.get("resourceFiles", []),
        max_wall_clock_seconds=parse_duration(spec["maxWallClockTime"]).total_seconds(),
        job_preparation_directory=_preparation_directory(job),
        attempt=str(run.number),
        container=_container(world, pool, spec),
        on_windows=runs_windows(pool.spec),
    )


def coordination_launch(
    world: World, job: Job, task: Task, pool: Pool, nodes: list[Node], number: int
) -> Launch:
    """The coordination command of one instance of a multi-instance task, on the node of that number."""
    settings = task.spec["multiInstanceSettings"]
    return replace(
        task_launch(world, job, task, pool, nodes[number]),
        command_line=settings["coordinationCommandLine"],
        environment=_instance_environment(world, job, task, pool, nodes, number),
        resource_files=[],
        common_resource_files=settings.get("commonResourceFiles", []),
        output_files=[],
        retry=False,
        stage="coordination",
        attempt=f"{task.number}.{task.attempt}.coordination",
    )


def application_launch(world: World, job: Job, task: Task, pool: Pool, nodes: list[Node]) -> Launch:
    """A multi-instance task's own command, on the first of its nodes."""
    return replace(
        task_launch(world, job, task, pool, nodes[0]),
        environment=_instance_environment(world, job, task, pool, nodes, 0),
        retry=False,
        stage="application",
    )


def _instance_environment(
    world: World, job: Job, task: Task, pool: Pool, nodes: list[Node], number: int
) -> dict[str, str]:
    addresses = [node.address for node in nodes]
    cores = core_count(pool.spec["vmSize"]) or 1
    return _job_environment(world, job, task.spec | {"id": task.id}, pool, nodes[number]) | {
        "AZ_BATCH_NODE_LIST": ";".join(addresses),
        "AZ_BATCH_HOST_LIST": ",".join(addresses),
        "AZ_BATCH_MASTER_NODE": f"{addresses[0]}:6000",
        "AZ_BATCH_IS_CURRENT_NODE_MASTER": "true" if number == 0 else "false",
        "CCP_NODES": " ".join([str(len(nodes)), *(f"{each} {cores}" for each in addresses)]),
    }


def task_directory(job: Job, task: Task) -> str:
    """Where a task runs, relative to the node's root."""
    return f"{_job_directory(job)}/{task.id}"


def own_task_directory(job: Job, spec: Wire) -> str:
    """Where a job's preparation or release task runs."""
    return f"{_job_directory(job)}/{spec['id']}"


def _preparation_directory(job: Job) -> str | None:
    spec = job.spec.get("jobPreparationTask")
    return own_task_directory(job, spec) if spec else None


def _job_directory(job: Job) -> str:
    """`workitems/<job>/job-1`, or `workitems/<job schedule>/job-<n>` for a job of a schedule."""
    return f"workitems/{job.id.replace(':', '/')}" if job.schedule_key else f"workitems/{job.id}/job-1"


def removable_directory(job: Job) -> str:
    """What goes from a node with the job."""
    return _job_directory(job) if job.schedule_key else f"workitems/{job.id}"


def retries_left(task: Task) -> bool:
    """Whether a nonzero exit is tried again: N retries are N+1 tries, -1 is without limit."""
    most = task.spec.get("constraints", {}).get("maxTaskRetryCount", 0)
    return most == -1 or task.retry_count < most


def limit_seconds(spec: Wire) -> float | None:
    """Seconds of a job's or task's `maxWallClockTime`; None where it sets no limit."""
    limit = spec.get("constraints", {}).get("maxWallClockTime")
    return parse_duration(limit).total_seconds() if limit and limit != UNLIMITED else None


def _node_environment(world: World, pool: Pool, node: Node) -> dict[str, str]:
    return {
        "AZ_BATCH_ACCOUNT_NAME": world.settings.account,
        "AZ_BATCH_ACCOUNT_URL": world.account_url,
        "AZ_BATCH_POOL_ID": pool.id,
        "AZ_BATCH_NODE_ID": node.id,
        "AZ_BATCH_NODE_IS_DEDICATED": "true" if node.dedicated else "false",
    }


def _job_environment(world: World, job: Job, spec: Wire, pool: Pool, node: Node) -> dict[str, str]:
    """For any task of a job; `spec` is that task's, with its id."""
    common = _settings({"environmentSettings": job.spec.get("commonEnvironmentSettings", [])})
    identity = {"AZ_BATCH_JOB_ID": job.id, "AZ_BATCH_TASK_ID": spec["id"]}
    if spec.get("authenticationTokenSettings", {}).get("access"):
        identity["AZ_BATCH_AUTHENTICATION_TOKEN"] = issue_token(world.settings.key, job.id)
    return common | _settings(spec) | _node_environment(world, pool, node) | identity


def _container(world: World, pool: Pool, spec: Wire) -> Wire:
    """A task's `containerSettings`, where there is an engine for them."""
    settings = spec.get("containerSettings")
    if settings is None or not world.settings.runs_containers:
        return {}
    of_pool = pool.spec.get("virtualMachineConfiguration", {}).get("containerConfiguration", {})
    registries = [*of_pool.get("containerRegistries", []), settings.get("registry")]
    return settings | {"registries": [each for each in registries if each]}


def _settings(spec: Wire) -> dict[str, str]:
    return {each["name"]: each.get("value", "") for each in spec.get("environmentSettings", [])}
