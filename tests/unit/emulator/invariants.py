"""What is true of a world between any two commands, held against a scan of everything."""

from __future__ import annotations

from collections import Counter

from batch_emulator.durations import parse_duration_ticks
from batch_emulator.resources.job_tasks import JobTasks
from batch_emulator.resources.model import Job, Node, Task
from batch_emulator.resources.pool_nodes import SCHEDULABLE, PoolNodes
from batch_emulator.resources.transitions import ALLOCATION, JOB, NODE, POOL, SCHEDULE, TASK
from batch_emulator.scheduler.preparation import has_failed
from batch_emulator.scheduler.retention import is_kept
from batch_emulator.scheduler.world import World

BUSY = ("preparing", "running")
#: States of nodes where tasks may run; on a full disk they go on.
RUNS = frozenset({"idle", "running", "offline", "unusable"})


def check(world: World) -> None:
    """AssertionError for whatever is not as it has to be."""
    store = world.store
    for job_key, job in store.jobs.items():
        check_job(world, job, store.tasks(job_key))
    for pool_key, pool in store.pools.items():
        assert pool.state in POOL
        assert pool.allocation_state in ALLOCATION
        check_nodes(world, store.nodes(pool_key))
        check_queue(world, pool_key)
        check_load(world, pool_key)
        check_nothing_fits(world, pool_key)
    check_retained(world)
    assert +store.job_counts == Counter(job.state for job in store.jobs.values())
    assert all(schedule.state in SCHEDULE for schedule in store.schedules.values())


def check_retained(world: World) -> None:
    """A node has data of tasks where a look at each of them says so."""
    store = world.store
    completed = [
        task for key in store.jobs for task in store.tasks(key).by_id.values() if task.state == "completed"
    ]
    for node in store.all_nodes():
        here = [task for task in completed if node.id in task.node_ids]
        assert is_kept(world, node) == any(keeps_data(task, world.now) for task in here)


def keeps_data(task: Task, now: int) -> bool:
    time = task.spec["constraints"].get("retentionTime", "P7D")
    return task.ended is not None and task.ended + parse_duration_ticks(time) > now


def check_job(world: World, job: Job, tasks: JobTasks) -> None:
    assert job.state in JOB
    everyone = list(tasks.by_id.values())
    assert list(tasks.by_id) == sorted(task.key for task in everyone)
    for state in TASK:
        assert list(tasks.by_state[state]) == [task.key for task in everyone if task.state == state]
    assert list(tasks.failed) == [task.key for task in everyone if task.result == "failure"]
    check_counts(tasks, everyone)
    check_changes(tasks, everyone)
    check_ready(tasks, everyone)
    for task in everyone:
        check_task(world, job, task)


def check_counts(tasks: JobTasks, everyone: list[Task]) -> None:
    for counts, weigh in ((tasks.counts, lambda task: 1), (tasks.slot_counts, lambda task: task.slots)):
        found: Counter[str | None] = Counter()
        for task in everyone:
            found[task.state] += weigh(task)
            found[task.result] += weigh(task)
        expected = (
            found["active"],
            found["preparing"] + found["running"],
            found["completed"],
            found["success"],
            found["failure"],
        )
        assert (counts.active, counts.running, counts.completed, counts.succeeded, counts.failed) == expected


