"""Tasks that wait for other tasks of their job: `dependsOn` by ids and by ranges of ids."""

from __future__ import annotations

from collections.abc import Iterator

from batch_emulator.model import Job, Task, Wire, key
from batch_emulator.scheduler.world import World


def register(world: World, job: Job, task: Task) -> bool:
    """Note what a new task waits for. Returns whether it can run at once."""
    tasks = world.store.tasks(key(job.id))
    wanted = _wanted(task.spec.get("dependsOn") or {})
    missing = [each for each in dict.fromkeys(wanted) if not satisfies(tasks.by_id.get(each))]
    tasks.block(task.key, missing)
    return not missing


def _wanted(spec: Wire) -> Iterator[str]:
    yield from (key(each) for each in spec.get("taskIds", []))
    for each in spec.get("taskIdRanges", []):
        yield from (str(number) for number in range(each["start"], each["end"] + 1))


def satisfies(task: Task | None) -> bool:
    """Whether tasks that depend on this one may run."""
    if task is None or task.state != "completed":
        return False
    return task.result == "success" or dependency_action(task) == "satisfy"


def release_dependents(world: World, task: Task) -> None:
    """A task has completed: make ready what waited for it and for nothing else."""
    if not satisfies(task):
        return
    tasks = world.store.tasks(task.job_key)
    for freed in tasks.unblock(task.key):
        waiting = tasks.by_id.get(freed)
        if waiting and waiting.state == "active":
            world.store.release_task(waiting)


def dependency_action(task: Task) -> str:
    """What a failed task means for those that depend on it: `satisfy` or `block` (the default)."""
    return matching_exit_options(task).get("dependencyAction", "block").lower()


def matching_exit_options(task: Task) -> Wire:
    """The exit options that apply to how a task ended; an exit code outranks an upload error."""
    conditions = task.spec.get("exitConditions", {})
    if task.exit_code:
        return _options_of_code(conditions, task.exit_code)
    if not task.failure:
        return {}
    kind = "preProcessingError" if task.exit_code is None else "fileUploadError"
    return conditions.get(kind, conditions.get("default", {}))


def _options_of_code(conditions: Wire, code: int) -> Wire:
    for each in conditions.get("exitCodes", []):
        if each["code"] == code:
            return each["exitOptions"]
    for each in conditions.get("exitCodeRanges", []):
        if each["start"] <= code <= each["end"]:
            return each["exitOptions"]
    return conditions.get("default", {})
