"""Tasks that wait for other tasks of their job: `dependsOn` by ids and by ranges of ids.

Source: documentation page "Create task dependencies to run tasks that depend on other tasks".
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from batch_emulator.resources.job_tasks import JobTasks
from batch_emulator.resources.model import Job, Task, Wire, key
from batch_emulator.scheduler import exitconditions
from batch_emulator.scheduler.world import World


def register(world: World, job: Job, task: Task) -> bool:
    """Note what a new task waits for. Returns whether it can run at once."""
    dependencies = task.spec.get("dependsOn")
    return not dependencies or _go_on(world.store.tasks(job.key), task, enumerate(_awaited(dependencies)))


def wait_again(world: World, task: Task) -> None:
    """After a restart: a task that waited does so for the same thing. What came before that may be gone."""
    rest = islice(enumerate(_awaited(task.spec["dependsOn"])), task.awaits, None)
    _, awaited = next(rest)
    world.store.tasks(task.job_key).waiting.hold(task.key, awaited, rest)


def _awaited(spec: Wire) -> Iterator[str]:
    """Keys of tasks; of a range the numbers, with a mark that no id can have."""
    yield from map(key, spec.get("taskIds", []))
    for each in spec.get("taskIdRanges", []):
        yield from (f"={number}" for number in range(each["start"], each["end"] + 1))


def _go_on(tasks: JobTasks, task: Task, awaited: Iterator[tuple[int, str]]) -> bool:
    """Hold a task back for the next thing that it waits for; True if there is none left."""
    for position, each in awaited:
        if not _is_satisfied(tasks, each):
            task.awaits = position
            tasks.waiting.hold(task.key, each, awaited)
            return False
    task.awaits = None
    return True


def _is_satisfied(tasks: JobTasks, awaited: str) -> bool:
    if not awaited.startswith("="):
        return _satisfies(tasks.by_id.get(awaited))
    number = awaited[1:]
    names = [number, *tasks.padded.get(number, ())]
    return any(_satisfies(tasks.by_id.get(each)) for each in names)


def _satisfies(task: Task | None) -> bool:
    """Whether tasks that depend on this one may run."""
    if task is None or task.state != "completed":
        return False
    return exitconditions.dependency_action(task) == "satisfy"


def release_dependents(world: World, task: Task) -> None:
    """A task has completed: make ready what waited for it and for nothing else."""
    if not _satisfies(task):
        return
    tasks = world.store.tasks(task.job_key)
    for awaited in _names(task):
        for task_key, rest in tasks.waiting.take(awaited):
            waiting = tasks.by_id[task_key]
            world.store.touch("task", task.job_key, task_key)
            if _go_on(tasks, waiting, rest) and waiting.state == "active":
                world.store.release_task(waiting)


def _names(task: Task) -> list[str]:
    """What the tasks that wait for this one are filed under. In a range, `004` is the number 4."""
    return [task.key, f"={int(task.key)}"] if task.key.isdecimal() else [task.key]
