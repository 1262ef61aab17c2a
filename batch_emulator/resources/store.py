"""Everything the service knows, with the indexes that keep a request's cost from growing with the tasks.

Pools, nodes, jobs and tasks are ordered by id. Each job's tasks have an order, sets by state, counts, and the
tasks that are ready to run; each pool has its jobs by priority, their load, and its nodes by free slots.
Whoever changes a state does it through here, so that the indexes are always those of the resources. `changed`
collects what must be kept, `removed_tasks` what a deleted job leaves, to be freed by and by.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from sortedcontainers import SortedDict

from batch_emulator.resources.job_queue import JobQueue
from batch_emulator.resources.job_tasks import JobTasks
from batch_emulator.resources.model import Certificate, Job, JobSchedule, Node, Pool, Preparation, Task, key
from batch_emulator.resources.pool_jobs import JobsOfPools, Load, add_up
from batch_emulator.resources.pool_nodes import PoolNodes
from batch_emulator.resources.retained import Retained
from batch_emulator.resources.transitions import (
    CERTIFICATE,
    JOB,
    NODE,
    PASSING,
    SCHEDULE,
    TASK,
    CertificateEvent,
    CertificateState,
    JobEvent,
    JobState,
    NodeEvent,
    NodeState,
    ScheduleEvent,
    ScheduleState,
    TaskEvent,
    follow,
)


class Store:
    """The resources of one account."""

    def __init__(self) -> None:
        self.pools: SortedDict[str, Pool] = SortedDict()
        self.jobs: SortedDict[str, Job] = SortedDict()
        self.schedules: SortedDict[str, JobSchedule] = SortedDict()
        self.certificates: SortedDict[str, Certificate] = SortedDict()
        self._preparations: dict[str, SortedDict[str, Preparation]] = {}
        self._nodes: dict[str, PoolNodes] = {}
        self._tasks: dict[str, JobTasks] = {}
        self._queues: defaultdict[str, JobQueue] = defaultdict(JobQueue)
        self._queued_at: dict[str, str] = {}
        self.jobs_of_pools = JobsOfPools()
        self.job_counts: Counter[str] = Counter()
        self.retained = Retained()
        self.removed_tasks: list[JobTasks] = []
        self.last_number = 0
        self.changed: dict[tuple[str, ...], None] = {}

    def next_number(self) -> int:
        """A number that no resource of this store has: the order of arrival."""
        self.last_number += 1
        return self.last_number

    # Pools and their nodes

    def add_pool(self, pool: Pool) -> None:
        self.pools[key(pool.id)] = pool
        self._nodes[key(pool.id)] = PoolNodes()
        self.touch("pool", key(pool.id))

    def remove_pool(self, pool_key: str) -> None:
        del self.pools[pool_key]
        del self._nodes[pool_key]
        self.touch("pool", pool_key)

    def nodes(self, pool_key: str) -> PoolNodes:
        return self._nodes[pool_key]

    def all_nodes(self) -> Iterator[Node]:
        return (node for nodes in self._nodes.values() for node in nodes)

    def has_pool(self, pool_key: str) -> bool:
        return pool_key in self.pools

    def find_node(self, pool_key: str | None, node_id: str) -> Node | None:
        nodes = self._nodes.get(pool_key) if pool_key else None
        return nodes.by_id.get(node_id) if nodes else None

    def add_node(self, node: Node) -> None:
        self._nodes[node.pool_key].add(node)
        self.touch("node", node.pool_key, node.id)

    def remove_node(self, node: Node) -> None:
        self._nodes[node.pool_key].remove(node)
        self.retained.forget_node(node.id)
        self.touch("node", node.pool_key, node.id)

    def move_node(self, node: Node, event: NodeEvent, now: int) -> None:
        """Take a node through a transition of `NODE`."""
        before = node.state
        after: NodeState = follow(NODE, before, event)
        self._nodes[node.pool_key].move(node, after)
        # As recorded, of a node that was told to be deallocated, also while it starts again.
        if after != "deallocated" and (before, after) != ("deallocated", "starting"):
            node.state_since = now
        self.touch("node", node.pool_key, node.id)

    def occupy(self, node: Node, directory: str, slots: int, job_key: str, task_key: str, now: int) -> None:
        """Give `slots` of a node to a task directory, until `vacate`."""
        node.occupants[directory] = (slots, job_key, task_key)
        if len(node.occupants) == 1 and node.state == "idle":
            self.move_node(node, "occupy", now)
        self._nodes[node.pool_key].reindex(node)
        self.touch("node", node.pool_key, node.id)

    def vacate(self, node: Node, directory: str, now: int) -> None:
        """Take the slots back; a running node without occupants is idle."""
        node.occupants.pop(directory, None)
        if not node.occupants and node.state == "running":
            self.move_node(node, "drain", now)
        self._nodes[node.pool_key].reindex(node)
        self.touch("node", node.pool_key, node.id)

    # Jobs and their tasks

    def add_job(self, job: Job) -> None:
        self.jobs[key(job.id)] = job
        self._tasks[key(job.id)] = JobTasks()
        self.job_counts[job.state] += 1
        self.touch("job", key(job.id))

    def remove_job(self, job_key: str) -> None:
        self._unqueue(job_key)
        self.jobs_of_pools.forget(job_key)
        self.retained.forget_job(job_key)
        self.touch("tasks", str(self.jobs[job_key].number))
        for node_id in self._preparations.pop(job_key, ()):
            self.touch("preparation", job_key, node_id)
        self.job_counts[self.jobs.pop(job_key).state] -= 1
        self.removed_tasks.append(self._tasks.pop(job_key))
        self.touch("job", job_key)

    def move_job(self, job: Job, event: JobEvent, now: int) -> None:
        """Take a job through a transition of `JOB`."""
        after: JobState = follow(JOB, job.state, event)
        self.job_counts[job.state] -= 1
        self.job_counts[after] += 1
        if after != "deleting" and (job.state not in PASSING or after in PASSING):
            job.modified = now
        if job.state not in PASSING:
            job.previous_state, job.previous_state_since = job.state, job.state_since
        job.state, job.state_since = after, now
        self.requeue_job(key(job.id))
        self.touch("job", key(job.id))

    def tasks(self, job_key: str) -> JobTasks:
        return self._tasks[job_key]

    def find_task(self, job_key: str, task_key: str) -> Task | None:
        tasks = self._tasks.get(job_key)
        return tasks.by_id.get(task_key) if tasks else None

    def add_task(self, task: Task, *, ready: bool) -> None:
        tasks = self._tasks[task.job_key]
        # One more ready task changes nothing for its job.
        had_ready = bool(tasks.ready)
        tasks.add(task, ready=ready)
        if not had_ready:
            self.requeue_job(task.job_key)
        self.touch("task", task.job_key, task.key)

    def remove_task(self, task: Task) -> None:
        self._tasks[task.job_key].remove(task)
        self.requeue_job(task.job_key)
        self.touch("task", task.job_key, task.key)

    def move_task(self, task: Task, event: TaskEvent, now: int) -> None:
        """Take a task through a transition of `TASK`; one that becomes active is ready at once."""
        self._tasks[task.job_key].move(task, follow(TASK, task.state, event), now)
        self.requeue_job(task.job_key)
        self.touch("task", task.job_key, task.key)

    def release_task(self, task: Task) -> None:
        """An active task that waited for others may now run."""
        self._tasks[task.job_key].ready.add(task)
        self.requeue_job(task.job_key)
        self.touch("task", task.job_key, task.key)

    # Job preparation and release tasks

    def preparations(self, job_key: str) -> SortedDict[str, Preparation]:
        """What is known of a job's preparation and release tasks, by the ids of the nodes."""
        return self._preparations.get(job_key) or SortedDict()

    def put_preparation(self, preparation: Preparation) -> None:
        """Keep what is known of one node, instead of what was."""
        of_job = self._preparations.setdefault(preparation.job_key, SortedDict())
        of_job[preparation.node_id] = preparation
        self.touch("preparation", preparation.job_key, preparation.node_id)

    # Job schedules

    def add_schedule(self, schedule: JobSchedule) -> None:
        self.schedules[schedule.key] = schedule
        self.touch("schedule", schedule.key)

    def remove_schedule(self, schedule_key: str) -> None:
        del self.schedules[schedule_key]
        self.touch("schedule", schedule_key)

    def move_schedule(self, schedule: JobSchedule, event: ScheduleEvent, now: int) -> None:
        """Take a job schedule through a transition of `SCHEDULE`."""
        after: ScheduleState = follow(SCHEDULE, schedule.state, event)
        if schedule.state not in PASSING:
            schedule.previous_state, schedule.previous_state_since = schedule.state, schedule.state_since
        schedule.state, schedule.state_since = after, now
        self.touch("schedule", schedule.key)

    def jobs_of_schedule(self, schedule_key: str, after: str | None = None) -> Iterator[Job]:
        """A job schedule's jobs in order of id, behind the key `after`."""
        first = f"{schedule_key}:"
        for job_key in self.jobs.irange(max(first, after or ""), inclusive=(False, True)):
            if not job_key.startswith(first):
                break
            yield self.jobs[job_key]

    # Certificates

    def add_certificate(self, certificate: Certificate) -> None:
        self.certificates[certificate.key] = certificate
        self.touch("certificate", certificate.key)

    def remove_certificate(self, certificate: Certificate) -> None:
        del self.certificates[certificate.key]
        self.touch("certificate", certificate.key)

    def move_certificate(self, certificate: Certificate, event: CertificateEvent, now: int) -> None:
        """Take a certificate through a transition of `CERTIFICATE`."""
        after: CertificateState = follow(CERTIFICATE, certificate.state, event)
        certificate.previous_state, certificate.previous_state_since = (
            certificate.state,
            certificate.state_since,
        )
        certificate.state, certificate.state_since = after, now
        self.touch("certificate", certificate.key)

    # Which job comes next

    def requeue_job(self, job_key: str) -> None:
        """Put a job into its pool's queue if it is active and may start a ready task, otherwise out of it."""
        job = self.jobs[job_key]
        tasks = self._tasks[job_key]
        self.jobs_of_pools.file(job_key, job.pool_key, bool(job.spec.get("allowTaskPreemption")))
        limit = job.spec.get("maxParallelTasks", -1)
        wanted = job.state == "active" and tasks.ready and (limit < 0 or tasks.running < limit)
        if not wanted or self._queued_at.get(job_key) != job.pool_key:
            self._unqueue(job_key)
        if wanted:
            self._queued_at[job_key] = job.pool_key
            self._queues[job.pool_key].put(job_key, -job.spec.get("priority", 0), job.number)

    def load(self, pool_key: str) -> Load:
        """What the jobs of a pool ask of it now."""
        keys = self.jobs_of_pools.of_pool(pool_key)
        return add_up((self.jobs[job_key], self._tasks[job_key]) for job_key in keys)

    def _unqueue(self, job_key: str) -> None:
        if (pool_key := self._queued_at.pop(job_key, None)) is not None:
            self._queues[pool_key].drop(job_key)

    def queued_jobs(self, pool_key: str) -> Iterator[Job]:
        """Active jobs of a pool that can start a ready task: highest priority first, then the oldest."""
        queue = self._queues.get(pool_key)
        return (self.jobs[job_key] for *_, job_key in (queue.by_age if queue else ()))

    def queued_jobs_by_load(self, pool_key: str) -> Iterator[Job]:
        """The same, but of one priority those first of which the fewest tasks run."""
        queue = self._queues.get(pool_key)
        if not queue or len(queue) < 2:
            return self.queued_jobs(pool_key)
        by_load = queue.by_load(lambda job_key: self._tasks[job_key].running)
        return (self.jobs[job_key] for *_, job_key in by_load)

    def touch(self, *kind_and_key: str) -> None:
        """Note that a resource was made, changed or removed."""
        self.changed[kind_and_key] = None