def check_changes(tasks: JobTasks, everyone: list[Task]) -> None:
    times = sorted(task.state_since for task in everyone)
    for time in {0, *times[len(times) // 2 :][:1], *times[-1:]}:
        expected = [task.key for task in everyone if task.state_since >= time]
        assert list(tasks.ids_changed_since(time, None)) == expected
        assert tasks.count_changed_since(time) >= len(expected)


def check_ready(tasks: JobTasks, everyone: list[Task]) -> None:
    ready = [task for task in everyone if task.ready]
    assert all(task.state == "active" for task in ready)
    assert len(tasks.ready) == len(ready)
    queued = [task for task in ready if not task.is_manager and not task.is_multi_instance]
    first_of_each = {}
    for task in queued:
        first_of_each.setdefault(task.slots, []).append(task)
    for slots, waiting in first_of_each.items():
        found = tasks.ready.first(slots)
        assert found is not None
        assert any(task is found for task in queued)
        assert found.number <= max(task.number for task in waiting)
    for task in everyone:
        assert (task.awaits is not None) == (task.key in tasks.waiting)
        if task.state == "active":
            assert task.ready == (task.awaits is None)


def check_task(world: World, job: Job, task: Task) -> None:
    assert task.state in TASK
    assert (task.result is not None) == (task.state == "completed") == (task.ended is not None)
    if task.state in BUSY:
        for node_id in task.node_ids:
            check_occupied(job, task, world.store.find_node(task.pool_id.lower(), node_id))


def check_occupied(job: Job, task: Task, node: Node | None) -> None:
    assert node is not None
    assert node.state in RUNS
    held = [place for place, (_, *who) in node.occupants.items() if who == [job.key, task.key]]
    assert any(place.endswith(f"#{task.attempt}") for place in held)


def check_nodes(world: World, nodes: PoolNodes) -> None:
    everyone = list(nodes)
    found = Counter((node.dedicated, node.state) for node in everyone)
    assert +nodes.state_counts == found
    assert nodes.leaving == {node.id for node in everyone if node.leaving is not None}
    for node in everyone:
        check_node(world, node)
        assert nodes.free_slots(node.id) == free_slots(node)
    assert nodes.most_free() == max(map(free_slots, everyone), default=0)


def check_node(world: World, node: Node) -> None:
    assert node.state in NODE
    assert node.slots_used <= node.slots
    if node.state in ("idle", "running"):
        assert (node.state == "running") == bool(node.occupants)
    if node.state not in RUNS:
        assert not node.occupants
    if node.pending:
        waits = node.occupants or node.awaits_retention
        assert waits, "what waits for the node to be drained would wait for ever"


def free_slots(node: Node) -> int:
    takes_tasks = node.state in SCHEDULABLE and node.scheduling == "enabled"
    return node.slots - node.slots_used if takes_tasks and not node.leaving and not node.pending else 0


def startable(world: World, job: Job) -> bool:
    tasks = world.store.tasks(job.key)
    limit = job.spec.get("maxParallelTasks", -1)
    return job.state == "active" and len(tasks.ready) > 0 and (limit < 0 or tasks.counts.running < limit)


def check_queue(world: World, pool_key: str) -> None:
    jobs = [job for job in world.store.jobs.values() if job.pool_key == pool_key and startable(world, job)]
    expected = sorted(jobs, key=lambda job: (-job.spec.get("priority", 0), job.number))
    assert [job.key for job in world.store.queued_jobs(pool_key)] == [job.key for job in expected]
    here = [job for job in world.store.jobs.values() if job.pool_key == pool_key]
    preemptible = {job.key for job in here if job.spec.get("allowTaskPreemption")}
    assert set(world.store.jobs_of_pools.preemptible(pool_key)) == preemptible
    expected.sort(key=lambda job: (-job.spec.get("priority", 0), world.store.tasks(job.key).running))
    assert [job.key for job in world.store.queued_jobs_by_load(pool_key)] == [job.key for job in expected]


def check_load(world: World, pool_key: str) -> None:
    """The sums that autoscale formulas are given are those of the pool's jobs."""
    load = world.store.load(pool_key)
    jobs = [job for job in world.store.jobs.values() if job.pool_key == pool_key]
    counts = [world.store.tasks(job.key).counts for job in jobs]
    assert load.running == sum(each.running for each in counts)
    assert (load.succeeded, load.failed) == (
        sum(each.succeeded for each in counts),
        sum(each.failed for each in counts),
    )
    active = [world.store.tasks(job.key).by_id.values() for job in jobs if job.state == "active"]
    assert load.ready == sum(instances(task) for tasks in active for task in tasks if task.ready)


def instances(task: Task) -> int:
    return task.spec.get("multiInstanceSettings", {}).get("numberOfInstances", 1)


def check_nothing_fits(world: World, pool_key: str) -> None:
    """No task waits that could run: every placement has been made."""
    if world.store.pools[pool_key].state != "active":
        return
    for job in world.store.queued_jobs(pool_key):
        for task in world.store.tasks(job.key).by_id.values():
            if task.ready and not task.is_manager and not task.is_multi_instance:
                fitting = [node for node in world.store.nodes(pool_key) if free_slots(node) >= task.slots]
                assert all(has_failed(job, node) for node in fitting)
