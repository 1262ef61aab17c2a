"""The pure core without an engine: commands in, time by hand, and what the nodes were told to run."""

from __future__ import annotations

from batch_emulator.node.launch import Failure, Outcome
from batch_emulator.scheduler import jobs, pools, tasks
from batch_emulator.scheduler.settle import settle
from batch_emulator.scheduler.world import Start, Timer, World
from batch_emulator.settings import Settings
from batch_emulator.ticks import from_seconds

SUCCESS = Outcome(exit_code=0)
FAILED = Outcome(exit_code=3, failure=Failure("UserError", "FailureExitCode", "failed"), retriable=True)


class Driver:
    """Applies commands, lets time pass, and keeps what the nodes were told to run."""

    def __init__(self, **settings):
        self.world = World(Settings(**settings), account_url="http://batch")
        self.world.now = from_seconds(1_000_000)
        self.timers: list[tuple[int, Timer]] = []
        self.launched: dict[str, Start] = {}
        self.done: list[object] = []

    def do(self, command, *arguments):
        self.world.now += 1
        result = command(self.world, *arguments)
        settle(self.world)
        actions, self.world.actions = self.world.actions, []
        for action in actions:
            if isinstance(action, Timer):
                self.timers.append((self.world.now + from_seconds(action.seconds), action))
            elif isinstance(action, Start):
                self.launched[f"{action.launch.node_id}/{action.launch.task_directory}"] = action
            else:
                self.done.append(action)
        return result

    def pass_seconds(self, seconds: float) -> None:
        """Fire what falls due, in order of time."""
        end = self.world.now + from_seconds(seconds)
        while due := sorted((each for each in self.timers if each[0] <= end), key=lambda each: each[0]):
            self.timers.remove(due[0])
            self.world.now = max(self.world.now, due[0][0])
            self.do(due[0][1].function, *due[0][1].arguments)
        self.world.now = end

    def end(self, name: str, outcome: Outcome = SUCCESS) -> None:
        """The one launch whose directory ends with `name` ends."""
        (found,) = [each for each in self.launched if each.endswith(name)]
        action = self.launched.pop(found)
        self.do(action.ended, *action.arguments, outcome)

    def running(self) -> list[str]:
        return sorted(each.rsplit("/", 1)[1] for each in self.launched)

    def add_pool(self, node_count: int = 1, **spec):
        self.do(
            pools.add_pool,
            {"id": "pool", "vmSize": "standard_d2s_v3", "targetDedicatedNodes": node_count, **spec},
        )
        self.pass_seconds(10)

    def add_job(self, job_id: str = "job", **spec):
        return self.do(jobs.add_job, {"id": job_id, "poolInfo": {"poolId": "pool"}, **spec})

    def add_task(self, task_id: str, job_id: str = "job", **spec):
        return self.do(tasks.add_task, job_id, {"id": task_id, "commandLine": "true", **spec})

    def task(self, task_id: str, job_id: str = "job"):
        return self.world.task(job_id, task_id)

    @property
    def nodes(self):
        return list(self.world.store.nodes("pool"))
